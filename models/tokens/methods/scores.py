"""Scores: how important a position is.  Each maps a Context to (T, H, W) float32; higher scores are kept first.

A product is written with `*` and powers with `^`, as in "bits^0.5*query".  Factors of a product are shifted to start at
0, so that a product never turns the order of a factor around.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...base.errors import ParameterError
from ..grid import TokenGrid
from ..types import TokenSet


@dataclass
class Context:
    """The inputs of a reduction.  `used_query` is set when the query is read."""

    grid: TokenGrid
    query: Tensor | None = None  # (C,) or (M, C) in the space of grid.x
    attn: Tensor | None = None  # (L, heads, N), (heads, N), (N,) or (T, H, W), N = T*H*W
    text: Tensor | None = None  # (M, C)
    seed: int = 0
    used_query: bool = False
    final: int | None = None  # tokens that the last step has to end with

    def ask(self) -> Tensor:
        """(M, C) float32 query.  ParameterError when there is none."""
        self.used_query = True
        given = self.query if self.query is not None else self.text
        if given is None:
            raise ParameterError("this method needs a query")
        return given.reshape(-1, given.shape[-1]).float()


def unit(x: Tensor) -> Tensor:
    """Rows scaled to length 1, float32 or float64; zero rows stay zero."""
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=-1, eps=1e-12)


def bits(context: Context) -> Tensor:
    """-log2 p of what was coded at the position.  Warns when they are the same everywhere (indices of fixed length)."""
    spent = _needed(context.grid.bits, "bits")
    inside = spent[context.grid.valid]
    if len(inside) > 1 and bool((inside == inside[0]).all()):
        warnings.warn("the bits are the same everywhere, so they choose nothing; use another score", stacklevel=2)
    return spent


def bits_prior(context: Context) -> Tensor:
    """Bits expected from side information alone, known before the latents are decoded."""
    return _needed(context.grid.bits_prior, "bits_prior")


def novelty(context: Context) -> Tensor:
    """Bits above the mean of the frame's valid cells."""
    spent, valid = bits(context), context.grid.valid
    total = torch.where(valid, spent, 0.0).sum((1, 2), keepdim=True)
    return spent - total / valid.sum((1, 2), keepdim=True).clamp_min(1)


def temporal(context: Context) -> Tensor:
    """1 - cosine to the same cell of the frame before; cells without one get 2, the most there is."""
    x = unit(context.grid.x)
    known = context.grid.valid[1:] & context.grid.valid[:-1]
    change = torch.where(known, 1 - (x[1:] * x[:-1]).sum(-1), 2.0)
    return torch.cat([torch.full_like(change[:1], 2.0) if len(change) else x.new_full(x.shape[:3], 2.0), change])


def change(context: Context) -> Tensor:
    """Distance to the same cell of the frame before; depends on contrast, unlike `temporal`.  First frame: the norm."""
    x = context.grid.x.float()
    previous = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
    found: Tensor = torch.linalg.vector_norm(x - previous, dim=-1)
    return found


def l2(context: Context) -> Tensor:
    """Length of the vector."""
    found: Tensor = torch.linalg.vector_norm(context.grid.x.float(), dim=-1)
    return found


def attn(context: Context, first: int = 0) -> Tensor:
    """Attention given by the caller: means over heads, summed over layers first..-2 (of a single layer: that one)."""
    given = _needed(context.attn, "attn")
    shape = context.grid.x.shape[:3]
    if given.dim() == 3 and given.shape != shape:
        given = given.mean(1)
        given = given[first:-1].sum(0) if len(given) > 1 else given[0]
    elif given.dim() == 2:
        given = given.mean(0)
    return given.float().reshape(shape)


def query(context: Context) -> Tensor:
    """Cosine to the nearest of the query's vectors."""
    return (unit(context.grid.x) @ unit(context.ask()).T).amax(-1)


