"""Symbols of one pass to or from the port, wide ones in two parts; and what they cost."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import SymbolPort
from .ladder import PER_OCTAVE, SHIFTS, TABLES

LARGEST = 1 << 24  # largest |v|, far beyond that of any picture: float32 holds every value exactly
Integers = NDArray[np.int32]
Rungs = NDArray[np.uint8]


def put(port: SymbolPort, values: Integers, rungs: Rungs) -> Integers:
    """Put `values` (n,) int32, one rung each, and return them as they are put: clipped to -LARGEST..LARGEST.

    A rung past the last table splits its value: the high part on a table, the low bits on a uniform one.
    """
    values = _bounded(values)
    shift, index, wide = _split(rungs)
    high = values >> shift
    port.put(high, index)
    if wide.size:
        port.put((values - (high << shift))[wide], (TABLES - 1 + shift[wide]).astype(np.uint8))
    return values


def get(port: SymbolPort, rungs: Rungs) -> Integers:
    """Get what `put` put: int32 (n,).

    A stream may hold any int32 in either part; their sum is clipped, here as in the kernels (`Walk::update`).
    """
    shift, index, wide = _split(rungs)
    values = port.get(index) << shift
    if wide.size:
        values[wide] |= port.get((TABLES - 1 + shift[wide]).astype(np.uint8))  # a sum would overflow on hostile parts
    return _bounded(values)


def _split(rungs: Rungs) -> tuple[Integers, Rungs, NDArray[np.intp]]:
    """The shift of every rung, the table of its high part, and where the shift is not 0."""
    shift = SHIFTS[rungs]
    return shift, (rungs - (PER_OCTAVE * shift)).astype(np.uint8), np.flatnonzero(shift)


def _bounded(values: Integers) -> Integers:
    return np.clip(values, -LARGEST, LARGEST)


def spent_bits(tables: Tables, values: Integers, rungs: Rungs, first: int = 0) -> NDArray[np.float32]:
    """Bits of each value on its rung, the low part included; `first`: where the ladder stands.

    Few rungs are wide, so those alone are split: this is a large part of the time that reading latents takes.
    """
    high, index = values, rungs.astype(np.uint8)
    wide = np.flatnonzero(index >= TABLES)
    shift = SHIFTS[index.flat[wide]]
    if wide.size:
        high = high.copy()
        high.flat[wide] >>= shift
        index.flat[wide] -= (PER_OCTAVE * shift).astype(np.uint8)
    bits = tables.bits(high, index + np.uint8(first))
    bits.flat[wide] += shift.astype(np.float32)
    return bits


def share(plane: NDArray[Any], depth: int, size: tuple[int, int], unit: int = 1) -> NDArray[np.float32]:
    """Bits of each coefficient, given in 1 / unit, in equal parts on the cells that it stands for."""
    owners, areas = _owners(depth, size)
    shared: NDArray[np.float32] = plane.astype(np.float32) / (areas * unit).astype(np.float32)
    spread: NDArray[np.float32] = shared.ravel()[owners]
    return spread


@lru_cache(maxsize=64)
def _owners(depth: int, size: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The coefficient (h, w) that stands for each cell, `depth` levels up, and the cells (., .) of each coefficient."""
    rows, columns = (np.arange(n) >> depth for n in size)
    areas = np.bincount(rows)[:, None] * np.bincount(columns)
    return rows[:, None] * areas.shape[1] + columns, areas
