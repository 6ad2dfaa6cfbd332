"""A small decoder with random weights, for what happens to vision tokens inside a language model.

One sequence at a time, (S, D), in float64.  Positions are (R, S): one row for plain rotary positions, three for
t, y, x.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessera.models.tokens.modules.schedule import causal_mask
from tessera.models.tokens.raster import windows
from tessera.models.tokens.types import LayerSchedule

Cache = list[tuple[Tensor, Tensor]]


@dataclass
class Plan:
    """What a forward pass does besides plain causal attention.  `vision` is the place of the vision tokens.

    mask        (S, S) bool, True may attend
    bias        (S,) added to the attention logits of each key: log of the size is ToMe's proportional attention
    assign      (cells,) row of each vision token's cells: queries, keys and values are expanded to cells (DyMU)
    cells       (R, cells) positions of the cells
    active      (layers, S) bool: the others leave the layer as they came
    schedule    rows kept, or raster pooled, before a layer
    raster      (t, h, w) of the vision tokens, for pooling
    memory      (M, D) that text attends to through a gate
    """

    vision: slice = field(default_factory=lambda: slice(0, 0))
    mask: Tensor | None = None
    bias: Tensor | None = None
    assign: Tensor | None = None
    cells: Tensor | None = None
    active: Tensor | None = None
    schedule: LayerSchedule | None = None
    raster: tuple[int, int, int] | None = None
    memory: Tensor | None = None


class Layer(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.cross, self.gate = nn.Linear(dim, 3 * dim), nn.Parameter(torch.zeros(()))

    def split(self, x: Tensor) -> Tensor:
        out: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(0, 1)  # (heads, S, d)
        return out

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, bias: Tensor | None) -> Tensor:
        score = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        if bias is not None:
            score = score + bias
        found = score.masked_fill(~mask, -torch.inf).softmax(-1) @ v
        out: Tensor = found.transpose(0, 1).flatten(1)
        return out

    def look(self, x: Tensor, memory: Tensor) -> Tensor:
        """Gated cross-attention; each query costs as many products as there are memory tokens."""
        queries = self.cross(self.norm3(x)).chunk(3, -1)
        keys = self.cross(self.norm3(memory)).chunk(3, -1)
        found = F.scaled_dot_product_attention(self.split(queries[0]), self.split(keys[1]), self.split(keys[2]))
        out: Tensor = x + torch.tanh(self.gate) * found.transpose(0, 1).flatten(1)
        return out


class TinyLM(nn.Module):
    def __init__(self, vocab: int = 32, dim: int = 48, heads: int = 4, layers: int = 3, rotary: bool = True) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(11)
            self.embed = nn.Embedding(vocab, dim)
            self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(layers))
            self.head = nn.Linear(dim, vocab)
        self.rotary, self.pairs = rotary, dim // heads // 2
        self.products = 0  # multiply-accumulates of attention and linear layers, the measure of cost
        self.alive: list[int] = []  # tokens at the end of each layer
        self.double().requires_grad_(False).eval()

    def rotate(self, x: Tensor, pos: Tensor) -> Tensor:
        """Rotary positions; with three rows the frequencies are dealt out to t, y and x in turn."""
        if not self.rotary:
            return x
        rows = torch.arange(self.pairs) % len(pos)
        frequency = 100.0 ** (-torch.arange(self.pairs, dtype=torch.float64) / self.pairs)
        angle = pos.double()[rows].T * frequency  # (S, half)
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)

    def forward(self, x: Tensor, pos: Tensor, plan: Plan | None = None, cache: Cache | None = None) -> Tensor:
        """(S, D), (R, S) -> logits (S', vocab); S' is less than S when the schedule drops tokens."""
        plan = plan or Plan()
        mask = plan.mask if plan.mask is not None else causal_mask(len(x))
        vision, self.alive = plan.vision, []
        rows = torch.arange(vision.stop - vision.start)
        raster = plan.raster
        for number, layer in enumerate(self.layers):
            if plan.schedule is not None and number in plan.schedule.keep:
                kept = torch.isin(rows, plan.schedule.keep[number])
                x, pos, mask = _drop(x, pos, mask, vision, kept)
                rows, vision = rows[kept], slice(vision.start, vision.start + int(kept.sum()))
            if plan.schedule is not None and number in plan.schedule.pool:
                assert raster is not None
                x, pos, vision = _pool(x, pos, vision, raster, plan.schedule.pool[number])
                raster, mask = plan.schedule.pool[number], causal_mask(len(x))
            x = self._layer(number, layer, x, pos, mask, plan, vision, cache)
            self.alive.append(len(x))
        return self.head(x)  # type: ignore[no-any-return]

    def _layer(
        self,
        number: int,
        layer: nn.Module,
        x: Tensor,
        pos: Tensor,
        mask: Tensor,
        plan: Plan,
        vision: slice,
        cache: Cache | None,
    ) -> Tensor:
        assert isinstance(layer, Layer)
        if plan.active is not None:
            on = plan.active[number].nonzero().squeeze(1)
            inner = Plan(bias=plan.bias, memory=plan.memory)
            out = x.clone()
            if on.numel():
                out[on] = self._block(number, layer, x[on], pos[:, on], mask[on][:, on], inner, slice(0, 0), None)
            return out
        return self._block(number, layer, x, pos, mask, plan, vision, cache)

    def _block(
        self,
        number: int,
        layer: Layer,
        x: Tensor,
        pos: Tensor,
        mask: Tensor,
        plan: Plan,
        vision: slice,
        cache: Cache | None,
    ) -> Tensor:
        q, k, v = (layer.split(part) for part in layer.qkv(layer.norm(x)).chunk(3, -1))
        if plan.assign is not None:
            found = self._expanded(layer, (q, k, v), pos, plan, vision)
        else:
            q, k = self.rotate(q, pos), self.rotate(k, pos)
            if cache is not None:
                if number < len(cache):
                    k, v = torch.cat([cache[number][0], k], 1), torch.cat([cache[number][1], v], 1)
                    cache[number] = (k, v)
                    mask = torch.cat([mask.new_ones(len(x), k.shape[1] - len(x)), mask], 1)
                else:
                    cache.append((k, v))
            found = layer.attend(q, k, v, mask, plan.bias)
        self.products += q.shape[1] * k.shape[1] * x.shape[1] * 2 + len(x) * x.shape[1] ** 2 * 8
        x = x + layer.out(found)
        if plan.memory is not None:
            x = layer.look(x, plan.memory)
            self.products += 2 * len(x) * len(plan.memory) * x.shape[1]
        return x + layer.down(F.gelu(layer.up(layer.norm2(x))))  # type: ignore[no-any-return]

    def _expanded(self, layer: Layer, qkv: tuple[Tensor, ...], pos: Tensor, plan: Plan, vision: slice) -> Tensor:
        """Attention over cells at their own positions; outputs are averaged back to tokens."""
        assert plan.assign is not None and plan.cells is not None
        total = pos.shape[1]
        before, after = torch.arange(vision.start), torch.arange(vision.stop, total)
        rows = torch.cat([before, vision.start + plan.assign, after])
        where = torch.cat([pos[:, before].double(), plan.cells.double(), pos[:, after].double()], 1)
        q, k, v = (part[:, rows] for part in qkv)
        found = layer.attend(self.rotate(q, where), self.rotate(k, where), v, causal_mask(len(rows)), None)
        out = torch.zeros(total, found.shape[1], dtype=found.dtype).index_add(0, rows, found)
        return out / torch.bincount(rows, minlength=total)[:, None]

    def greedy(self, x: Tensor, pos: Tensor, steps: int) -> list[int]:
        """Tokens after the prompt, the likeliest one each time; positions go on by one."""
        cache: Cache = []
        logits = self(x, pos, cache=cache)
        found: list[int] = []
        for step in range(steps):
            found.append(int(logits[-1].argmax()))
            following = (pos.max() + 1 + step).expand(len(pos), 1)
            logits = self(
                self.embed(torch.tensor(found[-1:])), following, Plan(mask=torch.ones(1, 1, dtype=torch.bool)), cache
            )
        return found


def _drop(x: Tensor, pos: Tensor, mask: Tensor, vision: slice, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    every = torch.ones(len(x), dtype=torch.bool)
    every[vision] = kept
    rows = every.nonzero().squeeze(1)
    return x[rows], pos[:, rows], mask[rows][:, rows]


def _pool(
    x: Tensor, pos: Tensor, vision: slice, raster: tuple[int, int, int], kept: tuple[int, int, int]
) -> tuple[Tensor, Tensor, slice]:
    labels = windows(raster, kept)
    count = kept[0] * kept[1] * kept[2]
    weight = 1 / torch.bincount(labels).double()

    def mean(rows: Tensor) -> Tensor:
        return (
            torch.zeros(count, rows.shape[1], dtype=torch.float64).index_add(0, labels, rows.double()) * weight[:, None]
        )

    small, where = mean(x[vision]), mean(pos[:, vision].T).T
    x = torch.cat([x[: vision.start], small, x[vision.stop :]])
    pos = torch.cat([pos[:, : vision.start].double(), where, pos[:, vision.stop :].double()], 1)
    return x, pos, slice(vision.start, vision.start + count)
