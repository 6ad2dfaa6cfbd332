"""Pooling: fixed windows, each its mean or its mean weighted by relevance."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import one_of
from ..grid import TokenGrid
from ..raster import fit_raster, pool_raster, whole, windows
from ..rows import evenly, join, regroup, take
from ..types import Shape, TokenSet
from .budget import Budget, proportional, spread
from .frames import frame_counts, tokens_wanted
from .scores import Context, frame_scores, row_scores, unit


def pool(tokens: TokenSet, budget: Budget, context: Context) -> TokenSet:
    """Means over windows: a raster for (t, h, w), else windows that make up the exact number, frame by frame."""
    if isinstance(budget, tuple):
        return pool_raster(tokens, budget)
    return regroup(tokens, brick_labels(tokens, frame_counts(budget, tokens, context)))


def brick_labels(tokens: TokenSet, counts: list[int]) -> Tensor:
    """(N,) windows of frames cut into `counts[t]` bricks each; frames of 0 are dropped."""
    _, height, width = whole(tokens)
    present = [n for n, there in zip(counts, tokens.frame_splits.tolist(), strict=True) if there]
    labels, offset = [], 0
    for n in present:
        part = bricks(height, width, n) if n else torch.full((height * width,), -1)
        labels.append(torch.where(part >= 0, part + offset, part))
        offset += n
    return torch.cat(labels).to(tokens.x.device)


@lru_cache(maxsize=256)
def bricks(height: int, width: int, count: int) -> Tensor:
    """(height * width,) exactly `count` windows: rows of bricks, as square as can be, some rows with one more."""
    rows = max(1, min(height, count, round((count * height / width) ** 0.5)), -(-count // width))
    columns = torch.tensor(spread(count, rows))
    row = torch.arange(height) * rows // height
    column = torch.arange(width)[None] * columns[row][:, None] // width
    return ((columns.cumsum(0) - columns)[row][:, None] + column).flatten()


def query_pool(tokens: TokenSet, budget: Budget, context: Context, sharpness: float = 5.0) -> TokenSet:
    """Windows weighted by the cells' relevance to the query; equal relevance is plain pooling (PPLLaVA)."""
    relevance = torch.exp(sharpness * (row_scores(tokens, context, "query") - 1))
    return weighted_pool(tokens, budget, context, relevance)


def weighted_pool(tokens: TokenSet, budget: Budget, context: Context, weight: Tensor) -> TokenSet:
    """Windows weighted by `weight` (N,) >= 0."""
    if isinstance(budget, tuple):
        full = whole(tokens)
        kept = (min(budget[0], full[0]), min(budget[1], full[1]), min(budget[2], full[2]))
        return regroup(tokens, windows(full, kept, tokens.x.device), weight, kept)
    return regroup(tokens, brick_labels(tokens, frame_counts(budget, tokens, context)), weight)


# -- frames of different resolution ------------------------------------------------------------------------------------


def slow_frames(tokens: TokenSet, context: Context, by: str = "similarity", threshold: float = 0.9) -> list[bool]:
    """Which frames are slow (Keye-VL 1.5).  Frame 0 is.

    similarity   another one when the mean cosine of its cells to those of the LAST SLOW frame falls below `threshold`
    bits         another one when the bits since the last slow frame exceed 1 - threshold of that frame's own
    """
    t, height, width = whole(tokens)
    if one_of("by", by, ("similarity", "bits")) == "bits":
        spent = frame_scores(tokens, context, "bits")[torch.unique(tokens.frames)].tolist()
        return _by_bits(spent, threshold)
    x = unit(tokens.x).view(t, height * width, -1)
    slow, last = [True], 0
    for k in range(1, t):
        slow.append(float((x[k] * x[last]).sum(1).mean()) < threshold)
        last = k if slow[-1] else last
    return slow


def _by_bits(spent: list[float], threshold: float) -> list[bool]:
    slow, own, since = [True], spent[0], 0.0
    for value in spent[1:]:
        since += value
        slow.append(since > (1 - threshold) * own)
        if slow[-1]:
            own, since = max(value, 1e-9), 0.0
    return slow


def slowfast(
    tokens: TokenSet,
    budget: Budget,
    context: Context,
    by: str = "similarity",
    threshold: float = 0.9,
    fast_ratio: float = 0.3,
) -> TokenSet:
    """Slow frames at high resolution, the others at `fast_ratio` of their tokens; the sum is the budget.  `level` is 0
    for tokens of slow frames, 1 for fast ones."""
    t, height, width = whole(tokens)
    slow = slow_frames(tokens, context, by, threshold)
    count = max(tokens_wanted(budget, tokens, context), 1)
    floor = 1 if count >= t else 0
    shares = [1.0 if is_slow else fast_ratio for is_slow in slow]
    inner = proportional(count, shares, floor, [height * width] * t)
    numbers = torch.unique(tokens.frames)
    counts = [0] * tokens.shape[0]
    for number, n in zip(numbers.tolist(), inner, strict=True):
        counts[number] = n
    found = regroup(tokens, brick_labels(tokens, counts))
    levels = torch.ones(tokens.shape[0], dtype=torch.int64, device=numbers.device)
    levels[numbers] = torch.tensor([int(not is_slow) for is_slow in slow], device=numbers.device)
    return replace(found, level=levels[found.frames])


