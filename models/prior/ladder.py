"""The ladder of zero-mean CDF tables that code quantised coefficients.

A prior names a rung 0..RUNGS-1 for every coefficient; rung i stands for a Laplace-like distribution of scale
FIRST_SCALE * 2**(i / PER_OCTAVE) quantisation steps.  The first TABLES rungs are CDF tables fitted to the symbols that
really fall on them (`fitted`).  Wider rungs split a coefficient v: v >> shift is coded with the table `shift` octaves
narrower, and the low bits with a uniform table, so that no alphabet passes 256 symbols.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables

TABLES = 72  # rungs that are tables: nine octaves of scale
PER_OCTAVE = 8
FIRST_SCALE = 0.06  # scale of rung 0 in steps: there almost every symbol is 0
MAX_SHIFT = 6  # most low bits that are split off: six more octaves
RUNGS = TABLES + MAX_SHIFT * PER_OCTAVE
TABLE_REACH = 127  # tables hold -TABLE_REACH..TABLE_REACH; the rest escapes
TABLE_NAMES = ("tables.frequencies", "tables.lows", "tables.sizes")  # names in a weights file


def shift_of(rung: int) -> int:
    """Low bits that are split off on a rung."""
    return max(0, (rung - TABLES + PER_OCTAVE) // PER_OCTAVE)


SHIFTS: NDArray[np.int32] = np.array([shift_of(rung) for rung in range(RUNGS)], np.int32)


COST_UNIT = 1024  # costs are whole numbers of 1 / COST_UNIT bits, the same whatever rounds the logarithm
_COSTS: NDArray[np.float32] = np.array(
    [0.0, *(math.floor((12 - math.log2(frequency)) * COST_UNIT + 0.5) / COST_UNIT for frequency in range(1, 4097))],
    np.float32,
)


def costs_of(tables: Tables, first: int = 0) -> NDArray[np.float32]:
    """Bits of |v| = 0..TABLE_REACH and of an escape on every rung of the ladder at table `first`.

    (RUNGS, TABLE_REACH + 2).
    """
    rows = slice(first, first + TABLES)
    frequencies, low, last = tables.frequencies[rows], tables.lows[rows, None], tables.sizes[rows, None] - 1
    place = np.arange(TABLE_REACH + 2) - low
    beyond = np.maximum(np.maximum(-place, place - last + 1), 0)  # the last entry is the escape
    chosen = np.take_along_axis(frequencies, np.where(beyond > 0, last, place), 1)
    bypass = 2 * np.frexp(beyond.astype(np.float64))[1]  # twice the bit length
    bits = _COSTS[chosen] + bypass.astype(np.float32)
    wide = np.tile(bits[-PER_OCTAVE:], (MAX_SHIFT, 1)) + SHIFTS[TABLES:, None].astype(np.float32)
    return np.concatenate([bits, wide])


SPENT_UNIT = 1 << 16  # bits are counted in 1 / SPENT_UNIT: most symbols cost less than a thousandth of a bit
COST_REACH = 256  # values -COST_REACH .. COST_REACH - 1 have a cost of their own in `values_cost`: all of any table


def values_cost(tables: Tables, first: int = 0) -> NDArray[np.int32]:
    """What values cost on every rung of the ladder at table `first`, in 1 / SPENT_UNIT bits: (RUNGS, 2 COST_REACH + 3).

    Values are those of the table, after the shift of wide rungs.  A row has the values -COST_REACH .. COST_REACH - 1,
    then an escape without its distance, then the first and the last value of the table.
    """
    rows = slice(first, first + TABLES)
    frequencies, low, last = tables.frequencies[rows], tables.lows[rows, None], tables.sizes[rows, None] - 1
    logarithms = [math.floor((12 - math.log2(frequency)) * SPENT_UNIT + 0.5) for frequency in range(1, 4097)]
    units = np.array([0, *logarithms], np.int32)
    place = np.arange(-COST_REACH, COST_REACH) - low
    beyond = np.maximum(np.maximum(-place, place - last + 1), 0)
    chosen = np.take_along_axis(frequencies, np.where(beyond > 0, last, place), 1)
    bypass = 2 * SPENT_UNIT * np.frexp(beyond.astype(np.float64))[1]
    escape = units[np.take_along_axis(frequencies, last, 1)]
    costs = np.concatenate([units[chosen] + bypass, escape, low, low + last - 1], 1).astype(np.int32)
    wide = np.tile(costs[-PER_OCTAVE:], (MAX_SHIFT, 1))
    wide[:, :-2] += SPENT_UNIT * SHIFTS[TABLES:, None]
    return np.concatenate([costs, wide])


def spent_units(costs: NDArray[np.int32], values: NDArray[np.int32], rungs: NDArray[np.uint8]) -> NDArray[np.int32]:
    """What each value costs on its rung, the low part included, in 1 / SPENT_UNIT bits; costs: of `values_cost`."""
    high = values >> SHIFTS[rungs]
    column = np.clip(high, -COST_REACH, COST_REACH - 1) + COST_REACH
    spent = costs.ravel().take(rungs * np.int32(costs.shape[1]) + column)
    far = np.nonzero((high < -COST_REACH) | (high >= COST_REACH))
    escape, lowest, highest = costs[rungs[far], -3:].T
    beyond = np.where(high[far] > 0, high[far] - highest, lowest - high[far])
    spent[far] = escape + 2 * SPENT_UNIT * np.frexp(beyond.astype(np.float64))[1]
    return spent
