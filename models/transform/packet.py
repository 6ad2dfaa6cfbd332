"""The biorthogonal 4.4 wavelet (CDF 9/7): one lifting level, uniform packets and dyadic pyramids.

Four lifting steps change every sample.  Each step is its own inverse with the sign turned, so analysis followed by
synthesis is exact up to float rounding for every even size.  Callers pad odd sizes by repeating the last row or column.
Borders use whole-sample symmetric extension, which lifting gets by repeating the neighbour at each end.

Daubechies and Sweldens, "Factoring wavelet transforms into lifting steps", 1998.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .bands import LOW_GAIN, pyramid_sizes

# Predict, update, predict, update; then the low band is scaled by LOW_GAIN and the high band by its inverse.
LIFTING = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)


def _after(x: Tensor, dim: int) -> Tensor:
    """x[n + 1], the last sample repeated."""
    n = x.shape[dim]
    return torch.cat([x.narrow(dim, 1, n - 1), x.narrow(dim, n - 1, 1)], dim)


def _before(x: Tensor, dim: int) -> Tensor:
    """x[n - 1], the first sample repeated."""
    return torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, x.shape[dim] - 1)], dim)


def split(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """One analysis level along `dim` (even length): the low and the high band, each half as long."""
    dim %= x.dim()
    low, high = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
    high = high + LIFTING[0] * (low + _after(low, dim))
    low = low + LIFTING[1] * (high + _before(high, dim))
    high = high + LIFTING[2] * (low + _after(low, dim))
    low = low + LIFTING[3] * (high + _before(high, dim))
    return low * LOW_GAIN, high / LOW_GAIN


def merge(low: Tensor, high: Tensor, dim: int) -> Tensor:
    """The inverse of `split`."""
    dim %= low.dim()
    low, high = low / LOW_GAIN, high * LOW_GAIN
    low = low - LIFTING[3] * (high + _before(high, dim))
    high = high - LIFTING[2] * (low + _after(low, dim))
    low = low - LIFTING[1] * (high + _before(high, dim))
    high = high - LIFTING[0] * (low + _after(low, dim))
    return torch.stack([low, high], dim + 1).flatten(dim, dim + 1)


def analyse(x: Tensor) -> Tensor:
    """One 2-D level: (B, C, H, W) -> (B, C, 4, H/2, W/2), bands low-low, low-high (x high), high-low, high-high."""
    low, high = split(x, 3)
    bands = [band for half in (low, high) for band in split(half, 2)]  # ll, hl (y high), lh (x high), hh
    return torch.stack([bands[0], bands[2], bands[1], bands[3]], 2)


def synthesise(bands: Tensor) -> Tensor:
    """The inverse of `analyse`: (B, C, 4, h, w) -> (B, C, 2h, 2w)."""
    ll, lh, hl, hh = bands.unbind(2)
    return merge(merge(ll, hl, 2), merge(lh, hh, 2), 3)


def packet(x: Tensor, levels: int) -> Tensor:
    """Uniform packet: (B, C, H, W) -> (B, C, 4**levels, H >> levels, W >> levels); sides multiples of 1 << levels."""
    planes = x.shape[1]
    for _ in range(levels):
        x = analyse(x).flatten(1, 2)
    bands: Tensor = x.unflatten(1, (planes, -1))
    return bands


def unpacket(bands: Tensor) -> Tensor:
    """The inverse of `packet`."""
    planes, count = bands.shape[1:3]
    x = bands.flatten(1, 2)
    while count > 1:
        x = synthesise(x.unflatten(1, (-1, 4)))
        count //= 4
    return x.view(x.shape[0], planes, *x.shape[2:])


def pad_even(x: Tensor) -> Tensor:
    """Repeat the last row and column where a side is odd."""
    return pad_to(x, 2)


def pad_to(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides of (B, C, H, W) are multiples of `multiple`."""
    bottom, right = -x.shape[2] % multiple, -x.shape[3] % multiple
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def pyramid(x: Tensor, levels: int) -> tuple[list[Tensor], Tensor]:
    """Dyadic pyramid of (B, C, h, w): details, finest first, each (B, 3 * C, h_l, w_l), and the last low band."""
    details = []
    for _ in range(levels):
        bands = analyse(pad_even(x))
        x = bands[:, :, 0]
        details.append(bands[:, :, 1:].flatten(1, 2))
    return details, x


def unpyramid(details: list[Tensor], low: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pyramid` for a plane of `height` x `width`."""
    sizes = pyramid_sizes(height, width, len(details))
    for level in range(len(details) - 1, -1, -1):
        bands = torch.cat([low.unsqueeze(2), details[level].unflatten(1, (-1, 3))], 2)
        above = sizes[level]
        low = synthesise(bands)[:, :, : above[0], : above[1]]
    return low
