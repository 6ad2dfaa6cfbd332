"""Fitting the tables of `motion.field` to recorded motion fields.

There are far more contexts than tables.  Contexts that cost the fewest bits on the same table share it: Lloyd's
iteration with the coding cost as the distance (entropy-constrained vector quantisation of histograms; Chou, Lookabaugh
and Gray 1989).  Differences get tables that are even in their sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import PRECISION, Tables, fit_table, quantize_pmf
from ..motion.coder import MotionCoder, record
from ..motion.field import KINDS, MODES, NEW, SOURCES, TABLE_NAMES, Field, Modes, SymbolPart

Floats = NDArray[np.float64]

SHARES = {"uniform": 1, "mode": 9, "source": 2, "choice": 12, "difference": 16}  # how many tables each kind gets
GROUPS = {  # the kinds that share tables
    "uniform": ("uniform",),
    "mode": ("mode",),
    "source": ("source",),
    "choice": ("choice",),
    "difference": ("dy", "dx"),
}
ALPHABETS = {"uniform": MODES + 1, "source": len(SOURCES), "mode": MODES, "choice": NEW + 1}
LARGEST_COUNTED = 255  # largest |difference| that is counted by itself; larger ones count as this
ROUNDS = 3  # fits: the first counts every guess, later ones those that were cheapest with the tables before
ITERATIONS = 40  # most steps of Lloyd's iteration
BACKED = (1.0, 0.1, 0.01, 0.001, 0.0001)  # pseudo-counts from contexts that differ in 1, 2, .. coordinates


@dataclass(frozen=True)
class Recorded:
    """One frame's motion, as `MotionCoder.put` takes it."""

    fields: Sequence[Field]
    modes: Modes | None
    guesses: Sequence[Field | None]


def fit(frames: Sequence[Recorded], shares: dict[str, int] = SHARES) -> dict[str, NDArray[Any]]:
    """The `motion.*` arrays that code `frames` in few bits."""
    cost: Callable[[list[SymbolPart]], float] | None = None
    for _ in range(ROUNDS):
        parts = [part for frame in frames for part in record(frame.fields, frame.modes, frame.guesses, cost)[1]]
        arrays = _fit(parts, shares)
        cost = MotionCoder(arrays).cost
    return arrays


def _fit(parts: list[SymbolPart], shares: dict[str, int]) -> dict[str, NDArray[Any]]:
    rows: list[tuple[NDArray[np.uint16], int]] = []
    maps: dict[str, NDArray[Any]] = {}
    for name, kinds in GROUPS.items():
        signed = name not in ALPHABETS
        counts = [_backed_off(_count(parts, kind, ALPHABETS.get(name, LARGEST_COUNTED + 1))) for kind in kinds]
        histograms = np.concatenate([count.reshape(-1, count.shape[-1]) for count in counts])
        assigned = cluster(histograms, shares[name], int(signed))
        first = len(rows)
        for table in range(shares[name]):
            total = histograms[assigned == table].sum(0)
            rows.append(_even_table(total) if signed else (quantize_pmf(total + 1e-9, 0.0), 0))
        ends = np.cumsum([count[..., 0].size for count in counts])[:-1]
        for kind, share in zip(kinds, np.split(assigned + first, ends), strict=True):
            maps[f"motion.{kind}"] = share.astype(np.uint8).reshape(KINDS[kind])
    tables = Tables.stack(rows)
    arrays = (tables.frequencies.astype(np.int32), tables.lows, tables.sizes)
    return maps | dict(zip(TABLE_NAMES, arrays, strict=True))


def _count(parts: list[SymbolPart], kind: str, alphabet: int) -> Floats:
    """Histograms (*contexts, alphabet) of |symbol|."""
    flat = np.zeros(int(np.prod(KINDS[kind])) * alphabet)
    seen = [
        contexts * alphabet + np.minimum(np.abs(symbols), alphabet - 1) for k, contexts, symbols in parts if k == kind
    ]
    if seen:
        flat += np.bincount(np.concatenate(seen), minlength=len(flat))
    return flat.reshape(*KINDS[kind], alphabet)


def _backed_off(counts: Floats) -> Floats:
    """Counts with a part of those of similar contexts added, so that rare contexts get a sensible table."""
    pooled, result = counts, counts.copy()
    axes = [0, *range(counts.ndim - 2, 0, -1)]
    for axis, weight in zip(axes, BACKED, strict=False):
        pooled = pooled.sum(axis, keepdims=True)
        result += weight * pooled / np.maximum(pooled.sum(-1, keepdims=True), 1.0)
    return result


def cluster(histograms: Floats, groups: int, sign_bits: int) -> NDArray[np.intp]:
    """The group 0..groups-1 of each of `histograms` (n, alphabet), symbols past the first costing `sign_bits` more."""
    symbols = np.log2(np.arange(histograms.shape[1]) + 1.0)
    total = histograms.sum(1)
    order = np.argsort(histograms @ symbols / np.maximum(total, 1e-12), kind="stable")
    assigned = np.empty(len(order), np.intp)
    assigned[order] = np.minimum(np.arange(len(order)) * groups // len(order), groups - 1)
    for _ in range(ITERATIONS):
        merged = (np.arange(groups)[:, None] == assigned).astype(np.float64) @ histograms
        merged += 0.05 / (1.0 + np.arange(histograms.shape[1]))
        cost = -np.log2(np.maximum(merged / merged.sum(1, keepdims=True), 2.0 ** -(PRECISION + 1)))
        cost[:, 1:] += sign_bits
        nearest = (histograms @ cost.T).argmin(1)
        if np.array_equal(nearest, assigned):
            break
        assigned = nearest
    return assigned


def _even_table(counts: Floats) -> tuple[NDArray[np.uint16], int]:
    """A table of -LARGEST_COUNTED..LARGEST_COUNTED from counts of magnitudes; those far out are smoothed."""
    edges = np.concatenate([[0.0], np.cumsum(counts)])
    magnitude = np.arange(len(counts))
    low, high = magnitude - magnitude // 8, np.minimum(magnitude + magnitude // 8, len(counts) - 1)
    smooth = (edges[high + 1] - edges[low]) / (high + 1 - low) + 0.05 / (1.0 + magnitude) ** 2
    half = smooth[1:] / 2
    return fit_table(np.concatenate([half[::-1], smooth[:1], half]), -len(half))
