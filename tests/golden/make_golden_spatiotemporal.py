"""Writes tests/golden/spatiotemporal: streams of the shipped weights.  Run by hand, only when the weights change:
`python -m tests.golden.make_golden_spatiotemporal`.

expected.txt    the weights id; then name, a digest of every decoded integer, least PSNR of the decoded pixels
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.codec.format.pipe import PipeReader
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.spatiotemporal.family import SpatiotemporalFamily

from .make_golden_wavelet import psnr

FOLDER = Path(__file__).resolve().parent / "spatiotemporal"

SAMPLES: dict[str, tuple[tuple[int, int, int, int], int, dict[str, Any]]] = {  # frames, sides, channels; quality
    "picture": ((1, 96, 136, 3), 50, {}),
    "halves": ((9, 72, 104, 3), 30, {}),
    "forward": ((4, 80, 72, 3), 60, {"depth": 0, "block": 8}),
    "gray": ((5, 61, 83, 1), 40, {"depth": 2}),
    "one-pixel": ((3, 1, 1, 3), 70, {}),
}


def sample(frames: int, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    full = procedural.clip(frames, max(height, 64), max(width, 64), seed=3)[:, :height, :width]
    return np.ascontiguousarray(full[..., :channels])


def symbols_of(data: bytes, shape: tuple[int, int, int, int]) -> tuple[bytes, GroupSpec]:
    """The coder's bytes of a file of one group, and what they decode to."""
    group = next(iter(PipeReader(io.BytesIO(data)).groups()))
    return bytes(group.symbols), GroupSpec(*shape, group.head.quality)


def digest(family: SpatiotemporalFamily, symbols: bytes, spec: GroupSpec) -> str:
    """A name for all integers of the stream."""
    port = DecoderPort(family.tables, symbols)
    frames = family.integers(spec, port)
    port.finish()
    planes = [plane.tobytes() for number in sorted(frames) for plane in frames[number]]
    return hashlib.sha256(b"".join(planes)).hexdigest()[:16]


def main() -> None:
    family, weights_id = weights.load("spatiotemporal")
    assert isinstance(family, SpatiotemporalFamily)
    lines = [f"weights {weights_id.hex()}"]
    FOLDER.mkdir(exist_ok=True)
    for name, (shape, quality, options) in SAMPLES.items():
        pixels = sample(*shape)
        data = tessera.encode(pixels, codec="spatiotemporal", quality=quality, **options)
        (FOLDER / f"{name}.tsr").write_bytes(data)
        back = tessera.decode(data).reshape(pixels.shape)
        lines.append(f"{name} {digest(family, *symbols_of(data, shape))} {psnr(back, pixels) - 0.05:.2f}")
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
