"""Merging: a partition of the tokens, each part its weighted mean."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..rows import evenly, regroup, take, top_rows
from ..types import TokenSet
from .budget import Adaptive, Budget
from .cluster import best_match, density_peaks, kmeans
from .frames import by_frame, tokens_wanted
from .scores import Context, row_scores, unit
from .select import ScoreName, importance


def tome(tokens: TokenSet, budget: Budget, context: Context, scope: str = "frame") -> TokenSet:
    """Bipartite soft matching, passes repeated until the count is met (ToMe).

    scope   "frame": frames do not mix and share the budget evenly; "clip": any two tokens may merge, for sets that are
            small by now (time grows with the square of their number)

    With `Adaptive(threshold, cap)` pairs merge while their cosine is at least the threshold (DyMU); a frame above its
    share of the cap merges on.
    """
    threshold = budget.threshold if isinstance(budget, Adaptive) else -2.0
    if scope == "clip" and not isinstance(budget, Adaptive):
        return regroup(tokens, bipartite(tokens.x, tokens.size, tokens_wanted(budget, tokens, context)))
    stop_at_count = not isinstance(budget, Adaptive)

    def one(rows: Tensor, n: int) -> Tensor:
        least = n if stop_at_count else 1
        labels = bipartite(tokens.x[rows], tokens.size[rows], least, threshold)
        if not stop_at_count and int(labels.max()) + 1 > n:
            labels = bipartite(tokens.x[rows], tokens.size[rows], n, -2.0)
        return labels

    if stop_at_count:
        return regroup(tokens, by_frame(tokens, budget, context, one))
    return regroup(tokens, _free_labels(tokens, budget, context, one))


def _free_labels(tokens: TokenSet, budget: Budget, context: Context, one: object) -> Tensor:
    """Labels of all frames where each frame's number of parts is up to its content."""
    from .frames import frame_counts

    labels, offset = torch.full_like(tokens.anchor, -1), 0
    for t, cap in enumerate(frame_counts(budget, tokens, context)):
        rows = (tokens.frames == t).nonzero().squeeze(1)
        if cap and rows.numel():
            found = one(rows, cap)  # type: ignore[operator]
            labels[rows] = found + offset
            offset += int(found.max()) + 1
    return labels


def bipartite(x: Tensor, size: Tensor, count: int, threshold: float = -2.0) -> Tensor:
    """(N,) labels 0..K-1: even rows merge into the odd rows that they are most like, in passes.

    Stops at `count` parts, or when no pair's cosine reaches `threshold`.  One pass halves the rows at most.
    """
    labels = torch.arange(len(x), device=x.device)
    x, mass = x.double(), size.double()
    while len(x) > count:
        even, odd = torch.arange(0, len(x), 2, device=x.device), torch.arange(1, len(x), 2, device=x.device)
        if odd.numel() == 0:
            break
        directions = unit(x)
        likeness, target = best_match(directions[even], directions[odd])
        order = torch.sort(likeness, descending=True, stable=True).indices[: len(x) - count]
        order = order[likeness[order] >= threshold]
        if order.numel() == 0:
            break
        parent = torch.arange(len(x), device=x.device)
        parent[even[order]] = odd[target[order]]
        labels, x, mass = _collapse(parent, labels, x, mass)
    return labels


def _collapse(parent: Tensor, labels: Tensor, x: Tensor, mass: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows joined to their parents (one level deep), renumbered in order of the parents."""
    roots = (parent == torch.arange(len(parent), device=parent.device)).cumsum(0) - 1
    merged = roots[parent]
    count = int(roots[-1]) + 1
    total = mass.new_zeros(count).index_add_(0, merged, mass)
    mean = x.new_zeros(count, x.shape[1]).index_add_(0, merged, x * mass[:, None]) / total[:, None]
    return merged[labels], mean, total


def calibrate(grids: list[TokenSet], mean_count: float, steps: int = 20) -> float:
    """The threshold at which `tome` leaves `mean_count` tokens on average over these sets (DyMU)."""
    low, high = -1.0, 1.0
    for _ in range(steps):
        middle = (low + high) / 2
        counts = [int(bipartite(tokens.x, tokens.size, 1, middle).max()) + 1 for tokens in grids]
        low, high = (middle, high) if sum(counts) / len(counts) < mean_count else (low, middle)
    return (low + high) / 2


def vq(tokens: TokenSet, budget: Budget, context: Context, iterations: int = 8) -> TokenSet:
    """K-means over the whole clip: the tokens are a codebook, `assign` is the index map (VQToken)."""
    count = tokens_wanted(budget, tokens, context)
    return regroup(tokens, kmeans(tokens.x, count, iterations))


def dpc(tokens: TokenSet, budget: Budget, context: Context, neighbours: int = 5) -> TokenSet:
    """Density peaks frame by frame (SeTok).  With `Adaptive(r, cap)` every token that is denser than all within r times
    the frame's largest distance starts a part."""
    if isinstance(budget, Adaptive):
        threshold = budget.threshold

        def free(rows: Tensor, n: int) -> Tensor:
            return density_peaks(tokens.x[rows], n, neighbours, threshold)

        return regroup(tokens, _free_labels(tokens, budget, context, free))
    return regroup(
        tokens, by_frame(tokens, budget, context, lambda rows, n: density_peaks(tokens.x[rows], n, neighbours))
    )


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

    def one(rows: Tensor, n: int) -> Tensor:
        labels = greedy_labels(tokens.x[rows], threshold)
        return labels if int(labels.max()) < n else bipartite(tokens.x[rows], tokens.size[rows], n)

    return regroup(tokens, _free_labels(tokens, budget, context, one))


def greedy_labels(x: Tensor, threshold: float) -> Tensor:
    """(N,) labels of the greedy pass.  O(N * parts)."""
    directions = unit(x.double())
    labels = torch.full((len(x),), -1, dtype=torch.int64, device=x.device)
    part = 0
    while bool((free := labels < 0).any()):
        head = int(free.nonzero()[0])
        labels[free & (directions @ directions[head] >= threshold)] = part
        labels[head] = part
        part += 1
    return labels


def absorb(tokens: TokenSet, kept: Tensor, neighbours: int, weight: Tensor | None = None) -> TokenSet:
    """Each dropped token joins the kept one that it is most like, if it is among that one's `neighbours` nearest.

    weight   (N,) >= 0, how much a token counts in the mean (PruMerge: attention); by default its size.  Each part is a
    convex mean filed under its kept token.
    """
    labels = torch.full_like(tokens.anchor, -1)
    labels[kept] = torch.arange(kept.numel(), device=kept.device)
    rest = (labels < 0).nonzero().squeeze(1)
    if rest.numel():
        directions = unit(tokens.x.double())
        likeness, target = best_match(directions[rest], directions[kept])
        labels[rest] = torch.where(_rank_within(likeness, target) < neighbours, target, -1)
    found = regroup(tokens, labels, weight)
    return _refiled(found, tokens, kept, labels)


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
    directions = unit(tokens.x.double())
    _, target = best_match(directions[rest], directions[centres])
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
