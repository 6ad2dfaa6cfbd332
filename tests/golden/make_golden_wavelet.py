"""Writes tests/golden/wavelet: streams of the shipped weights.  Run by hand, only when the weights change:
`python -m tests.golden.make_golden_wavelet`.

expected.txt    the weights id; then name, a digest of every decoded integer, least PSNR of the decoded pixels
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.data import procedural
from tessera.models.base.family import QUALITY_STEPS, GroupSpec
from tessera.models.wavelet.family import WaveletFamily

FOLDER = Path(__file__).resolve().parent / "wavelet"

SAMPLES = {  # name: height, width, channels, quality
    "low": (120, 200, 3, 8),
    "middle": (96, 136, 3, 50),
    "high": (64, 64, 3, 100),
    "gray": (61, 83, 1, 60),
    "one-pixel": (1, 1, 3, 70),
    "thin": (3, 150, 3, 40),
}


def sample(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    full = procedural.picture(max(height, 64), max(width, 64), seed=3)[:height, :width]
    return np.ascontiguousarray(full if channels == 3 else full[..., 1])


def digest(family: WaveletFamily, symbols: bytes, spec: GroupSpec) -> str:
    """A name for all integers of the stream."""
    port = DecoderPort(family.tables, symbols)
    planes = family.integers(spec, port)
    port.finish()
    return hashlib.sha256(b"".join(plane.to(torch.int32).numpy().tobytes() for plane in planes)).hexdigest()[:16]


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def symbols_of(data: bytes, height: int, width: int, channels: int) -> tuple[bytes, GroupSpec]:
    """The coder's bytes of a still, and what they decode to."""
    import io

    from tessera.codec.format.pipe import PipeReader

    reader = PipeReader(io.BytesIO(data))
    group = next(iter(reader.groups()))
    return bytes(group.symbols), GroupSpec(1, height, width, channels, group.head.quality)


def main() -> None:
    family, weights_id = weights.load("wavelet")
    assert isinstance(family, WaveletFamily)
    lines = [f"weights {weights_id.hex()}"]
    for name, (height, width, channels, quality) in SAMPLES.items():
        pixels = sample(height, width, channels)
        data = tessera.encode(pixels, codec="wavelet", quality=quality)
        (FOLDER / f"{name}.tsr").write_bytes(data)
        symbols, spec = symbols_of(data, height, width, channels)
        assert spec.quality == quality * QUALITY_STEPS
        lines.append(f"{name} {digest(family, symbols, spec)} {psnr(tessera.decode(data), pixels) - 0.05:.2f}")
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
