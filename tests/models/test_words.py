"""Words of networks and their corrections: the kernels against the twin, the twin against numbers by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.models import _kernels
from tessera.models.base.kernels import Kernels
from tessera.models.transform.levels import EVERY
from tessera.models.transform.lifted import BAND_LIMIT, LOW_FACTOR
from tessera.models.transform.steps import WORD_GAIN
from tessera.models.wavelet import words

from ..support import words_twin as twin
from ..support.kernel_paths import available_paths, threads

SIZES = [(1, 1), (1, 2), (2, 1), (3, 3), (5, 130), (40, 61)]
ENDS = np.iinfo(np.int32)
RECIPROCAL = 1 << 42  # the largest that is taken


def anything(rng: np.random.Generator, *shape: int) -> NDArray[np.int32]:
    """Numbers of all sizes and both signs, zero, and both ends of the range."""
    wild = rng.integers(ENDS.min, ENDS.max, shape, np.int64, endpoint=True) >> rng.integers(0, 31, shape)
    ends = rng.choice([ENDS.min, ENDS.max, 0, 1 << 20, -(1 << 20), (1 << 20) + 1], shape)
    return np.where(rng.random(shape) < 0.2, ends, wild).astype(np.int32)


def reciprocals(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    found = rng.integers(0, RECIPROCAL, count) >> rng.integers(0, 42, count)
    found[: min(2, count)] = [RECIPROCAL, 0][: min(2, count)]
    return found


def table(rng: np.random.Generator, entries: int) -> NDArray[np.int16]:
    return rng.integers(-32767, 32768, entries).astype(np.int16)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("entries", [1, 2, 1024, 16384])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("path", available_paths())
def test_kernels_and_twin_give_the_same_words(size: tuple[int, int], entries: int, count: int, path: str) -> None:
    rng, kernels = np.random.default_rng(entries + size[1]), Kernels(path)
    values, found = anything(rng, 5, *size), table(rng, entries)
    bytes_, entry = rng.integers(0, 256, (5, *size)).astype(np.uint8), table(rng, 256)
    factors, low = reciprocals(rng, 5), anything(rng, 3, *size)
    windows, factor = reciprocals(rng, 10), int(rng.integers(-(2**31), 2**31))
    out = np.full((*size, 24), 7, np.int16)  # what nobody writes stays
    with threads(count):
        kernels.describe_integers(values, found, out, 1)
        kernels.describe_bytes(bytes_, entry, out, 6)
        kernels.describe_scaled(values, factors, found, out, 11)
        kernels.describe_low(low, windows, found, factor, out, 16)
    np.testing.assert_array_equal(out[..., 1:6], twin.describe_integers(values, found), strict=True)
    np.testing.assert_array_equal(out[..., 6:11], twin.describe_bytes(bytes_, entry), strict=True)
    np.testing.assert_array_equal(out[..., 11:16], twin.describe_scaled(values, factors, found), strict=True)
    np.testing.assert_array_equal(out[..., 16:22], twin.describe_low(low, windows, found, factor), strict=True)
    assert (out[..., 0] == 7).all() and (out[..., 22:] == 7).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("path", available_paths())
def test_kernels_and_twin_add_the_same_corrections(size: tuple[int, int], count: int, path: str) -> None:
    rng = np.random.default_rng(size[1])
    planes = anything(rng, 6, *size)
    planes[:3] = rng.integers(-BAND_LIMIT, BAND_LIMIT + 1, (3, *size))
    corrections = rng.integers(-32768, 32768, (*size, 9)).astype(np.int16)
    bands = np.array([8, 0, 3, 3, 5, 1], np.int32)
    steps = rng.integers(0, 2**40, 9, endpoint=True) >> rng.integers(0, 40, 9)
    steps[3], steps[8] = 2**40, 1 << 24
    expected = twin.add_corrections(planes, corrections, bands, steps)
    with threads(count):
        Kernels(path).add_corrections(planes, corrections, bands, steps)
    np.testing.assert_array_equal(planes, expected, strict=True)
    assert int(np.abs(planes).max()) <= BAND_LIMIT


@pytest.mark.parametrize("path", available_paths())
def test_corrections_of_all_bands(path: str) -> None:
    """Bands that are not kept are zero before; the low bands come back by themselves."""
    rng, size = np.random.default_rng(4), (19, 31)
    order = rng.permutation(EVERY)[:125].astype(np.int32)
    packet, low = anything(rng, 125, *size), anything(rng, 3, *size)
    corrections = rng.integers(-32768, 32768, (*size, 192)).astype(np.int16)
    steps = rng.integers(0, 2**30, 192)
    full = np.zeros((192, *size), np.int32)
    full[order], full[[0, 64, 128]] = packet, low
    expected = twin.add_corrections(full, corrections, np.arange(192, dtype=np.int32), steps)
    every, lows = Kernels(path).corrected(packet, order, low, corrections, steps)
    np.testing.assert_array_equal(every, expected[EVERY], strict=True)
    np.testing.assert_array_equal(lows, expected[[0, 64, 128]], strict=True)
    for wrong in (np.where(order == order[3], 64, order), np.where(order == order[3], 192, order), order[:-1].copy()):
        with pytest.raises(ValueError, match="order"):
            _kernels.corrected(packet, wrong.astype(np.int32), low, corrections, steps)
    with pytest.raises(ValueError, match="corrections"):
        _kernels.corrected(packet, order, low, corrections[..., :191].copy(), steps[:191].copy())


def test_signs_and_ends_of_tables_by_hand() -> None:
    values = np.array([[[0, 1, -1, 2, -2, 3, -3, ENDS.max, ENDS.min]]], np.int32)
    found = twin.describe_integers(values, np.array([0, 10, 20], np.int16)).ravel()
    assert found.tolist() == [0, 10, -10, 20, -20, 20, -20, 20, -20]
    half = np.array([1 << 31])
    found = twin.describe_scaled(values, half, np.array([5, 10, 20], np.int16)).ravel()
    assert found.tolist() == [5, 5, -5, 10, -10, 10, -10, 20, -20]  # rounded down, zero is positive


def test_magnitudes_stop_where_products_would_overflow() -> None:
    """2^20 times 2^42 fits 64 bits; whatever is larger counts as 2^20."""
    values = np.array([[[(1 << 20) - 1, 1 << 20, (1 << 20) + 1, ENDS.max, ENDS.min]]], np.int32)
    found = twin.describe_scaled(values, np.array([1 << 16]), np.arange(18, dtype=np.int16)).ravel()
    assert found.tolist() == [15, 16, 16, 16, -16]


def test_windows_by_hand() -> None:
    """What stands above the mean of the cells of the window that there are: four in a corner, six at an edge, nine."""
    table_ = np.arange(1000, dtype=np.int16)
    ones = np.full(10, 1 << 32)
    low = np.zeros((3, 3, 4), np.int32)
    low[0, 0, 0], low[1, 0, 1], low[2, 1, 1] = 100, 100, 100
    found = twin.describe_low(low, ones, table_, 1 << 15)
    assert (found[0, 0, 0], found[0, 1, 1], found[1, 1, 2]) == (300, 500, 800)
    assert (found[1, 1, 0], found[0, 0, 1], found[2, 2, 2]) == (-100, -100, -100)
    assert found[0, 3].tolist() == [0] * 6  # too far away
    assert (found[0, 0, 3], found[0, 1, 4], found[1, 1, 5]) == (50, 50, 50)
    for n, cell in ((4, (0, 0)), (6, (0, 1)), (9, (1, 1))):  # a reciprocal for each number of cells
        chosen = np.where(np.arange(10) == n, 1 << 31, 0)
        low = np.zeros((3, 3, 4), np.int32)
        low[0][cell] = 100
        assert twin.describe_low(low, chosen, table_, 0)[cell][0] == 100 * (n - 1) // 2
    alone = twin.describe_low(np.full((3, 1, 1), 9, np.int32), ones, table_, -(1 << 31))
    assert alone.ravel().tolist() == [0, 0, 0, -32768, -32768, -32768]


def test_corrections_by_hand() -> None:
    """Halves go up, and the sum is clipped."""
    planes = np.array([[[0, 0, 0, 10, BAND_LIMIT, -BAND_LIMIT]]], np.int32)
    corrections = np.array([1, -1, 3, -32768, 32767, -32768], np.int16).reshape(1, 6, 1)
    found = twin.add_corrections(planes, corrections, np.array([0], np.int32), np.array([1 << 23]))
    assert found.ravel().tolist() == [1, 0, 2, 10 - 16384, BAND_LIMIT, -BAND_LIMIT]


# -- the tables -------------------------------------------------------------------------------------------------------

MARGIN = Decimal(1) / (1 << 24)  # far above what any mathematics library is wrong by


def assert_rounded(found: int, exact: Decimal) -> None:
    """`found` is `exact` rounded, and no library rounds it to anything else."""
    assert abs(exact - found) < Decimal("0.5") - MARGIN


@pytest.mark.parametrize(("made", "part"), [(words.COMPANDED, 1), (words.COMPANDED_FINE, WORD_GAIN)])
def test_companded_magnitudes(made: NDArray[np.int16], part: int) -> None:
    with localcontext() as context:
        context.prec = 40
        for n, word in enumerate(made.tolist()):
            assert_rounded(word, (1 + Decimal(n) / part).ln() * (1 << words.WORD_BITS))


def test_rungs_in_sixteenths() -> None:
    for rung, word in enumerate(words.RUNG_WORDS.tolist()):
        assert Fraction(word, 1 << words.WORD_BITS) == Fraction(rung, 16)


def test_low_word() -> None:
    with localcontext() as context:
        context.prec = 40
        gain = Decimal(2).sqrt() / Decimal("1.230174104914001")
        exact = gain**6 / 16 / 512 * (1 << words.WORD_BITS + 16)
        assert_rounded(words.LOW_WORD, exact)
    assert words.LOW_WORD / 2.0**16 == pytest.approx(LOW_FACTOR / words.LOW_UNIT * (1 << words.WORD_BITS), abs=1e-5)


# -- bad arguments ----------------------------------------------------------------------------------------------------

OUT, TABLE = np.zeros((2, 3, 9), np.int16), np.zeros(4, np.int16)
VALUES, ONES = np.zeros((2, 2, 3), np.int32), np.ones(10, np.int64)
PLANES, STEPS, BANDS = np.zeros((2, 2, 3), np.int32), np.ones(9, np.int64), np.array([0, 8], np.int32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _kernels.describe_integers(VALUES, TABLE[:0].copy(), OUT, 0),
        lambda: _kernels.describe_integers(VALUES, TABLE, OUT, 8),
        lambda: _kernels.describe_integers(VALUES, TABLE, OUT, -1),
        lambda: _kernels.describe_integers(VALUES, TABLE, OUT[:1].copy(), 0),
        lambda: _kernels.describe_integers(VALUES[0], TABLE, OUT, 0),
        lambda: _kernels.describe_bytes(VALUES.astype(np.uint8), TABLE, OUT, 0),
        lambda: _kernels.describe_scaled(VALUES, ONES[:3].copy(), TABLE, OUT, 0),
        lambda: _kernels.describe_scaled(VALUES, np.array([1, -1]), TABLE, OUT, 0),
        lambda: _kernels.describe_scaled(VALUES, np.array([1, RECIPROCAL + 1]), TABLE, OUT, 0),
        lambda: _kernels.describe_low(VALUES, ONES, TABLE, 1, OUT, 0),
        lambda: _kernels.describe_low(np.zeros((3, 2, 3), np.int32), ONES[:9].copy(), TABLE, 1, OUT, 0),
        lambda: _kernels.describe_low(np.zeros((3, 2, 3), np.int32), ONES, TABLE, 1, OUT, 4),
        lambda: _kernels.add_corrections(PLANES, OUT, BANDS[:1].copy(), STEPS),
        lambda: _kernels.add_corrections(PLANES, OUT, BANDS + 1, STEPS),
        lambda: _kernels.add_corrections(PLANES, OUT, BANDS - 1, STEPS),
        lambda: _kernels.add_corrections(PLANES, OUT, BANDS, STEPS[:8].copy()),
        lambda: _kernels.add_corrections(PLANES, OUT, BANDS, -STEPS),
        lambda: _kernels.add_corrections(PLANES, OUT, BANDS, STEPS * (2**40 + 1)),
        lambda: _kernels.add_corrections(PLANES, OUT[:1].copy(), BANDS, STEPS),
    ],
)
def test_wrong_arguments_raise(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        call()


def test_wrong_types_raise() -> None:
    with pytest.raises(TypeError):
        _kernels.describe_integers(VALUES.astype(np.int64), TABLE, OUT, 0)
    with pytest.raises(TypeError):
        _kernels.describe_integers(VALUES, TABLE, OUT.astype(np.int32), 0)
