"""Counts what differs from the pinned digests on this machine, with NumPy alone: `python -m tests.support.foreign`.

`foreign.sh` runs it on other architectures, whose Python has no package safetensors: weights are then read here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.entropy import coder
from tessera.models.overfitted.family import OverfittedFamily
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.vqgan.family import VqganFamily
from tessera.models.wavelet.family import WaveletFamily

from ..golden import (
    make_golden_dyadic,
    make_golden_overfitted,
    make_golden_spatiotemporal,
    make_golden_vqgan,
    make_golden_wavelet,
    pinned,
)
from . import encodings, small_dyadic
from .kernel_paths import available_paths, threads

TYPES = {"F32": "<f4", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "I64": "<i8", "F64": "<f8", "F16": "<f2"}

Outcome = tuple[str, str, int, int]  # what is compared, of which stream, digests, digests that differ


def read_weights(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """As `weights.read`, of a file that is sound."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:start])
    metadata = entries.pop("__metadata__", {})
    tensors = {}
    for name, entry in entries.items():
        first, last = entry["data_offsets"]
        stored = np.frombuffer(data[start + first : start + last], TYPES[entry["dtype"]])
        tensors[name] = stored.astype(stored.dtype.newbyteorder("=")).reshape(entry["shape"])
    return tensors, metadata


def compared(what: str, name: str, found: list[str], expected: list[str]) -> Outcome:
    differ = sum(a != b for a, b in zip(found, expected, strict=True))
    return what, name, len(expected), differ


def latent_streams(path: str) -> Iterator[Outcome]:
    """Golden streams of `wavelet` and `spatiotemporal`, of this with small weights too."""
    small = small_dyadic.family(), weights.identify(small_dyadic.arrays())
    for maker in (make_golden_wavelet, make_golden_spatiotemporal, make_golden_dyadic):
        name = maker.FOLDER.name
        family, weights_id = small if maker is make_golden_dyadic else weights.load(name)
        assert isinstance(family, WaveletFamily | SpatiotemporalFamily)
        expected_id, pins = pinned.read(maker.FOLDER)
        yield compared("weights", name, [weights_id.hex()], [expected_id])
        family = family.using(path)
        for stream, sample in maker.SAMPLES.items():
            label = f"{name}/{stream}"
            symbols, spec = pinned.symbols_of((maker.FOLDER / f"{stream}.tsr").read_bytes(), sample[0])
            if isinstance(family, WaveletFamily):
                integers = pinned.integers(family, symbols, spec, family.integers)
            else:
                integers = make_golden_spatiotemporal.integers(family, symbols, spec)
            yield compared("integers", label, integers, pins[stream, pinned.INTEGERS])
            for decoder in family.decoders:
                frames = pinned.pixels(family, symbols, spec, decoder)
                yield compared("pixels", f"{label} {decoder}", frames, pins[stream, decoder])


def vqgan_streams(path: str) -> Iterator[Outcome]:
    """Golden streams of `vqgan`."""
    folder = make_golden_vqgan.FOLDER
    first, *lines = (line.split() for line in (folder / "expected.txt").read_text().splitlines())
    family, weights_id = weights.load("vqgan")
    assert isinstance(family, VqganFamily)
    yield compared("weights", "vqgan", [weights_id.hex()], [first[1]])
    family = family.using(path)
    for stream, indices, pixels in lines:
        shape, _ = make_golden_vqgan.SAMPLES[stream]
        symbols, spec = pinned.symbols_of((folder / f"{stream}.tsr").read_bytes(), shape)
        found = make_golden_vqgan.digest(family, symbols, spec)
        yield compared("integers", f"vqgan/{stream}", [found], [indices])
        frames = family.decode(spec, DecoderPort(family.tables, symbols), "standard")
        yield compared("pixels", f"vqgan/{stream}", [make_golden_vqgan.name_of(frames)], [pixels])


def overfitted_streams(path: str) -> Iterator[Outcome]:
    """Golden streams of `overfitted`."""
    folder = make_golden_overfitted.FOLDER
    family, weights_id = weights.load("overfitted")
    assert isinstance(family, OverfittedFamily)
    expected_id, pins = pinned.read(folder)
    yield compared("weights", "overfitted", [weights_id.hex()], [expected_id])
    family = family.using(path)
    for stream, sample in make_golden_overfitted.SAMPLES.items():
        symbols, spec = pinned.symbols_of((folder / f"{stream}.tsr").read_bytes(), sample[0])
        found = make_golden_overfitted.integers(family, symbols, spec)
        yield compared("integers", f"overfitted/{stream}", found, pins[stream, pinned.INTEGERS])
        frames = pinned.pixels(family, symbols, spec, "standard")
        yield compared("pixels", f"overfitted/{stream}", frames, pins[stream, "standard"])


def drawn_samples(path: str) -> Iterator[Outcome]:
    """The drawn picture and clips, encoded here."""
    for (name, effort), expected in encodings.DIGESTS.items():
        found = encodings.digest(encodings.family(name, path, effort))
        yield compared("encodings", f"{name} {effort}", [found], [expected])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", choices=available_paths(), action="append", help="kernels to run (default: all)")
    arguments = parser.parse_args()
    if importlib.util.find_spec("safetensors") is None:
        weights.read = read_weights
    print(f"{platform.machine()}, {sys.byteorder}-endian, Python {platform.python_version()}, NumPy {np.__version__}")
    failed = False
    for path in arguments.path or available_paths():
        coder.PATH = path
        start, count, differ = time.process_time(), Counter[str](), Counter[str]()
        with threads(1):
            for outcomes in (latent_streams, vqgan_streams, overfitted_streams, drawn_samples):
                for what, name, digests, wrong in outcomes(path):
                    count[what] += digests
                    differ[what] += wrong
                    if wrong:
                        print(f"{path}: {name}: {wrong} of {digests} digests of {what} differ")
        counts = ", ".join(f"{differ[what]} of {count[what]} {what} differ" for what in count)
        print(f"{path}: {counts}; {time.process_time() - start:.0f} s of CPU", flush=True)
        failed = failed or any(differ.values())
    sys.exit(failed)


if __name__ == "__main__":
    main()
