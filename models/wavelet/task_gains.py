"""What tunes a stream to a task: the encoder scales every band before it is rounded, the decoder needs no change.

A coefficient that a task does not use costs bits all the same.  A factor below one makes its band's dead zone wide
and its symbols small, down to none at zero; the prior then expects small symbols next to small ones.  The
stream is an ordinary one: same integers, same tables, same networks.  The factors are learned for rate plus the
distillation of a teacher's answers, as Entropic Student learns its bottleneck (Matsubara et al., 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.quality import MAX_FINE
from ..transform.bands import PYRAMID, slice_bands

LEVELS = (sum(map(len, slice_bands())), *(9 for _ in range(PYRAMID)))  # packet bands, then details finest first
ANCHORS = 5  # qualities that gains are given for
SHAPE = (ANCHORS, sum(LEVELS))
NAME = "task.gains"  # name of the file's only array


@dataclass(frozen=True, eq=False)
class TaskGains:
    """Factors 0..1 of packet bands and details, at qualities 0, 25 .. 100, linear between; the low band has none.

    weight: float32 of SHAPE.
    """

    weight: NDArray[np.float32]

    @classmethod
    def of(cls, arrays: object) -> TaskGains:
        """From the arrays of a file.  ValueError where they are no gains."""
        found = arrays.get(NAME) if isinstance(arrays, Mapping) else None
        if not isinstance(found, np.ndarray) or found.shape != SHAPE or not np.issubdtype(found.dtype, np.floating):
            raise ValueError(f"task: no array {NAME} of {SHAPE} floats")
        if not ((found >= 0) & (found <= 1)).all():
            raise ValueError(f"task: {NAME} is not in 0..1")
        return cls(found.astype(np.float32))

    def at(self, quality: int) -> list[NDArray[np.float32]]:
        """The factors of each level's bands at a fine quality, packet first."""
        place = quality * (ANCHORS - 1) / MAX_FINE
        below = min(int(place), ANCHORS - 2)
        part = np.float32(place - below)
        row = self.weight[below] + part * (self.weight[below + 1] - self.weight[below])
        return np.split(row, np.cumsum(LEVELS)[:-1])
