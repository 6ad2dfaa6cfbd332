"""What networks of a frame read and what their answers change, for any tables: twin of kernels/words.hpp, in numpy.

Bands lie plane by plane, (channels, height, width); words lie cell by cell, (height, width, channels).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tessera.models.transform.lifted import BAND_LIMIT

RECIPROCAL_BITS = 32  # of fraction
LARGEST_MAGNITUDE = 1 << 20  # a larger one counts as this
CORRECTION_BITS = 24  # of fraction: of a correction and of a step, together
FACTOR_BITS = 16  # of fraction: of what low bands are times

Words = NDArray[np.int16]
Integers = NDArray[np.int32]
Wide = NDArray[np.int64]


def describe_integers(values: Integers, table: Words) -> Words:
    """table[|v|], the last entry for all that are larger, with the sign of v."""
    return _signed(np.abs(values.astype(np.int64)), values, table).transpose(1, 2, 0)


def describe_bytes(values: NDArray[np.uint8], table: Words) -> Words:
    """table[v], 256 entries."""
    words: Words = table[values].transpose(1, 2, 0)
    return words


def describe_scaled(values: Integers, reciprocals: Wide, table: Words) -> Words:
    """The same as `describe_integers` of values times reciprocals (channels,)."""
    return _signed(_scaled(values, reciprocals[:, None, None]), values, table).transpose(1, 2, 0)


def describe_low(low: Integers, reciprocals: Wide, table: Words, factor: int) -> Words:
    """Low bands (3, height, width) as six channels.

    First v * n - (the sum over the n cells of the 3 x 3 window that lie inside), times reciprocals[n]: what stands
    above the mean around it; then v * factor, clipped to 16 bits.
    """
    height, width = low.shape[1:]
    values = low.astype(np.int64)
    framed = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    inside = np.pad(np.ones((height, width), np.int64), 1)
    sums, count = np.zeros_like(values), np.zeros((height, width), np.int64)
    for dy in range(3):
        for dx in range(3):
            sums += framed[:, dy : dy + height, dx : dx + width]
            count += inside[dy : dy + height, dx : dx + width]
    above = values * count - sums
    smooth = _signed(_scaled(above, reciprocals[count]), above, table)
    raw = (values * factor + (1 << FACTOR_BITS - 1) >> FACTOR_BITS).clip(-32768, 32767).astype(np.int16)
    words: Words = np.concatenate([smooth, raw]).transpose(1, 2, 0)
    return words


def add_corrections(planes: Integers, corrections: Words, bands: Integers, steps: Wide) -> Integers:
    """planes (n, height, width) + corrections (height, width, .) of `bands` (n,) times steps (.,), rounded, clipped."""
    chosen = corrections[..., bands].transpose(2, 0, 1).astype(np.int64)
    change = chosen * steps[bands][:, None, None] + (1 << CORRECTION_BITS - 1) >> CORRECTION_BITS
    corrected: Integers = (planes + change).clip(-BAND_LIMIT, BAND_LIMIT).astype(np.int32)
    return corrected


def _scaled(values: Integers | Wide, reciprocals: Wide) -> Wide:
    """Magnitudes times reciprocals, rounded down."""
    scaled: Wide = np.minimum(np.abs(values.astype(np.int64)), LARGEST_MAGNITUDE) * reciprocals >> RECIPROCAL_BITS
    return scaled


def _signed(magnitudes: Wide, values: Integers | Wide, table: Words) -> Words:
    found = table[np.minimum(magnitudes, len(table) - 1)]
    words: Words = np.where(values < 0, -found, found).astype(np.int16)
    return words
