"""Numbers of the packet bands, in the order in which they are coded (FORMAT.md section 18)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rank(band: int, axis: int) -> int:
    """Frequency rank of a band along an axis, 0 across the rows (y) and 1 along them (x)."""
    found = 0
    for digit in (band >> 4 & 3, band >> 2 & 3, band & 3):
        high = digit >> 1 - axis & 1
        found = 2 * found + (found & 1 ^ high)
    return found


def coded_bands() -> list[int]:
    """64 * plane + band of the 125 bands, slice by slice."""
    ranks = {band: (rank(band, 0), rank(band, 1)) for band in range(1, 64)}
    gray = sorted(ranks, key=lambda band: (max(ranks[band]), sum(ranks[band]), ranks[band]))
    colour = sorted(ranks, key=lambda band: (sum(ranks[band]), max(ranks[band]), ranks[band]))[:31]
    near = [band for band in colour if max(ranks[band]) == 1]
    far = [band for band in colour if max(ranks[band]) > 1]
    return [*gray, *(64 * plane + band for part in (near, far) for plane in (1, 2) for band in part)]


CODED: NDArray[np.int32] = np.array(coded_bands(), np.int32)
EVERY: NDArray[np.int32] = np.arange(192, dtype=np.int32)
LOWS = EVERY[::64]
