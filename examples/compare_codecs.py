"""Compare two codecs on one picture at equal sizes: a family of Tessera and a format that Pillow writes.

python examples/compare_codecs.py photo.png --family spatiotemporal --format webp
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import tessera

Pixels = NDArray[np.uint8]
QUALITIES = (20, 50, 80)  # of the Pillow format; each gives the size that Tessera must meet


def pillow(pixels: Pixels, name: str, quality: int) -> tuple[int, Pixels]:
    """Size in bytes and decoded pixels of the picture in a format of Pillow."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, name, quality=quality)
    return file.tell(), np.asarray(Image.open(file).convert("RGB"))


def psnr(a: Pixels, b: Pixels) -> float:
    """RGB PSNR in dB."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture")
    parser.add_argument("--family", default="spatiotemporal", help="see `tessera codecs`")
    parser.add_argument("--format", default="jpeg", help="jpeg, webp or avif")
    args = parser.parse_args(argv)

    pixels = np.asarray(Image.open(args.picture).convert("RGB"))
    print(f"{'bytes':>10}  {args.format:>10}  {'bytes':>10}  {args.family}")
    for quality in QUALITIES:
        size, decoded = pillow(pixels, args.format, quality)
        data = tessera.encode(pixels, codec=args.family, size=size)
        ours = psnr(pixels, tessera.decode(data))
        print(f"{size:>10,}  {psnr(pixels, decoded):7.2f} dB  {len(data):>10,}  {ours:.2f} dB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
