"""Numbers of the lifted (integer) transform that its kernels, its twin and its users share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bands import AXES, LEVELS, LOW_GAIN

Wide = NDArray[np.int64]

FRACTION_BITS = 12
# packet.LIFTING in 1 / 2**FRACTION_BITS; the first is rounded up, which with the others' rounding leaves least
# of a flat picture in the high bands
LIFTING = (-6496, -217, 3616, 1817)
UNITS = 16  # units of a sample per gray level
MATRIX_BITS = 14
SAMPLE_LIMIT, BAND_LIMIT = 4095, 65535
STEP_BITS, HINT_BITS = 16, 32
HINT_LIMIT = 1 << 20  # larger magnitudes count as this in hints
LOW_FACTOR = LOW_GAIN ** (2 * LEVELS) / UNITS  # a lifted low band to that of `packet.packet`


def matrix() -> Wide:
    """(3, 3) colour axis x RGB, UNITS a gray level, MATRIX_BITS fraction bits."""
    axes = np.array(AXES)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    rounded: Wide = np.rint(axes * UNITS * 2**MATRIX_BITS).astype(np.int64)
    return rounded
