"""Executors that change what attention sees: masks, cells of merged tokens, keys and values of few bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...base.errors import ParameterError
from ..arguments import flags, integer, positive, share, whole_numbers
from ..modules.schedule import cache_bits, quantise
from .hooks import Attention, Executor, last_attention, rotate, seen_by_last


class Masked(Executor):
    """A mask over the prompt, which what is generated inherits from the last row (VoCo-LLaMA).

    Args:
        places: See `Executor`.
        mask: bool (L, L), True may attend: `schedule.voco_mask`, `schedule.voco_clips_mask`.
        forget: Rows that the last row does not see leave the cache, of all layers but the first.
    """

    def __init__(self, places: Tensor, mask: Tensor, forget: bool = False) -> None:
        super().__init__(places)
        mask = flags("mask", mask, 2)
        if mask.shape != (self.length, self.length):
            raise ParameterError(f"the mask is {tuple(mask.shape)}, the prompt has {self.length} positions")
        if not bool(mask.tril().any(1).all()):
            raise ParameterError("mask: every row needs something that it may attend to, itself for instance")
        self.mask, self.forget = mask, forget

    def mask_of(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        last = self.length - 1
        mask = self.mask.to(queries.device)[queries.clamp(max=last)[:, None], keys.clamp(max=last)[None]]
        return mask | (keys >= self.length)[None]

    def keep_cache(self, layer: int, cached: Any) -> None:
        if not self.forget or layer == 0:
            return
        rows = self.keys[layer]
        kept = self.mask.to(rows.device)[-1][rows]
        cached.keys, cached.values = cached.keys[:, :, kept], cached.values[:, :, kept]
        self.keys[layer] = rows[kept]


class LowBits(Executor):
    """Keys and values of vision tokens in few bits once the prompt is read, more for those of most attention (ZipVL).

    The numbers are rounded as such a cache rounds them; they stay in the model's type, so no memory is saved here.

    Args:
        places: See `Executor`.
        mass: Share of the attention whose tokens get `high` bits, 0..1.
        high: Bits of these; from 16 on they are left as they are.
        low: Bits of the others.
    """

    def __init__(self, places: Tensor, mass: float = 0.9, high: int = 8, low: int = 2) -> None:
        super().__init__(places)
        share("mass", positive("mass", mass))
        if integer("high", high, 1) < integer("low", low, 1):
            raise ParameterError(f"high is {high} bits and no less than low, which is {low}")
        self.mass, self.high, self.low = mass, high, low
        self.bits: dict[int, Tensor] = {}  # layer -> bits of each vision token

    def watches(self, layer: int) -> bool:
        return True

    def see(self, layer: int, query: Tensor, key: Tensor, seen: Tensor | None) -> None:
        attention = last_attention(query, key, seen)[self.vision.to(key.device)]
        self.bits[layer] = cache_bits(attention, self.mass, self.high, self.low)

    def keep_cache(self, layer: int, cached: Any) -> None:
        rows, bits = self.vision.to(cached.keys.device), self.bits[layer]
        for name in ("keys", "values"):
            tensor = getattr(cached, name)
            old = tensor[:, :, rows]
            new = torch.where((bits < 16)[:, None], quantise(old.float(), bits.float()).to(old.dtype), old)
            setattr(cached, name, tensor.index_copy(2, rows, new))


class Unmerged(Executor):
    """Attention over the cells of merged tokens, each at its own position (DyMU's virtual unmerging).

    Queries, keys and values of a token stand for all its cells; the results of its cells are averaged.

    Args:
        places: See `Executor`.
        assign: int64 (cells,), `TokenSet.assign`: the token of each cell; every cell has one.
        positions: int64 (1 or 3, S), of the prompt with all cells in place of the tokens, for instance
            `lay_out(ids, [start(grid)], kind).positions`.
    """

    rewrites = True

    def __init__(self, places: Tensor, assign: Tensor, positions: Tensor) -> None:
        super().__init__(places)
        assign = whole_numbers("assign", assign, 1)
        positions = whole_numbers("positions", positions, 2)
        if not len(self.vision) or not len(assign):
            raise ParameterError("virtual unmerging needs vision tokens: places or assign are empty")
        if int(assign.min()) < 0 or int(assign.max()) >= len(self.vision):
            raise ParameterError("assign: every cell needs a token; methods that drop cells cannot be undone")
        if not torch.equal(self.vision, torch.arange(len(self.vision)) + self.vision[0]):
            raise ParameterError("virtual unmerging takes a clip in one run of the prompt")
        wanted = len(self.text) + len(assign)
        if positions.shape[-1] != wanted:
            raise ParameterError(f"the prompt with all cells has {wanted} positions, not {positions.shape[-1]}")
        first = int(self.vision[0])
        after = torch.arange(first + len(self.vision), self.length)
        self.order = torch.cat([torch.arange(first), first + assign.cpu(), after])  # the row of each place
        self.positions = positions

    def attend(
        self, layer: int, module: nn.Module, original: Attention, given: tuple[Any, ...], options: Any
    ) -> tuple[Tensor, Any]:
        query, key, value, given_mask = given
        order = self.order.to(query.device)
        past = key.shape[2] - query.shape[2]
        extra = key.shape[2] - self.length  # generated rows
        full = self._rotary(query, len(order) + extra)
        own = [part[0] for part in self.rotation[layer]]
        behind = torch.arange(self.length, key.shape[2], device=query.device)
        rows = torch.cat([order, behind])
        key = rotate(rotate(key, own, back=True)[:, :, rows], full)
        value = value[:, :, rows]
        at = rows if past == 0 else rows[-query.shape[2] :]
        mine = [part[-len(at) :] for part in full]
        turned = rotate(query, [part[past:] for part in own], back=True)[:, :, at - past]
        place = torch.arange(len(rows), device=query.device)
        mask = place[None] <= place[len(rows) - len(at) :, None]
        seen = seen_by_last(given_mask)
        if seen is not None:  # padding in front; a row of padding sees itself, or it would see nothing
            mask = mask & (seen[rows][None] | (place[None] == place[len(rows) - len(at) :, None]))
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        scale = options.get("scaling") or query.shape[-1] ** -0.5
        score = (rotate(turned, mine) @ key.transpose(2, 3)).float() * scale
        out = score.masked_fill(~mask, -torch.inf).softmax(-1).to(value.dtype) @ value
        sums = torch.zeros_like(query).index_add_(2, at - past, out)
        counts = torch.bincount(at - past, minlength=query.shape[2]).to(sums.dtype)
        return (sums / counts[:, None]).transpose(1, 2).contiguous(), None

    def _rotary(self, like: Tensor, count: int) -> list[Tensor]:
        """cos and sin of the prompt with all cells, and of what was generated behind it."""
        positions = self.positions.to(like.device)
        more = torch.arange(count - positions.shape[-1], device=like.device) + positions[:, -1:] + 1
        ids = torch.cat([positions, more], 1)
        ids = ids[:, None] if len(ids) == 3 else ids
        return [part[0] for part in self.model.get_decoder().rotary_emb(like, position_ids=ids)]
