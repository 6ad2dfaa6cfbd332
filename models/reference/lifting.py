"""The wavelet transform in integers, for latents that other frames are predicted from: slow twin of `_kernels.exact_*`.

Samples are int16 in 1/16 gray level along the colour axes, around 128.  Lifting rounds every step to an integer, which
makes it invertible without loss (Calderbank, Daubechies, Sweldens and Yeo, "Wavelet transforms that map integers to
integers", 1998); its factors have 12 fraction bits.  What enters a one-dimensional split or merge is clamped to
BAND_LIMIT first, so that 32 bits hold every product whatever a forged stream says.  Integers are the same on every
processor and for every number of threads.

Bands stay as lifting leaves them: `transform.gains.factors` bring them to unit synthesis gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..transform.bands import CELL, LEVELS, pyramid_sizes
from ..transform.lifted import (
    BAND_LIMIT,
    FRACTION_BITS,
    HINT_BITS,
    HINT_LIMIT,
    LIFTING,
    MATRIX_BITS,
    SAMPLE_LIMIT,
    STEP_BITS,
    UNITS,
    Wide,
    matrix,
)

LARGEST = 1 << 24  # largest |symbol|

Integers = NDArray[np.signedinteger[Any]]
Planes = NDArray[np.int16]


# -- colour -----------------------------------------------------------------------------------------------------------


def exact_planes(pixels: NDArray[np.uint8]) -> Planes:
    """uint8 (H, W, 1 or 3) -> (3, H, W), sides rounded up to multiples of CELL by repeating the last row and column."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % CELL), (0, -width % CELL), (0, 0)), mode="edge")
    rgb = np.broadcast_to(padded, (*padded.shape[:2], 3)).astype(np.int64) - 128
    sums = np.einsum("ij,hwj->ihw", matrix(), rgb)
    planes: Planes = (sums + (1 << MATRIX_BITS - 1) >> MATRIX_BITS).astype(np.int16)
    return planes


