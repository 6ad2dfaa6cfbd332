"""Rows of the study, and rank correlations over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tessera.tools.measuring.job import Failure
from tessera.tools.measuring.perception import spearman
from tessera.tools.measuring.rows import Measured
from tessera.tools.peers.peer import Peer


@dataclass(frozen=True)
class MachineRow(Measured):
    """Means over the test pictures of one codec and setting.

    set, size, epochs   the pictures, their number (0: all) and the training that the accuracies depend on
    ssim_db     -10 log10(1 - SSIM)
    msssim_db   the same of MS-SSIM; None where the pictures are too small for it
    lpips       over `LPIPS_PICTURES` of the pictures; None where it is not measured
    accuracy    0..1, of the classifier trained on clean pixels
    retrained   the same of one trained on pictures coded like this; None where that was not asked for
    latents     the same of one trained on the latents; None for other codecs and where that was not asked for
    """

    set: str
    size: int
    epochs: int
    bpp: float
    psnr: float
    ssim_db: float
    msssim_db: float | None
    lpips: float | None
    accuracy: float
    retrained: float | None
    latents: float | None

    @property
    def subject(self) -> tuple[object, ...]:
        return (self.set, self.size, self.epochs)

    @property
    def order(self) -> tuple[str, float]:
        return self.set, self.bpp


@dataclass
class MachineStudy:
    """One evaluation: settings and measurements.

    clean     accuracy on pictures that were not coded
    pictures  number of test pictures; chance  the accuracy of guessing
    notes     lines for the reader, such as why a metric is absent
    """

    command: str
    name: str
    pictures: int
    chance: float
    clean: float
    peers: Sequence[Peer[Any, Any]]
    rows: Sequence[MachineRow]
    failures: Sequence[Failure] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of accuracy with the rate and each measure of quality, over `points` rows.

    None where a measure is absent from a row or does not vary.
    """

    codecs: str
    points: int
    bpp: float | None
    psnr: float | None
    ssim_db: float | None
    msssim_db: float | None
    lpips: float | None


@dataclass(frozen=True)
class MachineResult:
    """The figures of a report."""

    clean_accuracy: float
    rows: list[MachineRow]
    correlations: list[Correlation]
    failures: list[Failure]


def correlations(rows: Sequence[MachineRow]) -> list[Correlation]:
    """Over all rows, and over each codec's."""
    groups = {"all": list(rows)}
    for row in rows:
        groups.setdefault(row.codec, []).append(row)
    return [_correlation(name, group) for name, group in groups.items()]


def _correlation(name: str, rows: Sequence[MachineRow]) -> Correlation:
    accuracy = [row.accuracy for row in rows]

    def with_accuracy(measure: str) -> float | None:
        values = [getattr(row, measure) for row in rows]
        found = math.nan if None in values else spearman(accuracy, values)
        return None if math.isnan(found) else round(found, 4)

    return Correlation(name, len(rows), *map(with_accuracy, ("bpp", "psnr", "ssim_db", "msssim_db", "lpips")))
