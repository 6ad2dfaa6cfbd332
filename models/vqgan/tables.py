"""CDF tables of family `vqgan`: one for each logit, over the turns left (0) and right (1).

They are made once, when weights are exported, and stored as integers: coding computes no probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables, quantize_pmf
from ..prior.ladder import COST_UNIT, TABLE_NAMES
from .index_prior import LOGITS, PER_UNIT


def turn_tables() -> dict[str, NDArray[Any]]:
    """By their names in a weights file: table LOGITS + l is that of logit l in eighths, -LOGITS <= l <= LOGITS."""
    logits = np.arange(-LOGITS, LOGITS + 1) / PER_UNIT
    right = 1.0 / (1.0 + np.exp(-logits))
    tables = Tables.stack([(quantize_pmf(np.array([1.0 - p, p]), 0.0), 0) for p in right])
    return dict(zip(TABLE_NAMES, (tables.frequencies.astype(np.int32), tables.lows, tables.sizes), strict=True))


def read_tables(arrays: Mapping[str, NDArray[Any]]) -> Tables:
    """The tables of a weights file.  KeyError or ValueError when they are not there or not these."""
    frequencies, lows, sizes = (arrays[name] for name in TABLE_NAMES)
    tables = Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))
    if len(tables) != 2 * LOGITS + 1 or bool((tables.lows != 0).any() or (tables.sizes != 3).any()):
        raise ValueError("the weights' tables are not of turns")
    return tables


def turn_costs(tables: Tables) -> NDArray[np.float32]:
    """Cost of a turn left and right on every table, (2, tables): whole numbers of 1 / COST_UNIT bits.

    They are the same whatever rounds the logarithm: none comes near a half (a test looks).
    """
    rows = tables.frequencies[:, :2].T.tolist()
    return np.array([[math.floor((12 - math.log2(f)) * COST_UNIT + 0.5) for f in row] for row in rows], np.float32)
