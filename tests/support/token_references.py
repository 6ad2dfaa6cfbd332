"""Reductions written out loop by loop in float64, as the papers state them: the slow twins of models.tokens.methods.

Rows are numpy arrays (N, C).  Ties go to the lower row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.float64]


def rows_of(x: Tensor) -> Rows:
    """(..., C) as (N, C) in float64."""
    found: Rows = x.reshape(-1, x.shape[-1]).double().numpy()
    return found


def cosine(a: Rows, b: Rows) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def best(values: Sequence[float], count: int) -> list[int]:
    """The `count` places of highest value, ascending."""
    return sorted(sorted(range(len(values)), key=lambda i: -values[i])[:count])


def k_center(x: Rows, count: int, first: int = 0) -> list[int]:
    """Each further row is the one farthest from those chosen, in the order of choice."""
    chosen = [first]
    while len(chosen) < count:
        gaps = [-1.0 if i in chosen else min(((x[i] - x[c]) ** 2).sum() for c in chosen) for i in range(len(x))]
        chosen.append(int(np.argmax(gaps)))
    return chosen


def k_means(x: Rows, count: int, steps: int) -> list[int]:
    """Lloyd's algorithm from greedy k-centers; no part may run empty."""
    centres = x[k_center(x, count)]
    for _ in range(steps + 1):
        labels = [int(np.argmin([((row - centre) ** 2).sum() for centre in centres])) for row in x]
        assert set(labels) == set(range(count)), "choose an input whose parts stay filled"
        centres = np.stack([np.mean([x[i] for i in range(len(x)) if labels[i] == k], 0) for k in range(count)])
    return labels


def density_peaks(x: Rows, count: int, neighbours: int, threshold: float | None = None) -> list[int]:
    """Centres are dense and far from what is denser; every other row follows its nearest denser row.

    threshold: every row whose distance to a denser one is at least this share of the largest is a centre, at most
    `count`.
    """
    n = len(x)
    far = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    spread = [np.mean(np.sort(np.delete(far[i], i))[:neighbours] ** 2) for i in range(n)]
    density = [float(np.exp(-value / np.mean(spread))) for value in spread]
    order = sorted(range(n), key=lambda i: -density[i])
    gap, parent = [np.inf] * n, list(range(n))
    for place, i in enumerate(order[1:], 1):
        parent[i] = min(sorted(order[:place]), key=lambda j: far[i, j])
        gap[i] = far[i, parent[i]]
    if threshold is not None:
        largest = max(value for value in gap if np.isfinite(value))
        count = min(count, sum(value >= threshold * largest for value in gap))
        worth = gap
    else:
        worth = [value * density[i] for i, value in enumerate(gap)]
    centres = best([float(value) for value in worth], count)
    labels = {centre: k for k, centre in enumerate(centres)}
    for i in order:
        if i not in labels:
            labels[i] = labels[parent[i]]
    return [labels[i] for i in range(n)]


def matching(x: Rows, sizes: Sequence[int], count: int, threshold: float = -2.0) -> list[set[int]]:
    """ToMe: in passes, the rows at even places merge into the rows at odd places that they are most like."""
    parts, values, mass = [{i} for i in range(len(x))], [row.copy() for row in x], [float(n) for n in sizes]
    while len(parts) > count:
        even, odd = range(0, len(parts), 2), range(1, len(parts), 2)
        if not odd:
            break
        pairs = []
        for i in even:
            likeness = [cosine(values[i], values[j]) for j in odd]
            pairs.append((max(likeness), i, odd[int(np.argmax(likeness))]))
        pairs = sorted(pairs, key=lambda pair: -pair[0])[: len(parts) - count]
        pairs = [pair for pair in pairs if pair[0] >= threshold]
        if not pairs:
            break
        sums = [value * m for value, m in zip(values, mass, strict=True)]
        for _, i, j in pairs:
            parts[j] |= parts[i]
            sums[j] = sums[j] + values[i] * mass[i]
        mass = [m + sum(mass[i] for _, i, k in pairs if k == j) for j, m in enumerate(mass)]
        gone = {i for _, i, _ in pairs}
        left = [j for j in range(len(parts)) if j not in gone]
        parts, values, mass = [parts[j] for j in left], [sums[j] / mass[j] for j in left], [mass[j] for j in left]
    return parts


def absorbing(x: Rows, threshold: float) -> list[list[int]]:
    """D-CoDe: in order, each free row takes all free rows whose cosine to it reaches the threshold."""
    parts, free = [], list(range(len(x)))
    while free:
        near = [i for i in free if i == free[0] or cosine(x[i], x[free[0]]) >= threshold]
        parts.append(near)
        free = [i for i in free if i not in near]
    return parts


def followers(x: Rows, kept: Sequence[int], neighbours: int) -> dict[int, list[int]]:
    """Kept row -> itself and the dropped rows that are most like it, its `neighbours` nearest ones at most."""
    target = {i: max(kept, key=lambda k: cosine(x[i], x[k])) for i in range(len(x)) if i not in kept}
    found = {}
    for k in kept:
        mine = sorted((i for i in target if target[i] == k), key=lambda i: -cosine(x[i], x[k]))
        found[k] = [k, *mine[:neighbours]]
    return found


def partition(labels: Sequence[int] | Tensor) -> set[frozenset[int]]:
    """Labels as parts, whatever their names; -1 is left out."""
    names = [int(label) for label in labels]
    return {frozenset(i for i, name in enumerate(names) if name == label) for label in set(names) if label >= 0}


def mean_of(x: Rows, part: Sequence[int], weight: Sequence[float] | None = None) -> Rows:
    found: Rows = np.average(x[list(part)], axis=0, weights=weight)
    return found
