"""Merging: a partition of the tokens, each part its weighted mean."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..rows import evenly, regroup, take, top_rows
from ..types import TokenSet
from .budget import Adaptive, Budget
from .cluster import density_peaks, kmeans
from .frames import in_frames, tokens_wanted
from .matching import bipartite, greedy_labels
from .nearby import best_match
from .scores import Context, row_scores, unit
from .select import ScoreName, importance


def tome(tokens: TokenSet, budget: Budget, context: Context, scope: str = "frame") -> TokenSet:
    """Bipartite soft matching, passes repeated until the count is met (ToMe).

    scope   "frame": frames do not mix and share the budget evenly; "clip": any two tokens may merge, for sets that are
            small by now (time grows with the square of their number)

    With `Adaptive(threshold, cap)` pairs merge while their cosine is at least the threshold (DyMU); a frame above its
    share of the cap merges on.
    """
    if not isinstance(budget, Adaptive):
        if scope == "clip":
            count = torch.tensor([tokens_wanted(budget, tokens, context)])
            return regroup(tokens, bipartite(tokens.x[None], tokens.size[None], _all(tokens), count)[0])
        return regroup(tokens, in_frames(tokens, budget, context, partial(_paired, tokens)))
    threshold = budget.threshold

    def free(rows: Tensor, valid: Tensor, counts: Tensor) -> Tensor:
        found = bipartite(tokens.x[rows], tokens.size[rows], valid, torch.ones_like(counts), threshold)
        return _capped(tokens, found, rows, valid, counts)

    return regroup(tokens, in_frames(tokens, budget, context, free))


def _all(tokens: TokenSet) -> Tensor:
    return torch.ones(1, len(tokens), dtype=torch.bool, device=tokens.x.device)


def _paired(tokens: TokenSet, rows: Tensor, valid: Tensor, counts: Tensor) -> Tensor:
    return bipartite(tokens.x[rows], tokens.size[rows], valid, counts)


def _capped(tokens: TokenSet, labels: Tensor, rows: Tensor, valid: Tensor, counts: Tensor) -> Tensor:
    """The same labels; frames of more than `counts` parts, or with rows that have none, are paired to that number."""
    over = (labels.amax(1) >= counts) | ((labels < 0) & valid).any(1)
    if bool(over.any()):
        labels = labels.clone()
        labels[over] = _paired(tokens, rows[over], valid[over], counts[over])
    return labels


def calibrate(grids: list[TokenSet], mean_count: float, steps: int = 20) -> float:
    """The threshold at which `tome` leaves `mean_count` tokens on average over these sets (DyMU)."""
    low, high = -1.0, 1.0
    one = torch.ones(1, dtype=torch.int64)
    for _ in range(steps):
        middle = (low + high) / 2
        labels = [bipartite(tokens.x[None], tokens.size[None], _all(tokens), one, middle) for tokens in grids]
        mean = sum(int(found.max()) + 1 for found in labels) / len(labels)
        low, high = (middle, high) if mean < mean_count else (low, middle)
    return (low + high) / 2


def vq(tokens: TokenSet, budget: Budget, context: Context, iterations: int = 8) -> TokenSet:
    """K-means over the whole clip: the tokens are a codebook, `assign` is the index map (VQToken)."""
    count = tokens_wanted(budget, tokens, context)
    return regroup(tokens, kmeans(tokens.x, count, iterations))


def dpc(tokens: TokenSet, budget: Budget, context: Context, neighbours: int = 5) -> TokenSet:
    """Density peaks frame by frame (SeTok).  With `Adaptive(r, cap)` every token that is denser than all within r times
    the frame's largest distance starts a part."""
    threshold = budget.threshold if isinstance(budget, Adaptive) else None

    def peaks(rows: Tensor, valid: Tensor, counts: Tensor) -> Tensor:
        return density_peaks(tokens.x[rows], valid, counts, neighbours, threshold)

    return regroup(tokens, in_frames(tokens, budget, context, peaks))


def runs(tokens: TokenSet, budget: Budget, context: Context, score: ScoreName = "temporal") -> TokenSet:
    """Cells merge with the same cell of the frames before as long as they change least.

    The N highest scores start a run; a run lasts until the next start in its column.  Cells before the first start of
    their column are dropped.  What DyCoke, PruneVid and HoliTom do to static parts, with an exact count.
    """
    lattice = tokens.lattice
    if lattice is None:
        raise ParameterError("runs need whole frames")
    count = tokens_wanted(budget, tokens, context)
    heads = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.x.device)
    heads[top_rows(row_scores(tokens, context, score), count)] = True
    names = torch.where(heads, torch.arange(len(tokens), device=heads.device), -1).view(lattice)
    return regroup(tokens, names.cummax(0).values.flatten())


