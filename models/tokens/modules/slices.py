"""Sharing a budget over grids, and slicing pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...base.errors import ParameterError
from ..arguments import integer, one_of
from ..grid import TokenGrid
from ..methods.budget import proportional


def allocate(grids: Sequence[TokenGrid], budget: int, by: str = "bits", floor: int = 1) -> list[int]:
    """`budget` tokens over several grids in proportion to their bits or valid cells, each at least `floor`; exact."""
    budget, floor = integer("budget", budget, 1), integer("floor", floor)
    cells = [int(grid.valid.sum()) for grid in grids]
    if one_of("by", by, ("bits", "area")) == "area":
        shares = [float(n) for n in cells]
    else:
        if any(grid.bits is None for grid in grids):
            raise ParameterError("allocating by bits needs grids with bits")
        shares = [float(grid.bits.double().sum()) for grid in grids if grid.bits is not None]
    return proportional(min(budget, sum(cells)), shares, floor, cells)


@dataclass(frozen=True)
class Slice:
    """One slice of a picture in pixels, [top, bottom) x [left, right), in row `row` and column `column` of the plan."""

    row: int
    column: int
    top: int
    left: int
    bottom: int
    right: int


def slice_plan(height: int, width: int, side: int = 336, max_slices: int = 9) -> list[Slice]:
    """Slices of about side x side that cover every pixel once (LLaVA-UHD, AdaptVision).

    The area asks for a number, at most `max_slices`.  Where that is not one, of it and its two neighbours the rows x
    columns whose slices are nearest to square (log of the aspect) are taken, of equal ones the more slices.
    """
    height, width, side = integer("height", height, 1), integer("width", width, 1), integer("side", side, 1)
    max_slices = integer("max_slices", max_slices, 1)
    ideal = min(max_slices, max(1, math.ceil(height * width / (side * side) - 1e-9)))
    numbers = [n for n in (ideal - 1, ideal, ideal + 1) if n <= max_slices] if ideal > 1 else [1]
    shapes = [(r, n // r) for n in numbers for r in range(1, n + 1) if n % r == 0 and r <= height and n // r <= width]

    def badness(shape: tuple[int, int]) -> tuple[float, int]:
        return abs(math.log(width * shape[0] / (height * shape[1]))), -shape[0] * shape[1]

    rows, columns = min(shapes or [(1, 1)], key=badness)
    top = [height * r // rows for r in range(rows + 1)]
    left = [width * c // columns for c in range(columns + 1)]
    return [Slice(r, c, top[r], left[c], top[r + 1], left[c + 1]) for r in range(rows) for c in range(columns)]


def slice_markers(plan: Sequence[Slice]) -> list[str | int]:
    """The order in which slices enter the context: their numbers, "," between columns and "\\n" after a row."""
    out: list[str | int] = []
    for number, one in enumerate(plan):
        out.append(number)
        last = number + 1 == len(plan) or plan[number + 1].row != one.row
        out.append("\n" if last else ",")
    return out