def density(context: Context) -> Tensor:
    """Mean cosine to the valid neighbours above, below, left and right: how typical a cell is of its surroundings."""
    x, valid = unit(context.grid.x), context.grid.valid.float()
    total, count = torch.zeros_like(valid), torch.zeros_like(valid)
    for axis in (1, 2):
        for step in (1, -1):
            near, there = _shifted(x, axis, step), _shifted(valid, axis, step)
            total += (x * near).sum(-1) * there
            count += there
    return total / count.clamp_min(1)


def _shifted(x: Tensor, axis: int, step: int) -> Tensor:
    """The neighbour's value, 0 beyond the edge."""
    out = torch.zeros_like(x)
    size = x.shape[axis]
    if size > 1:
        low, high = (0, size - 1) if step == 1 else (1, size - 1)
        source = x.narrow(axis, 1 if step == 1 else 0, size - 1)
        out.narrow(axis, low, high).copy_(source)
    return out


def uniform(context: Context) -> Tensor:
    """Any number of the best lie evenly over the grid (multiples of the golden ratio, modulo 1)."""
    cells = torch.arange(context.grid.valid.numel(), dtype=torch.float64, device=context.grid.x.device)
    golden = (5**0.5 - 1) / 2
    return (1 - (cells * golden) % 1).float().view(context.grid.valid.shape)


def random(context: Context) -> Tensor:
    """Random numbers of the context's seed, the same on every device."""
    generator = torch.Generator().manual_seed(context.seed)
    return torch.rand(context.grid.valid.shape, generator=generator).to(context.grid.x.device)


SCORES: dict[str, Callable[[Context], Tensor]] = {
    "bits": bits,
    "bits_prior": bits_prior,
    "novelty": novelty,
    "temporal": temporal,
    "change": change,
    "l2": l2,
    "attn": attn,
    "query": query,
    "density": density,
    "uniform": uniform,
    "random": random,
}
NEEDS: dict[str, tuple[str, ...]] = {
    "bits": ("bits",),
    "bits_prior": ("bits_prior",),
    "novelty": ("bits",),
    "attn": ("attn",),
    "query": ("query",),
}


def score(context: Context, name: str | Tensor) -> Tensor:
    """(T, H, W) float32 score by name, product of names, or as given; padding gets -inf."""
    if isinstance(name, Tensor):
        found = name.float().reshape(context.grid.valid.shape)
    else:
        factors = [_factor(context, word.strip()) for word in name.split("*")]
        found = factors[0]
        if len(factors) > 1:
            found = torch.ones_like(found)
            for factor in factors:
                found = found * (factor - factor[context.grid.valid].min()).clamp_min(0)
    return torch.where(context.grid.valid, found.float(), -torch.inf)


def _factor(context: Context, word: str) -> Tensor:
    name, _, power = word.partition("^")
    if name not in SCORES:
        raise ParameterError(f"there is no score {name!r}; there are {', '.join(SCORES)}")
    value = SCORES[name](context)
    return value.clamp_min(0) ** float(power) if power else value


def row_scores(tokens: TokenSet, context: Context, name: str | Tensor) -> Tensor:
    """(N,) float32: the score of each token, of merged ones the share-weighted mean over their cells."""
    cells = score(context, name).flatten()
    kept = tokens.assign >= 0
    out = cells.new_zeros(len(tokens))
    return out.index_add_(0, tokens.assign[kept], cells[kept] * tokens.share[kept])


def frame_scores(tokens: TokenSet, context: Context, name: str | Tensor, best: bool = False) -> Tensor:
    """(T,) float32 sum of the tokens' scores in each frame, or the best of them; -inf for frames without a token."""
    values = row_scores(tokens, context, name)
    if best:
        return values.new_full((tokens.shape[0],), -torch.inf).scatter_reduce(0, tokens.frames, values, "amax")
    total = values.new_zeros(tokens.shape[0]).index_add_(0, tokens.frames, values)
    return torch.where(tokens.frame_splits > 0, total, -torch.inf)


def _needed(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ParameterError(f"this method needs {name}, which the grid or the call lacks")
    return value.float()
