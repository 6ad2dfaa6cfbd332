"""Probability tables: integer frequencies, the same on every machine.

Frequencies sum to 4096. Measured on 64 quantised-Gaussian tables, scales 0.11 to 32, 1.38 bits per symbol:

    bits   size above the entropy of the true model   decoding array per table
    12     0.021 %                                     16 KiB   64 tables: 1 MiB, a core's L2 cache
    13     0.010 %                                     32 KiB
    14     0.005 %                                     64 KiB   64 tables: 4 MiB, L3 cache
    16     0.001 %                                    256 KiB

Twelve bits cost 0.02 % and keep the decoder's one load per symbol inside the L2 cache. A certain symbol costs 0.00035
bits. Tables are made offline (`quantize_pmf`, `fit_table`) and stored as integers: a stream must never depend on a
floating-point result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _coder
from .arrays import INT32, UINT16, integers, pair

PRECISION = 12
TOTAL = 1 << PRECISION
MAX_TABLES = 256
MAX_SIZE = 256


class Tables:
    """A set of tables, validated once.

    frequencies: uint16 (n, m), n <= 256. Row t: the first sizes[t] are >= 1 and sum to 4096, the rest are 0.
    lows: int32 (n,). Entries 0 .. sizes[t]-2 code the values lows[t] .. lows[t]+sizes[t]-2.
    sizes: int32 (n,), 2 .. 256. Entry sizes[t]-1 is the escape: what lies outside is coded exactly after it.

    ValueError with the row and the reason. Speed: a set whose values all lie in -127..127 is coded fastest, any other
    takes up to 1.5 times as long. Making a set takes 17 KiB and 10 microseconds per table: do it once.
    """

    def __init__(
        self, frequencies: NDArray[np.uint16], lows: NDArray[np.int32], sizes: NDArray[np.int32]
    ) -> None:
        # copies that nobody can write to: the C++ side has its own
        self.frequencies: NDArray[np.uint16] = _frozen(integers(frequencies, UINT16, "frequencies"))
        self.lows: NDArray[np.int32] = _frozen(integers(lows, INT32, "lows"))
        self.sizes: NDArray[np.int32] = _frozen(integers(sizes, INT32, "sizes"))
        self.core = _coder.Tables(self.frequencies, self.lows, self.sizes)

    def __len__(self) -> int:
        return len(self.lows)

    def __repr__(self) -> str:
        return f"Tables({len(self)} tables of {self.sizes.min()}..{self.sizes.max()} entries)"

    def bits(self, symbols: NDArray[np.int32], indices: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Cost of each symbol in bits, float32 in the shape of `symbols`: 12 - log2(frequency), for an escape plus its
        1 + 2 floor(log2(distance + 1)) + 1 bypass bits. A stream is longer by about 3 bytes per lane: see
        kernels/coder.hpp.
        """
        values, tables = pair(symbols, indices)
        bits: NDArray[np.float32] = self.core.bits(values, tables).reshape(values.shape)
        return bits

    def mean_bits(self) -> NDArray[np.float32]:
        """Expected bits of a symbol drawn from each table, float32 (n,): its entropy; bypass bits are not counted."""
        p = self.frequencies.astype(np.float64) / TOTAL
        return np.asarray(-(p * np.log2(np.where(p > 0, p, 1))).sum(axis=1), np.float32)

    @staticmethod
    def stack(rows: list[tuple[NDArray[np.uint16], int]]) -> Tables:
        """Tables of (frequencies uint16 (k,), low) pairs, as `fit_table` returns them."""
        if not rows:
            raise ValueError("there must be at least one table")
        frequencies = np.zeros((len(rows), max(len(row) for row, _ in rows)), np.uint16)
        for t, (row, _) in enumerate(rows):
            frequencies[t, : len(row)] = row
        lows = np.array([low for _, low in rows], np.int32)
        return Tables(frequencies, lows, np.array([len(row) for row, _ in rows], np.int32))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array = array.copy()
    array.setflags(write=False)
    return array


def quantize_pmf(p: NDArray[np.float64], escape: float) -> NDArray[np.uint16]:
    """The integer frequencies that code a distribution in the fewest bits.

    p: (k,) probabilities (or weights) of the table's values, 1 <= k <= 255, >= 0. escape: that of anything else.
    Returns uint16 (k+1,), each >= 1, summing to 4096, with the smallest sum of -weight * log2(frequency). ValueError
    for a negative or non-finite weight, or when all are 0.
    """
    weights = np.append(np.asarray(p, np.float64), escape)
    if weights.ndim != 1 or not 2 <= len(weights) <= MAX_SIZE:
        raise ValueError(f"p must be (k,) with 1 <= k <= {MAX_SIZE - 1}, not {np.shape(p)}")
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise ValueError("weights must be finite, >= 0, and not all 0")
    frequencies = np.maximum(1, np.floor(weights / weights.sum() * TOTAL)).astype(np.int64)
    while True:
        # the cost is convex in each frequency, so single steps that help lead to the optimum
        gain = weights * np.log1p(1 / frequencies)
        loss = np.where(frequencies > 1, -weights * np.log1p(-1 / np.maximum(frequencies, 2)), np.inf)
        more, less = int(gain.argmax()), int(loss.argmin())
        missing = TOTAL - int(frequencies.sum())
        if missing == 0 and not gain[more] > loss[less] * (1 + 1e-9):
            return np.asarray(frequencies, np.uint16)
        frequencies[more] += missing >= 0
        frequencies[less] -= missing <= 0


def fit_table(p: NDArray[np.float64], low: int) -> tuple[NDArray[np.uint16], int]:
    """Frequencies and low of the table that codes a distribution in the fewest bits: its tails go to the escape.

    p: (k,) probabilities (or weights) of the values low .. low+k-1, any k >= 1, one main peak.
    Returns (uint16 (m+1,), low of the first kept value), m <= 255.
    """
    weights = np.asarray(p, np.float64)
    if weights.ndim != 1 or len(weights) == 0:
        raise ValueError(f"p must be (k,), not {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise ValueError("weights must be finite, >= 0, and not all 0")
    best: tuple[float, NDArray[np.uint16], int] | None = None
    for first, last in _spans(weights / weights.sum()):
        frequencies = quantize_pmf(weights[first:last], float(weights[:first].sum() + weights[last:].sum()))
        bits = _expected_bits(weights, frequencies, first, last)
        if best is None or bits < best[0]:
            best = (bits, frequencies, low + first)
    assert best is not None
    return best[1], best[2]


def _spans(p: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Candidate ranges [first, last) of kept values: all those whose probability is at least a threshold."""
    spans = set()
    for threshold in np.geomspace(p.max(), 1e-7, 48):
        kept = np.flatnonzero(p >= min(threshold, p.max()))
        first, last = int(kept[0]), int(kept[-1]) + 1
        if last - first < MAX_SIZE:
            spans.add((first, last))
    return sorted(spans) or [(int(p.argmax()), int(p.argmax()) + 1)]


def _expected_bits(p: NDArray[np.float64], frequencies: NDArray[np.uint16], first: int, last: int) -> float:
    cost = PRECISION - np.log2(frequencies.astype(np.float64))
    total = float(p[first:last] @ cost[:-1])
    for tail in (p[:first][::-1], p[last:]):
        bypass = 2 + 2 * np.floor(np.log2(np.arange(1, len(tail) + 1)))
        total += float(tail @ (cost[-1] + bypass))
    return total
