"""BD-rates of fits against other codecs, picture by picture, and the plot of BD-rate over minutes of encoding.

    python -m tests.benchmarks.fits FITS PICTURE...
    python -m tests.benchmarks.fit_figures FITS/fits.csv docs/report/kodak/results.csv ... [--plot FILE.png]

Files of `tessera evaluate images` are the peers'; --codecs names those that count.  Only pictures with all four rates
do.  Beside the codecs of the CSV files stands Cool-chic 5.0, whose points of each
picture are published; those of VTM are published as means over 24 pictures alone.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from tessera.tools.measuring import bdrate
from tessera.tools.measuring.metrics import ms_ssim_db
from tessera.tools.report.plots import draw, palette

SPAN = (28.0, 38.0)  # dB of RGB PSNR
COOL_CHIC = Path(__file__).with_name("kodak_cool_chic.csv")
REFERENCE = "avif"


class Measured(NamedTuple):
    """One file; msssim in dB, enc_s CPU seconds, both None where they are not known."""

    bpp: float
    psnr: float
    msssim: float | None
    enc_s: float | None


Measurements = Mapping[str, Mapping[str, list[Measured]]]  # codec -> picture -> files


def read(files: Iterable[Path]) -> Measurements:
    """Rows of `fits`, of `tessera evaluate images`, and of kodak_cool_chic.csv."""
    found: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        with file.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(line for line in stream if not line.startswith("#")):
                similar, seconds = row.get("msssim"), row.get("encode_s")
                measured = Measured(
                    float(row["bpp"]),
                    float(row["psnr"]),
                    ms_ssim_db(float(similar)) if similar else None,
                    float(seconds) if seconds else None,
                )
                found[row["codec"]][Path(row["source"]).stem].append(measured)
    return found


def bd_rates(test: list[Measured], anchor: list[Measured]) -> tuple[float | None, float | None, float | None]:
    """By PSNR over all that both cover, by PSNR over SPAN, by MS-SSIM."""
    psnrs, other = ([(m.bpp, m.psnr) for m in files] for files in (test, anchor))
    similar, other_similar = ([(m.bpp, m.msssim) for m in files if m.msssim is not None] for files in (test, anchor))
    return (
        bdrate.compare("", psnrs, "", other, "psnr").akima,
        bdrate.within(psnrs, other, *SPAN),
        bdrate.compare("", similar, "", other_similar, "msssim_db").akima,
    )


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def shown(values: Iterable[float | None]) -> str:
    return " / ".join("-" if value is None else f"{value:+.1f}" for value in values)


def tables(found: Measurements) -> None:
    """For every length of a fit: each picture against each other codec, and the means."""
    fits = [name for name in found if name.startswith("overfitted")]
    others = [name for name in found if name not in fits]
    for fit in fits:
        pictures = [name for name, files in found[fit].items() if len(files) >= 4]
        if not pictures:
            continue
        minutes = fmean(m.enc_s for name in pictures for m in found[fit][name] if m.enc_s is not None) / 60
        print(f"\n{fit}: {len(pictures)} pictures, {minutes:.1f} core minutes a file; whole / 28..38 dB / MS-SSIM, %")
        for other in others:
            there = [name for name in pictures if name in found[other]]
            rates = [bd_rates(found[fit][name], found[other][name]) for name in there]
            for name, rate in zip(there, rates, strict=True):
                print(f"  {name} against {other}: {shown(rate)}")
            print(f"  mean of {len(there)} against {other}: {shown(map(mean, zip(*rates, strict=True)))}")


def plot(found: Measurements, picture: str, file: Path) -> None:
    """BD-rate against REFERENCE over minutes of encoding, of one picture."""
    lines: dict[str, list[bdrate.Point]] = defaultdict(list)
    for codec, pictures in found.items():
        files = pictures.get(picture, [])
        seconds = [m.enc_s for m in files if m.enc_s is not None]
        if len(files) < 4 or not seconds:
            continue
        rate = bd_rates(files, found[REFERENCE][picture])[0]
        if rate is not None:
            lines["overfitted, large" if codec.startswith("overfitted") else codec].append((fmean(seconds) / 60, rate))
    ours = [name for name in lines if name in ("overfitted, large", "spatiotemporal")]
    label = f"RGB BD-rate against AVIF (%), {picture}"
    draw(file, label, lines, palette(list(lines), ours), ours, below="core minutes of encoding a file")
    for name, points in lines.items():
        print(name, *(f"{minutes:.2f} min {rate:+.1f} %" for minutes, rate in sorted(points)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--picture", default="kodim01")
    parser.add_argument("--codecs", default="spatiotemporal,avif,webp,avif@speed=0,vvc@preset=slow,cool-chic-5")
    given = parser.parse_args()
    peers = given.codecs.split(",")
    everything = read([*given.files, COOL_CHIC])
    found = {name: files for name, files in everything.items() if name.startswith("overfitted") or name in peers}
    tables(found)
    if given.plot:
        plot(found, given.picture, given.plot)


if __name__ == "__main__":
    main()
