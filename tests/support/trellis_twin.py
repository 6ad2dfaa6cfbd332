"""The search of kernels/trellis.hpp in plain Python: Viterbi's algorithm over the states, one chain after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tessera.models.prior.ladder import SHIFTS, TABLE_REACH
from tessera.models.prior.quantisers import HALF_STEP, STATES, chains_of, next_state

Integers = NDArray[np.int32]

FAR = 1 << 29  # of states that nothing leads to
ZERO_REACH = 2  # larger values are not tried as zero


def choose(distances: Integers, rungs: NDArray[np.uint8], rates: Integers) -> tuple[Integers, NDArray[np.uint8]]:
    """Magnitudes and quantisers (n,) of a pass."""
    chains, count = chains_of(len(distances)), len(distances)
    magnitudes, quantisers = np.zeros(count, np.int32), np.zeros(count, np.uint8)
    for chain in range(min(chains, count)):
        places = slice(chain, None, chains)
        found = _chain(distances[places].tolist(), rungs[places].tolist(), rates)
        magnitudes[places], quantisers[places] = zip(*found, strict=True)
    return magnitudes, quantisers


def cost(distance: int, magnitude: int, quantiser: int, rung: int, rates: Integers) -> int:
    """Squared error and rate of a value."""
    at = 2 * HALF_STEP * magnitude - (HALF_STEP * quantiser if magnitude else 0)
    return (distance - at) ** 2 + int(rates[quantiser, rung, min(magnitude >> SHIFTS[rung], TABLE_REACH + 1)])


def best(distance: int, quantiser: int, rung: int, rates: Integers) -> list[tuple[int, int]]:
    """Of an even value, then of an odd one: what it costs, and its magnitude.

    They are the two beside the distance.  Zero is tried in place of a small even one.
    """
    low = (distance + HALF_STEP * quantiser) // (2 * HALF_STEP)
    found = [(cost(distance, m, quantiser, rung, rates), m) for m in (low + low % 2, low + 1 - low % 2)]
    if 0 < low <= ZERO_REACH:
        zero = cost(distance, 0, quantiser, rung, rates)
        found[0] = (zero, 0) if zero < found[0][0] else found[0]
    return found


def _chain(distances: list[int], rungs: list[int], rates: Integers) -> list[tuple[int, int]]:
    after = np.array([[next_state(state, bit) for bit in (0, 1)] for state in range(STATES)])
    even, odd = after.argsort(0).T  # the states that lead to each one, by an even value and by an odd one
    metrics = np.full(STATES, FAR)
    metrics[0] = 0
    back: list[tuple[list[list[tuple[int, int]]], NDArray[np.bool_]]] = []
    for distance, rung in zip(distances, rungs, strict=True):
        tried = [best(distance, quantiser, rung, rates) for quantiser in (0, 1)]
        costs = np.array([[found[0] for found in pair] for pair in tried])
        by_even, by_odd = metrics[even] + costs[even % 2, 0], metrics[odd] + costs[odd % 2, 1]
        back.append((tried, by_odd < by_even))
        metrics = np.minimum(by_even, by_odd)
        metrics -= metrics.min()
    state, found = int(metrics.argmin()), []
    for tried, from_odd in reversed(back):
        bit = int(from_odd[state])
        state = int((odd if bit else even)[state])
        found.append((tried[state % 2][bit][1], state % 2))
    return found[::-1]
