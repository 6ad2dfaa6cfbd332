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


class Stage(nn.Module):
    """Convolution, pixel shuffle, activation; by config residual blocks, a bilinear skip, a temporal affine map."""

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
            self.affine = nn.Linear(AFFINE_HIDDEN, 2 * outputs)
            nn.init.zeros_(self.affine.weight)
            nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, moment: Tensor | None) -> Tensor:
        """`moment` (B, AFFINE_HIDDEN): what the affine maps know of the time; None without them."""
        if self.config.has(SEPARABLE):
            x = self.before(x)
        y = F.pixel_shuffle(self.conv(x), self.stride)
        if self.config.has(SEPARABLE):
            y = y + F.interpolate(self.skip(x), scale_factor=self.stride, mode="bilinear")
        if moment is not None:
            scale, shift = self.affine(moment)[:, :, None, None].chunk(2, 1)
            y = y * (1 + scale) + shift
        y = activate(y, self.config)
        out: Tensor = self.after(y) if self.config.has(SEPARABLE) else y
        return out