def exact_pixels(planes: Planes, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """The inverse of `exact_planes`: rounded, clipped and cropped; one channel comes from the gray axis alone."""
    samples = np.clip(planes[:, :height, :width].astype(np.int64), -SAMPLE_LIMIT, SAMPLE_LIMIT)
    if channels == 1:
        samples[1:] = 0
    sums = np.einsum("ij,ihw->hwj", matrix(), samples)[:, :, :channels]
    bits = MATRIX_BITS + 2 * (UNITS.bit_length() - 1)
    pixels: NDArray[np.uint8] = np.clip((sums + (1 << bits - 1) >> bits) + 128, 0, 255).astype(np.uint8)
    return pixels


# -- lifting ----------------------------------------------------------------------------------------------------------


def _term(a: Wide, b: Wide, step: int) -> Wide:
    term: Wide = LIFTING[step] * (a + b) + (1 << FRACTION_BITS - 1) >> FRACTION_BITS
    return term


def _after(x: Wide) -> Wide:
    """x[n + 1] along the last axis, the last sample repeated."""
    return np.concatenate([x[..., 1:], x[..., -1:]], -1)


def _before(x: Wide) -> Wide:
    return np.concatenate([x[..., :1], x[..., :-1]], -1)


def split(x: Wide, axis: int) -> tuple[Wide, Wide]:
    """One level along `axis` (even length): the low and the high band, without the gains of `packet.split`."""
    x = np.moveaxis(np.clip(x, -BAND_LIMIT, BAND_LIMIT), axis, -1)
    low, high = x[..., ::2], x[..., 1::2]
    high = high + _term(low, _after(low), 0)
    low = low + _term(high, _before(high), 1)
    high = high + _term(low, _after(low), 2)
    low = low + _term(high, _before(high), 3)
    return np.moveaxis(low, -1, axis), np.moveaxis(high, -1, axis)


def merge(low: Wide, high: Wide, axis: int) -> Wide:
    """The inverse of `split`."""
    low, high = (np.moveaxis(np.clip(x, -BAND_LIMIT, BAND_LIMIT), axis, -1) for x in (low, high))
    low = low - _term(high, _before(high), 3)
    high = high - _term(low, _after(low), 2)
    low = low - _term(high, _before(high), 1)
    high = high - _term(low, _after(low), 0)
    return np.moveaxis(np.stack([low, high], -1).reshape(*low.shape[:-1], -1), -1, axis)


def _levels(x: Wide, axis: int, levels: int) -> list[Wide]:
    """Every band of `levels` splits along one axis, by its path, first level first."""
    bands = [x]
    for _ in range(levels):
        bands = [half for band in bands for half in split(band, axis)]
    return bands


def _unlevels(bands: list[Wide], axis: int) -> Wide:
    while len(bands) > 1:
        bands = [merge(low, high, axis) for low, high in zip(bands[::2], bands[1::2], strict=True)]
    return bands[0]


def _band(vertical: int, horizontal: int) -> int:
    """A band's number from its paths, first level first: two bits per level, vertical before horizontal."""
    return sum((vertical >> bit & 1) << 2 * bit + 1 | (horizontal >> bit & 1) << 2 * bit for bit in range(LEVELS))


# -- packet and pyramid -----------------------------------------------------------------------------------------------


def exact_analyse(planes: Planes, order: Integers) -> tuple[Integers, Integers]:
    """(3, 8h, 8w) -> packet (n, h, w) of the bands `order` (plane * 64 + band) and low band (3, h, w).

    All levels along the rows come before those along the columns, where `transform.packet` works level by level:
    rounded steps along rows and columns do not commute.
    """
    across = _levels(planes.astype(np.int64), 2, LEVELS)
    paths = 1 << LEVELS
    bands = np.empty((3, paths * paths, planes.shape[1] // CELL, planes.shape[2] // CELL), np.int32)
    for horizontal in range(paths):
        for vertical, band in enumerate(_levels(across[horizontal], 1, LEVELS)):
            bands[:, _band(vertical, horizontal)] = band
    return bands.reshape(-1, *bands.shape[2:])[order], bands[:, 0].copy()


def exact_synthesise(packet: Integers, low: Integers, order: Integers) -> Planes:
    """The inverse of `exact_analyse`, samples clamped to SAMPLE_LIMIT; bands that `order` does not name are zero."""
    paths = 1 << LEVELS
    bands = np.zeros((3 * paths * paths, *packet.shape[1:]), np.int64)
    bands[order], bands[:: paths * paths] = packet, low
    full = bands.reshape(3, paths * paths, *packet.shape[1:])
    across = [
        _unlevels([full[:, _band(vertical, horizontal)] for vertical in range(paths)], 1) for horizontal in range(paths)
    ]
    return np.clip(_unlevels(across, 2), -SAMPLE_LIMIT, SAMPLE_LIMIT).astype(np.int16)


def exact_pyramid(low: Integers, levels: int) -> tuple[list[Integers], Integers]:
    """Dyadic pyramid of (3, h, w): details, finest first, each (9, h_l, w_l), and the last low band."""
    details = []
    for _ in range(levels):
        x = np.pad(low.astype(np.int64), ((0, 0), (0, low.shape[1] % 2), (0, low.shape[2] % 2)), mode="edge")
        left, right = split(x, 2)
        (ll, hl), (lh, hh) = split(left, 1), split(right, 1)
        details.append(np.stack([lh, hl, hh], 1).reshape(9, *ll.shape[1:]).astype(np.int32))
        low = ll.astype(np.int32)
    return details, low


def exact_unpyramid(details: Sequence[Integers], low: Integers, height: int, width: int) -> Integers:
    """The inverse of `exact_pyramid` for a plane of `height` x `width`."""
    sizes = pyramid_sizes(height, width, len(details))
    for level in range(len(details) - 1, -1, -1):
        lh, hl, hh = details[level].astype(np.int64).reshape(3, 3, *low.shape[1:]).swapaxes(0, 1)
        x = merge(merge(low.astype(np.int64), hl, 1), merge(lh, hh, 1), 2)
        low = x[:, : sizes[level][0], : sizes[level][1]].astype(np.int32)
    return low


# -- quantisation -----------------------------------------------------------------------------------------------------


def restore(symbols: Integers, steps: Wide, prediction: Integers | None) -> Integers:
    """Latents (n, h, w): prediction + symbol * step, steps (n,) with STEP_BITS fraction bits, 0 < step < 2**31."""
    change = np.clip(symbols.astype(np.int64), -LARGEST, LARGEST) * steps[:, None, None]
    value = (0 if prediction is None else prediction) + (change + (1 << STEP_BITS - 1) >> STEP_BITS)
    latents: Integers = np.clip(value, -BAND_LIMIT, BAND_LIMIT).astype(np.int32)
    return latents


def hints(prediction: Integers, reciprocals: Wide) -> Integers:
    """Magnitudes (n, h, w) in 0..255: prediction times reciprocals (n,) of HINT_BITS fraction bits, below 2**40."""
    magnitudes = np.minimum(np.abs(prediction.astype(np.int64)), HINT_LIMIT)
    hints: Integers = np.minimum(magnitudes * reciprocals[:, None, None] >> HINT_BITS, 255).astype(np.int32)
    return hints
