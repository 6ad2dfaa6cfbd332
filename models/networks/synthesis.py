"""The nonlinear part of the decoder in training: corrections of the dequantised bands.

The network reads the packet bands at 1/8 resolution and answers with a correction of every band in quantisation steps,
so it behaves alike at every quality.  It is zero-initialised: training starts from the plain inverse transform.
`quantising` turns it into the integers that decoders run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..engine.network import LIMIT, WINDOW_SUM_LIMIT
from ..prior.fixed_point import QualityTable
from .precision import multiplies_bf16

WEIGHT_LIMIT = 127  # largest integer weight: 8 bits


def weight_scales(weight: Tensor) -> Tensor:
    """What one unit of each output's integer weights stands for, of real `weight` (outputs, inputs, side, side).

    The largest weight is WEIGHT_LIMIT units, or fewer where sums of a 3 x 3 layer would pass what the engine allows.
    """
    size = weight.detach().abs().flatten(1)
    scales = size.amax(1) / WEIGHT_LIMIT
    if weight.shape[2] > 1:
        room = (WINDOW_SUM_LIMIT - 1) // LIMIT - (size.shape[1] + 1) // 2  # rounding adds half a unit to each
        scales = torch.maximum(scales, size.sum(1) / room)
    return scales.clamp(min=1e-12)


class RoundedConv2d(nn.Conv2d):
    """A convolution that computes with the 8-bit weights of its export while `rounding`; gradients pass unchanged."""

    rounding = False

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        if self.rounding:
            scales = weight_scales(weight)[:, None, None, None]
            weight = weight + (torch.floor(weight / scales + 0.5) * scales - weight).detach()
        convolved: Tensor = self._conv_forward(x, weight, self.bias)
        return convolved


def round_weights(module: nn.Module, rounding: bool) -> None:
    """Switch whether the convolutions of a module compute with rounded weights."""
    for part in module.modules():
        if isinstance(part, RoundedConv2d):
            part.rounding = rounding


def silence(conv: nn.Conv2d) -> None:
    """Zero a convolution, so that the branch that it ends starts without effect."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)


class Film(nn.Module):
    """Per-channel gain and offset for each quality, interpolated between anchors (Perez et al., 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(QualityTable.ANCHORS, 2 * width))

    @staticmethod
    def anchors() -> int:
        """Qualities that the table has rows for."""
        return QualityTable.ANCHORS

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        position = quality.float() / QualityTable.SPACING
        anchor = position.floor().long().clamp(max=QualityTable.ANCHORS - 2)
        part = (position - anchor).unsqueeze(1)
        mixed = torch.lerp(self.table[anchor], self.table[anchor + 1], part)[:, :, None, None].to(x.dtype)
        gain, offset = mixed.chunk(2, 1)
        return x + x * gain + offset


class ResidualBlock(nn.Module):
    """x + conv3x3(act(film(conv3x3(x)))), the last convolution zero-initialised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = RoundedConv2d(width, width, 3, padding=1)
        self.film = Film(width)
        self.leave = RoundedConv2d(width, width, 3, padding=1)
        silence(self.leave)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        branch: Tensor = self.leave(F.silu(self.film(self.enter(x), quality)))
        return x + branch


class SynthesisNetwork(nn.Module):
    """(B, inputs, h, w) descriptions of the integers -> (B, outputs, h, w) corrections in quantisation steps."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = RoundedConv2d(inputs, width, 1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.film = Film(width)
        self.leave = RoundedConv2d(width, outputs, 1)
        silence(self.leave)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        x = self.enter(x)
        for block in self.blocks:
            x = block(x, quality)
        correction: Tensor = self.leave(F.silu(self.film(x, quality)))
        return correction

    def corrections(self, words: Tensor, quality: Tensor, bf16: bool) -> Tensor:
        """The same of words in any memory format, with products in bf16 where asked for and quick: float32."""
        kind = words.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=bf16 and multiplies_bf16(kind)):
            found: Tensor = self(words.contiguous(memory_format=torch.channels_last), quality)
        return found.float()
