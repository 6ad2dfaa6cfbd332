"""Codes of time, and the encoder that makes content embeddings while fitting."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import FREQUENCIES, Config


def time_code(times: Tensor, frames: int) -> Tensor:
    """Positions 0..frames-1 of frames (B,) -> sines and cosines (B, 2 FREQUENCIES), after NeRV.

    The slowest turns a quarter over the group, the fastest once in four frames; so neighbouring frames differ in every
    group, however long, and times between them have codes between theirs.
    """
    fastest = max(math.log2(frames), 1.0)
    octaves = torch.linspace(0.0, fastest, FREQUENCIES, dtype=torch.float64, device=times.device)
    angles = times.double()[:, None] / max(frames, 2) * torch.exp2(octaves) * (math.pi / 2)
    return torch.cat([angles.sin(), angles.cos()], 1).float()


class _Block(nn.Module):
    """Depthwise 7 x 7 and two pointwise convolutions, residual (ConvNeXt, Liu et al., 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.grow = nn.Conv2d(channels, 2 * channels, 1)
        self.shrink = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.shrink(F.gelu(self.grow(self.norm(self.spread(x)))))
        return out


class ContentEncoder(nn.Module):
    """Frames (B, channels, rows x stride, columns x stride) -> embeddings (B, embedding, rows, columns)."""

    WIDTH = 48

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = config.channels
        for stride in config.strides:
            layers += [nn.Conv2d(inputs, self.WIDTH, stride, stride), _Block(self.WIDTH)]
            inputs = self.WIDTH
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, config.embedding, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.layers(pixels)
        return out
