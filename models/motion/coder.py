"""Motion fields of frames <-> symbols: `motion.field` says what is coded, the kernels do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .. import _kernels
from ..base.family import NativePort, SymbolPort
from ..base.ports import Metered
from .field import (
    KINDS,
    LIMIT,
    MODES,
    SOURCES,
    TABLE_NAMES,
    Field,
    Modes,
    PortSymbols,
    SymbolPart,
    code_field,
    code_modes,
)

_NAMES = list(KINDS)  # of kinds, by their numbers


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
    recorded = [] if modes is None else _parts(_kernels.record_modes(modes))
    decoded: list[Field] = []
    for number, (field, given) in enumerate(zip(fields, guesses, strict=True)):
        trials = []
        for source in range(len(SOURCES)):
            guess = _guess(source, decoded, given)
            if source == 0 or guess is not None:
                head = ("source", np.full(1, number, np.int32), np.full(1, source, np.int32))
                kept, calls = _kernels.record_field(field, modes, number, guess)
                trials.append((kept, [head, *_parts(calls)]))
        best = trials[0]
        if cost is not None:
            best = min(trials, key=lambda trial: cost(trial[1]))
            trials = [best]
        decoded.append(best[0])
        for _, parts in trials:
            recorded += parts
    return decoded, recorded


def _parts(calls: _kernels.MotionCalls) -> list[SymbolPart]:
    """The calls of a coder one by one."""
    kinds, lengths, contexts, symbols = calls
    ends = [0, *np.cumsum(lengths).tolist()]
    return [
        (_NAMES[kind], contexts[first:end], symbols[first:end])
        for kind, (first, end) in zip(kinds.tolist(), pairwise(ends), strict=True)
    ]


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
        self._flat = list(self._maps.values())

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
        inner = port.port if isinstance(port, Metered) else port
        if not isinstance(inner, NativePort):
            return self._get_in_steps(port, rows, columns, count, guesses)
        with inner.native() as coder:
            found = _kernels.read_motion(coder, self._flat, rows, columns, guesses, isinstance(port, Metered))
        fields, modes, calls = found
        if isinstance(port, Metered) and calls is not None:
            port.count(calls[3], calls[2].astype(np.uint8))
        return list(fields), modes

    def _get_in_steps(
        self, port: SymbolPort, rows: int, columns: int, count: int, guesses: Sequence[Field | None]
    ) -> tuple[list[Field], Modes | None]:
        """The same by the port's calls, half step by half step."""
        coder, shape = PortSymbols(port, self._maps), (rows, columns)
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
    if any(field.min() < -LIMIT or field.max() > LIMIT for field in fields):
        raise ValueError(f"a vector is longer than {LIMIT} quarter pixels")
    if modes is not None and (modes.shape != shape[:2] or modes.dtype != np.uint8 or modes.max() >= MODES):
        raise ValueError(f"modes must be uint8 {shape[:2]} of 0..{MODES - 1}")
