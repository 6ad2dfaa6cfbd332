"""Integers that depend on the quality: given at anchors, interpolated between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPACING = 512  # fine quality steps between anchors
ANCHORS = 14  # 13 * 512 >= 6400


def at_quality(anchors: NDArray[np.int64], quality: int) -> NDArray[np.int64]:
    """A vector of integers for a fine quality, between its anchors (ANCHORS, n): rounded to nearest, halves up."""
    anchor, part = divmod(quality, SPACING)
    after = min(anchor + 1, len(anchors) - 1)
    mixed = anchors[anchor] * (SPACING - part) + anchors[after] * part
    found: NDArray[np.int64] = (mixed + SPACING // 2) // SPACING
    return found
