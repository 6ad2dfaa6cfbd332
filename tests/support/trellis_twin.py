"""The search of kernels/trellis.hpp in plain Python: Viterbi's algorithm over the states, one chain after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tessera.models.prior.ladder import SHIFTS, TABLE_REACH
from tessera.models.prior.quantisers import HALF_STEP, NEXT, chains_of

Integers = NDArray[np.int32]
Choice = tuple[int, int, int]  # cost, magnitude, quantiser

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


def candidates(distance: int, quantiser: int) -> list[int]:
    """Values that are tried: both beside a distance, and zero beside small ones."""
    low = (distance + HALF_STEP * quantiser) // (2 * HALF_STEP)
    return sorted({low, low + 1} | ({0} if low <= ZERO_REACH else set()), reverse=True)


def _chain(distances: list[int], rungs: list[int], rates: Integers) -> list[tuple[int, int]]:
    states = len(NEXT)
    metrics = [0] + [FAR] * (states - 1)
    back: list[list[tuple[int, int]]] = []  # of each value and state: the state before, and the magnitude
    for distance, rung in zip(distances, rungs, strict=True):
        best: list[tuple[int, int, int, int] | None] = [None] * states
        for state in range(states):
            for magnitude in candidates(distance, state % 2):
                total = metrics[state] + cost(distance, magnitude, state % 2, rung, rates)
                after = NEXT[state][magnitude % 2]
                # where costs are equal, an even value comes before an odd one, and a larger value before zero
                key = (total, magnitude % 2, state, magnitude)
                kept = best[after]
                if kept is None or key[:2] < kept[:2]:
                    best[after] = key
        reached = [key for key in best if key is not None]
        assert len(reached) == states
        back.append([(key[2], key[3]) for key in reached])
        least = min(key[0] for key in reached)
        metrics = [key[0] - least for key in reached]
    state, found = metrics.index(min(metrics)), []
    for step in reversed(back):
        before, magnitude = step[state]
        found.append((magnitude, before % 2))
        state = before
    return found[::-1]
