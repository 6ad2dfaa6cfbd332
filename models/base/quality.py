"""Quality 0..100 of users, the fine quality 0..6400 of files, and integers that depend on it.

Such integers are given at anchors of the fine quality and interpolated between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FINE_STEPS = 64  # fine quality per unit of quality
MAX_FINE = 100 * FINE_STEPS

SPACING = 512  # fine quality between anchors
ANCHORS = 14  # 13 * 512 >= MAX_FINE


def fine(quality: float) -> int:
    """The fine quality that a file stores for a quality."""
    return round(FINE_STEPS * quality)


def shown(fine_quality: int) -> float:
    """The quality that users see for a fine quality."""
    return fine_quality / FINE_STEPS


def at_quality(anchors: NDArray[np.int64], quality: int) -> NDArray[np.int64]:
    """A vector of integers for a fine quality, between its anchors (ANCHORS, n): rounded to nearest, halves up."""
    anchor, part = divmod(quality, SPACING)
    after = min(anchor + 1, len(anchors) - 1)
    mixed = anchors[anchor] * (SPACING - part) + anchors[after] * part
    found: NDArray[np.int64] = (mixed + SPACING // 2) // SPACING
    return found
