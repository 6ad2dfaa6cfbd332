"""Means of what `tessera evaluate extreme` measures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from tessera.tools.measuring import metrics
from tessera.tools.measuring.mean import mean_of_all
from tessera.tools.studies.extreme.rows import KINDS, ExtremeMean, ExtremeRow, RestorationMean, RestorationRow


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
    msssim = mean_of_all(row.msssim for row in rows)
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
        lpips=mean_of_all(row.lpips for row in rows),
        distance=fmean(row.distance for row in rows),
        accuracy=mean_of_all(row.accuracy for row in rows),
    )


def restoration_means(rows: Sequence[RestorationRow]) -> list[RestorationMean]:
    """By share and method."""
    groups: dict[tuple[float, str], list[RestorationRow]] = {}
    for row in sorted(rows, key=lambda row: row.lost):
        groups.setdefault((row.lost, row.method), []).append(row)
    return [
        RestorationMean(lost, method, fmean(row.bpp for row in group), fmean(row.psnr for row in group),
                        mean_of_all(row.msssim for row in group))
        for (lost, method), group in groups.items()
    ]  # fmt: skip
