"""Clustering in blocks: no matrix of all pairs is ever held.

Products and distances are taken in float64 and ties go to the lower row, so that devices agree on who is nearest.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1 << 22  # entries of a block of pairs


def best_match(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of a (N, C) the largest dot product with a row of b (M, C), and that row; the first of equals."""
    a, b = a.double(), b.double()
    step = max(1, BLOCK // max(1, len(b)))
    found = [first_max(part @ b.T) for part in a.split(step)]
    return torch.cat([values for values, _ in found]), torch.cat([rows for _, rows in found])


def first_max(x: Tensor) -> tuple[Tensor, Tensor]:
    """Largest value along the last axis and the first place where it stands: plain `max` leaves ties open on a GPU."""
    values, places = x.max(-1)
    if x.device.type == "cpu":
        return values, places
    every = torch.arange(x.shape[-1], device=x.device)
    return values, torch.where(x == values[..., None], every, x.shape[-1]).amin(-1)


def nearest(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance (N,) to the nearest centre, and its row."""
    half = centres.square().sum(1) / 2
    step = max(1, BLOCK // max(1, len(centres)))
    found = [first_max(part @ centres.T - half) for part in x.split(step)]
    values = x.square().sum(1) - 2 * torch.cat([values for values, _ in found])
    return values.clamp_min(0), torch.cat([rows for _, rows in found])


def kmeans(x: Tensor, count: int, steps: int) -> Tensor:
    """(N,) labels, every one of 0..count-1 used.  Starts from greedy k-centers, so it is the same each time."""

    x = x.double()
    if count >= len(x):
        return torch.arange(len(x), device=x.device)
    centres = x[kcenter_rows(x, count)]
    for _ in range(steps):
        _, labels = nearest(x, centres)
        total = torch.zeros_like(centres).index_add_(0, labels, x)
        members = torch.bincount(labels, minlength=count)[:, None]
        centres = torch.where(members > 0, total / members.clamp_min(1), centres)
    distance, labels = nearest(x, centres)
    return fill_empty(labels, distance, count)


def fill_empty(labels: Tensor, distance: Tensor, count: int) -> Tensor:
    """Gives every unused label the farthest row of a part that has another one left."""
    members = torch.bincount(labels, minlength=count).tolist()
    empty = [label for label, n in enumerate(members) if n == 0]
    if not empty:
        return labels
    labels = labels.clone()
    for row in torch.sort(distance, descending=True, stable=True).indices.tolist():
        if not empty:
            break
        part = int(labels[row])
        if members[part] > 1:
            members[part] -= 1
            labels[row] = empty.pop(0)
    return labels


def density_peaks(x: Tensor, count: int, neighbours: int, threshold: float | None = None) -> Tensor:
    """(N,) labels by density peaks: `count` centres, or all whose distance to a denser row is at least `threshold`
    times the largest such distance, at most `count`.  Every other row follows its nearest denser row.
    """
    x = x.double()
    density = _density(x, min(neighbours, len(x) - 1))
    rank = torch.empty_like(density, dtype=torch.int64)
    order = torch.sort(density, descending=True, stable=True).indices
    rank[order] = torch.arange(len(x), device=x.device)
    delta, parent = _denser(x, rank)
    worth = delta if threshold is not None else delta * (density + 1e-12)
    worth[order[0]] = torch.inf
    if threshold is not None:
        finite = delta[torch.isfinite(delta)]
        count = min(count, 1 + int((finite >= max(threshold * float(finite.max()), 1e-6)).sum())) if len(finite) else 1
    centres = torch.sort(worth, descending=True, stable=True).indices[:count].sort().values
    return _follow(parent, centres)


def _density(x: Tensor, neighbours: int) -> Tensor:
    """exp(-mean squared distance to the nearest rows), scaled by the mean over all rows."""
    if neighbours < 1:
        return x.new_ones(len(x))
    step = max(1, BLOCK // len(x))
    near = [torch.cdist(part, x).topk(neighbours + 1, largest=False).values[:, 1:] for part in x.split(step)]
    distance = torch.cat(near).square().mean(1)
    return torch.exp(-distance / distance.mean().clamp_min(1e-12))


def _denser(x: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) to the nearest row of lower rank, and that row; the row of rank 0 gets inf and itself."""
    step = max(1, BLOCK // len(x))
    deltas, parents = [], []
    for part, mine in zip(x.split(step), rank.split(step), strict=True):
        distance = torch.cdist(part, x).masked_fill(rank[None] >= mine[:, None], torch.inf)
        values, rows = first_max(-distance)
        deltas.append(-values)
        parents.append(rows)
    delta, parent = torch.cat(deltas), torch.cat(parents)
    top = int((rank == 0).nonzero())
    parent[top] = top
    return delta, parent


def _follow(parent: Tensor, centres: Tensor) -> Tensor:
    """Labels of the centres passed down the tree of parents, by pointer jumping."""
    parent = parent.clone()
    parent[centres] = centres
    for _ in range(max(1, len(parent)).bit_length()):
        parent = parent[parent]
    label = torch.full_like(parent, -1)
    label[centres] = torch.arange(centres.numel(), device=centres.device)
    return label[parent]


def kcenter_rows(x: Tensor, count: int, first: int = 0) -> Tensor:
    """Rows in the order of choice.  Distances are taken in float64, so that devices agree."""
    points = x.double()
    norms = points.square().sum(1)
    chosen = [first]
    distance = torch.full_like(norms, torch.inf)
    for _ in range(count - 1):
        to_last = norms + norms[chosen[-1]] - 2 * (points @ points[chosen[-1]])
        distance = torch.minimum(distance, to_last.clamp_min_(0))
        distance[chosen[-1]] = -1.0
        chosen.append(int(first_max(distance)[1]))
    return torch.tensor(chosen, device=x.device)