def temporal_pairs(tokens: TokenSet, budget: Budget, context: Context) -> TokenSet:
    """Neighbouring frames merge cell by cell, T -> T/2 -> ..., as long as the count allows; then `tome` (TempMe)."""
    count = tokens_wanted(budget, tokens, context)
    while tokens.lattice is not None and tokens.lattice[0] > 1 and len(tokens) > count:
        t, h, w = tokens.lattice
        halved = -(-t // 2)
        if halved * h * w < count:
            break
        labels = torch.arange(len(tokens), device=tokens.x.device).view(t, h * w)
        labels = (labels[:, :] % (h * w)) + torch.arange(t, device=labels.device)[:, None] // 2 * (h * w)
        tokens = regroup(tokens, labels.flatten(), lattice=(halved, h, w))
    return tokens if len(tokens) <= count else tome(tokens, count, context)


def greedy(tokens: TokenSet, budget: Budget, context: Context) -> TokenSet:
    """In raster order each token that is still free absorbs all free ones of its frame whose cosine reaches the
    threshold of `Adaptive` (D-CoDe)."""
    if not isinstance(budget, Adaptive):
        return tome(tokens, budget, context)
    threshold = budget.threshold

    def absorbing(rows: Tensor, valid: Tensor, counts: Tensor) -> Tensor:
        found = greedy_labels(tokens.x[rows], valid, threshold, int(counts.max()))
        return _capped(tokens, found, rows, valid, counts)

    return regroup(tokens, in_frames(tokens, budget, context, absorbing))


def absorb(tokens: TokenSet, kept: Tensor, neighbours: int, weight: Tensor | None = None) -> TokenSet:
    """Each dropped token joins the kept one that it is most like, if it is among that one's `neighbours` nearest.

    weight   (N,) >= 0, how much a token counts in the mean (PruMerge: attention); by default its size.  Each part is a
    convex mean filed under its kept token.
    """
    labels = torch.full_like(tokens.anchor, -1)
    labels[kept] = torch.arange(kept.numel(), device=kept.device)
    rest = (labels < 0).nonzero().squeeze(1)
    if rest.numel():
        directions = unit(tokens.x.float())
        likeness, target = _likest(directions[rest], directions[kept])
        labels[rest] = torch.where(_rank_within(likeness, target) < neighbours, target, -1)
    found = regroup(tokens, labels, weight)
    return _refiled(found, tokens, kept, labels)


def _likest(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of a (N, C) its largest product with a row of b (M, C), and that row."""
    values, rows = best_match(a[None], b[None], torch.ones(1, len(b), dtype=torch.bool, device=b.device))
    return values[0], rows[0]


def _rank_within(value: Tensor, group: Tensor) -> Tensor:
    """Place of each value among those of its group, highest first."""
    order = torch.sort(value, descending=True, stable=True).indices
    order = order[torch.sort(group[order], stable=True).indices]
    counts = torch.bincount(group)
    begin = counts.cumsum(0) - counts
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device) - begin[group[order]]
    return rank


def _refiled(found: TokenSet, tokens: TokenSet, kept: Tensor, labels: Tensor) -> TokenSet:
    """The parts of `found` filed under the kept rows instead of their first cells, in that order."""
    anchor = tokens.anchor[kept]
    row_of_kept = found.assign[tokens.anchor[kept]]
    order = row_of_kept[torch.argsort(anchor)]
    place = torch.empty(len(found) + 1, dtype=torch.int64, device=order.device)
    place[order], place[-1] = torch.arange(len(found), device=order.device), -1
    anchor = anchor.sort().values
    columns = {name: getattr(found, name)[order] for name in ("x", "pos", "size", "weight", "level")}
    return replace(found, **columns, index=anchor, anchor=anchor, assign=place[found.assign])


def absorb_groups(tokens: TokenSet, kept: Tensor, groups: int) -> TokenSet:
    """`kept` stay as they are; every other token joins one of `groups` parts around evenly spaced ones of the rest
    (VisionZip's contextual tokens)."""

    labels = torch.full_like(tokens.anchor, -1)
    labels[kept] = torch.arange(kept.numel(), device=kept.device)
    rest = (labels < 0).nonzero().squeeze(1)
    centres = rest[evenly(groups, rest.numel(), rest.device)]
    directions = unit(tokens.x.float())
    _, target = _likest(directions[rest], directions[centres])
    labels[rest] = kept.numel() + target
    labels[centres] = kept.numel() + torch.arange(groups, device=kept.device)
    return regroup(tokens, labels)


def keep_and_absorb(
    tokens: TokenSet,
    budget: Budget,
    context: Context,
    score: ScoreName = "attn",
    uniform: float = 0.0,
    neighbours: int = 32,
) -> TokenSet:
    """The tokens of highest score, some at equal steps, each with its nearest dropped ones merged in (PruMerge)."""
    from .select import select

    values = row_scores(tokens, context, score)
    kept = select(tokens, budget, context, score, uniform=uniform)
    rows = torch.isin(tokens.anchor, kept.anchor).nonzero().squeeze(1)
    return absorb(tokens, rows, neighbours, importance(values).clamp_min(1e-12))


def dominant(
    tokens: TokenSet, budget: Budget, context: Context, score: ScoreName = "attn", contextual: float = 0.16
) -> TokenSet:
    """The tokens of highest score alone, all others merged into a share `contextual` of the budget (VisionZip)."""
    count = tokens_wanted(budget, tokens, context)
    if count >= len(tokens):
        return tokens
    groups = min(max(1, int(contextual * count)), count - 1) if count > 1 else 0
    kept = top_rows(row_scores(tokens, context, score), count - groups)
    return absorb_groups(tokens, kept, groups) if groups else take(tokens, kept)


def recover(
    tokens: TokenSet,
    budget: Budget,
    context: Context,
    visual: ScoreName = "l2",
    share: float = 0.25,
    merge: float = 0.1,
) -> TokenSet:
    """Keep by a visual score, bring back tokens near the query, merge the rest (Recoverable Compression).

    share   of the budget that goes to the query; all of it to the visual score when there is no query
    merge   of the budget that the dropped tokens are merged into
    """

    count = tokens_wanted(budget, tokens, context)
    groups = min(max(1, int(merge * count)), count - 1) if count > 1 and count < len(tokens) else 0
    single = count - groups
    found = int(share * single) if context.query is not None or context.text is not None else 0
    values = row_scores(tokens, context, visual)
    kept = top_rows(values, single - found)
    if found:
        nearness = row_scores(tokens, context, "query")
        nearness[kept] = -torch.inf
        kept = torch.cat([kept, top_rows(nearness, found)]).sort().values
    return absorb_groups(tokens, kept, groups) if groups else take(tokens, kept)
