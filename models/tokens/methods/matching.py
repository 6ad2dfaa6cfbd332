"""Matching of like tokens: ToMe's bipartite passes and D-CoDe's greedy pass, in all frames side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from .nearby import best_match
from .scores import unit

NO_LIMIT = -2.0  # below every cosine


def bipartite(x: Tensor, size: Tensor, valid: Tensor, counts: Tensor, threshold: float = NO_LIMIT) -> Tensor:
    """(F, P) labels 0..K-1 of each frame of x (F, P, C): even rows merge into the odd rows that they are most like, in
    passes.

    A frame stops at `counts` (F,) parts, or when no pair's cosine reaches `threshold`.  One pass halves the rows at
    most.
    """
    labels = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
    x, mass = x.float(), torch.where(valid, size, 0).float()
    while True:
        lengths = valid.sum(1)
        spare = lengths - counts
        if x.shape[1] < 2 or not bool((spare > 0).any()):
            return labels
        directions = unit(x)
        likeness, target = best_match(directions[:, 0::2], directions[:, 1::2], valid[:, 1::2])
        likeness = torch.where(valid[:, 0::2] & (lengths > 1)[:, None], likeness, -torch.inf)
        order = torch.sort(likeness, dim=1, descending=True, stable=True).indices
        place = torch.arange(order.shape[1], device=x.device).expand_as(order)
        merged = (torch.empty_like(order).scatter_(1, order, place) < spare[:, None]) & (likeness >= threshold)
        if not bool(merged.any()):
            return labels
        parent = torch.arange(x.shape[1], device=x.device).repeat(len(x), 1)
        parent[:, 0::2] = torch.where(merged, 2 * target + 1, parent[:, 0::2])
        x, mass, valid, labels = _collapse(parent, labels, x, mass, valid)


def _collapse(parent: Tensor, labels: Tensor, x: Tensor, mass: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
    """Rows joined to their parents (one level deep), renumbered in order of the parents."""
    roots = (parent == torch.arange(parent.shape[1], device=parent.device)) & valid
    merged = (roots.cumsum(1) - 1).clamp_min(0).gather(1, parent)
    lengths = roots.sum(1)
    most = int(lengths.max())
    total = mass.new_zeros(len(x), most).scatter_add_(1, merged, mass)
    flat = (merged + torch.arange(0, len(x) * most, most, device=x.device)[:, None]).flatten()
    mean = x.new_zeros(len(x) * most, x.shape[2]).index_add_(0, flat, (x * mass[..., None]).flatten(0, 1))
    there = torch.arange(most, device=x.device) < lengths[:, None]
    return mean.view(len(x), most, -1) / total.clamp_min(1e-30)[..., None], total, there, merged.gather(1, labels)


def greedy_labels(x: Tensor, valid: Tensor, threshold: float, most: int | None = None) -> Tensor:
    """(F, P) labels of the greedy pass, in order of the rows; after `most` parts the rest is left as -1."""
    directions = unit(x.float())
    labels = torch.where(valid, -1, 0)
    frames = torch.arange(len(x), device=x.device)
    part = 0
    while bool((free := labels < 0).any()) and (most is None or part < most):
        head = free.int().argmax(1)
        near = torch.bmm(directions, directions[frames, head][..., None]).squeeze(-1) >= threshold
        near[frames, head] = True
        labels = torch.where(free & near, part, labels)
        part += 1
    return torch.where(valid, labels, -1)
