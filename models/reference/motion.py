"""Overlapped block motion compensation of sample planes, in integers: the twin of `_kernels.compensate`.

Every block has a vector a reference, and the prediction of a sample is the mean of what the four blocks around it
predict, weighted bilinearly (Orchard and Sullivan, Overlapped Block Motion Compensation, 1994).  Between samples the
quarter-pixel filters of HEVC's luma interpolate (Sullivan et al., 2012), along rows first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# the taps of each quarter, for the samples 3 before to 4 after
FILTERS = np.array(
    [
        [0, 0, 0, 64, 0, 0, 0, 0],
        [-1, 4, -10, 58, 17, -5, 1, 0],
        [-1, 4, -11, 40, 40, -11, 4, -1],
        [0, 1, -5, 17, 58, -10, 4, -1],
    ],
    np.int32,
)
BEFORE = 3
LARGEST = 4095  # |sample|

Planes = NDArray[np.int16]
Integers = NDArray[np.int32]


def compensate(
    references: Sequence[Planes], fields: NDArray[np.int16], modes: NDArray[np.uint8] | None, block: int
) -> Planes:
    """Predict int16 planes (3, H, W) from one or two `references` of the same shape.

    fields: (references, rows, cols, 2), dy and dx in quarter samples; modes: (rows, cols), 0 first reference, 1 second,
    2 the mean of both, None for all 0.  `block` is 8 or 16; rows = ceil(H / block), cols = ceil(W / block).
    """
    height, width = references[0].shape[1:]
    rows, cols = fields.shape[1:3]
    chosen = np.zeros((rows, cols), np.uint8) if modes is None else modes
    sums = np.zeros((3, height, width), np.int32)
    for top, down in corners(height, rows, block):
        for left, across in corners(width, cols, block):
            at = np.ix_(top, left)
            single = [displaced(plane, field[at]) for plane, field in zip(references, fields, strict=True)]
            second = single[-1]
            both = (single[0] + second + 1) >> 1
            samples = np.choose(chosen[at], [single[0], second, both])
            sums += samples * (down[:, None] * across[None, :])
    return ((sums + 2 * block**2) // (4 * block**2)).clip(-LARGEST, LARGEST).astype(np.int16)


def corners(length: int, count: int, block: int) -> list[tuple[NDArray[np.int64], Integers]]:
    """Of each sample along one axis, the two blocks whose centres lie around it, and their weights of 2 * block."""
    place = 2 * np.arange(length) + 1 - block
    before, after = place // (2 * block), place % (2 * block)
    weights = after.astype(np.int32)
    return [(before.clip(0, count - 1), 2 * block - weights), ((before + 1).clip(0, count - 1), weights)]


def displaced(planes: Planes, vectors: NDArray[np.int16]) -> Integers:
    """int32 (3, H, W) of `planes`, each sample from where its own vector (H, W, 2) points; edges are repeated."""
    height, width = planes.shape[1:]
    dy, dx = vectors[..., 0].astype(np.int64), vectors[..., 1].astype(np.int64)
    y, x = np.arange(height)[:, None] + (dy >> 2), np.arange(width)[None, :] + (dx >> 2)
    wide = planes.astype(np.int32)
    out = np.zeros(planes.shape, np.int32)
    for i, vertical in enumerate(FILTERS[dy & 3].transpose(2, 0, 1)):
        line = np.zeros(planes.shape, np.int32)
        for j, horizontal in enumerate(FILTERS[dx & 3].transpose(2, 0, 1)):
            line += horizontal * wide[:, (y + i - BEFORE).clip(0, height - 1), (x + j - BEFORE).clip(0, width - 1)]
        out += vertical * ((line + 32) >> 6)
    return (out + 32) >> 6
