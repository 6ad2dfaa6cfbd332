"""The two quantisers of details (FORMAT.md section 24): tables of the odd one, and what a search for values weighs.

Quantiser 0, the even one, has values at whole steps, quantiser 1, the odd one, at 0 and half way between them.  The
lowest bits of the values coded before say which one the next value has (dependent, or trellis-coded, quantisation:
Marcellin and Fischer 1990; codes: Ungerboeck 1982).  Their search is in kernels/trellis.hpp.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .ladder import TABLES

QUANTISERS = 2
STATES, STATE_FEEDBACK, VALUE_FEEDBACK = 32, 20, 2  # Ungerboeck's code of parity checks 45 and 10 (octal)
MOST_CHAINS, CHAIN_VALUES = 16, 1024  # chains of a pass, and values for each
ODD_TABLES = 34
ODD_TABLE_NAMES = ("odd.frequencies", "odd.lows", "odd.sizes")  # in a weights file
ODD_TABLE_OF: NDArray[np.uint8] = np.minimum(np.arange(TABLES) // 2, ODD_TABLES - 1).astype(np.uint8)  # of a rung
HALF_STEP = 64  # a distance of one half step, in the search's units
LARGEST_RATE = 1 << 24
LATER_BITS = 0.3  # that |v| = 1 costs the values after it, which expect more: 0.2 to 0.5 were as good


def ladders(tables: Tables, first_odd: int) -> list[Tables]:
    """The ladder of magnitudes of each quantiser: TABLES tables, of which the odd one has some twice or more often."""
    rows = np.arange(TABLES), first_odd + ODD_TABLE_OF.astype(np.intp)
    return [Tables(tables.frequencies[at], tables.lows[at], tables.sizes[at]) for at in rows]


def next_state(state: int, value: int) -> int:
    """The state of a chain after a value."""
    return state >> 1 ^ (state % 2) * STATE_FEEDBACK ^ (value & 1) * VALUE_FEEDBACK


def chains_of(count: int) -> int:
    """Chains of a pass of `count` values."""
    chains = 1
    while chains < MOST_CHAINS and 2 * chains * CHAIN_VALUES <= count:
        chains *= 2
    return chains


def price_of_bit(rate_weight: float) -> float:
    """What a bit is worth in the search's squared errors; rate_weight: in squared steps."""
    return rate_weight * (2 * HALF_STEP) ** 2


def search_rates(costs: NDArray[np.float32], rate_weight: float) -> NDArray[np.int32]:
    """Bits (QUANTISERS, RUNGS, TABLE_REACH + 2) as squared errors, in those of 1 / HALF_STEP half steps.

    rate_weight: squared steps that a bit is worth.  What a value costs those that it is context of comes on top.
    """
    later = LATER_BITS * np.log2(1 + np.arange(costs.shape[-1]))
    rates = np.rint((costs.astype(np.float64) + later) * price_of_bit(rate_weight))
    found: NDArray[np.int32] = np.minimum(rates, LARGEST_RATE).astype(np.int32)
    return found
