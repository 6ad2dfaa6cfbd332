"""Writes tests/golden/wavelet: streams of the shipped weights.  Run by hand, only when the weights change:
`python -m tests.golden.make_golden_wavelet`.  `pinned` says what expected.txt holds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.wavelet.family import WaveletFamily

from . import pinned
from .pinned import INTEGERS, psnr

FOLDER = Path(__file__).resolve().parent / "wavelet"

SAMPLES = {  # name: frames, sides, channels; quality
    "low": ((1, 120, 200, 3), 8),
    "middle": ((1, 96, 136, 3), 50),
    "high": ((1, 64, 64, 3), 100),
    "gray": ((1, 61, 83, 1), 60),
    "one-pixel": ((1, 1, 1, 3), 70),
    "thin": ((1, 3, 150, 3), 40),
}


def sample(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    full = procedural.picture(max(height, 64), max(width, 64), seed=3)[:height, :width]
    return np.ascontiguousarray(full if channels == 3 else full[..., 1])


def main() -> None:
    family, weights_id = weights.load("wavelet")
    assert isinstance(family, WaveletFamily)
    streams, pins = {}, {}
    for name, (shape, quality) in SAMPLES.items():
        streams[name] = tessera.encode(sample(*shape[1:]), codec="wavelet", quality=quality)
        symbols, spec = pinned.symbols_of(streams[name], shape)
        pins[name, INTEGERS] = pinned.integers(family, symbols, spec, family.integers)
        for decoder in family.decoders:
            pins[name, decoder] = pinned.pixels(family, symbols, spec, decoder)
        print(f"{name}: {psnr(tessera.decode(streams[name]), sample(*shape[1:])):.2f} dB")
    pinned.write(FOLDER, weights_id, streams, pins)


if __name__ == "__main__":
    main()
