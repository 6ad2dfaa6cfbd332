"""The parts of the decoder.  Tensors are (B, C, H, W); a time code is (B, TIME_CODE)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import AFFINE_HIDDEN, CONDITIONED, SEPARABLE, SINE, SPREAD, Config
from .depthwise import Depthwise


def activate(x: Tensor, config: Config) -> Tensor:
    """sin (Boosting NeRV, after SIREN) or GELU."""
    return torch.sin(x) if config.has(SINE) else F.gelu(x)


class SeparableResidual(nn.Module):
    """x + mix(GELU(spread(x))): a depthwise and a pointwise convolution around the upsampling (NeRV++)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = Depthwise(channels, SPREAD)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.mix(F.gelu(self.spread(x)))
        return out


class ConditionedResidual(nn.Module):
    """x + conv(map(GELU(conv(map(x))))), the maps affine and of the time: Boosting NeRV's residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(AFFINE_HIDDEN, 2 * channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        for silent in (*self.maps, self.convs[1]):
            for parameter in silent.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, moment: Tensor) -> Tensor:
        y = self.convs[0](mapped(x, self.maps[0](moment)))
        out: Tensor = x + self.convs[1](mapped(F.gelu(y), self.maps[1](moment)))
        return out


def mapped(x: Tensor, affine: Tensor) -> Tensor:
    """x (1 + a) + b with (a, b) = affine (B, 2 * channels)."""
    scale, shift = affine[:, :, None, None].chunk(2, 1)
    return x * (1 + scale) + shift


class Stage(nn.Module):
    """Convolution, pixel shuffle, activation; by config residual blocks of either kind and a bilinear skip."""

    def __init__(self, config: Config, index: int) -> None:
        super().__init__()
        self.config, self.stride = config, config.strides[index]
        inputs, outputs = config.widths[index : index + 2]
        kernel = config.kernels[index]
        self.conv = nn.Conv2d(inputs, outputs * self.stride**2, kernel, padding=kernel // 2)
        if config.has(SEPARABLE):
            self.before, self.after = SeparableResidual(inputs), SeparableResidual(outputs)
            self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        if config.has(CONDITIONED):
            self.timed = ConditionedResidual(outputs)

    def forward(self, x: Tensor, moment: Tensor | None) -> Tensor:
        """`moment` (B, AFFINE_HIDDEN): what conditioned blocks know of the time; None without them."""
        if self.config.has(SEPARABLE):
            x = self.before(x)
        y = F.pixel_shuffle(self.conv(x), self.stride)
        if self.config.has(SEPARABLE):
            y = y + F.interpolate(self.skip(x), scale_factor=self.stride, mode="bilinear")
        y = activate(y, self.config)
        if moment is not None:
            y = self.timed(y, moment)
        out: Tensor = self.after(y) if self.config.has(SEPARABLE) else y
        return out
