"""Rows of the study, their means, and which differences between sources of equal size are sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from tessera.tools.measuring.rows import Measured

CLOSE = 0.02  # relative difference of the numbers of values that count as equal


@dataclass(frozen=True)
class LatentsRow(Measured):
    """One source (`codec`) and seed.  values: numbers per picture; bytes: mean of its files; rates: a CPU second.

    set          of pictures: first 12 hexadecimal digits of its file's sha256
    read_rate    from a file in memory to tokens (pixels: from a JPEG of quality 90), one at a time
    train_rate   through the model, gradients and optimiser included
    """

    set: str
    epochs: int
    seed: int
    tokens: int
    channels: int
    values: int
    bytes: float
    accuracy: float
    read_rate: float
    train_rate: float

    @property
    def subject(self) -> tuple[object, ...]:
        return self.set, self.epochs, self.tokens, self.seed

    @property
    def order(self) -> tuple[str, float]:
        return self.set, self.seed


@dataclass(frozen=True)
class Verdict:
    """Difference of mean accuracies of two sources with as many values; reproduced, refuted or undecided."""

    latents: str
    pixels: str
    difference: float
    error: float
    says: str


@dataclass(frozen=True)
class LatentsResult:
    """The figures of a report.  set: the file's name; train, test: its pictures; the settings; rows and verdicts."""

    set: str
    train: int
    test: int
    epochs: int
    quality: float
    side: int
    rows: list[LatentsRow]
    verdicts: list[Verdict]


def means(rows: Sequence[LatentsRow]) -> dict[str, tuple[float, float]]:
    """Source -> mean accuracy and its standard error over seeds."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row.codec, []).append(row.accuracy)
    return {
        name: (fmean(values), stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan"))
        for name, values in groups.items()
    }


def verdicts(rows: Sequence[LatentsRow]) -> list[Verdict]:
    """What the rows say about latents against resized pixels: decided where the difference is over two errors."""
    known, found = means(rows), []
    for latents, pixels in pairs(rows):
        difference = known[latents][0] - known[pixels][0]
        error = (known[latents][1] ** 2 + known[pixels][1] ** 2) ** 0.5
        sure = abs(difference) > 2 * error
        says = ("reproduced" if difference > 0 else "refuted") if sure else "undecided"
        found.append(Verdict(latents, pixels, difference, error, says))
    return found


def pairs(rows: Sequence[LatentsRow]) -> list[tuple[str, str]]:
    """Latents and resized pixels of as many values per picture, of the resized ones those that come closest."""
    values = {row.codec: row.values for row in rows}
    resized = [name for name in values if name.startswith("rgb:")]
    found = []
    for name in values:
        if name.startswith("latents:") and resized:
            nearest = min(resized, key=lambda other: abs(values[other] - values[name]))
            if abs(values[nearest] - values[name]) <= CLOSE * values[name]:
                found.append((name, nearest))
    return found
