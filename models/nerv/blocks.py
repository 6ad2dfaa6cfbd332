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
    """x + conv(GELU(conv(x))), each convolution of inputs that affine maps of the time scale and shift: the residual
    block of Boosting NeRV."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(AFFINE_HIDDEN, 2 * channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        for silent in (*self.maps, self.convs[1]):
            for parameter in silent.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, moment: Tensor) -> Tensor:
        y = convolve_mapped(self.convs[0], x, self.maps[0](moment))
        return x + convolve_mapped(self.convs[1], F.gelu(y), self.maps[1](moment))


def convolve_mapped(conv: nn.Module, x: Tensor, affine: Tensor) -> Tensor:
    """`conv`, with zeros around, of x (1 + a), plus what it gives for b everywhere, beyond the border too.

    affine (B, 2 * channels) is (a, b) of each sample.  b is a bias, and for one sample a scales the weights: so x is
    read once, where maps of pixels would read and write it twice each.
    """
    weight, bias = conv.weight, conv.bias
    assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
    scale, shift = (1 + affine[:, : x.shape[1]]).float(), affine[:, x.shape[1] :].float()
    moved = bias + torch.einsum("bi,oi->bo", shift, weight.sum((2, 3)))
    if len(x) == 1:
        return F.conv2d(x, weight * scale[0, :, None, None], moved[0], padding=weight.shape[2] // 2)
    y = F.conv2d(x * scale[:, :, None, None].to(x.dtype), weight, padding=weight.shape[2] // 2)
    return y + moved[:, :, None, None].to(y.dtype)


class Enlarge(nn.Conv2d):
    """A convolution and a pixel shuffle: (B, inputs, H, W) -> (B, outputs, H stride, W stride).

    The parameters stand as `F.pixel_shuffle` wants them, the stride^2 places of an output together.  They are
    convolved with outputs together instead: channels-last tensors are then shuffled in runs of all outputs, which is
    six times as fast, forth and back.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, outputs * stride**2, kernel, padding=kernel // 2)
        self.outputs, self.enlarged = outputs, stride

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        weight, bias = self._outputs_together(self.weight), self._outputs_together(self.bias)
        y = F.conv2d(x, weight, bias, padding=self.padding)
        (batch, _, height, width), s = y.shape, self.enlarged
        places = y.permute(0, 2, 3, 1).reshape(batch, height, width, s, s, self.outputs)
        return places.transpose(2, 3).reshape(batch, height * s, width * s, self.outputs).permute(0, 3, 1, 2)

    def _outputs_together(self, parameter: Tensor) -> Tensor:
        return parameter.view(self.outputs, -1, *parameter.shape[1:]).transpose(0, 1).flatten(0, 1)


class UpsamplingStage(nn.Module):
    """Convolution, pixel shuffle, activation; by config residual blocks of either kind and a bilinear skip."""

    def __init__(self, config: Config, index: int) -> None:
        super().__init__()
        self.config, self.stride = config, config.strides[index]
        inputs, outputs = config.widths[index : index + 2]
        kernel = config.kernels[index]
        self.conv = Enlarge(inputs, outputs, kernel, self.stride)
        if config.has(SEPARABLE):
            self.before, self.after = SeparableResidual(inputs), SeparableResidual(outputs)
            self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        if config.has(CONDITIONED):
            self.timed = ConditionedResidual(outputs)

    def forward(self, x: Tensor, moment: Tensor | None) -> Tensor:
        """`moment` (B, AFFINE_HIDDEN): the code of time that conditioned blocks read; None without them."""
        if self.config.has(SEPARABLE):
            x = self.before(x)
        y = self.conv(x)
        if self.config.has(SEPARABLE):
            y = y + F.interpolate(self.skip(x), scale_factor=self.stride, mode="bilinear")
        y = activate(y, self.config)
        if moment is not None:
            y = self.timed(y, moment)
        out: Tensor = self.after(y) if self.config.has(SEPARABLE) else y
        return out
