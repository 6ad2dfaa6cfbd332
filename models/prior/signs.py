"""Signs of coefficients: a binary table for each step of a logit, and the ladder of tables of magnitudes.

A prior that predicts signs codes |v| on a table of the ladder (`ladder`, folded: 0..TABLE_REACH and the escape), low
bits of wide rungs on uniform tables, and the sign of every v that is not 0 on one of SIGN_TABLES tables: symbol 1 says
that v is negative.  Table i codes logits of v > 0 from (i - SIGN_TABLES / 2) / 4 on, for a quarter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .ladder import SPENT_UNIT, costs_of

SIGN_TABLES = 32
LOGITS_PER_ANSWER = 4  # an answer of the network stands for a quarter of a logit, one table
SIGN_TABLE_NAMES = ("signs.frequencies", "signs.lows", "signs.sizes")


def sign_costs(tables: Tables, first: int) -> NDArray[np.int32]:
    """What the symbols 0 and 1 of each table of signs cost, in 1 / SPENT_UNIT bits: (SIGN_TABLES, 2)."""
    frequencies = tables.frequencies[first : first + SIGN_TABLES, :2].tolist()
    costs = [[math.floor((12 - math.log2(n)) * SPENT_UNIT + 0.5) for n in row] for row in frequencies]
    return np.array(costs, np.int32)


def magnitude_costs(tables: Tables, first: int = 0) -> NDArray[np.float32]:
    """Bits of |v| and of an even sign on every rung of the ladder of magnitudes at table `first`; see `costs_of`."""
    costs = costs_of(tables, first)
    costs[:, 1:] += 1
    return costs
