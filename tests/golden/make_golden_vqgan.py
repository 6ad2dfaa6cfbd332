"""Writes tests/golden/vqgan: streams of the shipped weights.  Run by hand, only when the weights change:
`python -m tests.golden.make_golden_vqgan`.

expected.txt    the weights id; then name, a digest of every index, a digest of the decoded pixels
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.models.base.family import GroupSpec
from tessera.models.vqgan.family import VqganFamily

from .make_golden_spatiotemporal import sample
from .pinned import symbols_of

FOLDER = Path(__file__).resolve().parent / "vqgan"

SAMPLES = {  # name: frames, sides, channels; quality
    "picture": ((1, 96, 136, 3), 50),
    "whole": ((1, 64, 72, 3), 100),
    "clip": ((4, 80, 72, 3), 60),
    "gray": ((2, 61, 83, 1), 80),
    "one-pixel": ((3, 1, 1, 3), 0),
}


def digest(family: VqganFamily, symbols: bytes, spec: GroupSpec) -> str:
    """A name for all indices of the stream."""
    port = DecoderPort(family.tables, symbols)
    codes = family.ids(spec, port)
    port.finish()
    return name_of(codes.astype("<i8"))


def name_of(array: NDArray[Any]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def main() -> None:
    family, weights_id = weights.load("vqgan")
    assert isinstance(family, VqganFamily)
    lines = [f"weights {weights_id.hex()}"]
    FOLDER.mkdir(exist_ok=True)
    for name, (shape, quality) in SAMPLES.items():
        pixels = sample(*shape)
        data = tessera.encode(pixels, codec="vqgan", quality=quality)
        (FOLDER / f"{name}.tsr").write_bytes(data)
        lines.append(f"{name} {digest(family, *symbols_of(data, shape))} {name_of(tessera.decode(data))}")
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
