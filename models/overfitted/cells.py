"""A picture's grids as cells of 8 x 8 pixels: one vector for each.

    channels 0..63     the values of level 0 in the cell, row by row
    64..79, 80..83     those of levels 1 and 2
    84                 that of level 3
    85..89             those of levels 4..8, each of the coarser cell that covers this one

What a picture does not have is 0: levels that are not coded, and places beyond its border.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .coding import MeasuredPicture
from .shape import MAX_LEVELS, FittedPicture

STRIDE = 8
DEPTH = 3  # STRIDE is 2 to this power
CHANNELS = sum(4**k for k in range(DEPTH + 1)) + MAX_LEVELS - DEPTH - 1


def cells_of(picture: FittedPicture) -> NDArray[np.float32]:
    """float32 (h, w, CHANNELS)."""
    h, w = _sides(picture)
    found = np.zeros((h, w, CHANNELS), np.float32)
    first = 0
    for level in range(MAX_LEVELS):
        side = STRIDE >> level if level <= DEPTH else 1
        if level < picture.levels:
            found[..., first : first + side * side] = _blocks(picture.grid(level), level, (h, w))
        first += side * side
    return found


def share_bits(coded: MeasuredPicture) -> NDArray[np.float32]:
    """Bits of every cell, float32 (h, w), which add up to the picture's: coarse values and networks in equal parts."""
    h, w = _sides(coded.picture)
    bits = np.full((h, w), coded.number_bits / (h * w))
    for shape, grid in zip(coded.picture.grid_shapes(), coded.grid_bits, strict=True):
        if shape.level > DEPTH:
            rows, columns = (np.arange(n) >> (shape.level - DEPTH) for n in (h, w))
            areas = np.bincount(rows)[:, None] * np.bincount(columns)
            bits += (grid / areas)[rows[:, None], columns]
        else:
            bits += _blocks(grid, shape.level, (h, w)).sum(-1, dtype=np.float64)
    return bits.astype(np.float32)


def _sides(picture: FittedPicture) -> tuple[int, int]:
    return -(-picture.height // STRIDE), -(-picture.width // STRIDE)


def _blocks(grid: NDArray[np.generic], level: int, cells: tuple[int, int]) -> NDArray[np.float32]:
    """The values of a level in each cell: float32 (h, w, n)."""
    h, w = cells
    if level > DEPTH:
        up = level - DEPTH
        return grid[np.arange(h)[:, None] >> up, np.arange(w) >> up, None].astype(np.float32)
    side = STRIDE >> level
    whole = np.zeros((h * side, w * side), np.float32)
    whole[: grid.shape[0], : grid.shape[1]] = grid
    return whole.reshape(h, side, w, side).swapaxes(1, 2).reshape(h, w, side * side)
