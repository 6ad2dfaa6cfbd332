"""Learned queries over the grid.  Output projections start at zero, so a fresh module is its training-free twin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...base.errors import ParameterError
from ..raster import pool_raster, whole, windows
from ..types import Shape, TokenSet


class CrossAttention(nn.Module):
    """queries (..., Q, C) + attention over memory (..., M, C); the addition starts at zero."""

    def __init__(self, channels: int, heads: int = 4, gated: bool = False) -> None:
        super().__init__()
        if channels % heads:
            raise ParameterError(f"{channels} channels do not divide by {heads} heads")
        self.heads = heads
        self.norm, self.norm_memory = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.query, self.key, self.value = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.out = nn.Linear(channels, channels, bias=False)
        self.gate = nn.Parameter(torch.zeros(())) if gated else None
        if not gated:
            nn.init.zeros_(self.out.weight)

    def forward(self, queries: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` (Q, M) bool, True may attend; a query that may attend to nothing is left as it is."""
        seen = self.norm_memory(memory)
        q, k, v = (self._split(part) for part in (self.query(self.norm(queries)), self.key(seen), self.value(seen)))
        if mask is None:
            found = F.scaled_dot_product_attention(q, k, v)
        else:
            alone = ~mask.any(-1)
            found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | alone[:, None])
            found = found.masked_fill(alone[:, None], 0.0)
        added: Tensor = self.out(found.transpose(-3, -2).flatten(-2))
        if self.gate is not None:
            added = torch.tanh(self.gate) * added
        out: Tensor = queries + added
        return out

    def _split(self, x: Tensor) -> Tensor:
        out: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
        return out


class Resampler(nn.Module):
    """Pooled tokens look back at the cells that they came from.

    local    each token sees its own window (Vision Remember, HICom); else the whole of its run of frames (CrossLMM,
             LLaVA-Mini)
    extra    further free queries over the whole clip (HICom, TDC); their cells are all cells, their `index` -1
    A text condition is further memory that every token sees.
    """

    def __init__(self, channels: int, heads: int = 4, local: bool = False, extra: int = 0) -> None:
        super().__init__()
        self.local = local
        self.look = CrossAttention(channels, heads)
        self.extra = nn.Parameter(torch.randn(extra, channels) / channels**0.5) if extra else None
        self.gather = CrossAttention(channels, heads, gated=False) if extra else None

    def forward(self, tokens: TokenSet, kept: Shape, text: Tensor | None = None) -> TokenSet:
        """`tokens` a raster, `kept` (t, h, w); memory is bounded by one run of frames."""
        full = whole(tokens)
        pooled = pool_raster(tokens, kept)
        x = torch.cat(list(self._runs(tokens.x, pooled.x, full, whole(pooled), text)))
        found = replace(pooled, x=x, memory=tokens.x, query_dependent=text is not None)
        return found if self.extra is None else self._with_extra(found, tokens, text)

    def _runs(self, cells: Tensor, pooled: Tensor, full: Shape, kept: Shape, text: Tensor | None) -> Iterator[Tensor]:
        area = full[1] * full[2]
        names = torch.arange(full[0]) * kept[0] // full[0]
        lengths = torch.bincount(names).tolist()
        for part, queries in zip(
            cells.split([n * area for n in lengths]), pooled.split(kept[1] * kept[2]), strict=True
        ):
            mask = None
            if self.local:
                own = windows((len(part) // area, *full[1:]), (1, *kept[1:]), cells.device)
                mask = torch.arange(len(queries), device=cells.device)[:, None] == own
                if text is not None:
                    mask = torch.cat([mask, mask.new_ones(len(queries), len(text))], 1)
            yield self.look(queries, part if text is None else torch.cat([part, text]), mask)

    def _with_extra(self, found: TokenSet, tokens: TokenSet, text: Tensor | None) -> TokenSet:
        assert self.extra is not None and self.gather is not None
        memory = tokens.x if text is None else torch.cat([tokens.x, text])
        return append_free(found, self.gather(self.extra, memory))


def append_free(tokens: TokenSet, x: Tensor) -> TokenSet:
    """Free tokens (M, C) after the others, filed under the last frame; they stand for no cell of their own."""
    count, device = len(x), x.device
    last = int(tokens.anchor[-1])
    fill = torch.full((count,), -1, dtype=torch.int64, device=device)
    middle = torch.tensor([(n - 1) / 2 for n in tokens.shape], device=device).expand(count, 3)
    total = len(tokens) + count
    return replace(
        tokens,
        x=torch.cat([tokens.x, x]),
        pos=torch.cat([tokens.pos, middle]),
        size=torch.cat([tokens.size, torch.zeros_like(fill)]),
        weight=torch.cat([tokens.weight * (len(tokens) / total), tokens.weight.new_full((count,), 1 / total)]),
        index=torch.cat([tokens.index, fill]),
        anchor=torch.cat([tokens.anchor, torch.full_like(fill, last)]),
        level=torch.cat([tokens.level, torch.ones_like(fill)]),
        lattice=None,
    )


class Registers(nn.Module):
    """`count` registers for each tile take in the tile, then all registers talk to each other (FALCON)."""

    def __init__(self, channels: int, count: int, heads: int = 4) -> None:
        super().__init__()
        self.registers = nn.Parameter(torch.randn(count, channels) / channels**0.5)
        self.read, self.talk = CrossAttention(channels, heads), CrossAttention(channels, heads)
        for part in (self.read, self.talk):
            nn.init.xavier_uniform_(part.out.weight)

    def forward(self, tiles: list[Tensor]) -> Tensor:
        """Tiles (N_i, C) of any sizes -> (tiles, count, C).  Reordering the tiles reorders the output alone."""
        own = torch.stack([self.read(self.registers, tile) for tile in tiles])
        every = own.flatten(0, 1)
        out: Tensor = self.talk(every, every).view_as(own)
        return out


class Lookup(nn.Module):
    """k lookup tokens gather from the grid, and the grid looks back at them (LookupViT).  k may be any square:
    queries are interpolated from a learned 4 x 4 raster."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.base = nn.Parameter(torch.randn(1, channels, 4, 4) / channels**0.5)
        self.gather, self.spread = CrossAttention(channels, heads), CrossAttention(channels, heads)
        for part in (self.gather, self.spread):
            nn.init.xavier_uniform_(part.out.weight)

    def forward(self, x: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Cells (N, C) -> side * side lookup tokens, and the cells updated."""
        queries = F.interpolate(self.base, size=(side, side), mode="bilinear", align_corners=False)[0]
        found = self.gather(queries.flatten(1).T, x)
        return found, self.spread(x, found)


class PatchMerge(nn.Module):
    """2 x 2 cells become one by a linear map that starts as their mean; a prompt is looked at before (VisFocus)."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.prompt = CrossAttention(channels, heads)
        self.reduce = nn.Linear(4 * channels, channels, bias=False)
        with torch.no_grad():
            self.reduce.weight.copy_(torch.eye(channels).repeat(1, 4) / 4)

    def forward(self, x: Tensor, query: Tensor | None = None) -> Tensor:
        """(T, H, W, C) with even sides -> (T, H / 2, W / 2, C)."""
        if query is not None:
            x = self.prompt(x.flatten(0, 2), query.reshape(-1, x.shape[-1])).view_as(x)
        corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        out: Tensor = self.reduce(torch.cat(corners, -1))
        return out


def prefuse(look: CrossAttention, text: Tensor, tokens: TokenSet) -> Tensor:
    """(M, C) text that has looked at every cell before vision is compressed to a token per frame (LLaVA-Mini)."""
    out: Tensor = look(text, tokens.x)
    return out
