"""Schedules of vision tokens inside a language model, layer by layer: plain data and masks that a model follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import integer, share, tensor
from ..types import LayerSchedule, Shape, TokenSet


def drop_after(tokens: TokenSet, layer: int) -> TokenSet:
    """No vision token from `layer` on (ToDRE's second stage)."""
    layer = integer("layer", layer)
    rows = torch.zeros(0, dtype=torch.int64, device=tokens.x.device)
    return replace(tokens, schedule=LayerSchedule(keep={layer: rows}))


def pyramid(tokens: TokenSet, ratios: dict[int, float]) -> TokenSet:
    """Layer -> share of the tokens, by importance, nested (PyramidDrop, FastV)."""
    ratios = {integer("layer", layer): share(f"ratio of layer {layer}", ratio) for layer, ratio in ratios.items()}
    order = torch.sort(tokens.weight.float(), descending=True, stable=True).indices
    keep = {layer: order[: max(1, int(ratio * len(order) + 0.5))].sort().values for layer, ratio in ratios.items()}
    return replace(tokens, schedule=LayerSchedule(keep=keep))


def layer_masks(importance: Tensor, ratios: Sequence[float]) -> Tensor:
    """(L, N) bool: the tokens that each layer computes; the others pass it unchanged (VideoLLM-MoD).  1.0 is all."""
    order = torch.sort(tensor("importance", importance), descending=True, stable=True).indices
    masks = torch.zeros(len(ratios), len(order), dtype=torch.bool, device=order.device)
    for layer, ratio in enumerate(ratios):
        share(f"ratio of layer {layer}", ratio)
        masks[layer, order[: max(1, int(ratio * len(order) + 0.5))]] = True
    return masks


def pool_plan(bits_per_cell: float, rich: float, layers: Sequence[int], shape: Shape) -> LayerSchedule:
    """Pooling at `layers`: a clip of at most half of `rich` bits per cell shrinks by 2 a side at each, one of less than
    `rich` at every second of them, richer ones never (DPN; the rate of a clip is its coded bits)."""
    if bits_per_cell >= rich:
        return LayerSchedule()
    chosen = list(layers) if bits_per_cell <= rich / 2 else list(layers)[1::2]
    plan, (t, h, w) = {}, shape
    for layer in chosen:
        h, w = max(1, -(-h // 2)), max(1, -(-w // 2))
        plan[layer] = (t, h, w)
    return LayerSchedule(pool=plan)


def budget_plan(stages: Sequence[tuple[int, float]], step: int) -> float:
    """The share of tokens at a training step: stages ((first step, share), ...), the last one 1.0 (LLaVolta)."""
    if not stages or stages[-1][1] != 1.0:
        raise ParameterError("the last stage keeps every token")
    if stages[0][0] > integer("step", step):
        raise ParameterError(f"step {step} is before the first stage, which begins at {stages[0][0]}")
    return [part for first, part in stages if first <= step][-1]


# -- attention masks; True may attend ----------------------------------------------------------------------------------


def causal_mask(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()


def voco_mask(vision: int, voco: int, text: int) -> Tensor:
    """[vision][voco][text], causal; text sees the voco tokens and itself but no vision token (VoCo-LLaMA)."""
    mask = causal_mask(vision + voco + text)
    mask[vision + voco :, :vision] = False
    return mask


def voco_clips_mask(vision: int, voco: int, clips: int, text: int) -> Tensor:
    """[vision 0][voco 0][vision 1][voco 1]...[text]: vision sees its own clip and the voco tokens before,
    text and later clips see voco tokens only."""
    each = vision + voco
    mask = causal_mask(clips * each + text)
    for clip in range(clips):
        begin = clip * each
        mask[begin + each :, begin : begin + vision] = False
    return mask


def attention_pattern(shape: Shape, kind: str, stripes: Tensor | None = None, reach: int = 0) -> Tensor:
    """(N, N) bool over the cells of a small raster (Sparse-vDiT).

    diagonal   cells of the same frame, at most `reach` rows and columns away
    multi      the same (y, x) neighbourhood in every frame
    stripe     everyone sees the cells named by `stripes` (N,) bool, for instance those of most bits, and itself
    """
    t, y, x = torch.meshgrid(*[torch.arange(n) for n in shape], indexing="ij")
    t, y, x = t.flatten(), y.flatten(), x.flatten()
    near = ((y[:, None] - y).abs() <= reach) & ((x[:, None] - x).abs() <= reach)
    if kind == "diagonal":
        return near & (t[:, None] == t)
    if kind == "multi":
        return near
    if kind == "stripe" and stripes is not None:
        return stripes[None, :] | torch.eye(len(t), dtype=torch.bool)
    raise ParameterError(f"there is no attention pattern {kind!r} of this kind")


def cache_bits(importance: Tensor, mass: float, high: int = 8, low: int = 2) -> Tensor:
    """(N,) bits of each token's key and value: `high` for the fewest that hold `mass` of the importance (ZipVL)."""
    mass = share("mass", mass)
    weight, order = torch.sort(tensor("importance", importance).double(), descending=True, stable=True)
    count = int((weight.cumsum(0) < mass * float(weight.sum()) - 1e-9).sum()) + 1
    bits = torch.full_like(order, low)
    bits[order[:count]] = high
    return bits


def quantise(values: Tensor, bits: Tensor) -> Tensor:
    """(..., N, D) rows rounded to 2^bits levels between their own smallest and largest entry."""
    low, high = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    levels = (2.0**bits - 1)[..., None].to(values)
    step = ((high - low) / levels).clamp_min(1e-12)
    return ((values - low) / step).round() * step + low
