"""Numbers of the lifted (integer) transform that its kernels, its twin and its users share."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import packet as wp
from .bands import AXES, LEVELS, slice_bands, synthesis_gains

Wide = NDArray[np.int64]

FRACTION_BITS = 12
# packet.LIFTING in 1 / 2**FRACTION_BITS; the first is rounded up, which with the others' rounding leaves least
# of a flat picture in the high bands
LIFTING = (-6496, -217, 3616, 1817)
UNITS = 16  # of a sample, in one gray level
MATRIX_BITS = 14
SAMPLE_LIMIT, BAND_LIMIT = 4095, 65535
STEP_BITS, HINT_BITS = 16, 32
HINT_LIMIT = 1 << 20  # of a magnitude that is hinted at
LOW_FACTOR = wp.LOW_GAIN ** (2 * LEVELS) / UNITS  # a lifted low band to that of `packet.packet`


def matrix() -> Wide:
    """(3, 3) colour axis x RGB, UNITS a gray level, MATRIX_BITS fraction bits."""
    axes = np.array(AXES)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    rounded: Wide = np.rint(axes * UNITS * 2**MATRIX_BITS).astype(np.int64)
    return rounded


@cache
def factors() -> tuple[Tensor, ...]:
    """What brings lifted integers to coefficients at unit synthesis gain (`bands.Bands`), float64, a number a band.

    Of the packet in the order of coding, of each level of details from fine to coarse (9,), and of the low band (3,).
    """
    packet_gain, detail_gain, low_gain = synthesis_gains()
    order = [band for part in slice_bands() for band in part]
    gain = wp.LOW_GAIN
    splits = [2 * LEVELS - 2 * bin(band % 64).count("1") for band in order]  # low less high ones
    packet = torch.tensor([gain**power / UNITS for power in splits], dtype=torch.float64)
    levels = [packet * packet_gain.double()[order]]
    at = LOW_FACTOR  # of the band that a level of the pyramid splits
    for detail in detail_gain.double():
        levels.append(torch.tensor([at, at, at / gain**2] * 3, dtype=torch.float64) * detail.flatten())
        at *= gain**2
    return (*levels, at * low_gain.double().flatten())
