"""Rate-distortion curves: of measured rows, and read from CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from tessera.codec.errors import FormatError, ParameterError
from tessera.tools.measuring.bdrate import PUBLISHED
from tessera.tools.measuring.rows import Row
from tessera.tools.studies.rate.rows import METRICS, Curve, means

_COLUMNS = (("psnr", "psnr_rgb"), ("msssim_db", "msssim_db"), ("msssim_db", "msssim_db_of_mean"))  # metric, CSV column


def curves(rows: Sequence[Row]) -> dict[str, Curve]:
    """Codec -> its curve in every metric, rate and quality over those sources alone that have the metric."""
    found: dict[str, Curve] = {}
    for metric in METRICS:
        field_name = metric.removesuffix("_db")
        lacking = {row.sha256 for row in rows if getattr(row, field_name) is None}
        for mean in means(row for row in rows if row.sha256 not in lacking):
            curve = found.setdefault(mean.codec, {name: [] for name in METRICS})
            value = getattr(mean, metric)
            if math.isfinite(value):
                curve[metric].append((mean.bpp, value))
    return found


def read_curves(files: Sequence[Path], names: Sequence[str], prefix: str = "") -> dict[str, Curve]:
    """The curves called `names` in CSV files with the columns codec, bpp, psnr_rgb and perhaps msssim_db."""
    found: dict[str, Curve] = {}
    for file in files:
        with file.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(line for line in stream if not line.startswith("#"))
            if not {"codec", "bpp", "psnr_rgb"} <= set(reader.fieldnames or ()):
                raise FormatError(f"{file}: no columns codec, bpp, psnr_rgb")
            for row in reader:
                name = prefix + row["codec"]
                if name not in names:
                    continue
                curve = found.setdefault(name, {metric: [] for metric in METRICS})
                for metric, column in _COLUMNS:
                    if row.get(column):
                        curve[metric].append((float(row["bpp"]), float(row[column])))
    return found


def published(names: Sequence[str], paths: Sequence[Path]) -> dict[str, Curve]:
    """The published curves among `names`, such as `published:vtm`.  ParameterError unless `paths` are all of Kodak."""
    wanted = [name for name in names if name.startswith(PUBLISHED)]
    if not wanted:
        return {}
    if sorted(path.stem for path in paths) != [f"kodim{n:02}" for n in range(1, 25)]:
        raise ParameterError(f"{wanted[0]}: published curves are of the 24 Kodak pictures, kodim01 to kodim24")
    file = Path(__file__).parents[3] / "data" / "published_kodak.csv"
    found = read_curves([file], wanted, PUBLISHED)
    for name in wanted:
        if name not in found:
            with file.open(encoding="utf-8") as stream:
                lines = [line for line in stream if not line.startswith("#")][1:]
            there = sorted({PUBLISHED + line.split(",")[0] for line in lines})
            raise ParameterError(f"no curve {name}; there are {', '.join(there)}")
    return found
