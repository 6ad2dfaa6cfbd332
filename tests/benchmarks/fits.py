"""Fits pictures at several rate weights, keeps the files, and writes a row of figures for each.

    python -m tests.benchmarks.fits FOLDER --iterations 2000 --point large PICTURE...

goes picture by picture through all rates; what FOLDER holds already is not fitted again.  The rows are in
FOLDER/fits.csv, in columns of the results.csv of `tessera evaluate images`; `fit_figures` makes tables of both.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tessera import decode, encode
from tessera.tools.measuring.metrics import ms_ssim, psnr
from tessera.tools.measuring.pictures import read

from .clock import fastest

QUALITIES = (26, 40, 54, 68)  # rate weights 7e-3, 2e-3, 6e-4, 2e-4: chosen before anything was measured
COLUMNS = ("codec", "source", "setting", "bpp", "psnr", "msssim", "encode_s", "decode_s")


def fits(folder: Path, pictures: list[Path], point: str, iterations: int) -> Iterator[dict[str, object]]:
    """Rows of all fits, those that are there already left out."""
    for path in pictures:
        pixels = read(path)
        for quality in QUALITIES:
            file = folder / f"{path.stem}.{point}.{iterations}.{quality}.tsr"
            if file.exists():
                continue
            begun = time.process_time()
            data = encode(pixels, codec="overfitted", quality=quality, point=point, iterations=iterations)
            spent = time.process_time() - begun
            shown = np.asarray(decode(data))
            seconds = fastest(lambda coded=data: decode(coded), 3)  # type: ignore[misc]
            similar = ms_ssim(pixels, shown)
            yield {
                "codec": f"overfitted {point} {iterations}",
                "source": path.name,
                "setting": f"quality={quality}",
                "bpp": round(8 * len(data) / pixels[..., 0].size, 6),
                "psnr": round(psnr(pixels, shown), 4),
                "msssim": "" if similar is None else round(similar, 6),
                "encode_s": round(spent, 1),
                "decode_s": round(seconds, 4),
            }
            file.write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--point", default="large")
    parser.add_argument("--iterations", type=int, default=2000)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    table = given.folder / "fits.csv"
    for row in fits(given.folder, given.pictures, given.point, given.iterations):
        fresh = not table.exists()
        with table.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
