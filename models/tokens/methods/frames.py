"""Working frame by frame, and choosing frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..raster import fit_raster
from ..rows import evenly, take, top_rows
from ..types import TokenSet
from .budget import Bits, Budget, count_of, proportional, spread
from .scores import Context, frame_scores, unit


def tokens_wanted(budget: Budget, tokens: TokenSet, context: Context) -> int:
    """The number of tokens that `budget` asks for out of `tokens`; a share counts the grid's valid cells."""
    if isinstance(budget, Bits):
        from .scores import row_scores

        return count_of(budget, len(tokens), row_scores(tokens, context, "bits") * tokens.size)
    if isinstance(budget, float):
        return min(count_of(budget, int(context.grid.valid.sum())), len(tokens))
    return count_of(budget, len(tokens))


def frame_counts(budget: Budget, tokens: TokenSet, context: Context) -> list[int]:
    """Tokens of each frame: the list that was given, else an even split that no frame's own number caps."""
    there = tokens.frame_splits.tolist()
    if isinstance(budget, list):
        return [min(n, cells) for n, cells in zip(budget, there, strict=True)]
    count = tokens_wanted(budget, tokens, context)
    present = [t for t, cells in enumerate(there) if cells]
    even = spread(count, len(present))
    if any(n > there[t] for n, t in zip(even, present, strict=True)):
        even = proportional(count, [1.0] * len(present), cap=[there[t] for t in present])
    counts = [0] * len(there)
    for t, n in zip(present, even, strict=True):
        counts[t] = n
    return counts


def by_frame(tokens: TokenSet, budget: Budget, context: Context, label_one: Callable[[Tensor, int], Tensor]) -> Tensor:
    """(N,) labels from `label_one(rows, n)`, which names each row of one frame 0..n-1 or -1; frames do not mix."""
    counts = frame_counts(budget, tokens, context)
    order = torch.argsort(tokens.frames, stable=True)
    labels = torch.full_like(tokens.anchor, -1)
    offset = at = 0
    for there, n in zip(tokens.frame_splits.tolist(), counts, strict=True):
        rows = order[at : at + there]
        at += there
        if n > 0:
            found = label_one(rows, n) if n < there else torch.arange(there, device=rows.device)
            labels[rows] = torch.where(found >= 0, found + offset, found)
            offset += n
    if offset == 0:
        raise ParameterError("the budget leaves no token in any frame")
    return labels


