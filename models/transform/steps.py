"""Quantisation steps in integers, for latents that later frames are predicted from.

The step of quality q is 320 * 2 ** (-13 q / 12800) gray levels (`bands.step_size`).  In the lifted domain of
`reference.lifting` a band's step is that times a constant of the band, with STEP_BITS fraction bits.  The power of two
is a product of two table entries, so that no mathematics library is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.family import MAX_QUALITY
from ..transform.bands import LARGEST_STEP, PYRAMID

STEP_BITS = 16
TABLE_BITS = 20
OCTAVE = 12800  # of the exponent 13 q
COARSE, FINE = 100, 128  # OCTAVE = COARSE * FINE
HINT_GAIN = 4  # hints are magnitudes in quarters of a step
HINT_BITS = 32

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class LevelSteps:
    """One level of the walk, a number a band: (n,) each."""

    steps: Integers  # lifted-domain step, STEP_BITS fraction bits
    reciprocals: Integers  # HINT_GAIN / step, HINT_BITS fraction bits
    inverse: NDArray[np.float32]  # 1 / step


@dataclass(frozen=True)
class FrameSteps:
    levels: list[LevelSteps]  # packet bands, then the pyramid's details from fine to coarse, then the low band


def step_tensors(factors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Integers of the weights file; factors: per level, unit-gain coefficient of one unit of the lifted domain (n,)."""
    tensors = {
        f"steps.{level}": (LARGEST_STEP / factor.double() * 2**STEP_BITS).round().to(torch.int64)
        for level, factor in enumerate(factors)
    }
    for name, count, span in (("coarse", COARSE, FINE), ("fine", FINE, 1)):
        exponents = torch.arange(count, dtype=torch.float64) * span / OCTAVE
        tensors[f"steps.{name}"] = (2.0 ** (TABLE_BITS - exponents)).round().to(torch.int64)
    return tensors


class Steps:
    """The integers of a weights file at work."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.bases = [tensors[f"steps.{level}"].numpy() for level in range(PYRAMID + 2)]
        self.coarse, self.fine = tensors["steps.coarse"].numpy(), tensors["steps.fine"].numpy()
        self.at = lru_cache(maxsize=128)(self._at)

    def _at(self, quality: int) -> FrameSteps:
        """Quality 0..MAX_QUALITY."""
        octaves, rest = divmod(13 * min(max(quality, 0), MAX_QUALITY), OCTAVE)
        power = int(self.coarse[rest // FINE]) * int(self.fine[rest % FINE]) >> TABLE_BITS
        levels = []
        for base in self.bases:
            steps = [max(1, int(b) * power >> TABLE_BITS + octaves) for b in base]
            reciprocals = [(HINT_GAIN << HINT_BITS + STEP_BITS) // step for step in steps]
            exact = np.array(steps, np.int64)
            inverse = (2.0**STEP_BITS / exact).astype(np.float32)
            levels.append(LevelSteps(exact, np.array(reciprocals, np.int64), inverse))
        return FrameSteps(levels)
