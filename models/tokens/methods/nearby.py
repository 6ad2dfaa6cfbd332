"""Who is nearest to whom, in blocks: no matrix of all pairs is ever held.

Sets of rows come as a batch (F, P, C), the frames of a clip side by side; `valid` (F, P) marks rows that are padding.
Products are float32 of rows around their mean, distances of those that are chosen are taken from differences.  So two
rows change places with float64 only where their squared distances agree to 1e-5 of the squares of the rows (cosines: to
1e-6); of equal ones the lower row wins.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 1 << 19  # pairs at a time: two megabytes of float32, which stays in a processor's cache
GROUP = 64  # `amax` over a group is ten times as fast as `max`, which finds the place as well


def centred(x: Tensor, valid: Tensor | None = None) -> Tensor:
    """(F, P, C) float32 less the mean over all rows: distances are the same, and rounded less."""
    x = x.float()
    if valid is None or bool(valid.all()):
        return x - x.mean((0, 1))
    return torch.where(valid[..., None], x - x[valid].mean(0), 0.0)


def first_max(x: Tensor) -> tuple[Tensor, Tensor]:
    """Largest value along the last axis and the first place where it stands: plain `max` leaves ties open on a GPU."""
    if x.device.type == "cpu":
        values, places = x.max(-1)
        return values, places
    values = x.amax(-1)
    every = torch.arange(x.shape[-1], device=x.device)
    return values, torch.where(x == values[..., None], every, x.shape[-1]).amin(-1)


def row_max(x: Tensor) -> tuple[Tensor, Tensor]:
    """The same of long rows: the best group, then the best of that group.  Their length is a multiple of GROUP."""
    if x.shape[-1] < 4 * GROUP:
        return first_max(x)
    groups = x.unflatten(-1, (-1, GROUP))
    _, group = first_max(groups.amax(-1))
    values, place = first_max(_of_groups(groups, group[..., None]))
    return values, group * GROUP + place


def row_top(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each long row: they lie in the `count` groups of largest maximum."""
    if count == 0 or x.shape[-1] < 4 * count * GROUP:
        values, place = x.topk(count)
        return values, place
    groups = x.unflatten(-1, (-1, GROUP))
    chosen = groups.amax(-1).topk(count).indices
    values, place = _of_groups(groups, chosen).topk(count)
    return values, chosen.gather(-1, place // GROUP) * GROUP + place % GROUP


def _of_groups(groups: Tensor, chosen: Tensor) -> Tensor:
    """(..., n * GROUP) the entries of the chosen groups (..., n)."""
    rows = groups.flatten(0, -2)
    first = torch.arange(0, len(rows), groups.shape[-2], device=rows.device).view(*chosen.shape[:-1], 1)
    return rows.index_select(0, (first + chosen).flatten()).view(*chosen.shape[:-1], -1)


def beside(a: Tensor) -> Tensor:
    """(F, N, C + 1) rows to multiply with `columns`."""
    return F.pad(a, (0, 1), value=1.0)


def columns(b: Tensor, valid: Tensor, squares: bool) -> Tensor:
    """(F, C + 1, M) rows of b (F, P, C) to compare with, a multiple of GROUP where they are many.

    The product of rows `beside` with them is a . b, or a . b - b . b / 2 with `squares`, of which the nearest row has
    the largest; minus infinity where a row is not valid.
    """
    bias = b.square().sum(-1) / -2 if squares else b.new_zeros(b.shape[:2])
    bias = torch.where(valid, bias, -torch.inf)[..., None]
    missing = -b.shape[1] % GROUP if b.shape[1] >= 4 * GROUP else 0
    there = torch.cat([F.pad(b, (0, 0, 0, missing)), F.pad(bias, (0, 0, 0, missing), value=-torch.inf)], -1)
    return there.transpose(1, 2)


def blocks(frames: int, rows: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Slices of frames and of rows, so that rows x width of one make up a block at most."""
    step = max(1, BLOCK // max(1, width))
    several = max(1, BLOCK // max(1, rows * width))
    for frame in range(0, frames, several):
        for row in range(0, rows, step):
            yield slice(frame, frame + several), slice(row, row + step)


def best_match(a: Tensor, b: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of a (F, N, C) the largest dot product with a row of b (F, M, C) that is `valid` (F, M), and that
    row; minus infinity where there is none."""
    return _blockwise(a, columns(b, valid, squares=False))


def nearest(a: Tensor, b: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of a (F, N, C) the squared distance to the nearest row of b (F, M, C), and that row."""
    values, rows = _blockwise(a, columns(b, valid, squares=True))
    return (a.square().sum(-1) - 2 * values).clamp_min(0), rows


def _blockwise(a: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Largest product of each row, and its column."""
    values, rows = a.new_empty(a.shape[:2]), torch.empty(a.shape[:2], dtype=torch.int64, device=a.device)
    a = beside(a)
    for frame, row in blocks(len(a), a.shape[1], other.shape[2]):
        values[frame, row], rows[frame, row] = row_max(torch.bmm(a[frame, row], other[frame]))
    return values, rows


def distance(a: Tensor, b: Tensor, rows: Tensor) -> Tensor:
    """(F, N) or (F, N, k) squared distances of a (F, N, C) to the rows (F, N) or (F, N, k) of b, from differences."""
    first = torch.arange(0, len(b) * b.shape[1], b.shape[1], device=b.device)
    flat = (first.view(-1, *[1] * (rows.dim() - 1)) + rows).flatten()
    other = b.flatten(0, 1).index_select(0, flat).view(*rows.shape, b.shape[-1])
    return other.sub_(a if rows.dim() == 2 else a[:, :, None]).square_().sum(-1)


def neighbours(x: Tensor, valid: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(F, P, count) squared distances of each row to the nearest other ones of its frame, ascending, and their rows;
    infinite where a frame has too few."""
    other, mine = columns(x, valid, squares=True), beside(x)
    shape = (*x.shape[:2], count)
    far, near = x.new_empty(shape), torch.empty(shape, dtype=torch.int64, device=x.device)
    for frame, row in blocks(len(x), x.shape[1], other.shape[2]):
        products = torch.bmm(mine[frame, row], other[frame])
        own = torch.arange(row.start, row.start + products.shape[1], device=x.device)
        products[:, own - row.start, own] = -torch.inf
        values, rows = row_top(products, count)
        rows = rows.clamp_max(x.shape[1] - 1)
        exact = distance(x[frame, row], x[frame], rows)
        far[frame, row], order = exact.masked_fill_(values == -torch.inf, torch.inf).sort(dim=-1, stable=True)
        near[frame, row] = rows.gather(-1, order)
    return far, near
