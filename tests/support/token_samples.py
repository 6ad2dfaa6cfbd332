"""Grids for the tests of tokens: random ones, clips with known cuts, a brute-force reading of what a set means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tessera.models.tokens import METHODS, RECIPES, TokenGrid, TokenSet, list_methods, reduce

ENTRIES = {entry["name"]: entry for entry in list_methods()}
NAMES = [*METHODS, *(name for name, recipe in RECIPES.items() if len(recipe.steps) > 1)]  # one step is its method
TOKEN_NAMES = [name for name in NAMES if ENTRIES[name]["unit"] == "tokens"]


def grid_of(x: Tensor, bits: Tensor | None = None, valid: Tensor | None = None) -> TokenGrid:
    """A grid around latents (T, H, W, C); bits default to something positive that differs from cell to cell."""
    shape = x.shape[:3]
    if bits is None:
        bits = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 20 + 1
    return TokenGrid(
        x=x,
        bits=bits,
        bits_prior=bits + 0.5,
        codes=None,
        times=torch.arange(shape[0], dtype=torch.float64) / 25,
        frame_type=torch.zeros(shape[0], dtype=torch.int64),
        valid=torch.ones(shape, dtype=torch.bool) if valid is None else valid,
    )


def random_grid(t: int = 6, h: int = 8, w: int = 10, c: int = 16, seed: int = 0) -> TokenGrid:
    return grid_of(torch.randn(t, h, w, c, generator=torch.Generator().manual_seed(seed)))


def static_grid(t: int = 5, h: int = 6, w: int = 6, c: int = 8) -> TokenGrid:
    """Every frame alike; later frames cost few bits, as in an inter-coded file."""
    still = random_grid(1, h, w, c)
    bits = torch.cat([torch.full((1, h, w), 9.0), torch.full((t - 1, h, w), 0.1)])
    return grid_of(still.x.expand(t, h, w, c).clone(), bits)


def cut_grid(t: int = 24, cuts: tuple[int, ...] = (6, 13, 19), h: int = 4, w: int = 4, c: int = 8) -> TokenGrid:
    """Scenes that stand still between hard cuts; a cut frame costs twenty times the bits of the others."""
    generator = torch.Generator().manual_seed(3)
    scenes = torch.randn(len(cuts) + 1, h, w, c, generator=generator)
    number = torch.bucketize(torch.arange(t), torch.tensor(cuts), right=True)
    bits = torch.full((t, h, w), 0.5) + torch.rand(t, h, w, generator=generator) * 0.01
    bits[[0, *cuts]] += 10
    return grid_of(scenes[number] + 0.01 * torch.randn(t, h, w, c, generator=generator), bits)


def helpers(grid: TokenGrid) -> dict[str, Any]:
    """A query and an attention map, for methods that need them."""
    generator = torch.Generator().manual_seed(5)
    cells = grid.valid.numel()
    return {
        "query": torch.randn(grid.x.shape[3], generator=generator),
        "attn": torch.rand(3, 4, cells, generator=generator),
    }


def run(name: str, grid: TokenGrid, budget: Any, **options: Any) -> TokenSet:
    return reduce(grid, name, budget, **{**helpers(grid), **options})


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's, equal values at their mean rank."""
    ranks = []
    for values in (torch.tensor(list(a), dtype=torch.float64), torch.tensor(list(b), dtype=torch.float64)):
        less = (values[:, None] > values).sum(1)
        ranks.append(less + (values[:, None] == values).sum(1) / 2)
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


def means_of_cells(tokens: TokenSet, grid: TokenGrid) -> Tensor:
    """(N, C) what the rows should be: the shares of their cells added up one by one."""
    cells = grid.x.reshape(-1, grid.x.shape[3]).double()
    rows = torch.zeros(len(tokens), cells.shape[1], dtype=torch.float64)
    for layer in (tokens.assign, *tokens.layers):
        for cell in (layer >= 0).nonzero().flatten().tolist():
            rows[layer[cell]] += tokens.share[cell].double() * cells[cell]
    return rows
