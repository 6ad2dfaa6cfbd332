"""Clustering: k-centers, k-means, density peaks.  Float32; what that may change is said in `nearby`."""

from __future__ import annotations

import torch
from torch import Tensor

from .nearby import beside, blocks, centred, columns, distance, first_max, nearest, neighbours, row_max

HEAD = 16  # channels of most spread, which bound a distance from below


def kcenter_rows(x: Tensor, count: int, first: int = 0) -> Tensor:
    """Rows of x (N, C) in the order of choice, each the farthest from those before.

    The channels of most spread give a lower bound of each distance.  Only rows whose bound is below their distance to
    the rows chosen so far are compared in all channels.
    """
    x = centred(x[None])[0]
    head = x[:, x[:: max(1, len(x) // 4096)].var(0, correction=0).argsort(descending=True)[:HEAD]].contiguous()
    norms = head.square().sum(1) * (1 - 1e-5)  # rounding must not raise a bound
    gaps = torch.full_like(norms, torch.inf)
    chosen = [first]
    for _ in range(count - 1):
        last = chosen[-1]
        bound = torch.addmv(norms, head, head[last], alpha=-2)
        rows = (bound < gaps - norms[last]).nonzero().squeeze(1)
        gaps[rows] = torch.minimum(gaps[rows], x.index_select(0, rows).sub_(x[last]).square_().sum(1))
        gaps[last] = -1.0
        chosen.append(int(first_max(gaps)[1]))
    return torch.tensor(chosen, device=x.device)


def kmeans(x: Tensor, count: int, iterations: int) -> Tensor:
    """(N,) labels, every one of 0..count-1 used.  Starts from greedy k-centers, so it is the same each time."""
    if count >= len(x):
        return torch.arange(len(x), device=x.device)
    x = centred(x[None])
    centres = x[:, kcenter_rows(x[0], count)]
    every = torch.ones(1, count, dtype=torch.bool, device=x.device)
    for _ in range(iterations):
        _, labels = nearest(x, centres, every)
        total = torch.zeros_like(centres[0]).index_add_(0, labels[0], x[0])
        members = torch.bincount(labels[0], minlength=count)[:, None]
        centres = torch.where(members > 0, total / members.clamp_min(1), centres[0])[None]
    _, labels = nearest(x, centres, every)
    return fill_empty(labels[0], distance(x, centres, labels)[0], count)


def fill_empty(labels: Tensor, far: Tensor, count: int) -> Tensor:
    """Gives every unused label the farthest row of a part that has another one left."""
    members = torch.bincount(labels, minlength=count).tolist()
    empty = [label for label, n in enumerate(members) if n == 0]
    if not empty:
        return labels
    labels = labels.clone()
    for row in torch.sort(far, descending=True, stable=True).indices.tolist():
        if not empty:
            break
        part = int(labels[row])
        if members[part] > 1:
            members[part] -= 1
            labels[row] = empty.pop(0)
    return labels


def density_peaks(
    x: Tensor, valid: Tensor, counts: Tensor, neighbourhood: int, threshold: float | None = None
) -> Tensor:
    """(F, P) labels by density peaks in every frame of x (F, P, C).

    `counts` (F,) centres, or all whose distance to a denser row is at least `threshold` times the largest such
    distance, at most `counts`.  Every other row follows its nearest denser row.
    """
    x = centred(x, valid)
    far, near = neighbours(x, valid, min(neighbourhood, x.shape[1] - 1))
    density = torch.where(valid, _density(far, valid), -1.0)
    order = torch.sort(density, dim=1, descending=True, stable=True).indices
    every = torch.arange(x.shape[1], device=x.device)
    rank = torch.empty_like(order).scatter_(1, order, every.expand_as(order))
    gap, parent = _denser(x, valid, rank, far, near)
    worth = gap if threshold is not None else gap * (density + 1e-12)
    worth = torch.where(valid, worth, -1.0).scatter(1, order[:, :1], torch.inf)
    if threshold is not None:
        known = torch.where(valid & torch.isfinite(gap), gap, -1.0)
        least = (threshold * known.amax(1, keepdim=True)).clamp_min(1e-6)
        counts = torch.minimum(counts, 1 + (known >= least).sum(1))
    best = torch.sort(worth, dim=1, descending=True, stable=True).indices
    centre = torch.zeros_like(valid).scatter_(1, best, every < counts[:, None]) & valid
    return _follow(torch.where(centre, every, parent), centre)


def _density(far: Tensor, valid: Tensor) -> Tensor:
    """(F, P) exp(-mean squared distance to the nearest rows), scaled by the mean over the frame; 1 for lone rows."""
    there = torch.isfinite(far)
    mean = torch.where(there, far, 0.0).sum(-1) / there.sum(-1).clamp_min(1)
    some = there.any(-1) & valid
    scale = (mean * some).sum(1, keepdim=True) / some.sum(1, keepdim=True).clamp_min(1)
    return torch.exp(-mean / scale.clamp_min(1e-12))


def _denser(x: Tensor, valid: Tensor, rank: Tensor, far: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """(F, P) distance to the nearest row of lower rank, and that row; the row of rank 0 gets inf and itself.

    Most rows have one among their neighbours; the others are compared with all rows.
    """
    every = torch.arange(x.shape[1], device=x.device)
    lower = (rank.gather(1, near.flatten(1)).view_as(near) < rank[..., None]) & torch.isfinite(far)
    first = lower.int().argmax(-1, keepdim=True) if near.shape[-1] else lower.new_zeros(*rank.shape, 1).long()
    found = lower.any(-1)
    gap = torch.full_like(rank, torch.inf, dtype=x.dtype)
    parent = every.expand_as(rank).clone()
    if near.shape[-1]:
        gap = torch.where(found, far.gather(-1, first).squeeze(-1), gap)
        parent = torch.where(found, near.gather(-1, first).squeeze(-1), parent)
    frame, row, taken = _left_over(~found & valid & (rank > 0))
    if taken.any():
        squares, rows = _denser_of_all(x, valid, rank, row)
        gap[frame[taken], row[taken]], parent[frame[taken], row[taken]] = squares[taken], rows[taken]
    return gap.sqrt(), parent


def _left_over(mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The marked rows of each frame side by side: frame, row and whether there is one, each (F, Q)."""
    most = int(mask.sum(1).max())
    row = torch.sort(mask.int(), dim=1, descending=True, stable=True).indices[:, :most]
    frame = torch.arange(len(mask), device=mask.device)[:, None].expand_as(row)
    return frame, row, mask.gather(1, row)


def _denser_of_all(x: Tensor, valid: Tensor, rank: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """(F, Q) squared distance of these rows to the nearest of lower rank, and that row."""
    other = columns(x, valid, squares=True)
    ranks = torch.nn.functional.pad(rank, (0, other.shape[2] - rank.shape[1]), value=rank.shape[1])
    asked = x.gather(1, row[..., None].expand(*row.shape, x.shape[2]))
    mine, rows = rank.gather(1, row), beside(asked)
    found = torch.empty_like(row)
    for frame, part in blocks(len(x), row.shape[1], other.shape[2]):
        products = torch.bmm(rows[frame, part], other[frame])
        products.masked_fill_(ranks[frame, None] >= mine[frame, part, None], -torch.inf)
        found[frame, part] = row_max(products)[1].clamp_max_(x.shape[1] - 1)
    return distance(asked, x, found), found


def _follow(parent: Tensor, centre: Tensor) -> Tensor:
    """Labels of the centres passed down the tree of parents, by pointer jumping."""
    for _ in range(max(1, parent.shape[1]).bit_length()):
        parent = parent.gather(1, parent)
    return (centre.cumsum(1) - 1).gather(1, parent)
