"""The search for values of details: kernels and twin agree, and nothing is cheaper than what they choose."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.models import _kernels
from tessera.models.prior.fitted import cost_table, initial_odd_pmf, initial_pmf
from tessera.models.prior.ladder import RUNGS
from tessera.models.prior.quantisers import (
    HALF_STEP,
    LARGEST_RATE,
    ODD_TABLE_OF,
    STATES,
    chains_of,
    next_state,
    search_rates,
)
from tests.support import kernel_paths, trellis_twin

Integers = NDArray[np.int32]


def rates(weight: float) -> Integers:
    even, odd = cost_table(initial_pmf()), cost_table(initial_odd_pmf()[ODD_TABLE_OF.tolist()])
    return search_rates(np.stack([even.numpy(), odd.numpy()]), weight)


def drawn(count: int, seed: int, scale: float = 1.5) -> tuple[Integers, NDArray[np.uint8]]:
    """Distances, some of them large, and rungs of all kinds."""
    random = np.random.default_rng(seed)
    distances = np.abs(random.laplace(0, scale * 2 * HALF_STEP, count))
    distances[random.random(count) < 0.02] *= 3000
    return distances.astype(np.int32), random.integers(0, RUNGS, count).astype(np.uint8)


@pytest.mark.parametrize("count", [0, 1, 2, 700, 2047, 2048, 9001])
def test_kernels_and_twin_agree(count: int) -> None:
    distances, rungs = drawn(count, count)
    values, quantisers = trellis_twin.choose(distances, rungs, rates(0.1))
    for path in kernel_paths.available_paths():
        found = _kernels.choose_values(distances, rungs, rates(0.1), path)
        assert np.array_equal(found[0], values) and np.array_equal(found[1], quantisers)
    assert np.array_equal(_kernels.quantisers(values), quantisers)


def spent(distances: Integers, rungs: NDArray[np.uint8], values: tuple[int, ...], of: Integers) -> int:
    """What a chain of values costs, whose quantisers follow from them."""
    state = total = 0
    for distance, rung, value in zip(distances.tolist(), rungs.tolist(), values, strict=True):
        total += trellis_twin.cost(distance, value, state % 2, rung, of)
        state = next_state(state, value)
    return total


@pytest.mark.parametrize("seed", range(4))
def test_no_other_values_are_cheaper(seed: int) -> None:
    """All values of a short chain are tried."""
    random, of = np.random.default_rng(seed), rates(0.1)
    distances = random.integers(0, 5 * HALF_STEP, 6).astype(np.int32)
    rungs = random.integers(0, 40, 6).astype(np.uint8)
    magnitudes, _ = _kernels.choose_values(distances, rungs, of)
    least = min(spent(distances, rungs, values, of) for values in itertools.product(range(5), repeat=6))
    assert spent(distances, rungs, tuple(magnitudes.tolist()), of) == least


def test_errors_are_smaller_than_those_of_rounding() -> None:
    """At a high rate, by about what is known of 32 states: 1.2 dB, of at most 1.53."""
    distances = np.random.default_rng(1).integers(0, 200 * HALF_STEP, 20000).astype(np.int32)
    free = np.zeros_like(rates(0.1))
    magnitudes, quantisers = _kernels.choose_values(distances, np.zeros(20000, np.uint8), free)
    at = 2 * HALF_STEP * magnitudes - HALF_STEP * quantisers * (magnitudes > 0)
    error = np.square((distances - at) / (2 * HALF_STEP)).mean()
    assert 1.1 < 10 * np.log10(1 / 12 / error) < 1.4
    assert np.bincount(quantisers).min() > 9000


def test_chains() -> None:
    assert [chains_of(n) for n in (0, 2047, 2048, 4095, 4096, 16383, 16384, 10**6)] == [1, 1, 2, 2, 4, 8, 16, 16]
    assert all(sorted(next_state(state, bit) for state in range(STATES)) == list(range(STATES)) for bit in (0, 1))


def test_rates_are_checked() -> None:
    distances, rungs = drawn(10, 0)
    for value in (-1, LARGEST_RATE + 1):
        wrong = rates(0.1)
        wrong[1, 7, 3] = value
        with pytest.raises(ValueError, match="rate"):
            _kernels.choose_values(distances, rungs, wrong)
    for wrong_distances in (distances - 200, distances + (1 << 30)):
        with pytest.raises(ValueError, match="distance"):
            _kernels.choose_values(wrong_distances.astype(np.int32), rungs, rates(0.1))
    with pytest.raises(ValueError, match="rung"):
        _kernels.choose_values(distances, rungs + np.uint8(RUNGS), rates(0.1))
    with pytest.raises(ValueError, match="rates"):
        _kernels.choose_values(distances, rungs, rates(0.1)[:1].copy())
