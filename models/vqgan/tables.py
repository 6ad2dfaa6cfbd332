"""CDF tables of family `vqgan`: one for each logit, over the turns left (0) and right (1).

They are made once, when weights are exported, and stored as integers: coding computes no probability.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...entropy import Tables, quantize_pmf
from ..prior.ladder import TABLE_NAMES
from .prior import LOGITS, PER_UNIT


def turn_tables() -> dict[str, Tensor]:
    """By their names in a weights file: table LOGITS + l is that of logit l in eighths, -LOGITS <= l <= LOGITS."""
    logits = np.arange(-LOGITS, LOGITS + 1) / PER_UNIT
    right = 1.0 / (1.0 + np.exp(-logits))
    tables = Tables.stack([(quantize_pmf(np.array([1.0 - p, p]), 0.0), 0) for p in right])
    arrays = (tables.frequencies.astype(np.int32), tables.lows, tables.sizes)
    return {name: torch.from_numpy(np.array(array)) for name, array in zip(TABLE_NAMES, arrays, strict=True)}


def read_tables(tensors: dict[str, Tensor]) -> Tables:
    """The tables of a weights file.  KeyError or ValueError when they are not there or not these."""
    frequencies, lows, sizes = (tensors[name].numpy() for name in TABLE_NAMES)
    tables = Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))
    if len(tables) != 2 * LOGITS + 1 or bool((tables.lows != 0).any() or (tables.sizes != 3).any()):
        raise ValueError("the weights' tables are not of turns")
    return tables
