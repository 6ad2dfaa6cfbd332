"""Weights and embeddings as integers: steps learned by straight-through gradients, rates by the tables that code them.

Every tensor has one step, 2 ** (-level / STEPS_PER_OCTAVE); its rows (output channels) have a rung of the ladder each.
While fitting, rounding passes gradients straight through, to the values as to the step (LSQ, Esser et al., 2020), and
the rate is what the integers cost with the tables of the stream: the consistent entropy minimisation of Gomes et al.
(2023) and of Boosting NeRV, with quantisers per tensor as in NVRC (Kwan et al., 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...entropy import Tables
from ..prior.fitted import shifts_of
from ..prior.fixed_point import ste_round
from ..prior.ladder import FIRST_SCALE, PER_OCTAVE, RUNGS, TABLE_REACH, costs_of
from .config import Config

EMBEDDING = "embedding"
STEPS_PER_OCTAVE = 64  # levels per octave of a step: neighbouring steps differ by 1.1 %
MAX_LEVEL = 2047  # steps from 1 down to 2 ** -32
FINE = {"bias": 3.0, EMBEDDING: 1.0}  # steps are so many octaves finer than those of weights: they are few


@dataclass(frozen=True)
class TensorPart:
    """A tensor as it is coded: `rows` groups of equally many consecutive elements, each group with one rung."""

    name: str
    shape: tuple[int, ...]
    rows: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def rows_of(name: str, shape: tuple[int, ...], config: Config) -> int:
    """Output channels after the pixel shuffle or of the stem's map; one row for a bias."""
    if name.endswith("bias"):
        return 1
    if name.startswith("stages.") and name.endswith(".conv.weight"):
        return shape[0] // config.strides[int(name.split(".")[1])] ** 2
    return config.widths[0] if name == "stem.enter.weight" else shape[0]


class LadderCosts:
    """What values cost on every rung, from the integer tables; shared by all fits."""

    def __init__(self, tables: Tables) -> None:
        self.tables, self.costs = tables, torch.from_numpy(costs_of(tables))

    @staticmethod
    def rung(mean: Tensor) -> Tensor:
        """The rung of rows whose mean |v| is given, int64; rung i stands for FIRST_SCALE * 2 ** (i / PER_OCTAVE)."""
        place = PER_OCTAVE * torch.log2(mean.clamp(min=1e-6) / FIRST_SCALE)
        return place.round().clamp(0, RUNGS - 1).long()


class Quantiser(nn.Module):
    """The steps of all parts of a network and of its embeddings."""

    def __init__(self, parts: list[TensorPart], ladder: LadderCosts) -> None:
        super().__init__()
        self.set_parts(parts)
        self.ladder = ladder
        self.octaves = nn.Parameter(torch.zeros(len(parts)))  # step = 2 ** octaves

    def set_parts(self, parts: list[TensorPart]) -> None:
        """Parts of the same names; embeddings may have another number of frames."""
        self.parts = {part.name: part for part in parts}
        self.index = {part.name: k for k, part in enumerate(parts)}

    @torch.no_grad()
    def start(self, tensors: dict[str, Tensor], bits: float) -> None:
        """Steps at which Laplace-like values of these spreads take about `bits` each."""
        for name, tensor in tensors.items():
            finer = FINE.get(name, FINE.get(name.rpartition(".")[2], 0.0))
            spread = max(float(tensor.abs().mean()), 2.0**-20)
            self.octaves[self.index[name]] = math.log2(2 * math.e * spread) - bits - finer
        self.octaves.clamp_(-MAX_LEVEL / STEPS_PER_OCTAVE, 0)

    def levels(self) -> list[int]:
        """The steps as the stream names them."""
        levels = torch.floor(0.5 - STEPS_PER_OCTAVE * self.octaves.detach()).clamp(0, MAX_LEVEL)
        return [int(level) for level in levels]

    def step(self, name: str) -> Tensor:
        """The step of a part as the stream can name it, with its gradient."""
        octaves = self.octaves[self.index[name]].clamp(-MAX_LEVEL / STEPS_PER_OCTAVE, 0)
        return torch.exp2(ste_round(octaves * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE)

    def forward(
        self, name: str, tensor: Tensor, base: Tensor | None = None, means: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The tensor as it will be decoded, and its bits.

        base    integers that the decoder already has: only the difference costs
        means   (rows,) mean |v| that choose the rungs, by default those of the tensor itself
        """
        rows = self.parts[name].rows
        decoded, bits = _Quantise.apply(
            tensor.reshape(rows, -1),
            self.step(name),
            None if base is None else base.reshape(rows, -1),
            means,
            self.ladder.costs.to(tensor.device),
        )  # type: ignore[no-untyped-call]
        return decoded.view(tensor.shape), bits


class _Quantise(torch.autograd.Function):
    """values (rows, n), step (), base (rows, n) or None, means (rows,) or None, costs of the ladder
    -> the values rounded to the step, and the bits of their integers less `base`.

    Bits are linear between integers, gradients pass rounding.  This takes a few passes over the values, where autograd
    would take thirty, step by step.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, step: Tensor, base: Tensor | None, means: Tensor | None, costs: Tensor
    ) -> tuple[Tensor, Tensor]:
        ratio = values / step
        integers = torch.floor(ratio + 0.5)
        coded = integers if base is None else integers - base
        rung = LadderCosts.rung(coded.abs().mean(1) if means is None else means)
        scale = torch.exp2(-shifts_of(rung).float())[:, None]
        place = (coded.abs() * scale).clamp_(max=TABLE_REACH + 0.999)
        whole = place.long()
        ladder = costs[rung]
        low, slope = ladder.gather(1, whole), ladder.diff(dim=1).gather(1, whole)
        bits = torch.addcmul(low, slope, place.sub_(whole)).sum()
        ctx.save_for_backward(ratio, integers, slope.mul_(scale).mul_(coded.sign()), step)
        return integers * step, bits

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        ratio, integers, slope, step = ctx.saved_tensors
        grad, grad_bits = grads
        by_rate = slope * (grad_bits / step)
        to_step = ((integers - ratio) * grad).sum() - (ratio * by_rate).sum()
        return grad + by_rate, to_step, None, None, None


def step_of(level: int) -> float:
    return float(2.0 ** (-level / STEPS_PER_OCTAVE))
