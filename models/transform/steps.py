"""Quantisation steps in integers.

The step of fine quality q is 320 * 2 ** (-13 q / 12800) gray levels.  In the lifted domain (`lifted`) a band's step is
that times a constant of the band, with STEP_BITS fraction bits.  The power of two is a product of two table entries,
not a result of a mathematics library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.quality import MAX_FINE
from .bands import LARGEST_STEP, PYRAMID
from .lifted import LOW_FACTOR

STEP_BITS = 16
TABLE_BITS = 20
OCTAVE = 12800  # the step halves when the exponent 13 q grows by this
COARSE, FINE = 100, 128  # OCTAVE = COARSE * FINE
HINT_GAIN = 4  # hints are magnitudes in quarters of a step
WORD_GAIN = 16  # words are made of magnitudes in sixteenths of a step
HINT_BITS = 32  # fraction bits of reciprocals
LOW_STEP = round(LARGEST_STEP / LOW_FACTOR * 2**STEP_BITS)  # step of a low packet band at fine quality 0

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class LevelSteps:
    """One level of the walk, a number per band: (n,) each."""

    steps: Integers  # lifted-domain step, STEP_BITS fraction bits
    reciprocals: Integers  # HINT_GAIN / step, HINT_BITS fraction bits
    inverse: NDArray[np.float32]  # 1 / step


@dataclass(frozen=True)
class FrameSteps:
    """levels: packet bands, then the pyramid's details from fine to coarse, then the low band.

    every: of all 192 packet bands, low ones among them; words: WORD_GAIN / step of the kept packet bands; low_words:
    the same of a low packet band over n cells, n = 0..9.
    """

    levels: list[LevelSteps]
    every: Integers
    words: Integers
    low_words: Integers
    size: float  # gray levels


class Powers:
    """2 ** (-13 q / 12800) of fine qualities q, 0..MAX_FINE, from a weights file: steps.coarse and steps.fine."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.coarse, self.fine = arrays["steps.coarse"], arrays["steps.fine"]

    def scaled(self, bases: NDArray[Any], quality: int, halvings: int = 0) -> Integers:
        """Steps from those of quality 0, (n,); halvings 1: half steps."""
        power, shift = self._parts(quality)
        return np.array([max(1, int(base) * power >> shift + halvings) for base in bases], np.int64)

    def of(self, quality: int) -> float:
        power, shift = self._parts(quality)
        return power / 2.0**shift

    def _parts(self, quality: int) -> tuple[int, int]:
        """A power as an integer and its fraction bits."""
        octaves, rest = divmod(13 * min(max(quality, 0), MAX_FINE), OCTAVE)
        return int(self.coarse[rest // FINE]) * int(self.fine[rest % FINE]) >> TABLE_BITS, TABLE_BITS + octaves


class Steps:
    """The integers of a weights file at work: steps.LEVEL and steps.every, at fine quality 0."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.bases = [arrays[f"steps.{level}"] for level in range(PYRAMID + 2)]
        self.every = arrays["steps.every"]
        self.powers = Powers(arrays)
        self.at = lru_cache(maxsize=128)(self._at)

    def _at(self, quality: int) -> FrameSteps:
        """Fine quality, 0..MAX_FINE."""

        def scaled(bases: NDArray[Any]) -> Integers:
            return self.powers.scaled(bases, quality)

        def reciprocals(steps: Integers, gain: int) -> Integers:
            return np.array([(gain << HINT_BITS + STEP_BITS) // int(step) for step in steps], np.int64)

        levels = []
        for bases in self.bases:
            steps = scaled(bases)
            levels.append(LevelSteps(steps, reciprocals(steps, HINT_GAIN), (2.0**STEP_BITS / steps).astype(np.float32)))
        low = int(scaled(np.array([LOW_STEP]))[0])
        return FrameSteps(
            levels,
            scaled(self.every),
            reciprocals(levels[0].steps, WORD_GAIN),
            reciprocals(low * np.arange(1, 11, dtype=np.int64), WORD_GAIN)[[0, *range(9)]],
            LARGEST_STEP * self.powers.of(quality),
        )
