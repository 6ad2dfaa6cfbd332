"""Motion fields through the coder: round trips, a readable twin, forged streams, and the fit of the tables."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.codec.errors import FormatError
from tessera.models.base.family import Symbols, TableIndices
from tessera.models.base.ports import Metered
from tessera.models.motion.coder import MotionCoder, record
from tessera.models.motion.field import (
    KINDS,
    LIMIT,
    NEW,
    Field,
    Modes,
    SymbolCollector,
    SymbolPart,
    code_field,
    code_modes,
)
from tessera.models.motion.order import steps
from tessera.models.training.motion_tables import Recorded, fit

GRIDS = [(1, 1), (1, 2), (1, 7), (7, 1), (2, 2), (3, 5), (5, 3), (16, 17), (23, 40), (45, 80)]
SHARES = {"uniform": 1, "source": 1, "mode": 2, "choice": 6, "difference": 6}


def smooth(rows: int, columns: int, seed: int) -> Field:
    """A zoom and pan with an object that moves by itself."""
    y, x = np.mgrid[:rows, :columns]
    field = np.stack([y // 3 + seed, 2 * seed - x // 5], -1)
    field[rows // 3 : rows // 2, columns // 4 : columns // 2] = -9, 30
    return np.asarray(field, np.int16)


def rough(rows: int, columns: int, seed: int) -> Field:
    """Few different vectors side by side: every pattern of equal neighbours."""
    generator = np.random.default_rng(seed)
    vectors = np.array([[0, 0], [1, -1], [40, 3]], np.int16)
    return vectors.take(generator.integers(0, 3, (rows, columns)), 0)


def random(rows: int, columns: int, seed: int) -> Field:
    return np.random.default_rng(seed).integers(-LIMIT, LIMIT + 1, (rows, columns, 2)).astype(np.int16)


def extreme(rows: int, columns: int, seed: int) -> Field:
    return np.random.default_rng(seed).choice(np.array([-LIMIT, LIMIT], np.int16), (rows, columns, 2))


KINDS_OF_FIELD = [smooth, rough, random, extreme]


def some_modes(rows: int, columns: int, seed: int) -> Modes:
    return np.random.default_rng(seed).integers(0, 3, (rows, columns)).astype(np.uint8)


def frames(rows: int, columns: int, make: Callable[[int, int, int], Field]) -> Iterator[Recorded]:
    """One field and two, without guesses, with good ones and with bad ones."""
    one, two = make(rows, columns, 1), make(rows, columns, 2)
    near = np.clip(one + np.int16(1), -LIMIT, LIMIT).astype(np.int16)
    yield Recorded([one], None, [None])
    yield Recorded([one], None, [near])
    modes = some_modes(rows, columns, 3)
    yield Recorded([one, -one], np.full((rows, columns), 2, np.uint8), [None, None])
    yield Recorded([one, two], modes, [near, np.full_like(two, -(2**15))])
    yield Recorded([one, two], np.zeros((rows, columns), np.uint8), [two, None])


def examples() -> list[Recorded]:
    still = Recorded([np.zeros((45, 80, 2), np.int16)], None, [None])
    return [still, *(frame for make in KINDS_OF_FIELD[:2] for frame in frames(11, 19, make))]


@pytest.fixture(scope="module")
def arrays() -> dict[str, NDArray[Any]]:
    return fit(examples(), SHARES)


@pytest.fixture(scope="module")
def coder(arrays: dict[str, NDArray[Any]]) -> MotionCoder:
    return MotionCoder(arrays)


def decoded(coder: MotionCoder, data: bytes, frame: Recorded) -> tuple[list[Field], Modes | None]:
    port = DecoderPort(coder.tables, data)
    rows, columns = frame.fields[0].shape[:2]
    got = coder.get(port, rows, columns, len(frame.fields), frame.guesses)
    port.finish()
    return got


@pytest.mark.parametrize("make", KINDS_OF_FIELD)
@pytest.mark.parametrize("grid", GRIDS)
def test_round_trip(coder: MotionCoder, grid: tuple[int, int], make: Callable[[int, int, int], Field]) -> None:
    for frame in frames(*grid, make):
        port = EncoderPort(coder.tables)
        put = coder.put(port, frame.fields, frame.modes, frame.guesses)
        data = port.finish()
        fields, modes = decoded(coder, data, frame)
        for number, (field, given, kept) in enumerate(zip(fields, frame.fields, put, strict=True)):
            assert field.dtype == np.int16 and np.array_equal(field, kept)
            used = np.ones(grid, bool) if frame.modes is None else frame.modes != 1 - number
            assert np.array_equal(field[used], given[used])
        assert (modes is None) == (frame.modes is None)
        assert modes is None or frame.modes is None or np.array_equal(modes, frame.modes)
        bits = coder.bits(frame.fields, frame.modes, frame.guesses)
        assert bits / 8 - 1 <= len(data) <= bits / 8 * 1.01 + 16


def test_unused_vectors_are_free(coder: MotionCoder) -> None:
    modes = np.zeros((20, 30), np.uint8)
    quiet = np.zeros((20, 30, 2), np.int16)
    noisy = coder.bits([quiet, random(20, 30, 1)], modes, [None, None])
    assert noisy == coder.bits([quiet, quiet], modes, [None, None])


# -- the twin --------------------------------------------------------------------------------------------------------


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
@pytest.mark.parametrize("grid", GRIDS)
def test_the_kernels_do_the_same_half_steps(
    coder: MotionCoder, grid: tuple[int, int], make: Callable[[int, int, int], Field]
) -> None:
    """Calls of the coder, their contexts and symbols, and the fields, by blocks and by half steps; and the way back."""
    for frame in frames(*grid, make):
        kept, parts = record(frame.fields, frame.modes, frame.guesses, None)
        slow = SymbolCollector()
        if frame.modes is not None:
            code_modes(slow, grid, frame.modes)
        fields: list[Field] = []
        for number, (field, given) in enumerate(zip(frame.fields, frame.guesses, strict=True)):
            used = None if frame.modes is None else frame.modes != 1 - number
            mirrored = -kept[0] if fields else None
            trials = [(0, None), *((1, guess) for guess in [given] if guess is not None)]
            trials += [(2, guess) for guess in [mirrored] if guess is not None]
            made = []
            for source, guess in trials:
                slow.code("source", np.full(1, number, np.int32), np.full(1, source, np.int32))
                made.append(code_field(slow, grid, field, used, guess))
            fields.append(made[0])
        assert len(parts) == len(slow.parts)
        for part, other in zip(parts, slow.parts, strict=True):
            assert part[0] == other[0] and np.array_equal(part[1], other[1]) and np.array_equal(part[2], other[2])
        assert all(np.array_equal(one, other) for one, other in zip(kept, fields, strict=True))

        port = EncoderPort(coder.tables)
        coder.put(port, frame.fields, frame.modes, frame.guesses)
        data = port.finish()
        metered = Metered(DecoderPort(coder.tables, data), coder.tables)
        passing = Metered(Passing(DecoderPort(coder.tables, data)), coder.tables)
        ways = [coder.get(way, *grid, len(frame.fields), frame.guesses) for way in (metered, passing)]
        assert all(np.array_equal(one, other) for one, other in zip(ways[0][0], ways[1][0], strict=True))
        chosen, others = ways[0][1], ways[1][1]
        if chosen is None or others is None:
            assert chosen is None and others is None
        else:
            assert np.array_equal(chosen, others)
        assert metered.spent == pytest.approx(passing.spent, rel=1e-12)


class Passing:
    """A port that is not native, in front of one that is."""

    def __init__(self, port: DecoderPort) -> None:
        self.port = port

    def get(self, indices: TableIndices) -> Symbols:
        return self.port.get(indices)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise AssertionError("nothing is put")


@pytest.mark.parametrize("make", KINDS_OF_FIELD)
@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (3, 5), (14, 23)])
def test_symbols_are_those_of_the_twin(grid: tuple[int, int], make: Callable[[int, int, int], Field]) -> None:
    field = make(*grid, 5)
    for guess in (None, rough(*grid, 6), make(*grid, 5), random(*grid, 7)):
        cost = unlike(guess is not None)
        parts = record([field], None, [guess], cost)[1]
        assert by_kind(parts) == twin_field(field, guess)


def test_contexts_are_pinned() -> None:
    """What a stream rests on: a change here is a change of the format."""
    digest = 0
    for make in KINDS_OF_FIELD:
        for frame in frames(13, 22, make):
            for kind, contexts, symbols in record(frame.fields, frame.modes, frame.guesses, None)[1]:
                assert contexts.min() >= 0 and contexts.max() < np.prod(KINDS[kind])
                digest = zlib.crc32(contexts.astype("<i4").tobytes() + symbols.astype("<i4").tobytes(), digest)
    assert digest == PINNED


PINNED = 2876559132


# -- forged streams and wrong arguments ------------------------------------------------------------------------------


class Hostile:
    """A port that gives whatever int32 it likes."""

    def __init__(self, values: list[int], seed: int) -> None:
        self.values, self.generator = np.array(values, np.int32), np.random.default_rng(seed)

    def get(self, indices: TableIndices) -> Symbols:
        return self.generator.choice(self.values, len(indices))

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise AssertionError("nothing is put")


@pytest.mark.parametrize(
    "values", [[-(2**31)], [2**31 - 1], [NEW, -(2**31), 2**31 - 1], [*range(-3, 9)], [4], [NEW, 2]]
)
def test_any_symbols_make_a_field(coder: MotionCoder, values: list[int]) -> None:
    given: list[list[Field | None]] = [[None, None], [np.full((9, 14, 2), -(2**15), np.int16), random(9, 14, 1)]]
    for seed, guesses in enumerate(given):
        fields, modes = coder.get(Hostile(values, seed), 9, 14, 2, guesses)
        assert modes is not None and modes.dtype == np.uint8 and modes.max() <= 2
        for field in fields:
            assert field.shape == (9, 14, 2) and np.abs(field.astype(np.int32)).max() <= LIMIT


def test_forged_bytes(coder: MotionCoder) -> None:
    generator = np.random.default_rng(8)
    refused = 0
    for size in (1, 40, 400, 4000):
        for _ in range(5):
            try:
                port = DecoderPort(coder.tables, generator.bytes(size))
                fields, _ = coder.get(port, 12, 17, 2, [None, None])
                port.finish()
            except FormatError:
                refused += 1
                continue
            assert all(np.abs(field.astype(np.int32)).max() <= LIMIT for field in fields)
    assert refused


@pytest.mark.parametrize(
    ("fields", "modes", "guesses"),
    [
        ([], None, []),
        ([smooth(3, 4, 1)], np.zeros((3, 4), np.uint8), [None]),
        ([smooth(3, 4, 1)] * 2, None, [None, None]),
        ([smooth(3, 4, 1)], None, []),
        ([smooth(3, 4, 1)], None, [smooth(4, 3, 1)]),
        ([smooth(3, 4, 1).astype(np.int32)], None, [None]),
        ([np.full((3, 4, 2), LIMIT + 1, np.int16)], None, [None]),
        ([np.full((3, 4, 2), -(2**15), np.int16)], None, [None]),
        ([np.zeros((0, 4, 2), np.int16)], None, [None]),
        ([smooth(3, 4, 1)] * 2, np.full((3, 4), 3, np.uint8), [None, None]),
        ([smooth(3, 4, 1)] * 2, np.zeros((4, 3), np.uint8), [None, None]),
    ],
)
def test_wrong_arguments(
    coder: MotionCoder, fields: list[Field], modes: Modes | None, guesses: list[Field | None]
) -> None:
    port = EncoderPort(coder.tables)
    with pytest.raises(ValueError):
        coder.put(port, fields, modes, guesses)


def test_wrong_tensors(arrays: dict[str, NDArray[Any]]) -> None:
    for name, wrong in [
        ("motion.choice", arrays["motion.choice"][:4]),
        ("motion.dy", arrays["motion.dy"].astype(np.int32)),
        ("motion.mode", np.full_like(arrays["motion.mode"], len(arrays["motion.lows"]))),
    ]:
        with pytest.raises(ValueError, match=name):
            MotionCoder(arrays | {name: wrong})
    with pytest.raises(ValueError, match="more than 256"):
        MotionCoder(arrays, 256 - len(arrays["motion.lows"]) + 1)


# -- fitting ---------------------------------------------------------------------------------------------------------


def test_tables_follow_others(coder: MotionCoder, arrays: dict[str, NDArray[Any]]) -> None:
    class Seen:
        indices: list[int] = []

        def put(self, symbols: Symbols, indices: TableIndices) -> None:
            self.indices += indices.tolist()

        def get(self, indices: TableIndices) -> Symbols:
            raise AssertionError("nothing is got")

    first, later = Seen(), Seen()
    first.indices, later.indices = [], []
    field = smooth(5, 6, 1)
    coder.put(first, [field], None, [None])
    MotionCoder(arrays, 150).put(later, [field], None, [None])
    assert later.indices == [index + 150 for index in first.indices]


def test_fit_learns(coder: MotionCoder) -> None:
    """Fields like those of the fit cost less than their own deflated bytes, a still frame next to nothing."""
    assert len(coder.tables) == sum(SHARES.values())
    field = smooth(11, 19, 4)
    assert coder.bits([field], None, [None]) < 0.5 * 8 * len(zlib.compress(field.tobytes(), 9))
    still = np.zeros((45, 80, 2), np.int16)
    assert coder.bits([still], None, [None]) < 0.1 * 45 * 80
    moved = random(45, 80, 3)
    modes = np.full((45, 80), 2, np.uint8)
    both, alone = coder.bits([moved, -moved], modes, [None, None]), coder.bits([moved], None, [None])
    assert both < 1.3 * alone  # the second is the first mirrored


def test_fit_is_repeatable(arrays: dict[str, NDArray[Any]]) -> None:
    again = fit(examples(), SHARES)
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())
