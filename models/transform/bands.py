"""Which bands a picture has, in which slices they are coded, and how large a quantisation step is.

Bands are scaled so that a unit error in any of them costs the same squared error in pixels: one step size is right for
all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from . import packet as wp

LEVELS = 3  # packet levels: bands at 1/8 resolution
CELL = 1 << LEVELS
PYRAMID = 4  # further dyadic levels of the low bands
COLOUR_BANDS = 32  # bands kept of each colour axis
AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 2.0, -1.0))  # rows are orthogonal; normalised below
LARGEST_STEP, OCTAVES = 320.0, 6.5  # step = LARGEST_STEP * 2 ** (-OCTAVES * quality / 100)
RATE_WEIGHT = 0.14  # squared error in steps that one bit is worth when a coefficient is rounded


def step_size(quality: Tensor) -> Tensor:
    """Quantisation step of integer qualities 0..6400, for pixels in 0..255."""
    octaves = -OCTAVES / 6400 * quality.double()
    step: Tensor = torch.exp2(octaves) * LARGEST_STEP
    return step.float()


def colour_matrix() -> Tensor:
    """(3, 3) orthonormal: axis x RGB."""
    axes = torch.tensor(AXES)
    norms: Tensor = axes.norm(dim=1, keepdim=True)
    return axes / norms


def slice_bands() -> list[list[int]]:
    """Packet bands of each slice, as indices plane * 64 + band, gray slices first, low frequencies first."""
    ranks = wp.band_frequencies(LEVELS)
    order = sorted(range(1, 64), key=lambda b: (max(ranks[b]), sum(ranks[b]), ranks[b]))
    octave = [[b for b in order if low <= max(ranks[b]) < high] for low, high in ((1, 2), (2, 4), (4, 6), (6, 8))]
    by_sum = sorted(range(1, 64), key=lambda b: (sum(ranks[b]), max(ranks[b]), ranks[b]))[: COLOUR_BANDS - 1]
    near = [b for b in by_sum if max(ranks[b]) < 2]
    far = [b for b in by_sum if max(ranks[b]) >= 2]
    return [*octave, [p * 64 + b for p in (1, 2) for b in near], [p * 64 + b for p in (1, 2) for b in far]]


@cache
def slices_of(channels: int) -> int:
    """Slices of the packet that hold the first `channels` latent channels: the 3 low bands, then packet bands."""
    counts, found = [len(bands) for bands in slice_bands()], 0
    while found < len(counts) and 3 + sum(counts[:found]) < channels:
        found += 1
    return found


GRAY_SLICES = 4
# low frequencies look around; what high ones add to the context lies in the same cell
REACHES = (3, 3, 1, 1, 1, 0)


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
        sizes = wp.pyramid_sizes(cells, cells, level)
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
