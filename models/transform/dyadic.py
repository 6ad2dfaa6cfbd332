"""The dyadic pyramid of a frame on its own, from full size down to 1 / 128, and its quantisation steps in integers.

Level 1 is the finest.  A level has nine bands, three of each colour axis, gray first: high along x, y and both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .steps import HINT_BITS, STEP_BITS, Powers

DEPTH = 7
SLICES = (1, 1, 1, 3, 3)  # bands of each slice of a level: three of gray one by one, then each colour axis
GRAY_SLICES = 3
# What brings 9 times the difference of a low plane from the mean of 3 x 3 cells to quarters of the step of the first
# band of its own level: 4 / 9 * LOW_GAIN ** 2.  A lifted low plane has LOW_GAIN ** 2 times the factor of that band.
DIFFERENCE = 630687445
DIFFERENCE_BITS = 30

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class DyadicLevelSteps:
    """One level at one quality.

    steps: (9,) in the lifted domain, STEP_BITS fraction bits; halves: half steps; inverse: 1 / step; reciprocal: what
    brings a difference of the low plane to quarters of a step, HINT_BITS fraction bits.
    """

    steps: Integers
    halves: Integers
    inverse: NDArray[np.float32]
    reciprocal: int


@dataclass(frozen=True)
class DyadicFrameSteps:
    """levels: from fine to coarse; low: the step of the low band, as those of a level, three times."""

    levels: list[DyadicLevelSteps]
    low: Integers
    low_inverse: np.float32


class DyadicSteps:
    """Steps of a weights file: `bases` (DEPTH + 1, 3) at fine quality 0, of each level.

    The last row's first number is the base of the low band.
    """

    def __init__(self, bases: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.bases, self.powers = bases, Powers(arrays)
        self.at = lru_cache(maxsize=128)(self._at)

    def _at(self, quality: int) -> DyadicFrameSteps:
        levels = []
        for bases in self.bases[:DEPTH]:
            steps = np.tile(self.powers.scaled(bases, quality), 3)
            reciprocal = (DIFFERENCE << HINT_BITS + STEP_BITS - DIFFERENCE_BITS) // int(steps[0])
            halves = np.tile(self.powers.scaled(bases, quality, 1), 3)
            levels.append(DyadicLevelSteps(steps, halves, _inverse(steps), reciprocal))
        low = self.powers.scaled(self.bases[DEPTH, :1], quality).repeat(3)
        return DyadicFrameSteps(levels, low, _inverse(low)[0])


def _inverse(steps: Integers) -> NDArray[np.float32]:
    return (2.0**STEP_BITS / steps).astype(np.float32)
