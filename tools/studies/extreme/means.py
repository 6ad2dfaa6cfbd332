"""Means of what `tessera evaluate extreme` measures, and the whole of a report's figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from tessera.tools.measuring import metrics
from tessera.tools.measuring.job import Failure
from tessera.tools.studies.extreme.measure import KINDS, ExtremeRow
from tessera.tools.studies.extreme.restoration import RestorationRow, UsageRow


@dataclass(frozen=True)
class ExtremeMean:
    """Means over the sources of one kind, at a target or (target 0) at a setting of the ladder.

    setting   at a target, the median
    lacking   sources on which the codec cannot go as low as the target, of `sources`
    """

    kind: str
    target: float
    codec: str
    setting: str
    sources: int
    lacking: int
    bytes: float
    bpp: float
    psnr: float
    msssim: float | None
    msssim_db: float | None
    lpips: float | None
    distance: float
    accuracy: float | None


@dataclass(frozen=True)
class RestorationMean:
    """Means over the pictures."""

    lost: float
    method: str
    bpp: float
    psnr: float
    msssim: float | None


@dataclass
class ExtremeResult:
    """The figures of a report.

    decode_ms   medians of one picture's decoding on `threads` threads, wall clock
    """

    clean_accuracy: float
    means: list[ExtremeMean]
    restoration: list[RestorationMean]
    usage: list[UsageRow]
    picture: str
    threads: int
    decode_ms: dict[str, float]
    failures: list[Failure]
    notes: list[str]


def means(rows: Sequence[ExtremeRow]) -> list[ExtremeMean]:
    """By kind, target, codec and, on the ladder, setting, as they come; only over sources that have them all."""
    groups: dict[tuple[str, float, str, str], list[ExtremeRow]] = {}
    for row in sorted(rows, key=lambda row: (KINDS.index(row.kind), row.target)):
        groups.setdefault((row.kind, row.target, row.codec, "" if row.target else row.setting), []).append(row)
    whole = {kind: set.intersection(*({row.source for row in group} for key, group in groups.items() if key[0] == kind))
             for kind in {row.kind for row in rows}}  # fmt: skip
    kept = [[row for row in group if row.source in whole[row.kind]] for group in groups.values()]
    return [_mean(group) for group in kept if group]


def _mean(rows: Sequence[ExtremeRow]) -> ExtremeMean:
    first, name = rows[0], rows[0].setting.partition("=")[0]
    msssim = _known(row.msssim for row in rows)
    return ExtremeMean(
        kind=first.kind,
        target=first.target,
        codec=first.codec,
        setting=f"{name}={median(row.value for row in rows):g}",
        sources=len(rows),
        lacking=sum(row.lacking for row in rows),
        bytes=sum(row.bytes for row in rows) / sum(row.files for row in rows),
        bpp=fmean(row.bpp for row in rows),
        psnr=fmean(row.psnr for row in rows),
        msssim=msssim,
        msssim_db=None if msssim is None else metrics.ms_ssim_db(msssim),
        lpips=_known(row.lpips for row in rows),
        distance=fmean(row.distance for row in rows),
        accuracy=_known(row.accuracy for row in rows),
    )


def restoration_means(rows: Sequence[RestorationRow]) -> list[RestorationMean]:
    """By share and method."""
    groups: dict[tuple[float, str], list[RestorationRow]] = {}
    for row in sorted(rows, key=lambda row: row.lost):
        groups.setdefault((row.lost, row.method), []).append(row)
    return [
        RestorationMean(lost, method, fmean(row.bpp for row in group), fmean(row.psnr for row in group),
                        _known(row.msssim for row in group))
        for (lost, method), group in groups.items()
    ]  # fmt: skip


def _known(values: Iterable[float | None]) -> float | None:
    """The mean, None if any value is."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return fmean(known) if len(known) == len(listed) else None
