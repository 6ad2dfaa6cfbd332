"""Writes tests/golden/spatiotemporal: streams of the shipped weights.  Run by hand, only when the weights change:
`python -m tests.golden.make_golden_spatiotemporal`.  `pinned` says what expected.txt holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.base.family import GroupSpec, SymbolPort
from tessera.models.spatiotemporal.family import SpatiotemporalFamily

from . import pinned
from .pinned import INTEGERS, psnr, symbols_of

FOLDER = Path(__file__).resolve().parent / "spatiotemporal"

Samples = dict[str, tuple[tuple[int, int, int, int], int, dict[str, Any]]]  # frames, sides, channels; quality; options

SAMPLES: Samples = {
    "picture": ((1, 96, 136, 3), 50, {}),
    "halves": ((9, 72, 104, 3), 30, {}),
    "forward": ((4, 80, 72, 3), 60, {"depth": 0, "block": 8}),
    "gray": ((5, 61, 83, 1), 40, {"depth": 2}),
    "small": ((4, 40, 56, 3), 50, {"block": 8}),
    "one-pixel": ((3, 1, 1, 3), 70, {}),
}


def sample(frames: int, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    full = procedural.clip(frames, max(height, 64), max(width, 64), seed=3)[:, :height, :width]
    return np.ascontiguousarray(full[..., :channels])


def integers(family: SpatiotemporalFamily, symbols: bytes, spec: GroupSpec) -> list[str]:
    """A digest of all latents of the stream."""

    def read(spec: GroupSpec, port: SymbolPort) -> list[NDArray[np.int32]]:
        frames = family.integers(spec, port)
        return [level for number in sorted(frames) for level in frames[number]]

    return pinned.integers(family, symbols, spec, read)


def make(folder: Path, samples: Samples) -> None:
    """Write the streams of the weights that encode now."""
    family, weights_id = weights.load("spatiotemporal")
    assert isinstance(family, SpatiotemporalFamily)
    streams, pins = {}, {}
    for name, (shape, quality, options) in samples.items():
        original = sample(*shape)
        streams[name] = tessera.encode(original, codec="spatiotemporal", quality=quality, **options)
        symbols, spec = symbols_of(streams[name], shape)
        pins[name, INTEGERS] = integers(family, symbols, spec)
        for decoder in family.decoders:
            pins[name, decoder] = pinned.pixels(family, symbols, spec, decoder)
        print(f"{name}: {psnr(tessera.decode(streams[name]).reshape(original.shape), original):.2f} dB")
    pinned.write(folder, weights_id, streams, pins)


if __name__ == "__main__":
    make(FOLDER, SAMPLES)
