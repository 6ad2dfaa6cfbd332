"""The order and the contexts of motion fields, against a readable twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.models.motion.coder import record
from tessera.models.motion.field import LIMIT, NEW, Field, SymbolPart
from tessera.models.motion.order import steps
from tests.support.motion_fields import GRIDS, KINDS_OF_FIELD, random, rough


def order(rows: int, columns: int) -> Iterator[tuple[int, list[tuple[int, int]], list[list[tuple[int, int]]]]]:
    """(level, blocks, their neighbours) of each half step after block (0, 0)."""
    distance = 1
    while distance < max(rows, columns):
        distance *= 2
    while distance > 1:
        distance //= 2
        for axial in (False, True):
            blocks, around = [], []
            for first in (True, False):  # of the two kinds of axial blocks
                for y in range(0, rows, distance):
                    for x in range(0, columns, distance):
                        odd = (y // distance % 2, x // distance % 2)
                        if odd == (((0, 1) if first else (1, 0)) if axial else (1, 1)) and (axial or first):
                            blocks.append((y, x))
                            around.append(neighbours(rows, columns, distance, y, x, axial))
            if blocks:
                yield 2 * min(distance.bit_length() - 1, 3) + axial, blocks, around


def neighbours(rows: int, columns: int, d: int, y: int, x: int, axial: bool) -> list[tuple[int, int]]:
    def inside(at: tuple[int, int]) -> bool:
        return 0 <= at[0] < rows and 0 <= at[1] < columns

    if not axial:
        south, east = (y + d if y + d < rows else y - d), (x + d if x + d < columns else x - d)
        return [(y - d, x - d), (y - d, east), (south, x - d), (south, east)]
    pairs = [[(y - d, x), (y + d, x)], [(y, x - d), (y, x + d)]]
    for pair in pairs:
        if inside(pair[0]) != inside(pair[1]):
            pair[:] = [pair[0] if inside(pair[0]) else pair[1]] * 2
    if not inside(pairs[0][0]):
        pairs[0] = pairs[1]
    if not inside(pairs[1][0]):
        pairs[1] = pairs[0]
    return pairs[0] + pairs[1]


@pytest.mark.parametrize("grid", GRIDS)
def test_order_is_that_of_the_twin(grid: tuple[int, int]) -> None:
    seen = {(0, 0)}
    fast = steps(*grid)
    slow = list(order(*grid))
    assert len(fast) == len(slow)
    for step, (level, blocks, around) in zip(fast, slow, strict=True):
        assert step.level == level
        assert step.cells.tolist() == [y * grid[1] + x for y, x in blocks]
        assert step.neighbours.T.tolist() == [[y * grid[1] + x for y, x in near] for near in around]
        assert all(near in seen for four in around for near in four)
        seen.update(blocks)
    assert len(seen) == grid[0] * grid[1]


def length(a: NDArray[np.int64], b: NDArray[np.int64]) -> int:
    return int(np.abs(a - b).sum())


def log_class(value: int, largest: int = 7) -> int:
    return min(value.bit_length(), largest)


def twin_choice(
    level: int, near: list[NDArray[np.int64]], guess: NDArray[np.int64] | None
) -> tuple[list[list[int]], int]:
    """The candidates in their order, and the context of `choice`, of one block."""
    votes = near if guess is None else [*near, guess]
    totals = [sum(length(a, b) for b in votes) for a in near]
    distinct = [i for i in range(4) if not any(length(near[i], near[j]) == 0 for j in range(i))]
    ranked = sorted(distinct, key=lambda i: (totals[i], i))
    first = near[ranked[0]]
    sharing = sum(length(first, other) == 0 for other in near)
    context = ((level * 4 + len(distinct) - 1) * 4 + sharing - 1) * 8 + log_class(totals[ranked[0]])
    agreement = 0
    if guess is not None:
        apart = [length(guess, near[i]) for i in ranked]
        agreement = 1 if apart[0] == 0 else 2 if 0 in apart else 2 + log_class(apart[0], 5)
    return [near[i].tolist() for i in ranked], context * 8 + agreement


def twin_new(level: int, near: list[NDArray[np.int64]], target: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(context, symbol) of dy and of dx."""
    median, spread, middle = [], [], []
    for axis in (0, 1):
        low, second, third, high = sorted(int(v[axis]) for v in near)
        median.append(int((second + third) / 2))
        spread.append(log_class(high - low))
        middle.append(log_class(third - second, 3))
    dy, dx = int(target[0]) - median[0], int(target[1]) - median[1]
    row = ((level * 8 + spread[0]) * 8 + spread[1]) * 4 + middle[0]
    column = (((level * 8 + spread[1]) * 8 + spread[0]) * 4 + middle[1]) * 5 + log_class(abs(dy), 4)
    return [(row, dy), (column, dx)]


def twin_field(field: Field, guess: Field | None) -> dict[str, list[tuple[int, int]]]:
    """(context, symbol) of each kind in the order of coding, block by block."""
    wide = field.astype(np.int64)
    aim = None if guess is None else np.clip(guess.astype(np.int64), -LIMIT, LIMIT)
    coded: dict[str, list[tuple[int, int]]] = {"choice": [], "dy": [], "dx": []}

    def new(level: int, near: list[NDArray[np.int64]], y: int, x: int) -> None:
        for kind, pair in zip(("dy", "dx"), twin_new(level, near, wide[y, x]), strict=True):
            coded[kind].append(pair)

    new(8, [np.zeros(2, np.int64) if aim is None else aim[0, 0]] * 4, 0, 0)
    for level, blocks, around in order(*field.shape[:2]):
        for (y, x), places in zip(blocks, around, strict=True):
            near = [wide[place] for place in places]
            at = None if aim is None else aim[y, x]
            candidates, context = twin_choice(level, near, at)
            target = wide[y, x].tolist()
            if target in candidates:
                choice = candidates.index(target)
            else:
                choice = 4 if at is not None and at.tolist() == target else NEW
            coded["choice"].append((context, choice))
            if choice == NEW:
                new(level, near, y, x)
    return coded


def by_kind(parts: list[SymbolPart]) -> dict[str, list[tuple[int, int]]]:
    return {
        kind: [pair for k, c, s in parts if k == kind for pair in zip(c.tolist(), s.tolist(), strict=True)]
        for kind in ("choice", "dy", "dx")
    }


def unlike(source: int) -> Callable[[list[SymbolPart]], float]:
    """A cost that makes `record` take this source."""
    return lambda parts: float(parts[0][2][0] != source)


@pytest.mark.parametrize("make", KINDS_OF_FIELD)
@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (3, 5), (14, 23)])
def test_symbols_are_those_of_the_twin(grid: tuple[int, int], make: Callable[[int, int, int], Field]) -> None:
    field = make(*grid, 5)
    for guess in (None, rough(*grid, 6), make(*grid, 5), random(*grid, 7)):
        cost = unlike(guess is not None)
        parts = record([field], None, [guess], cost)[1]
        assert by_kind(parts) == twin_field(field, guess)
