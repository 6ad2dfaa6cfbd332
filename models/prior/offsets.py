"""Offsets that a frame adds to the rungs of each slice of a dyadic pyramid (FORMAT.md section 24).

A prior that learned from many pictures names rungs a little too narrow or too wide for one of them.  An encoder weighs
what the values of a trial would cost on the rungs beside (`weigh` in kernels/dyadic_frame.cpp), and offsets save more
than their own bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import SymbolPort
from ..base.ports import Metered, Nowhere
from .ladder import RUNGS, TABLES

OFFSET_REACH = 6  # an encoder tries -OFFSET_REACH .. OFFSET_REACH
WEIGHED = 8192  # values of a pass that it looks at
OFFSET_TABLE = 36  # of magnitudes
BIT_TABLE = TABLES  # the uniform table of one bit

Offsets = tuple[int, ...]  # of each slice, coarse levels first


def chosen(weighed: NDArray[np.int64], bits: NDArray[np.float32], bit: float) -> Offsets:
    """The offsets that cost least, none where they do not save their own bits.

    weighed (slices of all levels, 2 OFFSET_REACH + 1): what values cost with each; bits: of |offset| and its
    sign; bit: what one costs in the unit of `weighed`.
    """
    reach = np.arange(-OFFSET_REACH, OFFSET_REACH + 1)
    priced = weighed + bit * bits[np.abs(reach)].astype(np.float64)
    # the first one of equals is the smallest in magnitude
    order = np.argsort(np.abs(reach), kind="stable")
    found = reach[order][priced[:, order].argmin(1)]
    saved = weighed[:, OFFSET_REACH].sum() - priced[np.arange(len(priced)), found + OFFSET_REACH].sum()
    return tuple(found.tolist()) if saved > 0 and found.any() else ()


def bits_of(offsets: Offsets, tables: Tables) -> float:
    """What `put` takes."""
    meter = Metered(Nowhere(), tables)
    put(meter, offsets)
    return meter.spent


def put(port: SymbolPort, offsets: Offsets) -> None:
    """Put offsets; an empty tuple stands for zeros."""
    port.put(np.array([len(offsets) > 0], np.int32), np.array([BIT_TABLE], np.uint8))
    if offsets:
        values = np.array(offsets, np.int32)
        port.put(np.abs(values), np.full(len(values), OFFSET_TABLE, np.uint8))
        if coded := values[values != 0].size:
            port.put((values[values != 0] < 0).astype(np.int32), np.full(coded, BIT_TABLE, np.uint8))


def get(port: SymbolPort, count: int) -> Offsets:
    """Get what `put` put, of `count` slices."""
    if not int(port.get(np.array([BIT_TABLE], np.uint8))[0]) & 1:
        return ()
    values = port.get(np.full(count, OFFSET_TABLE, np.uint8)).clip(0, RUNGS - 1)
    coded = np.flatnonzero(values)
    if coded.size:
        negative = port.get(np.full(coded.size, BIT_TABLE, np.uint8)) & 1
        values[coded] = np.where(negative == 1, -values[coded], values[coded])
    return tuple(values.tolist())
