"""Motion fields through the coder: round trips, forged streams, and the fit of the tables."""

from __future__ import annotations

import zlib
from collections.abc import Callable
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
    code_field,
    code_modes,
)
from tessera.models.training.motion_tables import Recorded, fit
from tests.support.motion_fields import GRIDS, KINDS_OF_FIELD, frames, random, smooth

SHARES = {"uniform": 1, "source": 1, "mode": 2, "choice": 6, "difference": 6}


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
