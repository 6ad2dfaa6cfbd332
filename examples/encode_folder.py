"""Encode every picture of a folder, and print what each file costs.

python examples/encode_folder.py pictures/ coded/ --quality 60
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import tessera

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff"}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of pictures")
    parser.add_argument("target", type=Path, help="folder for the .tsr files")
    parser.add_argument("--quality", type=float, default=50.0, help="0..100")
    args = parser.parse_args(argv)

    args.target.mkdir(parents=True, exist_ok=True)
    pictures = sorted(path for path in args.source.iterdir() if path.suffix.lower() in SUFFIXES)
    total = 0
    for path in pictures:
        coded = args.target / f"{path.stem}.tsr"
        report = tessera.encode_file(str(path), str(coded), quality=args.quality, force=True)
        total += report.bytes
        print(f"{path.name}: {report.bytes:,} bytes, {report.bpp:.3f} bits per pixel, {report.seconds:.2f} s")
    print(f"{len(pictures)} pictures, {total:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
