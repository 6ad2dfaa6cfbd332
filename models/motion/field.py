"""Entropy coding of motion fields: coarse to fine, every block from the blocks around it that are already known.

A field holds one vector (dy, dx) in quarter pixels for each block.  The block in the corner comes first; then, with the
spacing of known blocks halving each time, the centre of every four known blocks and the middle of every two (see
`motion.order`).  Each of these half steps is coded at once:

    choice   which of the neighbours' vectors the block repeats, as merge candidates do in HEVC (ITU-T H.265, 8.5.3.2);
             most blocks end here.  The candidates are the distinct ones of the 4 vectors, the one nearest to all others
             first, and then the guess; NEW says that the vector is none of them
    dy, dx   of a new vector: its difference from the component-wise median of the neighbours

What is known chooses the tables: the spacing, how far the neighbours agree, where the guess lies among them, and for dx
how large the difference in dy was.  `motion.choice`, `motion.dy`, `motion.dx`, `motion.mode` in the weights file name a
table for each such context.  All of it is integer arithmetic on decoded integers.

A guess is a field expected to be like this one.  Each field says which guess it uses (`SOURCES`): none, the caller's,
or, for the second field of a frame, the first one mirrored, since the references lie on opposite sides in time.

Modes (which of two references a block uses) come before the fields: one symbol says that all blocks have the same mode,
or they are coded in the same order.  A vector of a field that
the block's mode does not use is not coded: it becomes the first candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import SymbolPort
from .order import GUESS, Candidates, Ints, Step, candidates, classes, sort4, steps

LIMIT = 2048  # of |dy|, |dx|, in quarter pixels
LARGEST = 4 * LIMIT  # of a coded difference: what a forged stream may name beyond is clipped to it
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


# -- a frame ---------------------------------------------------------------------------------------------------------


class SymbolCollector:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.parts: list[SymbolPart] = []

    def code(self, kind: str, contexts: Ints, symbols: Ints | None) -> Ints:
        assert symbols is not None
        self.parts.append((kind, contexts, symbols))
        return symbols


class _Getting:
    """Gets symbols from a port."""

    def __init__(self, port: SymbolPort, maps: dict[str, NDArray[np.uint8]]) -> None:
        self.port, self.maps = port, maps

    def code(self, kind: str, contexts: Ints, symbols: Ints | None) -> Ints:
        return self.port.get(self.maps[kind].take(contexts))


def record(
    fields: Sequence[Field],
    modes: Modes | None,
    guesses: Sequence[Field | None],
    cost: Callable[[list[SymbolPart]], float] | None,
) -> tuple[list[Field], list[SymbolPart]]:
    """A frame's fields as the decoder has them, and its symbols with the guesses of least `cost`, or with every guess.

    ValueError as in `MotionCoder.put`.
    """
    _check(fields, modes, guesses)
    shape = fields[0].shape[0], fields[0].shape[1]
    recording = SymbolCollector()
    if modes is not None:
        code_modes(recording, shape, modes)
    decoded: list[Field] = []
    for number, (field, given) in enumerate(zip(fields, guesses, strict=True)):
        trials = []
        for source in range(len(SOURCES)):
            guess = _guess(source, decoded, given)
            if source == 0 or guess is not None:
                trial = SymbolCollector()
                trial.code("source", np.full(1, number, np.int32), np.full(1, source, np.int32))
                trials.append((code_field(trial, shape, field, _used(modes, number), guess), trial.parts))
        best = trials[0]
        if cost is not None:
            best = min(trials, key=lambda trial: cost(trial[1]))
            trials = [best]
        decoded.append(best[0])
        for _, parts in trials:
            recording.parts += parts
    return decoded, recording.parts


class MotionCoder:
    """Motion fields of frames <-> symbols.  Stateless between calls.

    `arrays`: those of a weights file, of which it takes `motion.*`; ValueError when they do not fit together.
    `first`: the number that the first motion table has among all tables of the codec.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], first: int = 0) -> None:
        frequencies, lows, sizes = (arrays[name] for name in TABLE_NAMES)
        self.tables = Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))
        if not 0 <= first <= 256 - len(self.tables):
            raise ValueError(f"{len(self.tables)} motion tables after {first} others are more than 256")
        self._local = {kind: _map(arrays, kind, len(self.tables)) for kind in KINDS}
        self._maps = {kind: table + np.uint8(first) for kind, table in self._local.items()}

    def put(
        self, port: SymbolPort, fields: Sequence[Field], modes: Modes | None, guesses: Sequence[Field | None]
    ) -> list[Field]:
        """Code one frame's fields, int16 (rows, columns, 2) each, and for two fields its modes, uint8 (rows, columns).

        Returns the fields as `get` will: blocks that do not use a field have another vector there.  ValueError for
        other shapes or types, for |dy| or |dx| > LIMIT, and for modes > 2.
        """
        decoded, parts = record(fields, modes, guesses, self.cost)
        for kind, contexts, symbols in parts:
            port.put(symbols, self._maps[kind].take(contexts))
        return decoded

    def get(
        self, port: SymbolPort, rows: int, columns: int, count: int, guesses: Sequence[Field | None]
    ) -> tuple[list[Field], Modes | None]:
        """The next frame's `count` fields (1 or 2), and the modes if there are two."""
        coder, shape = _Getting(port, self._maps), (rows, columns)
        modes = code_modes(coder, shape, None) if count == 2 else None
        fields: list[Field] = []
        for number in range(count):
            source = int(coder.code("source", np.full(1, number, np.int32), None)[0])
            guess = _guess(source, fields, guesses[number])
            fields.append(code_field(coder, shape, None, _used(modes, number), guess))
        return fields, modes

    def bits(self, fields: Sequence[Field], modes: Modes | None, guesses: Sequence[Field | None]) -> float:
        """What `put` would cost."""
        return self.cost(record(fields, modes, guesses, self.cost)[1])

    def cost(self, parts: list[SymbolPart]) -> float:
        """Bits of recorded symbols."""
        symbols = np.concatenate([symbols for _, _, symbols in parts])
        indices = np.concatenate([self._local[kind].take(contexts) for kind, contexts, _ in parts])
        return float(self.tables.bits(symbols, indices).sum(dtype=np.float64))