def in_frames(
    tokens: TokenSet, budget: Budget, context: Context, label_all: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """(N,) labels from `label_all(rows, valid, counts)`: rows (F, P) of the frames that keep any, side by side, `valid`
    (F, P) where there is one, `counts` (F,) parts of each, and back (F, P) labels 0..; frames do not mix."""
    counts = torch.tensor(frame_counts(budget, tokens, context), device=tokens.x.device)
    there = tokens.frame_splits
    present = (counts > 0).nonzero().squeeze(1)
    if len(present) == 0:
        raise ParameterError("the budget leaves no token in any frame")
    order = torch.argsort(tokens.frames, stable=True)
    begin = (there.cumsum(0) - there)[present, None]
    place = torch.arange(int(there[present].max()), device=order.device)
    valid = place < there[present, None]
    rows = order[torch.where(valid, begin + place, begin)]
    found = label_all(rows, valid, counts[present])
    parts = torch.where(valid, found, -1).amax(1) + 1
    labels = torch.full_like(tokens.anchor, -1)
    labels[rows[valid]] = (found + (parts.cumsum(0) - parts)[:, None])[valid]
    return labels


def keep_frames(tokens: TokenSet, numbers: Tensor | Sequence[int]) -> TokenSet:
    """Only the frames of those numbers; a raster stays one."""
    wanted = torch.as_tensor(numbers, device=tokens.x.device)
    rows = torch.isin(tokens.frames, wanted).nonzero().squeeze(1)
    lattice = tokens.lattice
    if lattice is not None:
        lattice = (rows.numel() // (lattice[1] * lattice[2]), lattice[1], lattice[2])
    return take(tokens, rows, lattice)


def frame_vectors(tokens: TokenSet) -> Tensor:
    """(T, C) mean vector of each frame, zero for frames without tokens."""
    total = tokens.x.float().new_zeros(tokens.shape[0], tokens.x.shape[1])
    total.index_add_(0, tokens.frames, tokens.x.float())
    return total / tokens.frame_splits.clamp_min(1)[:, None]


def select_frames(
    tokens: TokenSet, budget: Budget, context: Context, score: str | Tensor = "bits", keep_first: bool | None = None
) -> TokenSet:
    """`budget` frames (a number, or a share of the frames) of the highest score, whole.

    A frame counts the sum over its cells, for scores with a query its best cell.

    keep_first   frame 0 is always among them, as it begins the story; the default unless there is a query
    """
    asked = isinstance(score, str) and "query" in score
    present = (tokens.frame_splits > 0).nonzero().squeeze(1)
    count = frames_wanted(budget, tokens, context)
    values = score.float() if isinstance(score, Tensor) else frame_scores(tokens, context, score, best=asked)
    values = values[present]
    if count > 1 and (not asked if keep_first is None else keep_first):
        values = torch.cat([values.new_full((1,), torch.inf), values[1:]])
    return keep_frames(tokens, present[top_rows(values, count)])


def frames_wanted(budget: Budget, tokens: TokenSet, context: Context) -> int:
    """A budget in the unit of frames; at least as many as hold the tokens that the last step has to end with."""
    if not isinstance(budget, (int, float)):
        raise ParameterError("frames are counted by a number or a share")
    there = tokens.frame_splits
    there = there[there > 0]
    count = count_of(budget, len(there))
    if context.final:
        fewest = there.sort().values.cumsum(0)  # enough whichever frames are chosen
        count = max(count, min(len(there), int((fewest < context.final).sum()) + 1))
    return count


def uniform_frames(tokens: TokenSet, budget: Budget, context: Context) -> TokenSet:
    """`budget` frames at equal steps, the first and the last among them."""
    present = (tokens.frame_splits > 0).nonzero().squeeze(1)
    rows = evenly(frames_wanted(budget, tokens, context), present.numel(), present.device)
    return keep_frames(tokens, present[rows])


def diverse_frames(tokens: TokenSet, budget: Budget, context: Context, uniform: float = 0.85) -> TokenSet:
    """A share `uniform` of the frames at equal steps, then one by one the frame least like those chosen (D-CoDe)."""
    present = (tokens.frame_splits > 0).nonzero().squeeze(1)
    count = frames_wanted(budget, tokens, context)
    chosen = evenly(max(1, int(uniform * count)), present.numel(), present.device).tolist()
    vectors = unit(frame_vectors(tokens)[present]).double()
    while len(chosen) < count:
        likeness = (vectors @ vectors[chosen].T).mean(1)
        likeness[chosen] = torch.inf
        chosen.append(int(likeness.argmin()))
    return keep_frames(tokens, present[torch.tensor(sorted(chosen), device=present.device)])


def drop_repeats(tokens: TokenSet, budget: Budget, context: Context, threshold: float = 0.98) -> TokenSet:
    """At most `budget` frames whose mean vector has a cosine below `threshold` to that of the last frame kept.

    Where later steps have to end with more tokens than these frames hold, repeats at equal steps are kept as well.
    """
    present = (tokens.frame_splits > 0).nonzero().squeeze(1)
    vectors = unit(frame_vectors(tokens)[present])
    kept = [0]
    for t in range(1, present.numel()):
        if float(vectors[t] @ vectors[kept[-1]]) < threshold:
            kept.append(t)
    limit = frames_wanted(budget, tokens, context)
    rows = torch.tensor(kept, device=present.device)
    rows = rows[evenly(min(limit, len(kept)), len(kept), rows.device)]
    missing = frames_wanted(1, tokens, context) - len(rows)
    if missing > 0:
        others = torch.tensor(sorted(set(range(present.numel())) - set(rows.tolist())), device=present.device)
        rows = torch.cat([rows, others[evenly(missing, len(others), rows.device)]]).sort().values
    return keep_frames(tokens, present[rows])


def select_clips(
    tokens: TokenSet, budget: Budget, context: Context, score: str | Tensor = "bits", clips: int = 1, length: int = 1
) -> TokenSet:
    """`clips` runs of `length` frames at one resolution so that all hold `budget` tokens (F2C).

    Runs are contiguous and do not touch the same frame; each sits around a frame of high score, moved inside the clip.
    Longer or more runs lower the resolution.
    """
    from ..raster import pool_raster

    if tokens.lattice is None or tokens.lattice[0] != tokens.shape[0]:
        raise ParameterError("clips are chosen from whole frames")
    frames, height, width = tokens.lattice
    if clips * length > frames:
        raise ParameterError(f"{clips} runs of {length} frames do not fit into {frames}")
    values = score.float() if isinstance(score, Tensor) else frame_scores(tokens, context, score)
    chosen = sorted(t for first in _runs(values, clips, length) for t in range(first, first + length))
    per_frame = max(1, tokens_wanted(budget, tokens, context) // len(chosen))
    return pool_raster(keep_frames(tokens, chosen), (len(chosen), *fit_raster(per_frame, height, width)))


def _runs(values: Tensor, clips: int, length: int) -> list[int]:
    """First frames of the runs of highest sum that do not overlap and leave room for the rest."""
    sums = values.double().unfold(0, length, 1).sum(1)
    order = torch.sort(sums, descending=True, stable=True).indices.tolist()
    found: list[int] = []
    for first in order:
        if len(found) == clips:
            return found
        if all(abs(first - other) >= length for other in found) and _room(found + [first], clips, length, len(values)):
            found.append(first)
    return found


def _room(firsts: list[int], clips: int, length: int, frames: int) -> bool:
    """Whether `clips` runs fit when these are among them."""
    borders, free = sorted(firsts), 0
    at = 0
    for first in [*borders, frames]:
        free += (first - at) // length
        at = first + length
    return free >= clips - len(firsts)
