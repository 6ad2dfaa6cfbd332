"""Entropy coding of motion fields: coarse to fine, every block from the blocks around it that are already known.

A field holds one vector (dy, dx) in quarter pixels for each block.  The block in the corner comes first; then, with the
spacing of known blocks halving each time, the centre of every four known blocks and the middle of every two (see
`motion.order`).  Each of these half steps is coded at once:

    choice   which of the neighbours' vectors the block repeats, as merge candidates do in HEVC (ITU-T H.265, 8.5.3.2);
             most blocks end here.  The candidates are the distinct ones of the 4 vectors, the one nearest to all others
             first, and then the guess; NEW means that the vector is none of them
    dy, dx   of a new vector: its difference from the component-wise median of the neighbours

What is known chooses the tables: the spacing, how far the neighbours agree, where the guess lies among them, and for dx
how large the difference in dy was.  `motion.choice`, `motion.dy`, `motion.dx`, `motion.mode` in the weights file name a
table for each such context.  All of it is integer arithmetic on decoded integers.

A guess is a field expected to be like this one.  Each field says which guess it uses (`SOURCES`): none, the caller's,
or, for the second field of a frame, the first one mirrored, since the references lie on opposite sides in time.

Modes (which of two references a block uses) come before the fields: one symbol says that all blocks have the same mode,
or they are coded in the same order.  A vector of a field that
the block's mode does not use is not coded: it becomes the first candidate.

Here is the readable way, a half step at a time; kernels/field.hpp goes block by block and is what `motion.coder` uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..base.family import SymbolPort
from .order import GUESS, Candidates, Ints, Step, candidates, classes, sort4, steps

LIMIT = 2048  # largest |dy| and |dx|, in quarter pixels
LARGEST = 4 * LIMIT  # largest coded difference: a forged stream's larger ones are clipped to it
NEW = GUESS + 1  # the choice that a vector is none of the candidates
SOURCES = ("none", "guess", "mirror")
MODES = 3  # 0 the first reference, 1 the second, 2 both
TABLE_NAMES = ("motion.frequencies", "motion.lows", "motion.sizes")  # in a weights file
KINDS = {  # the shape of each kind's contexts
    "uniform": (1,),
    "mode": (9, 5, 5),
    "source": (2,),
    "choice": (8, 4, 4, 8, 8),
    "dy": (9, 8, 8, 4),
    "dx": (9, 8, 8, 4, 5),
}
ROOT = 8  # the level of the first block, where others have `Step.level` 0..7
_MODE_COUNTS = np.array([5, 1, 0], np.int32)

Field = NDArray[np.int16]
Modes = NDArray[np.uint8]
SymbolPart = tuple[str, Ints, Ints]  # kind, contexts (n,), symbols (n,)


class SymbolCoder(Protocol):
    """Codes symbols of one kind: `symbols` (n,) int32 in their contexts (n,), or None to get them."""

    def code(self, kind: str, contexts: Ints, symbols: Ints | None) -> Ints: ...


# -- one field -------------------------------------------------------------------------------------------------------


def code_field(
    coder: SymbolCoder, shape: tuple[int, int], field: Field | None, used: NDArray[np.bool_] | None, guess: Field | None
) -> Field:
    """Code `field` (rows, columns, 2), or get one of `shape` (rows, columns) when it is None; as the decoder has it.

    `used` (rows, columns) marks the blocks whose vectors count.
    """
    rows, columns = shape
    wanted = None if field is None else _planes(field)
    aim = None if guess is None else np.clip(_planes(guess), -LIMIT, LIMIT)
    counts = None if used is None else used.reshape(-1)
    known = np.zeros((2, rows * columns), np.int32)
    if aim is not None:
        known[:, :1] = aim[:, :1]
    if counts is None or counts[0]:
        around = known[:, :1, None].repeat(4, 1)
        known[:, :1] = _code_new(coder, ROOT, around, None if wanted is None else wanted[:, :1])
    for step in steps(rows, columns):
        near = candidates(step, known, aim)
        inside = None
        if counts is not None:
            known[:, step.cells] = near.vectors[:, 0]
            inside = counts.take(step.cells).nonzero()[0]
            if len(inside) == 0:
                continue
        target = None if wanted is None else wanted.take(step.cells, 1)
        _code_step(coder, step, near, inside, target, known)
    return known.T.reshape(rows, columns, 2).astype(np.int16)


def _planes(field: Field) -> Ints:
    return np.ascontiguousarray(field.reshape(-1, 2).T, np.int32)


def _code_step(
    coder: SymbolCoder,
    step: Step,
    near: Candidates,
    inside: NDArray[np.intp] | None,
    target: Ints | None,
    known: Ints,
) -> None:
    """Code a half step's blocks, or those named by `inside`, into `known`; `target` (2, n) if they are given."""
    cells, context = step.cells, near.context
    choice = None if target is None else _choices(near.vectors, target)
    if inside is not None:
        cells, context = cells[inside], context[inside]
        choice = None if choice is None else choice[inside]
    choice = np.maximum(np.minimum(coder.code("choice", context, choice), NEW), 0)
    blocks = np.arange(len(cells)) if inside is None else inside
    place = np.minimum(choice, GUESS) * len(step.cells) + blocks
    known[:, cells] = near.vectors.reshape(2, -1).take(place, 1)
    new = blocks[choice == NEW]
    if len(new):
        given = None if target is None else target.take(new, 1)
        known[:, step.cells[new]] = _code_new(coder, step.level, near.around.take(new, 2), given)