def _guess(source: int, decoded: list[Field], given: Field | None) -> Field | None:
    """The field that a source names; a forged stream may name one that is not there, which is none."""
    if source == SOURCES.index("mirror") and decoded:
        return -decoded[0]
    return given if source == SOURCES.index("guess") else None


def _used(modes: Modes | None, number: int) -> NDArray[np.bool_] | None:
    """Where a field counts: mode 0 has no use for field 1, nor mode 1 for field 0."""
    return None if modes is None else modes != 1 - number


def _map(arrays: Mapping[str, NDArray[Any]], kind: str, tables: int) -> NDArray[np.uint8]:
    """The local table of each context of a kind, flat."""
    table = arrays[f"motion.{kind}"]
    if table.shape != KINDS[kind] or table.dtype != np.uint8 or table.max() >= tables:
        raise ValueError(f"motion.{kind} is not uint8 {KINDS[kind]} below {tables}")
    return np.ascontiguousarray(table).reshape(-1)


def _check(fields: Sequence[Field], modes: Modes | None, guesses: Sequence[Field | None]) -> None:
    if len(fields) not in (1, 2) or len(guesses) != len(fields) or (modes is None) != (len(fields) == 1):
        raise ValueError("a frame has one field and no modes, or two fields and modes, and a guess or None for each")
    shape = fields[0].shape
    if len(shape) != 3 or shape[2] != 2 or not shape[0] or not shape[1]:
        raise ValueError(f"a field is (rows, columns, 2), not {shape}")
    for field in [*fields, *(guess for guess in guesses if guess is not None)]:
        if field.shape != shape or field.dtype != np.int16:
            raise ValueError(f"expected fields of int16 {shape}, got {field.dtype} {field.shape}")
    if any(np.abs(field.astype(np.int32)).max() > LIMIT for field in fields):
        raise ValueError(f"a vector is longer than {LIMIT} quarter pixels")
    if modes is not None and (modes.shape != shape[:2] or modes.dtype != np.uint8 or modes.max() >= MODES):
        raise ValueError(f"modes must be uint8 {shape[:2]} of 0..{MODES - 1}")