def first_full(tokens: TokenSet, budget: Budget, context: Context, group: int = 4) -> TokenSet:
    """In each group of frames the first keeps all of its cells, the others share the rest of the budget (Visual
    Context Window Extension)."""
    t, height, width = whole(tokens)
    count, cells = tokens_wanted(budget, tokens, context), height * width
    heads = -(-t // group)
    if count < heads * cells:
        return pool(tokens, count, context)
    others = spread(count - heads * cells, t - heads) if t > heads else []
    counts, rest = [], iter(others)
    for k in range(t):
        counts.append(cells if k % group == 0 else next(rest))
    return regroup(tokens, brick_labels(tokens, counts))


def thumbnail(tokens: TokenSet, budget: Budget, context: Context, rows: int = 2, columns: int = 2) -> TokenSet:
    """One picture's worth of tokens made of rows x columns pooled frames, at most half of the budget, and tokens at
    equal steps from all frames (TS-LLaVA).  Level 0 is the thumbnail in the raster of the tiled picture; every token
    keeps its true position."""
    t, height, width = whole(tokens)
    count = tokens_wanted(budget, tokens, context)
    frames = torch.unique(tokens.frames)
    number = min(rows * columns, t, count // 2)
    if number == 0:
        return take(tokens, evenly(count, len(tokens), frames.device))
    chosen = frames[evenly(number, t, frames.device)]
    kept = torch.isin(tokens.frames, chosen).nonzero().squeeze(1)
    size = max(1, height // rows), max(1, width // columns)
    if number * size[0] * size[1] > count // 2:
        size = fit_raster(count // 2 // number, *size)
    small = pool_raster(take(tokens, kept, (number, height, width)), (number, *size))
    samples = take(tokens, evenly(count - len(small), len(tokens), frames.device))
    return join([_tiled(small, (number, *size), columns), samples])


def _tiled(small: TokenSet, size: Shape, columns: int) -> TokenSet:
    """Rows in the order of the tiled picture."""
    number, h, w = size
    rows = -(-number // columns)
    order = torch.full((rows * columns, h, w), -1)
    order[:number] = torch.arange(number * h * w).view(number, h, w)
    tiled = order.view(rows, columns, h, w).transpose(1, 2).reshape(-1)
    tiled = tiled[tiled >= 0].to(small.x.device)
    place = torch.empty(len(small) + 1, dtype=torch.int64, device=tiled.device)
    place[tiled], place[-1] = torch.arange(len(small), device=tiled.device), -1
    names = ("x", "pos", "size", "weight", "index", "anchor", "level")
    return replace(small, **{n: getattr(small, n)[tiled] for n in names}, assign=place[small.assign], lattice=None)


def dual(tokens: TokenSet, budget: Budget, context: Context, segments: int = 4) -> TokenSet:
    """Half of the budget for pooled frames, half for pooled changes within each of `segments` (VideoGPT+).  Level 1
    tokens carry the mean change from the first frame of their segment."""
    t, height, width = whole(tokens)
    count = tokens_wanted(budget, tokens, context)
    segments = min(segments, t)
    still = pool(tokens, max(1, count - count // 2), context)
    if count == 1:
        return still
    names = torch.arange(t, device=tokens.x.device) * segments // t
    x = tokens.x.view(t, height * width, -1)
    heads = torch.stack([(names == names[k]).nonzero()[0, 0] for k in range(t)])
    moving = replace(tokens, x=(x - x[heads]).reshape(len(tokens), -1))
    held = pool_raster(moving, (segments, height, width))
    return join([still, _pool_flat(held, count // 2, context)])


def _pool_flat(tokens: TokenSet, count: int, context: Context) -> TokenSet:
    t, height, width = whole(tokens)
    labels, offset = [], 0
    for n in proportional(min(count, len(tokens)), [1.0] * t, cap=[height * width] * t):
        part = bricks(height, width, n) + offset if n else torch.full((height * width,), -1)
        labels.append(part)
        offset += n
    return regroup(tokens, torch.cat(labels).to(tokens.x.device))


def fuse(grids: list[TokenGrid]) -> TokenGrid:
    """Grids of the same frames from several codecs as one: resampled to the finest raster, channels joined (MouSi)."""
    shape = tuple(max(grid.x.shape[k] for grid in grids) for k in range(3))
    planes = [
        F.interpolate(grid.x.permute(3, 0, 1, 2)[None].float(), size=shape, mode="nearest")[0].permute(1, 2, 3, 0)
        for grid in grids
    ]
    finest = max(grids, key=lambda grid: grid.x.shape[0] * grid.x.shape[1] * grid.x.shape[2])
    if finest.x.shape[:3] != shape:
        raise ParameterError("no grid is the finest in every direction")
    return replace(finest, x=torch.cat(planes, -1), codes=None, levels=None)
