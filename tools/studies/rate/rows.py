"""Means of measured rows, and what the report of a study of rate and quality is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from tessera.codec.errors import CodecError
from tessera.tools.measuring import bdrate, metrics
from tessera.tools.measuring.job import Failure
from tessera.tools.measuring.mean import mean_of_all
from tessera.tools.measuring.rows import Row
from tessera.tools.peers.peer import Peer

METRICS = {
    "psnr": "RGB PSNR (dB)",
    "msssim_db": "MS-SSIM (dB)",
    "psnr_yuv": "YUV 6:1:1 PSNR (dB)",
    "lpips_db": "LPIPS (dB)",
}

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
    """One evaluation: settings and measurements.

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
    msssim, lpips = (mean_of_all(getattr(row, name) for row in rows) for name in ("msssim", "lpips"))
    return Mean(
        codec=codec,
        setting=setting,
        sources=len(rows),
        bpp=fmean(row.bpp for row in rows),
        psnr=fmean(row.psnr for row in rows),
        psnr_yuv=mean_of_all(row.psnr_yuv for row in rows),
        msssim=msssim,
        msssim_db=None if msssim is None else metrics.ms_ssim_db(msssim),
        lpips=lpips,
        lpips_db=None if lpips is None else metrics.ms_ssim_db(1 - lpips),
        encode_s=median(row.encode_s for row in rows),
        decode_s=median(row.decode_s for row in rows),
    )


def mean_cells(mean: Mean) -> tuple[str, ...]:
    yuv, db = ("" if value is None else f"{value:.2f}" for value in (mean.psnr_yuv, mean.msssim_db))
    times = (f"{mean.encode_s:.3f}", f"{mean.decode_s:.3f}")
    return (mean.codec, mean.setting, f"{mean.bpp:.4f}", f"{mean.psnr:.2f}", yuv, db, *times)


def rate_cells(rate: bdrate.BdRate) -> tuple[str, ...]:
    figures = ("refused" if value is None else f"{value:+.1f} %" for value in (rate.akima, rate.pchip))
    over = f"{rate.low:.1f}..{rate.high:.1f} dB"
    return (rate.codec, rate.reference, rate.metric, *figures, over, f"{rate.overlap:.0%}", rate.note)
