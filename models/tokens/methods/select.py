"""Selecting: a subset of the tokens, in raster order, at their own positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import integer
from ..raster import fit_raster
from ..rows import evenly, take, top_rows
from ..types import TokenSet
from .budget import Adaptive, Budget, proportional
from .cluster import kcenter_rows
from .frames import by_frame, tokens_wanted
from .scores import Context, frame_scores, row_scores

ScoreName = str | Tensor


def select(
    tokens: TokenSet,
    budget: Budget,
    context: Context,
    score: ScoreName = "bits",
    uniform: float = 0.0,
    cell: int = 0,
    floor: float | None = None,
    each: bool = False,
) -> TokenSet:
    """The tokens of highest score.

    uniform   this share of them at equal steps instead, whatever their score (FEATHER, PruMerge+)
    cell      every cell x cell square of a frame keeps at least its best token (FEATHER)
    floor     tokens with a score of at least this are never dropped (VTS); ParameterError when the budget is too small
    each      every frame gets its own even share of the budget
    """
    values = row_scores(tokens, context, score)
    if each or isinstance(budget, list):
        if cell or floor is not None:
            raise ParameterError("`cell` and `floor` need one budget for the whole clip")
        labels = by_frame(tokens, budget, context, lambda rows, n: _marked(values[rows], n, uniform))
        return take(replace(tokens, weight=importance(values)), (labels >= 0).nonzero().squeeze(1))
    count = tokens_wanted(budget, tokens, context)
    if isinstance(budget, Adaptive):
        count = max(1, min(count, int((values >= budget.threshold).sum())))
    if floor is not None and int((values >= floor).sum()) > count:
        raise ParameterError(f"{int((values >= floor).sum())} tokens score at least {floor}, the budget is {count}")
    must = covering(tokens, values, cell) if cell else values.new_zeros(0, dtype=torch.int64)
    rows = _with_uniform(values, count, uniform, must)
    return take(replace(tokens, weight=importance(values)), rows)


def _marked(values: Tensor, count: int, uniform: float) -> Tensor:
    """0..count-1 on the chosen rows of a frame, -1 on the others."""
    labels = torch.full_like(values, -1, dtype=torch.int64)
    labels[_with_uniform(values, count, uniform, labels[:0])] = torch.arange(count, device=values.device)
    return labels


def _with_uniform(values: Tensor, count: int, uniform: float, must: Tensor) -> Tensor:
    """`count` rows: `must`, a share at equal steps, the rest by score."""
    if must.numel() > count:
        raise ParameterError(f"covering needs {must.numel()} tokens, the budget is {count}")
    raised = values.clone()
    steps = min(int(uniform * count), count - must.numel())
    if steps > 0:
        raised[evenly(steps, len(values), values.device)] = torch.finfo(values.dtype).max
    raised[must] = torch.inf
    return top_rows(raised, count)


def importance(values: Tensor) -> Tensor:
    """Scores as weights that sum to 1; scores that go below zero are shifted to start there."""
    shifted = values - values.min().clamp_max(0)
    total = shifted.double().sum()
    even = torch.full_like(shifted, 1 / len(shifted))
    return torch.where(total > 0, (shifted / total.clamp_min(1e-30)).float(), even)


def covering(tokens: TokenSet, values: Tensor, cell: int) -> Tensor:
    """Rows, ascending: the best token of each occupied cell x cell square."""
    height, width = tokens.shape[1], tokens.shape[2]
    at = tokens.anchor - tokens.frames * height * width
    y, x = torch.div(at, width, rounding_mode="floor"), at % width
    across = -(-width // cell)
    square = (tokens.frames * -(-height // cell) + y // cell) * across + x // cell
    order = torch.sort(values, descending=True, stable=True).indices
    order = order[torch.sort(square[order], stable=True).indices]
    first = torch.ones_like(order, dtype=torch.bool)
    first[1:] = square[order][1:] != square[order][:-1]
    return order[first].sort().values


def linspace(tokens: TokenSet, budget: Budget, context: Context) -> TokenSet:
    """Tokens at equal steps through the whole clip, the first and the last among them (TS-LLaVA)."""
    count = tokens_wanted(budget, tokens, context)
    return take(tokens, evenly(count, len(tokens), tokens.x.device))


def kcenter(tokens: TokenSet, budget: Budget, context: Context, start: ScoreName = "l2") -> TokenSet:
    """Greedy k-center: each further token is the one farthest from those chosen (ToDRE, DivPrune).

    The largest distance of a dropped token to a kept one is at most twice the best possible.  O(N * k * C).
    """
    count = tokens_wanted(budget, tokens, context)
    first = int(top_rows(row_scores(tokens, context, start), 1)[0])
    rows = kcenter_rows(tokens.x, count, first)
    return take(tokens, rows.sort().values)


def crop(tokens: TokenSet, budget: Budget, context: Context, score: ScoreName = "query") -> TokenSet:
    """The h x w box of the clip that holds the most of the score; positions stay absolute (Free Video-LLM).

    `budget` is (t, h, w), or a number that the largest box of the grid's aspect is fitted into.
    """

    if tokens.lattice is None:
        raise ParameterError("a crop needs whole frames")
    t, height, width = tokens.lattice
    if isinstance(budget, tuple):
        h, w = min(budget[1], height), min(budget[2], width)
    else:
        h, w = fit_raster(max(1, tokens_wanted(budget, tokens, context) // t), height, width)
    plane = row_scores(tokens, context, score).double().view(t, height, width).sum(0)
    top, left = best_box(plane, h, w)
    inside = torch.zeros(t, height, width, dtype=torch.bool, device=plane.device)
    inside[:, top : top + h, left : left + w] = True
    return take(tokens, inside.flatten().nonzero().squeeze(1), (t, h, w))


def best_box(plane: Tensor, h: int, w: int) -> tuple[int, int]:
    """Top and left of the h x w box of largest sum, by an integral image; of equal ones the first."""
    table = torch.nn.functional.pad(plane.cumsum(0).cumsum(1), (1, 0, 1, 0))
    sums = table[h:, w:] - table[:-h, w:] - table[h:, :-w] + table[:-h, :-w]
    at = int((sums >= sums.max() - 1e-9).flatten().nonzero()[0])
    return at // sums.shape[1], at % sums.shape[1]


def outlier_ratio(values: Tensor) -> float:
    """Share of scores above the third quartile plus 1.5 interquartile ranges (PruMerge)."""
    low, high = torch.quantile(values.float(), torch.tensor([0.25, 0.75], device=values.device)).tolist()
    return float((values > high + 1.5 * (high - low)).float().mean())


def stages(
    tokens: TokenSet, context: Context, plan: Sequence[tuple[int, int]], score: ScoreName, **options: float
) -> TokenSet:
    """Keep n1 tokens now and fewer from later layers on: plan ((layer, count), ...), sets nested (FEATHER).

    The set holds the first stage; its schedule says which of its rows go on after each later layer.
    """
    from ..types import LayerSchedule

    counts = [integer(f"stage {layer}: count", count, 1) for layer, count in plan]
    if not counts or counts != sorted(counts, reverse=True):
        raise ParameterError(f"the stages keep {counts}, which does not fall")
    found = select(tokens, counts[0], context, score, **options)  # type: ignore[arg-type]
    keep: dict[int, Tensor] = {}
    rows = torch.arange(len(found), device=found.x.device)
    inner = found
    for layer, count in plan[1:]:
        chosen = select(inner, count, context, score, **options)  # type: ignore[arg-type]
        rows = rows[torch.isin(inner.anchor, chosen.anchor)]
        keep[layer], inner = rows, chosen
    return replace(found, schedule=LayerSchedule(keep=keep))


def gumbel_mask(logits: Tensor, count: int, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
    """(..., N) mask of exactly `count` ones drawn by Gumbel noise; gradients pass straight through (S5)."""
    count = integer("count", count, 1)
    if count > logits.shape[-1]:
        raise ParameterError(f"count {count} is more than the {logits.shape[-1]} logits")
    noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=generator).clamp(1e-9, 1 - 1e-7)))
    noisy = (logits + noise.to(logits.device)) / temperature
    chosen = torch.sort(noisy.detach(), dim=-1, descending=True, stable=True).indices[..., :count]
    hard = torch.zeros_like(logits).scatter(-1, chosen, 1.0)
    soft = torch.softmax(noisy, -1) * count
    return hard + soft - soft.detach()


def cut_budget(tokens: TokenSet, budget: Budget, context: Context, score: str = "bits", floor: int = 1) -> TokenSet:
    """Tokens per frame in proportion to the frame's score, each at least `floor`; the best of each (KFFocus)."""
    values = frame_scores(tokens, context, score).clamp_min(0).tolist()
    count = tokens_wanted(budget, tokens, context)
    there = tokens.frame_splits.tolist()
    least = floor if count >= floor * sum(1 for n in there if n) and all(n >= floor for n in there) else 0
    counts = proportional(count, values, least, there)

    return select(tokens, counts, context, score)
