"""The nonlinear part of the decoder: what the integers say about the bands beyond their dequantised values.

It reads the packet bands at 1/8 resolution and answers with a correction of every band in units of the quantisation
step, so it behaves alike at every quality; zero-initialised, it starts as the plain inverse transform.  It is free to
run in float, bf16 or on a GPU: nothing it makes reaches the choice of a table.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..prior.fixed_point import QualityTable


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
        self.enter = nn.Conv2d(width, width, 3, padding=1)
        self.film = Film(width)
        self.leave = nn.Conv2d(width, width, 3, padding=1)
        silence(self.leave)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        branch: Tensor = self.leave(F.silu(self.film(self.enter(x), quality)))
        return x + branch


class SynthesisNetwork(nn.Module):
    """(B, inputs, h, w) descriptions of the integers -> (B, outputs, h, w) corrections in quantisation steps."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, 1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.film = Film(width)
        self.leave = nn.Conv2d(width, outputs, 1)
        silence(self.leave)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        x = self.enter(x)
        for block in self.blocks:
            x = block(x, quality)
        correction: Tensor = self.leave(F.silu(self.film(x, quality)))
        return correction

    def macs(self) -> int:
        """Multiplications per position."""
        return sum(m.weight.numel() for m in self.modules() if isinstance(m, nn.Conv2d))
