"""Codes of time, and the encoder that makes content embeddings while fitting."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import FREQUENCIES, Config
from .depthwise import Depthwise


def time_code(times: Tensor, frames: int) -> Tensor:
    """Positions 0..frames-1 of frames (B,) -> sines and cosines (B, 2 FREQUENCIES), after NeRV.

    The slowest wave turns by a quarter over the group, the fastest once in four frames.  So neighbouring frames have
    different codes in a group of any length, and times between them have codes between theirs.
    """
    fastest = max(math.log2(frames), 1.0)
    octaves = torch.linspace(0.0, fastest, FREQUENCIES, dtype=torch.float64, device=times.device)
    angles = times.double()[:, None] / max(frames, 2) * torch.exp2(octaves) * (math.pi / 2)
    return torch.cat([angles.sin(), angles.cos()], 1).float()


class _Block(nn.Module):
    """Depthwise 7 x 7 and two pointwise convolutions, residual (ConvNeXt, Liu et al., 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = Depthwise(channels, 7)
        self.norm = nn.GroupNorm(1, channels)
        self.grow = nn.Conv2d(channels, 2 * channels, 1)
        self.shrink = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.shrink(F.gelu(self.grow(self.norm(self.spread(x)))))
        return out


class ContentEncoder(nn.Module):
    """Frames (B, channels, rows x stride, columns x stride) -> embeddings (B, embedding, rows, columns).

    It starts with patches: blocks at a higher resolution took a sixth of a fit and gained nothing on training clips.
    """

    WIDTH = 48
    PATCH = 16  # least side of the patches, in pixels, where the strides allow it

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = config.channels
        for stride in _patches(config.strides, self.PATCH):
            layers += [nn.Conv2d(inputs, self.WIDTH, stride, stride), _Block(self.WIDTH)]
            inputs = self.WIDTH
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, config.embedding, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.layers(pixels)
        return out


def _patches(strides: tuple[int, ...], least: int) -> tuple[int, ...]:
    """The strides with as many of the first made one as give `least`."""
    first, rest = 1, strides
    while rest and first < least:
        first, rest = first * rest[0], rest[1:]
    return first, *rest
