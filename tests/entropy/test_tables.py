"""Tables: what the constructor refuses, exact costs, the best frequencies by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.entropy import Encoder, Tables, fit_table, quantize_pmf
from tessera.entropy.reference import reference_bits

INT32 = np.iinfo(np.int32)


def arrays() -> tuple[NDArray[np.uint16], NDArray[np.int32], NDArray[np.int32]]:
    frequencies = np.array([[4000, 95, 1, 0], [1, 1, 4094, 0]], np.uint16)
    return frequencies, np.array([-1, 7], np.int32), np.array([3, 3], np.int32)


def test_good_tables() -> None:
    tables = Tables(*arrays())
    assert len(tables) == 2 and "2 tables" in repr(tables)
    with pytest.raises(ValueError, match="read-only"):
        tables.frequencies[0, 0] = 1


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        (0, 0, 0, "table 0: frequency 0 is 0"),
        (1, 1, 2, "table 1: frequencies sum to 4097"),
        (1, 3, 1, "table 1: frequency 3 lies beyond the size"),
        (0, 1, 60000, "table 0: frequencies sum to 64001"),
    ],
)
def test_bad_frequencies(row: int, column: int, value: int, reason: str) -> None:
    frequencies, lows, sizes = arrays()
    frequencies[row, column] = value
    with pytest.raises(ValueError, match=reason):
        Tables(frequencies, lows, sizes)


@pytest.mark.parametrize("size", [1, 0, -1, 5, 257, INT32.max, INT32.min])
def test_bad_sizes(size: int) -> None:
    frequencies, lows, sizes = arrays()
    sizes[1] = size
    with pytest.raises(ValueError, match=f"table 1: size {size} is not in 2..4"):
        Tables(frequencies, lows, sizes)


def test_bad_lows_shapes_and_types() -> None:
    frequencies, lows, sizes = arrays()
    with pytest.raises(ValueError, match="table 0: low"):
        Tables(frequencies, np.array([INT32.max, 0], np.int32), sizes)
    Tables(frequencies, np.array([INT32.max - 1, INT32.min], np.int32), sizes)
    with pytest.raises(ValueError, match="must be"):
        Tables(frequencies[0], lows, sizes)
    with pytest.raises(ValueError, match="must be"):
        Tables(frequencies, lows[:1], sizes)
    with pytest.raises(ValueError, match="1 to 256"):
        Tables(frequencies[:0], lows[:0], sizes[:0])
    with pytest.raises(ValueError, match="1 to 256"):
        Tables(np.tile(frequencies, (200, 1)), np.tile(lows, 200), np.tile(sizes, 200))
    with pytest.raises(ValueError, match="frequencies must be integers"):
        Tables(frequencies / 4096, lows, sizes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frequencies must fit"):
        Tables(frequencies.astype(np.int64) - 1, lows, sizes)  # type: ignore[arg-type]


def test_bits_are_the_twins() -> None:
    tables = Tables(*arrays())
    symbols = np.array([-1, 0, 1, -2, 8, 9, 7, 6, INT32.max, INT32.min, 100, -100], np.int32)
    for table in (0, 1):
        indices = np.full(len(symbols), table, np.uint8)
        expected = [reference_bits(tables, int(symbol), table) for symbol in symbols]
        np.testing.assert_allclose(tables.bits(symbols, indices), expected, rtol=1e-6)
    cube = np.resize(symbols, (5, 3, 70))
    bits = tables.bits(cube, np.zeros(cube.shape, np.uint8))
    assert bits.shape == cube.shape and bits.dtype == np.float32
    with pytest.raises(ValueError, match="no table"):
        tables.bits(symbols, np.full(len(symbols), 2, np.uint8))


def test_mean_bits_is_the_entropy() -> None:
    even = Tables.stack([(np.full(16, 256, np.uint16), 0), (np.array([2048, 1024, 1024], np.uint16), 0)])
    np.testing.assert_allclose(even.mean_bits(), [4.0, 1.5])


@pytest.mark.parametrize("seed", range(4))
def test_quantized_frequencies_are_the_best_ones(seed: int) -> None:
    """Against every neighbour reachable by moving one or two counts: the cost is convex, so that proves the optimum."""
    rng = np.random.default_rng(seed)
    p = rng.random(6) ** 6
    frequencies = quantize_pmf(p[:-1], float(p[-1])).astype(float)
    assert frequencies.sum() == 4096 and frequencies.min() >= 1
    best = p @ -np.log2(frequencies)
    for a, b in itertools.permutations(range(6), 2):
        for step in (1, 2):
            moved = frequencies.copy()
            moved[a] += step
            moved[b] -= step
            assert moved[b] < 1 or p @ -np.log2(moved) >= best - 1e-12


def test_quantize_pmf_at_the_edges() -> None:
    assert quantize_pmf(np.array([1.0]), 0.0).tolist() == [4095, 1]
    assert quantize_pmf(np.zeros(255), 1.0).tolist() == [1] * 255 + [3841]
    assert quantize_pmf(np.ones(255), 1.0).tolist() == [16] * 256
    for p, escape in [(np.zeros(3), 0.0), (np.array([-1.0, 2]), 0.1), (np.array([np.nan]), 0.1), (np.ones(256), 1.0)]:
        with pytest.raises(ValueError):
            quantize_pmf(p, escape)


@pytest.mark.parametrize("scale", [0.11, 0.5, 3.0, 32.0])
def test_fit_table_comes_close_to_the_entropy(scale: float) -> None:
    x = np.arange(-400, 401)
    p = np.exp(-0.5 * (x / scale) ** 2)
    p /= p.sum()
    frequencies, low = fit_table(p, -400)
    tables = Tables.stack([(frequencies, low)])
    bits = float(p @ tables.bits(x.astype(np.int32), np.zeros(len(x), np.uint8)))
    entropy = float(-(p[p > 0] @ np.log2(p[p > 0])))
    assert entropy <= bits <= entropy * 1.001 + 4e-4


def test_fit_table_takes_any_peak() -> None:
    frequencies, low = fit_table(np.eye(1000)[700], -100)
    assert (frequencies.tolist(), low) == ([4095, 1], 600)
    flat, low = fit_table(np.ones(2000), 0)
    encoder = Encoder(Tables.stack([(flat, low)]))
    encoder.put(np.arange(2000, dtype=np.int32), np.zeros(2000, np.uint8))
    assert len(encoder.finish()) > 0
    with pytest.raises(ValueError):
        fit_table(np.zeros(4), 0)
