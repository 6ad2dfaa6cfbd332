"""What happens to the rows of a TokenSet: some are kept, some are joined, whole sets are put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .types import Shape, TokenSet


def positions_of(index: Tensor, shape: Shape) -> Tensor:
    """(N, 3) float32 t, y, x of flat cells."""
    rows = torch.div(index, shape[2], rounding_mode="floor")
    t = torch.div(rows, shape[1], rounding_mode="floor")
    return torch.stack([t, rows - t * shape[1], index - rows * shape[2]], 1).float()


def top_rows(score: Tensor, count: int) -> Tensor:
    """The `count` rows of highest score, ascending; of equal scores the lower row wins."""
    order = torch.sort(score.float(), descending=True, stable=True).indices
    return order[:count].sort().values


def evenly(count: int, total: int, device: torch.device | None = None) -> Tensor:
    """`count` different rows of `total` at equal steps, the first and the last among them."""
    if count == 1:
        return torch.zeros(1, dtype=torch.int64, device=device)
    return torch.arange(count, device=device) * (total - 1) // (count - 1)


def take(tokens: TokenSet, rows: Tensor, lattice: Shape | None = None) -> TokenSet:
    """Keep `rows` (K,) int64, ascending; everything else is dropped."""
    renumber = rows.new_full((len(tokens) + 1,), -1)  # the last entry serves -1
    renumber[rows] = torch.arange(rows.numel(), device=rows.device)
    assign = renumber[tokens.assign]
    weight = tokens.weight[rows]
    return replace(
        tokens,
        x=tokens.x[rows],
        pos=tokens.pos[rows],
        size=tokens.size[rows],
        weight=weight / weight.sum().clamp_min(1e-30),
        index=tokens.index[rows],
        anchor=tokens.anchor[rows],
        assign=assign,
        share=torch.where(assign >= 0, tokens.share, 0.0),
        level=tokens.level[rows],
        layers=tuple(renumber[layer] for layer in tokens.layers),
        schedule=None if tokens.schedule is None else tokens.schedule.renumbered(renumber),
        lattice=lattice,
        basis=None,
    )


def regroup(tokens: TokenSet, labels: Tensor, weight: Tensor | None = None, lattice: Shape | None = None) -> TokenSet:
    """Join the rows that share a label (N,) int64; rows labelled -1 are dropped.

    A part's vector is the mean of its rows weighted by `weight` (N,) >= 0, by default their size.  A part whose weights
    are all zero gets the plain mean.  Parts are filed under their first cell.
    """
    kept = labels >= 0
    first = labels.new_full((int(labels.max()) + 1,), tokens.assign.numel())
    first = first.scatter_reduce(0, labels[kept], tokens.anchor[kept], "amin")
    present = first < tokens.assign.numel()
    order = torch.argsort(first[present])
    names = present.nonzero().squeeze(1)[order]
    renumber = labels.new_full((first.numel() + 1,), -1)
    renumber[names] = torch.arange(names.numel(), device=names.device)
    return _join_rows(tokens, renumber[labels], names.numel(), weight, first[names], lattice)


def _join_rows(
    tokens: TokenSet, labels: Tensor, count: int, weight: Tensor | None, first: Tensor, lattice: Shape | None
) -> TokenSet:
    kept = labels >= 0
    rows = labels[kept]
    norm = _normalised(tokens.size.float() if weight is None else weight.float(), labels, count)

    every, share_of = bool(kept.all()), norm[kept][:, None]

    def mean(values: Tensor) -> Tensor:
        out = values.new_zeros(count, *values.shape[1:])
        return out.index_add_(0, rows, (values if every else values[kept]) * share_of.to(values.dtype))

    assign = torch.cat([labels, labels.new_full((1,), -1)])[tokens.assign]
    share = tokens.share * torch.cat([norm, norm.new_zeros(1)])[tokens.assign]
    importance = tokens.weight.new_zeros(count).index_add_(0, rows, tokens.weight[kept])
    return replace(
        tokens,
        x=mean(tokens.x),
        pos=mean(tokens.pos),
        size=tokens.size.new_zeros(count).index_add_(0, rows, tokens.size[kept]),
        weight=importance / importance.sum().clamp_min(1e-30),
        index=first,
        anchor=first,
        assign=assign,
        share=share,
        level=tokens.level.new_zeros(count),
        lattice=lattice,
        basis=None,
        layers=(),
        schedule=None,
    )


def _normalised(weight: Tensor, labels: Tensor, count: int) -> Tensor:
    """(N,) weights that sum to 1 within each label, 0 for rows labelled -1."""
    kept = labels >= 0
    rows = labels.clamp_min(0)
    weight = torch.where(kept, weight, 0.0)
    total = weight.new_zeros(count).index_add_(0, rows, weight)
    members = weight.new_zeros(count).index_add_(0, rows, kept.float())
    plain = kept.float() / members[rows].clamp_min(1)
    return torch.where(total[rows] > 0, weight / total[rows].clamp_min(1e-30), plain)


def _columns(parts: list[TokenSet], order: Tensor) -> dict[str, Any]:
    names = ("x", "pos", "size", "index", "anchor", "level")
    columns = {name: torch.cat([getattr(part, name) for part in parts])[order] for name in names}
    weight = torch.cat([part.weight * len(part) for part in parts])[order]
    return {**columns, "weight": weight / weight.sum().clamp_min(1e-30)}


def join(parts: list[TokenSet]) -> TokenSet:
    """Join sets that may stand for the same cells (thumbnail and samples, slow and fast), one level after the other.

    Args:
        parts: Sets of the same grid.

    Returns:
        One set, in which `level` is the number of the part.
    """
    order = torch.arange(sum(map(len, parts)), device=parts[0].x.device)
    columns: dict[str, Any] = _columns(parts, order)
    counts = torch.tensor([len(part) for part in parts], device=order.device)
    columns["level"] = torch.repeat_interleave(torch.arange(len(parts), device=order.device), counts)
    offset, layers = 0, []
    for part in parts:
        layers.append(torch.where(part.assign >= 0, part.assign + offset, part.assign))
        offset += len(part)
    return replace(parts[0], **columns, assign=layers[0], layers=tuple(layers[1:]), lattice=None, basis=None)


def fill_dropped(assign: Tensor, fill: str) -> Tensor:
    """(T, H, W) rows with the -1 replaced: by the nearest kept cell of the frame, or by the frame before."""
    if fill == "prev_frame":
        frames = list(assign)
        for t in range(1, len(frames)):
            frames[t] = torch.where(frames[t] >= 0, frames[t], frames[t - 1])
        return torch.stack(frames)
    filled = assign.clone()
    for _ in range(assign.shape[1] + assign.shape[2]):
        if bool((filled >= 0).all()):
            break
        filled = _grow(filled)
    return filled


def _grow(rows: Tensor) -> Tensor:
    """Every empty cell takes the row of a neighbour: above, left, right or below, in this order."""
    out = rows.clone()
    padded = torch.nn.functional.pad(rows, (1, 1, 1, 1), value=-1)
    for y, x in ((0, 1), (1, 0), (1, 2), (2, 1)):
        near = padded[:, y : y + rows.shape[1], x : x + rows.shape[2]]
        out = torch.where((out < 0) & (near >= 0), near, out)
    return out
