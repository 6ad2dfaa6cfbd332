"""Motion of a predicted frame from its symbols, block by block (FORMAT.md section 15)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .symbols import Arrays, Symbols

Vector = tuple[int, int]  # dy, dx in quarter pixels
Block = tuple[int, int]  # row, column
Field = dict[Block, Vector]
Modes = dict[Block, int]

FIRST = 150  # table of the first motion table
CORNER = (0, 0)
CORNER_LEVEL = 8
NEW = 5  # the choice of a new vector
LIMIT = 2048


def half_steps(rows: int, columns: int) -> Iterator[tuple[int, dict[Block, list[Block]]]]:
    """After the corner: the level of each half step, and its blocks in order with their four neighbours."""
    d = 1
    while 2 * d < max(rows, columns):
        d *= 2
    while d and max(rows, columns) > 1:
        level = 2 * min(d.bit_length() - 1, 3)
        diagonal = [(y, x) for y in range(d, rows, 2 * d) for x in range(d, columns, 2 * d)]
        yield level, {block: corners_of(block, d, rows, columns) for block in diagonal}
        axial = [(y, x) for y in range(0, rows, 2 * d) for x in range(d, columns, 2 * d)]
        axial += [(y, x) for y in range(d, rows, 2 * d) for x in range(0, columns, 2 * d)]
        yield level + 1, {block: sides_of(block, d, rows, columns) for block in axial}
        d //= 2


def corners_of(block: Block, d: int, rows: int, columns: int) -> list[Block]:
    y, x = block
    south = y + d if y + d < rows else y - d
    east = x + d if x + d < columns else x - d
    return [(y - d, x - d), (y - d, east), (south, x - d), (south, east)]


def sides_of(block: Block, d: int, rows: int, columns: int) -> list[Block]:
    y, x = block
    upright = [(place, x) for place in (y - d, y + d) if 0 <= place < rows]
    level = [(y, place) for place in (x - d, x + d) if 0 <= place < columns]
    first, second = upright or level, level or upright
    return [first[0], first[-1], second[0], second[-1]]


class MotionReader:
    """Reads the motion of one frame."""

    def __init__(self, arrays: Arrays, symbols: Symbols, rows: int, columns: int) -> None:
        self.arrays, self.symbols, self.rows, self.columns = arrays, symbols, rows, columns

    def get(self, kind: str, contexts: Sequence[tuple[int, ...]]) -> list[int]:
        """One call of the coder for symbols of a kind."""
        table = self.arrays[f"motion.{kind}"]
        return self.symbols.get([FIRST + int(table[context]) for context in contexts]) if contexts else []

    def blocks(self) -> list[Block]:
        return [(y, x) for y in range(self.rows) for x in range(self.columns)]

    def frame(self, guesses: Sequence[Field | None]) -> tuple[list[Field], Modes | None]:
        """A field for each reference, of which there are as many as guesses, and with two references the modes."""
        modes = self.modes() if len(guesses) == 2 else None
        fields: list[Field] = []
        for number, given in enumerate(guesses):
            (source,) = self.get("source", [(number,)])
            guess = given if source == 1 else None
            if source == 2 and fields:
                guess = {block: (-dy, -dx) for block, (dy, dx) in fields[0].items()}
            used = {block for block in self.blocks() if modes is None or modes[block] != 1 - number}
            fields.append(self.field(guess, used))
        return fields, modes

    def modes(self) -> Modes:
        (everywhere,) = self.get("uniform", [(0,)])
        if 0 <= everywhere <= 2:
            return dict.fromkeys(self.blocks(), everywhere)
        modes = {CORNER: clip(self.get("mode", [(CORNER_LEVEL, 0, 0)])[0], 0, 2)}
        for level, step in half_steps(self.rows, self.columns):
            near = [[modes[other] for other in others] for others in step.values()]
            found = self.get("mode", [(level, around.count(0), around.count(1)) for around in near])
            modes |= {block: clip(mode, 0, 2) for block, mode in zip(step, found, strict=True)}
        return modes

    def field(self, guess: Field | None, used: set[Block]) -> Field:
        aim = None if guess is None else {block: limited(vector) for block, vector in guess.items()}
        start = (0, 0) if aim is None else aim[CORNER]
        field = {CORNER: start}
        if CORNER in used:
            field[CORNER] = self.new(CORNER_LEVEL, [[start] * 4])[0]
        for level, step in half_steps(self.rows, self.columns):
            near = {block: [field[other] for other in others] for block, others in step.items()}
            known = {block: candidates(near[block], None if aim is None else aim[block]) for block in step}
            field |= {block: vectors[0] for block, (vectors, _) in known.items()}
            asked = [block for block in step if block in used]
            choices = dict(zip(asked, self.get("choice", [(level, *known[block][1]) for block in asked]), strict=True))
            choices = {block: clip(choice, 0, NEW) for block, choice in choices.items()}
            field |= {block: known[block][0][choice] for block, choice in choices.items() if choice != NEW}
            new = [block for block, choice in choices.items() if choice == NEW]
            field |= zip(new, self.new(level, [near[block] for block in new]), strict=True)
        return field

    def new(self, level: int, near: Sequence[Sequence[Vector]]) -> list[Vector]:
        """Vectors that no candidate gives, of blocks with these neighbours."""
        stats = [[spread_of([vector[axis] for vector in around]) for axis in (0, 1)] for around in near]
        dy = self.get("dy", [(level, y[1], x[1], y[2]) for y, x in stats])
        dy = [clip(value, -4 * LIMIT, 4 * LIMIT) for value in dy]
        dx = self.get("dx", [(level, x[1], y[1], x[2], bits(abs(d), 4)) for (y, x), d in zip(stats, dy, strict=True)])
        dx = [clip(value, -4 * LIMIT, 4 * LIMIT) for value in dx]
        return [limited((y[0] + a, x[0] + b)) for (y, x), a, b in zip(stats, dy, dx, strict=True)]


def candidates(near: Sequence[Vector], guess: Vector | None) -> tuple[list[Vector], tuple[int, int, int, int]]:
    """The five candidates of a block, and the context of its choice beside the level."""
    off = [0 if guess is None else apart(vector, guess) for vector in near]
    total = [sum(apart(vector, other) for other in near) + o for vector, o in zip(near, off, strict=True)]
    repeats = [vector in near[:i] for i, vector in enumerate(near)]
    order = sorted(range(4), key=lambda i: (repeats[i], total[i], i))
    first = near[order[0]]
    origin = 0
    if guess is not None:
        origin = 1 if guess == first else 2 if guess in near else 2 + bits(apart(first, guess), 5)
    vectors = [near[i] for i in order] + [first if guess is None else guess]
    distinct, same = len(set(near)) - 1, list(near).count(first) - 1
    return vectors, (distinct, same, bits(total[order[0]], 7), origin)


def spread_of(values: Sequence[int]) -> tuple[int, int, int]:
    """m, w and n of the format, of one component of the neighbours."""
    a, b, c, e = sorted(values)
    total = b + c
    return (total + (total < 0)) // 2, bits(e - a, 7), bits(c - b, 3)


def bits(value: int, most: int) -> int:
    """B of the format."""
    return min(value.bit_length(), most)


def apart(a: Vector, b: Vector) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def clip(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def limited(vector: Vector) -> Vector:
    return clip(vector[0], -LIMIT, LIMIT), clip(vector[1], -LIMIT, LIMIT)


def array_of(field: Field, rows: int, columns: int) -> NDArray[np.int16]:
    """(rows, columns, 2)."""
    return np.array([[field[y, x] for x in range(columns)] for y in range(rows)], np.int16)
