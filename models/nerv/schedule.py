"""The length of a fit, and its learning rate over time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

EPOCHS = {"fast": 40, "medium": 150, "slow": 600}  # epochs of each effort
WARM_UP = 0.02  # part of the fit in which the learning rate rises
QUANTISE_FROM = 0.6  # part of the fit after which weights are rounded and their rate counts


@dataclass
class Schedule:
    """A fit of `steps`, or of fewer where `seconds` run out before; `spent` and `step` grow with it."""

    steps: int
    seconds: float = math.inf
    step: int = 0
    spent: float = 0.0
    stride: float = 0.0  # what the last step added to `part`
    _last: float = field(default_factory=time.perf_counter)

    @property
    def part(self) -> float:
        """0..1: how much of the fit is done, by whichever bound is nearer."""
        return min(1.0, max(self.step / self.steps, self.spent / self.seconds))

    @property
    def done(self) -> bool:
        return self.part >= 1.0

    @property
    def learning_rate(self) -> float:
        """0..1: a short rise, then half a cosine."""
        part = self.part
        rise = min(1.0, (part + 1e-3) / WARM_UP)
        return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))

    @property
    def rounding(self) -> bool:
        return self.part >= QUANTISE_FROM

    def advance(self) -> None:
        before, now = self.part, time.perf_counter()
        self.spent += now - self._last
        self._last = now
        self.step += 1
        self.stride = self.part - before
