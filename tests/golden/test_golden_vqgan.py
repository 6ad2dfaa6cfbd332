"""Streams of the shipped codebooks, pinned: the same indices and pixels on every path and number of threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.models.reference import vqgan as reference
from tessera.models.vqgan.family import VqganFamily

from ..support.kernel_paths import available_paths, threads
from .make_golden_vqgan import FOLDER, SAMPLES, digest, name_of
from .pinned import symbols_of

LINES = [line.split() for line in (FOLDER / "expected.txt").read_text().splitlines()]
PINNED = {name: (indices, pixels) for name, indices, pixels in LINES[1:]}


@pytest.fixture(scope="module")
def family() -> VqganFamily:
    loaded, weights_id = weights.load("vqgan")
    assert weights_id.hex() == LINES[0][1], "new weights: python -m tests.golden.make_golden_vqgan"
    assert isinstance(loaded, VqganFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_indices_and_pixels_are_the_same_everywhere(family: VqganFamily, name: str, path: str, count: int) -> None:
    shape, _ = SAMPLES[name]
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), shape)
    other = family.using(path)
    with threads(count):
        assert digest(other, symbols, spec) == PINNED[name][0]
        frames = other.decode(spec, DecoderPort(other.tables, symbols), "standard")
        assert name_of(frames) == PINNED[name][1]


@pytest.mark.parametrize("name", SAMPLES)
def test_files_decode_to_these_pixels(name: str) -> None:
    assert name_of(tessera.decode(FOLDER / f"{name}.tsr")) == PINNED[name][1]


def test_the_reference_decoder_makes_the_same_pixels(family: VqganFamily) -> None:
    symbols, spec = symbols_of((FOLDER / "whole.tsr").read_bytes(), SAMPLES["whole"][0])
    port = DecoderPort(family.tables, symbols)
    assert name_of(reference.VqganDecoder(family.arrays).decode(spec, port)) == PINNED["whole"][1]
    port.finish()


WITHOUT_TORCH = """
import sys, numpy, tessera
from tessera.codec.coding.groups import group_spec, use_symbols
with tessera.open(sys.argv[1]) as clip:
    family, head, data = clip.family, clip.reader.header, clip.reader.group(0)
    spec = group_spec(head, len(clip), head.quality)
    codes = use_symbols(family, head, data, clip.limits, family.ids)
    for ids in (family.sequence(codes, spec), family.packed(codes, spec)):
        assert numpy.array_equal(family.codes_of(ids, spec), codes)
    assert use_symbols(family, head, data, clip.limits, family.latents).x.any()
    frames = family.from_ids(codes, spec)
    assert family.predict(codes[0], spec).shape == frames.shape
    clip.restore(numpy.ones(codes.shape[:3], bool))
assert numpy.array_equal(tessera.decode(sys.argv[1]), frames)
tessera.encode(frames, codec="vqgan", quality=60)
assert "torch" not in sys.modules
"""


def test_nothing_at_work_needs_torch() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, FOLDER / "clip.tsr"], check=True)


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.tsr")} == set(PINNED) == set(SAMPLES)
