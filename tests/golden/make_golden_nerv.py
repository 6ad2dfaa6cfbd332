"""Writes tests/golden/nerv: a fitted stream for each kind of architecture, with the frames that it decodes to.  Run by
hand, only when the format changes: `python -m tests.golden.make_golden_nerv`.

expected.txt    the weights id; then name, a digest of every decoded integer
NAME.png        the frames, one below the other, by the standard decoder
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.models.base.family import GroupSpec
from tessera.models.nerv.family import NervFamily

from .make_golden_spatiotemporal import sample
from .pinned import symbols_of

FOLDER = Path(__file__).resolve().parent / "nerv"

SAMPLES: dict[str, tuple[tuple[int, int, int, int], dict[str, Any]]] = {  # frames, sides, channels; options
    "nerv": ((3, 40, 56, 3), {"arch": "nerv", "params": "12K"}),
    "hnerv": ((3, 40, 56, 3), {"arch": "hnerv", "params": "4K"}),
    "hnerv-boost": ((5, 45, 70, 3), {"arch": "hnerv-boost", "params": "4K", "segment": 3}),
    "nerv++-boost-gray": ((2, 33, 47, 1), {"arch": "nerv++-boost", "params": "4K"}),
    "one-pixel": ((2, 1, 1, 3), {"arch": "nerv-boost", "params": "4K"}),
}


def digest(family: NervFamily, symbols: bytes, spec: GroupSpec) -> str:
    """A name for all integers of the stream: the header's, steps, weights and embeddings."""
    port = DecoderPort(family.tables, symbols)
    coded = family.read(spec, port)
    port.finish()
    named = hashlib.sha256(repr((coded.config, coded.length, coded.levels)).encode())
    for segment in coded.segments:
        for values in segment.values():
            named.update(values.contiguous().numpy().tobytes())
    return named.hexdigest()[:16]


def strip(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames (T, H, W) or (T, H, W, channels) one below the other."""
    return frames.reshape(-1, *frames.shape[2:]).squeeze()


def main() -> None:
    family, weights_id = weights.load("nerv")
    assert isinstance(family, NervFamily)
    lines = [f"weights {weights_id.hex()}"]
    FOLDER.mkdir(exist_ok=True)
    for name, (shape, options) in SAMPLES.items():
        data = tessera.encode(sample(*shape), codec="nerv", epochs=60, **options)
        (FOLDER / f"{name}.tsr").write_bytes(data)
        Image.fromarray(strip(tessera.decode(data).reshape(shape))).save(FOLDER / f"{name}.png", optimize=True)
        lines.append(f"{name} {digest(family, *symbols_of(data, shape))}")
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
