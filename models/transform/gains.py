"""The transform in floats, for training: step sizes, colour axes, and the gains that make one step right for all bands.

Bands are scaled so that a unit error in any of them costs the same squared error in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ..base.quality import MAX_FINE
from . import packet as wp
from .bands import AXES, LARGEST_STEP, LEVELS, LOW_GAIN, OCTAVES, PYRAMID, pyramid_sizes, slice_bands
from .dyadic import DEPTH
from .lifted import LOW_FACTOR, UNITS


def step_size(quality: Tensor) -> Tensor:
    """Quantisation step of fine qualities, for pixels in 0..255."""
    octaves = -OCTAVES / MAX_FINE * quality.double()
    step: Tensor = torch.exp2(octaves) * LARGEST_STEP
    return step.float()


def colour_matrix() -> Tensor:
    """(3, 3) orthonormal: axis x RGB."""
    axes = torch.tensor(AXES)
    norms: Tensor = axes.norm(dim=1, keepdim=True)
    return axes / norms


@dataclass
class Bands:
    """A picture's bands at unit synthesis gain: packet (B, 125, h, w), details finest first, low (B, 3, ., .)."""

    packet: Tensor
    details: list[Tensor]
    low: Tensor


@cache
def synthesis_gains() -> tuple[Tensor, Tensor, Tensor]:
    """Norm of the pixel pattern that a unit coefficient makes.

    Packet bands (192,), details (PYRAMID, 1, 9, 1, 1), last low band (1, 3, 1, 1).
    """
    side = 4
    probe = torch.zeros(64, 1, 64, side * 2 + 1, side * 2 + 1)
    probe[torch.arange(64), 0, torch.arange(64), side, side] = 1.0
    packet = wp.unpacket(probe).square().sum((1, 2, 3)).sqrt()
    details, lows = [], 1.0
    for level in range(1, PYRAMID + 1):
        cells = 6 << PYRAMID
        sizes = pyramid_sizes(cells, cells, level)
        gains = []
        for band in range(4):
            empty = [torch.zeros(1, 3, *s) for s in sizes[1:]]
            low = torch.zeros(1, 1, *sizes[-1])
            middle = sizes[-1][0] // 2
            if band:
                empty[-1][0, band - 1, middle, middle] = 1.0
            else:
                low[0, 0, middle, middle] = 1.0
            plane = wp.unpyramid(empty, low, cells, cells)
            full = torch.zeros(1, 1, 64, cells, cells)
            full[:, :, 0] = plane
            gains.append(float(wp.unpacket(full).square().sum().sqrt()))
        details.append(torch.tensor(gains[1:] * 3))
        lows = gains[0]
    return packet.repeat(3), torch.stack(details).view(PYRAMID, 1, 9, 1, 1), torch.full((1, 3, 1, 1), lows)


@cache
def dyadic_gains() -> tuple[Tensor, Tensor]:
    """Norm of the pixel pattern that a unit coefficient makes: float64 (DEPTH, 3) of details, (1,) of the low band.

    Patterns are separable, so these are products of norms along one axis.
    """
    rows = []
    for level in range(1, DEPTH + 1):
        side = 12 if level < 5 else 6 << DEPTH - level
        low, high = (_pattern_norm(side, level, is_high) for is_high in (False, True))
        rows.append([high * low, low * high, high * high])
    return torch.tensor(rows, dtype=torch.float64), torch.tensor([_pattern_norm(6, DEPTH, False) ** 2]).double()


def _pattern_norm(side: int, level: int, high: bool) -> float:
    """Along one axis, of the coefficient in the middle of `side` of them."""
    unit = torch.zeros(side, dtype=torch.float64)
    unit[side // 2] = 1.0
    x = wp.merge(torch.zeros_like(unit), unit, 0) if high else wp.merge(unit, torch.zeros_like(unit), 0)
    for _ in range(level - 1):
        x = wp.merge(x, torch.zeros_like(x), 0)
    return float(x.norm())


def factors(bands: Sequence[int] | None = None) -> tuple[Tensor, ...]:
    """What brings lifted integers to coefficients at unit synthesis gain (`Bands`), float64, a number per band.

    Of the packet `bands`, by default the kept ones in the order of coding, of each level of details from fine to coarse
    (9,), and of the low band (3,).
    """
    packet_gain, detail_gain, low_gain = synthesis_gains()
    order = [band for part in slice_bands() for band in part] if bands is None else bands
    gain = LOW_GAIN
    splits = [2 * LEVELS - 2 * bin(band % 64).count("1") for band in order]  # low less high ones
    packet = torch.tensor([gain**power / UNITS for power in splits], dtype=torch.float64)
    levels = [packet * packet_gain.double()[order]]
    at = LOW_FACTOR  # factor of the band that a level of the pyramid splits
    for detail in detail_gain.double():
        levels.append(torch.tensor([at, at, at / gain**2] * 3, dtype=torch.float64) * detail.flatten())
        at *= gain**2
    return (*levels, at * low_gain.double().flatten())
