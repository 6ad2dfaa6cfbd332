"""Rate-distortion curves: means of measured rows, and curves read from CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tessera.codec.errors import CodecError, FormatError, ParameterError
from tessera.tools.measuring import bdrate, metrics
from tessera.tools.measuring.bdrate import PUBLISHED
from tessera.tools.measuring.job import Failure
from tessera.tools.measuring.rows import Row
from tessera.tools.peers.peer import Peer

METRICS = {
    "psnr": "RGB PSNR (dB)",
    "msssim_db": "MS-SSIM (dB)",
    "psnr_yuv": "YUV 6:1:1 PSNR (dB)",
    "lpips_db": "LPIPS (dB)",
}


_COLUMNS = (("psnr", "psnr_rgb"), ("msssim_db", "msssim_db"), ("msssim_db", "msssim_db_of_mean"))  # of curves read in




Curve = dict[str, list[bdrate.Point]]  # metric -> points


@dataclass(frozen=True)
class Mean:
    """Means over the sources at one setting; times are medians, in CPU seconds of a source.

    msssim_db, lpips_db   -10 log10 of one minus the mean MS-SSIM, of the mean LPIPS; None if any source lacks it
    """

    codec: str
    setting: str
    sources: int
    bpp: float
    psnr: float
    psnr_yuv: float | None
    msssim: float | None
    msssim_db: float | None
    lpips: float | None
    lpips_db: float | None
    encode_s: float
    decode_s: float


@dataclass
class Study:
    """One evaluation: what was asked for and what was measured.

    published   curves that others measured, by their name in `--codecs` or `--references`
    notes       lines for the reader, such as why a metric is absent
    """

    kind: str
    command: str
    peers: Sequence[Peer[Any, Any]]
    rows: Sequence[Row]
    failures: Sequence[Failure] = ()
    published: Mapping[str, Curve] = field(default_factory=dict)
    references: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """The figures of a report."""

    means: list[Mean]
    bdrates: list[bdrate.BdRate]
    failures: list[Failure]
    notes: list[str]


def comparable(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows of those sources that every codec was measured on at every setting, and the other sources' names.

    Means over different sources would compare nothing.  A codec without any row does not count.
    """
    wanted = {(row.codec, row.setting) for row in rows}
    have: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        have.setdefault(row.sha256, set()).add((row.codec, row.setting))
    whole = {source for source, found in have.items() if found == wanted}
    if rows and not whole:
        raise CodecError("no source was measured with every codec at every setting; see failures.csv")
    return [row for row in rows if row.sha256 in whole], sorted({r.source for r in rows if r.sha256 not in whole})


def means(rows: Iterable[Row]) -> list[Mean]:
    """One `Mean` for each codec and setting, in the order of the rows."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.setting), []).append(row)
    return [_mean(codec, setting, group) for (codec, setting), group in groups.items()]


def _mean(codec: str, setting: str, rows: list[Row]) -> Mean:
    msssim, lpips = (_known(getattr(row, name) for row in rows) for name in ("msssim", "lpips"))
    return Mean(
        codec=codec,
        setting=setting,
        sources=len(rows),
        bpp=fmean(row.bpp for row in rows),
        psnr=fmean(row.psnr for row in rows),
        psnr_yuv=_known(row.psnr_yuv for row in rows),
        msssim=msssim,
        msssim_db=None if msssim is None else metrics.ms_ssim_db(msssim),
        lpips=lpips,
        lpips_db=None if lpips is None else metrics.ms_ssim_db(1 - lpips),
        encode_s=median(row.encode_s for row in rows),
        decode_s=median(row.decode_s for row in rows),
    )


def _known(values: Iterable[float | None]) -> float | None:
    """The mean, None if any value is."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return fmean(known) if known and len(known) == len(listed) else None


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


def mean_cells(mean: Mean) -> tuple[str, ...]:
    yuv, db = ("" if value is None else f"{value:.2f}" for value in (mean.psnr_yuv, mean.msssim_db))
    times = (f"{mean.encode_s:.3f}", f"{mean.decode_s:.3f}")
    return (mean.codec, mean.setting, f"{mean.bpp:.4f}", f"{mean.psnr:.2f}", yuv, db, *times)


def rate_cells(rate: bdrate.BdRate) -> tuple[str, ...]:
    figures = ("refused" if value is None else f"{value:+.1f} %" for value in (rate.akima, rate.pchip))
    over = f"{rate.low:.1f}..{rate.high:.1f} dB"
    return (rate.codec, rate.reference, rate.metric, *figures, over, f"{rate.overlap:.0%}", rate.note)
