"""Rows of the study, and pairs of reducers compared on the same clips."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.tools.measuring.rows import Measured


@dataclass(frozen=True)
class TokensRow(Measured):
    """One method at one budget; accuracies 0..1, times in CPU ms of a clip: medians (reducing), means (model).

    training   clips x epochs of the model; clips: it answered about
    right_...  share of right answers to each kind of question; accuracy: the mean of the four
    """

    training: str
    clips: int
    method: str
    budget: float
    primitive: str
    mechanism: str
    axis: str
    needs: str
    tokens: float
    right_place: float
    right_count: float
    right_direction: float
    right_order: float
    accuracy: float
    reduce_ms: float
    model_ms: float

    @property
    def subject(self) -> tuple[object, ...]:
        return self.training, self.clips, self.method, self.budget

    @property
    def order(self) -> tuple[str, float]:
        return self.method, -self.budget


@dataclass(frozen=True)
class Paired:
    """Accuracy over all questions of two methods at one budget; `low`..`high` holds the difference with 95 %."""

    method: str
    rival: str
    budget: float
    accuracy: float
    rival_accuracy: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class TokensResult:
    """The figures of a report: the settings, CPU seconds of training, and the rows.

    blind   accuracy of the commonest answer, by kind of question and as their mean (`accuracy`)
    """

    codec: str
    quality: float
    training_clips: int
    epochs: int
    clips: int
    budgets: tuple[float, ...]
    training_seconds: float
    blind: dict[str, float]
    rows: list[TokensRow]
    paired: list[Paired]
