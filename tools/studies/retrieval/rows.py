"""Rows of the study."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.tools.measuring.rows import Measured

RANKS = (1, 5, 10)


@dataclass(frozen=True)
class RetrievalRow(Measured):
    """One way of search with one number of frames.

    training   clips x epochs of the model; clips: among which is searched, each of another description
    way        "clips by words" or "words by clips"
    r1, r5, r10  share of searches whose answer is among the first so many; median: its rank
    """

    training: str
    clips: int
    frames: int
    way: str
    r1: float
    r5: float
    r10: float
    median: float

    @property
    def subject(self) -> tuple[object, ...]:
        return self.training, self.clips, self.frames, self.way

    @property
    def order(self) -> tuple[str, float]:
        return self.way, self.frames


@dataclass(frozen=True)
class RetrievalResult:
    """The figures of a report; `training_seconds` are CPU seconds."""

    rows: list[RetrievalRow]
    training_seconds: float
