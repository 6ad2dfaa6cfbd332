"""The order in which the blocks of a grid are coded, and the candidates that known blocks give for the next ones.

The block in the corner comes first; then, with the spacing of known blocks halving each time, the centre of every four
known blocks, with its 4 diagonal neighbours, and the middle of every two, with its 4 axial neighbours.  All is integer
arithmetic: decoding rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]

RANKED, GUESS = 4, 4  # candidates 0..3 are the neighbours, the one nearest to all others first


@dataclass(frozen=True)
class Step:
    """Blocks that are coded together, by their flat indices."""

    level: int  # 0..7: twice the log2 of the distance to the neighbours, up to 3, and 1 if they are axial
    cells: NDArray[np.intp]  # (n,)
    neighbours: NDArray[np.intp]  # (4, n): NW, NE, SW, SE or N, S, W, E; one outside is replaced by one inside


@lru_cache(maxsize=32)
def steps(rows: int, columns: int) -> tuple[Step, ...]:
    """The half steps after block (0, 0) of a grid, coarse to fine."""
    found = []
    distance = 1 << max(max(rows, columns) - 1, 0).bit_length() >> 1
    while distance:
        level = 2 * min(distance.bit_length() - 1, 3)
        for axial in (0, 1):
            y, x = _members(rows, columns, distance, axial)
            if len(y):
                around = _axial if axial else _diagonal
                found.append(Step(level + axial, y * columns + x, around(rows, columns, distance, y, x)))
        distance >>= 1
    return tuple(found)


def _members(rows: int, columns: int, d: int, axial: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Centres of squares of known blocks, or the middles of their edges: (y, x)."""
    starts = ((0, d), (d, 0)) if axial else ((d, d),)
    parts = [np.mgrid[top : rows : 2 * d, left : columns : 2 * d].reshape(2, -1) for top, left in starts]
    y, x = np.concatenate(parts, 1)
    return y, x


def _diagonal(rows: int, columns: int, d: int, y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[np.intp]:
    north, west = (y - d) * columns, x - d
    south = np.where(y + d < rows, (y + d) * columns, north)
    east = np.where(x + d < columns, x + d, west)
    return np.stack([north + west, north + east, south + west, south + east])


def _axial(rows: int, columns: int, d: int, y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[np.intp]:
    """A neighbour outside becomes the opposite one; where both are outside, the pair across stands in."""
    here = y * columns + x
    north, south, west, east = here - d * columns, here + d * columns, here - d, here + d
    has_north, has_south, has_west, has_east = y >= d, y + d < rows, x >= d, x + d < columns
    north, south = np.where(has_north, north, south), np.where(has_south, south, north)
    west, east = np.where(has_west, west, east), np.where(has_east, east, west)
    rowwise, columnwise = has_west | has_east, has_north | has_south
    return np.stack(
        [
            np.where(columnwise, north, west),
            np.where(columnwise, south, east),
            np.where(rowwise, west, north),
            np.where(rowwise, east, south),
        ]
    )


# -- candidates ------------------------------------------------------------------------------------------------------

_CLASS = np.array([value.bit_length() for value in range(128)], np.int32)  # 0, 1, 2..3, 4..7, ... 64..127: 0..7

# the six pairs of 4 neighbours; a set of pairs that are equal is a number of 6 bits
_PAIRS = tuple(combinations(range(RANKED), 2))
_FIRST, _SECOND = np.array(_PAIRS).T
_BITS = 1 << np.arange(len(_PAIRS), dtype=np.int32)[:, None]
_PAIRS_OF = np.array([[pair for pair, members in enumerate(_PAIRS) if i in members] for i in range(RANKED)])


def _patterns() -> tuple[Ints, Ints]:
    """For each set of equal pairs: what is added to the sorting keys (4, 64), and the classes 0..15 of choice (64 * 4).

    A neighbour that repeats an earlier one sorts last.  A class tells how many distinct vectors there are and how many
    neighbours share the first candidate's.
    """
    key = np.arange(RANKED, dtype=np.int32)[:, None].repeat(64, 1)
    classes = np.zeros((64, RANKED), np.int32)
    for equal in range(64):
        pairs = [members for bit, members in enumerate(_PAIRS) if equal >> bit & 1]
        repeated = {second for _, second in pairs}
        key[sorted(repeated), equal] += 1 << 24
        for i in range(RANKED):
            classes[equal, i] = (3 - len(repeated)) * 4 + sum(i in members for members in pairs)
    return key, classes.reshape(-1)


_KEY, _PATTERN = _patterns()


@dataclass
class Candidates:
    """The vectors and contexts of each of the n blocks of a half step."""

    around: Ints  # (2, 4, n) the neighbours as `Step` has them
    vectors: Ints  # (2, 5, n) the distinct neighbours by rank, then the repeated ones, then the guess
    context: Ints  # (n,) of `choice`


def candidates(step: Step, known: Ints, guess: Ints | None) -> Candidates:
    """From the known vectors (2, blocks) and the guess (2, blocks)."""
    around = known.take(step.neighbours, 1)
    count = around.shape[2]
    apart = _length(around.take(_FIRST, 1) - around.take(_SECOND, 1))  # (6, n) of each two neighbours
    equal = np.multiply(apart == 0, _BITS).sum(0, dtype=np.int32)
    total = apart.take(_PAIRS_OF, 0).sum(1, dtype=np.int32)
    vectors = np.empty((2, RANKED + 1, count), np.int32)
    at = off = None
    if guess is not None:
        at = guess.take(step.cells, 1)
        off = _length(around - at[:, None])
        total += off
    key = sort4((total << 2) + _KEY.take(equal, 1))
    place = (key & 3) * count + np.arange(count)
    around.reshape(2, -1).take(place, 1, out=vectors[:, :RANKED], mode="clip")
    vectors[:, GUESS] = vectors[:, 0] if at is None else at
    context = _PATTERN.take(equal * 4 + (key[0] & 3)) * 8 + classes(key[0] >> 2) + step.level * 128
    context *= 8
    if off is not None:
        first = off.reshape(-1).take(place[0])
        # 1 where the guess is the first candidate, 2 where another, else 3..7 by the distance from the first
        context += np.where(off.min(0) > 0, classes(first, 5) + 2, 2 - (first == 0))
    return Candidates(around, vectors, context)


def _length(vectors: Ints) -> Ints:
    """|dy| + |dx| of (2, ..)."""
    np.abs(vectors, out=vectors)
    length: Ints = vectors[0] + vectors[1]
    return length


def sort4(values: Ints) -> Ints:
    """Each column of (4, n) in ascending order; for long rows much faster than a general sort."""
    a, b = np.minimum(values[:2], values[2:]), np.maximum(values[:2], values[2:])
    out = np.empty_like(values)
    np.minimum(a[0], a[1], out=out[0])
    np.maximum(b[0], b[1], out=out[3])
    c, d = np.maximum(a[0], a[1]), np.minimum(b[0], b[1])
    np.minimum(c, d, out=out[1])
    np.maximum(c, d, out=out[2])
    return out


def classes(values: Ints, largest: int = 7) -> Ints:
    """0 for 0, 1 for 1, 2 for 2..3, 3 for 4..7, .. at most `largest` <= 7; of values >= 0."""
    return _CLASS.take(np.minimum(values, (1 << largest) - 1))
