"""Parts of family `nerv` as they are defined, for comparison with what runs: a few plain calls of PyTorch each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.codec.coding import weights
from tessera.models.nerv.blocks import Enlarge
from tessera.models.nerv.family import NervFamily
from tessera.models.nerv.quantise import LadderCosts
from tessera.models.prior.fitted import shifts_of
from tessera.models.prior.fixed_point import ste_round
from tessera.models.prior.ladder import TABLE_REACH


def shipped_ladder() -> LadderCosts:
    family, _ = weights.load("nerv")
    assert isinstance(family, NervFamily)
    return family.ladder


def enlarge(layer: Enlarge, x: Tensor) -> Tensor:
    """A convolution, then a pixel shuffle."""
    return F.pixel_shuffle(F.conv2d(x, layer.weight, layer.bias, padding=layer.padding), layer.enlarged)


def convolve_mapped(conv: torch.nn.Conv2d, x: Tensor, affine: Tensor) -> Tensor:
    """The convolution of x (1 + a), zeros around, plus b on every pixel that there is and around."""
    scale, shift = affine[:, :, None, None].chunk(2, 1)
    edge = conv.weight.shape[2] // 2
    return F.conv2d(F.pad(x * (1 + scale), (edge,) * 4) + shift, conv.weight, conv.bias)


def quantise(ladder: LadderCosts, values: Tensor, step: Tensor, base: Tensor | None) -> tuple[Tensor, Tensor]:
    """Values (rows, n) rounded to the step, and the bits of their integers less `base`; straight-through gradients."""
    integers = ste_round(values / step)
    coded = integers if base is None else integers - base
    return integers * step, bits(ladder, coded, ladder.rung(coded.detach().abs().mean(1))).sum()


def bits(ladder: LadderCosts, values: Tensor, rung: Tensor) -> Tensor:
    """Bits of real `values` (rows, n) on the rungs (rows,), linear between integers."""
    scale = torch.exp2(-shifts_of(rung).float())[:, None]
    place = (values.abs() * scale).clamp(max=TABLE_REACH + 0.999)
    whole = place.detach().floor()
    costs = ladder.costs[rung]
    low, high = costs.gather(1, whole.long()), costs.gather(1, whole.long() + 1)
    return low + (high - low) * (place - whole)
