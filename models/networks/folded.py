"""The synthesis network for decoding on the processor: films folded into the convolutions, one quality at a time.

Twin of `synthesis.SynthesisNetwork`; corrections may differ from it by rounding.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import _kernels
from ..prior.fixed_point import QualityTable
from .synthesis import Film, ResidualBlock, SynthesisNetwork

Convolution = tuple[Tensor, Tensor]  # weight, bias


class Painter:
    """Stateless between calls, but for the few qualities whose folded weights are kept."""

    def __init__(self, network: SynthesisNetwork, dtype: torch.dtype | None = None) -> None:
        self.network = network
        self.dtype = dtype or fastest_dtype()
        self.enter, self.leave = self._ready(*_tensors(network.enter)), self._ready(*_tensors(network.leave))
        self.at = lru_cache(maxsize=8)(self._at)

    @torch.inference_mode()
    def __call__(self, words: Tensor, quality: int) -> Tensor:
        """(inputs, h, w) descriptions -> bfloat16 (outputs, h, w) corrections in quantisation steps."""
        blocks, last = self.at(quality)
        inputs, h, w = words.shape
        weight, bias = self.enter
        x = torch.addmm(bias, words.to(self.dtype).view(inputs, -1).t(), weight.flatten(1).t())
        x = x.view(1, h, w, -1).permute(0, 3, 1, 2)  # channels last
        for enter, leave in blocks:
            x = F.conv2d(F.silu(F.conv2d(x, *enter, padding=1), inplace=True), *leave, padding=1).add_(x)
        gain, offset = last
        cells = F.silu(torch.addcmul(offset, x.permute(0, 2, 3, 1).reshape(h * w, -1), gain), inplace=True)
        weight, bias = self.leave
        return torch.addmm(bias[:, None], weight.flatten(1), cells.t()).to(torch.bfloat16).view(-1, h, w)

    def _at(self, quality: int) -> tuple[list[tuple[Convolution, Convolution]], Convolution]:
        """Each block's two convolutions, the first with its film folded in, and the last film's gain and offset."""
        blocks = []
        for block in self.network.blocks:
            assert isinstance(block, ResidualBlock)
            gain, offset = film_at(block.film, quality)
            weight, bias = _tensors(block.enter)
            enter = self._ready(weight * gain[:, None, None, None], bias * gain + offset)
            blocks.append((enter, self._ready(*_tensors(block.leave))))
        gain, offset = film_at(self.network.film, quality)
        return blocks, (gain.to(self.dtype), offset.to(self.dtype))

    def _ready(self, weight: Tensor, bias: Tensor) -> Convolution:
        return weight.to(self.dtype).contiguous(memory_format=torch.channels_last), bias.to(self.dtype)


def _tensors(conv: nn.Conv2d) -> Convolution:
    assert conv.bias is not None
    return conv.weight.detach(), conv.bias.detach()


def film_at(film: Film, quality: int) -> tuple[Tensor, Tensor]:
    """Factor and offset of each channel: what `Film` does to its input."""
    anchor = min(quality // QualityTable.SPACING, QualityTable.ANCHORS - 2)
    part = quality / QualityTable.SPACING - anchor
    gain, offset = torch.lerp(film.table[anchor], film.table[anchor + 1], part).detach().chunk(2)
    return 1.0 + gain, offset


def fastest_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it directly."""
    return torch.bfloat16 if _kernels.has_bfloat16_products() else torch.float32
