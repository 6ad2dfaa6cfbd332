"""The model of a fit in PyTorch, slow and plain: what `_fit` computes, with gradients by autograd."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.models.overfitted.shape import PLACES

GAIN = 16.0


def soft_round(x: Tensor, temperature: float) -> Tensor:
    whole = x.floor().detach()
    return whole + 0.5 * torch.tanh((x - whole - 0.5) / temperature) / math.tanh(0.5 / temperature) + 0.5


def nats(d: Tensor, log_scale: Tensor) -> Tensor:
    """Of cells that lie `d` from their mean, Laplace over [d - 1/2, d + 1/2]."""
    inverse = (-log_scale.clamp(-3.0, 4.34375)).exp()
    u, t = d.abs() * inverse, 0.5 * inverse
    inside = -torch.log1p(-0.5 * ((u - t).clamp(max=0).exp() + (-u - t).exp()))
    outside = (u - t).clamp(max=80.0) - (0.5 * -torch.expm1(-2 * t)).log()
    return torch.where(u < t, inside, outside)


class Twin:
    """grids: (level, hyper) in the order of coding; tensors: name -> Tensor; spatial: contexts of the own grid."""

    def __init__(self, grids: list[tuple[int, bool]], levels: int, spatial: int) -> None:
        self.grids, self.levels, self.spatial = grids, levels, spatial

    def context(self, values: list[Tensor], w: dict[str, Tensor]) -> list[Tensor]:
        """Nats of every grid's cells."""
        out = []
        for i, (level, hyper) in enumerate(self.grids):
            y = values[i]
            h, width = y.shape
            padded = F.pad(y, (4, 4, 4, 4))
            inputs = [padded[4 + dy : 4 + dy + h, 4 + dx : 4 + dx + width] for dy, dx in PLACES[: self.spatial]]
            count = w["context.1.weight"].shape[0] - self.spatial
            if not hyper and level < 3 and level + 1 < self.levels:
                sources = [k for k in range(i - 1, -1, -1) if self.grids[k][0] > level]
                rows = [
                    values[k].repeat_interleave(s, 0)[:h].repeat_interleave(s, 1)[:, :width]
                    for k in sources
                    for s in [1 << (self.grids[k][0] - level)]
                ]
                mixed = torch.einsum("fk,khw->fhw", w[f"features.{level}.weight"], torch.stack(rows))
                inputs += list(mixed + w[f"features.{level}.bias"][:, None, None])
            else:
                inputs += [torch.zeros_like(y)] * count
            x = torch.stack(inputs, -1)
            h1 = (x + x @ w["context.1.weight"].T + w["context.1.bias"]).relu()
            h2 = (h1 + h1 @ w["context.2.weight"].T + w["context.2.bias"]).relu()
            answer = h2 @ w["context.3.weight"].T + w["context.3.bias"] + x @ w["context.beside.weight"].T
            out.append(nats(y - answer[..., 0], answer[..., 1] - 4.0))
        return out

    def planes(self, values: list[Tensor], w: dict[str, Tensor]) -> Tensor:
        """(levels, height, width), the finest grid's first."""
        own = {level: values[i] for i, (level, hyper) in enumerate(self.grids) if not hyper}
        planes = own[self.levels - 1][None]
        for level in range(self.levels - 2, -1, -1):
            h, width = own[level].shape
            a = w["upsampling.smooth"][self.levels - 2 - level]
            kernel = torch.cat([a, a.flip(0)])
            up = F.pad(planes[:, None], (2, 2, 2, 2), mode="replicate")
            up = F.conv_transpose2d(up, kernel.view(1, 1, 1, 8), stride=(1, 2))
            up = F.conv_transpose2d(up, kernel.view(1, 1, 8, 1), stride=(2, 1))
            up = up[:, 0, 7 : 7 + h, 7 : 7 + width]
            c = w["upsampling.own"][self.levels - 2 - level]
            taps = torch.cat([c, c[:-1].flip(0)])
            mine = F.conv2d(own[level][None, None], taps.view(1, 1, 1, 7), padding=(0, 3))
            mine = F.conv2d(mine, taps.view(1, 1, 7, 1), padding=(3, 0))[0] + own[level]
            planes = torch.cat([mine, up])
        return planes

    def synthesise(self, planes: Tensor, w: dict[str, Tensor]) -> Tensor:
        """(channels, height, width), pixels in 0..1, not clipped."""

        def linear(x: Tensor, name: int) -> Tensor:
            return (
                torch.einsum("oi,ihw->ohw", w[f"synthesis.{name}.weight"], x)
                + w[f"synthesis.{name}.bias"][:, None, None]
            )

        def residual(x: Tensor, name: int) -> Tensor:
            padded = F.pad(x[None], (1, 1, 1, 1), mode="replicate")
            return x + F.conv2d(padded, w[f"synthesis.{name}.weight"], w[f"synthesis.{name}.bias"])[0]

        t = linear(linear(planes, 1).relu(), 2)
        if "synthesis.3.weight" in w:
            t = residual(t, 3).relu()
        return residual(t, 4) + torch.einsum("oi,ihw->ohw", w["synthesis.beside.weight"], planes)

    def loss(
        self, latents: list[Tensor], w: dict[str, Tensor], pixels: Tensor, temperature: float, rate_weight: float
    ) -> tuple[Any, Any, Any]:
        """Loss, mean squared error, bits; pixels (height, width, channels) in 0..1; no noise."""
        values = [soft_round(soft_round(y * GAIN, temperature), temperature) for y in latents]
        bits = torch.stack([n.sum() for n in self.context(values, w)]).sum() / math.log(2.0)
        out = self.synthesise(self.planes(values, w), w)
        error = (out.permute(1, 2, 0) - pixels).square().mean()
        return error + rate_weight * bits / pixels[..., 0].numel(), error, bits