def _choices(vectors: Ints, target: Ints) -> Ints:
    """The first candidate that is the target, or NEW."""
    choice = np.full(target.shape[1], NEW, np.int32)
    for rank in range(GUESS, -1, -1):
        choice[(vectors[:, rank] == target).all(0)] = rank
    return choice


def _code_new(coder: SymbolCoder, level: int, around: Ints, target: Ints | None) -> Ints:
    """Vectors (2, n) that no candidate gives; `around` (2, 4, n) are the neighbours."""
    low, second, third, high = sort4(around.transpose(1, 0, 2))
    total = second + third
    median = (total + (total < 0)) >> 1  # towards zero: the tables are even in the sign
    spread, middle = classes(high - low), classes(third - second, 3)
    wanted = (None, None) if target is None else tuple(target - median)
    context = ((level * 8 + spread[0]) * 8 + spread[1]) * 4 + middle[0]
    dy = _within(coder.code("dy", context, wanted[0]), LARGEST)
    context = (((level * 8 + spread[1]) * 8 + spread[0]) * 4 + middle[1]) * 5 + np.minimum(classes(np.abs(dy)), 4)
    dx = _within(coder.code("dx", context, wanted[1]), LARGEST)
    median[0] += dy
    median[1] += dx
    return _within(median, LIMIT)


def _within(values: Ints, limit: int) -> Ints:
    clipped: Ints = np.maximum(np.minimum(values, limit), -limit)
    return clipped


def code_modes(coder: SymbolCoder, shape: tuple[int, int], modes: Modes | None) -> Modes:
    """Code `modes` (rows, columns), or get them when they are None.  The context counts the neighbours of each mode."""
    rows, columns = shape
    wanted = None if modes is None else modes.reshape(-1).astype(np.int32)
    uniform = None
    if wanted is not None:
        uniform = wanted[:1] if (wanted == wanted[0]).all() else np.full(1, MODES, np.int32)
    everywhere = int(coder.code("uniform", np.zeros(1, np.int32), uniform)[0])
    if 0 <= everywhere < MODES:
        return np.full(shape, everywhere, np.uint8)
    known = np.zeros(rows * columns, np.int32)
    context = np.full(1, ROOT * 25, np.int32)
    known[:1] = _mode(coder.code("mode", context, None if wanted is None else wanted[:1]))
    for step in steps(rows, columns):
        context = _MODE_COUNTS.take(known.take(step.neighbours)).sum(0, dtype=np.int32) + step.level * 25
        symbols = coder.code("mode", context, None if wanted is None else wanted.take(step.cells))
        known[step.cells] = _mode(symbols)
    return known.reshape(rows, columns).astype(np.uint8)


def _mode(symbols: Ints) -> Ints:
    valid: Ints = np.maximum(np.minimum(symbols, MODES - 1), 0)
    return valid


# -- where symbols go to and come from -------------------------------------------------------------------------------


class SymbolCollector:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.parts: list[SymbolPart] = []

    def code(self, kind: str, contexts: Ints, symbols: Ints | None) -> Ints:
        assert symbols is not None
        self.parts.append((kind, contexts, symbols))
        return symbols


class PortSymbols:
    """Gets symbols from a port; maps: the table of each context, by kind."""

    def __init__(self, port: SymbolPort, maps: Mapping[str, NDArray[np.uint8]]) -> None:
        self.port, self.maps = port, maps

    def code(self, kind: str, contexts: Ints, symbols: Ints | None) -> Ints:
        return self.port.get(self.maps[kind].take(contexts))
