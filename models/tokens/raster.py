"""Rasters of tokens: the shape that fits a budget, and pooling to it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..base.errors import ParameterError
from .rows import regroup
from .types import Shape, TokenSet


def fit_raster(count: int, height: int, width: int) -> tuple[int, int]:
    """(h, w) within the grid with h * w <= count, of its aspect; short of `count` by less than a row or a column."""
    h = max(1, min(height, count, round((count * height / width) ** 0.5)))
    w = max(1, min(width, count // h))
    return max(1, min(height, count // w)), w


def whole(tokens: TokenSet) -> Shape:
    """The raster of the tokens.  ParameterError when they form none."""
    if tokens.lattice is None:
        raise ParameterError("this method needs whole frames: give it before a step that selects or merges tokens")
    return tokens.lattice


def windows(full: Shape, kept: Shape, device: torch.device | None = None) -> Tensor:
    """(t*h*w,) window of each cell when a raster is cut into `kept` windows a side, as equal as can be."""
    sides = [torch.arange(n, device=device) * k // n for n, k in zip(full, kept, strict=True)]
    t, y, x = torch.meshgrid(*sides, indexing="ij")
    return ((t * kept[1] + y) * kept[2] + x).flatten()


def pool_raster(tokens: TokenSet, kept: Shape) -> TokenSet:
    """Means over `kept` windows a side."""
    full = whole(tokens)
    kept = (min(kept[0], full[0]), min(kept[1], full[1]), min(kept[2], full[2]))
    return regroup(tokens, windows(full, kept, tokens.x.device), lattice=kept)
