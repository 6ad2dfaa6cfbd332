"""Networks that choose tables, in fixed point: integers held in float32, exact in whatever order they are summed.

Weights are integers of 1 / 2**bits; activations are integers.  Every accumulator stays below ACCUMULATOR_LIMIT, far
under the 2**24 up to which float32 counts exactly, so convolutions give the same integers on every device, with any
number of threads and in any memory format.  Training runs the very same arithmetic: rounding passes gradients straight
through, and `project` keeps the bound after every optimiser step; `check` proves it from the integers before export.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACCUMULATOR_LIMIT = 1 << 20  # sixteen times below the 2**24 up to which float32 is exact
ACTIVATION_MAX = 255  # activations are bytes in the kernels


def ste_round(x: Tensor) -> Tensor:
    """Round to the nearest integer; the gradient passes unchanged."""
    return x + (torch.floor(x + 0.5) - x).detach()


def requantise(accumulator: Tensor, shift: int) -> Tensor:
    """Accumulator -> activation: divide by 1 << shift, round half up, clip to 0..ACTIVATION_MAX."""
    result: Tensor = _Requantise.apply(accumulator, shift)  # type: ignore[no-untyped-call]
    return result


class _Requantise(torch.autograd.Function):
    """One function, since autograd would go over the numbers three times as often; rounding passes gradients."""

    @staticmethod
    def forward(ctx: Any, accumulator: Tensor, shift: int) -> Tensor:
        rounded = (accumulator * 2.0**-shift).add_(0.5).floor_()
        clipped = rounded.clamp(0, ACTIVATION_MAX)
        if ctx.needs_input_grad[0]:
            ctx.shift = shift
            ctx.save_for_backward(clipped == rounded)
        return clipped

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (within,) = ctx.saved_tensors
        return (gradient * within).mul_(2.0**-ctx.shift), None


@torch.no_grad()
def _round_in_place(weight: nn.Parameter, bits: int) -> bool:
    """Turn real weights into integers of 1 / 2**bits that are trained no more; True, for the flag that says so."""
    weight.copy_(torch.floor(weight * 2.0**bits + 0.5))
    weight.requires_grad_(False)
    return True


@contextmanager
def exact_arithmetic(device_type: str) -> Iterator[None]:
    """No autocast and no TF32, whose ten bits of mantissa would round integer weights, whatever the caller has set."""
    with torch.autocast(device_type, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


class FixedConv2d(nn.Module):
    """A convolution with integer weights of 1 / 2**bits, no bias, stride 1 and zero padding that keeps the size.

    While training, `weight` holds real numbers; after `freeze` it holds the integers themselves.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, bits: int, *, depthwise: bool = False, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.bits, self.groups = bits, inputs if depthwise else 1
        fan_in = inputs // self.groups * kernel * kernel
        self.weight = nn.Parameter(torch.randn(outputs, inputs // self.groups, kernel, kernel) * gain / fan_in**0.5)
        self.frozen = False

    def integers(self) -> Tensor:
        return self.weight if self.frozen else ste_round(self.weight * 2.0**self.bits)

    def forward(self, x: Tensor) -> Tensor:
        with exact_arithmetic(x.device.type):
            if self.weight.shape[-1] == 1:  # a product, which is quicker than a convolution of planes one cell wide
                y = (self.integers().flatten(1) @ x.flatten(2)).unflatten(2, x.shape[2:])
            else:
                y = F.conv2d(x, self.integers(), padding=self.weight.shape[-1] // 2, groups=self.groups)
        # Rounding undoes what an algorithm that is not a plain sum (Winograd, FFT) may add on some devices.
        return torch.round(y) if self.frozen else y

    def freeze(self) -> None:
        """Replace the real weights by their integers, in place."""
        self.frozen = self.frozen or _round_in_place(self.weight, self.bits)

    def mass(self) -> Tensor:
        """Sum of |integer weight| feeding each output: the accumulator's bound for unit inputs."""
        return self.integers().detach().abs().sum((1, 2, 3))

    def shrink(self, scale: Tensor) -> None:
        """Multiply the weights of every output that `mass` tells by `scale`."""
        self.weight.mul_(scale[:, None, None, None])


class QualityTable(nn.Module):
    """A vector of integers of 1 / 2**bits for each quality, interpolated between anchors in exact arithmetic."""

    SPACING = 512  # quality steps between anchors
    ANCHORS = 14  # 13 * 512 >= 6400

    def __init__(self, size: int, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.weight = nn.Parameter(torch.zeros(self.ANCHORS, size))
        self.frozen = False

    def forward(self, quality: Tensor) -> Tensor:
        """Integer qualities (B,) -> integers as float32 (B, size, 1, 1)."""
        table = self.weight if self.frozen else ste_round(self.weight * 2.0**self.bits)
        table = table.double()  # products reach 2**30: exact in float64, not in float32
        anchor = torch.div(quality, self.SPACING, rounding_mode="floor")
        part = (quality - anchor * self.SPACING).double().unsqueeze(1)
        mixed = table[anchor] * (self.SPACING - part) + table[(anchor + 1).clamp(max=self.ANCHORS - 1)] * part
        return ste_round(mixed / self.SPACING).float()[:, :, None, None]

    def freeze(self) -> None:
        self.frozen = self.frozen or _round_in_place(self.weight, self.bits)

    def peak(self) -> Tensor:
        """Largest |integer| of each entry over all qualities."""
        return (self.weight if self.frozen else self.weight * 2.0**self.bits).detach().abs().amax(0)


def bound(convs: Sequence[tuple[FixedConv2d, int]], bias: QualityTable | None = None) -> Tensor:
    """Largest |accumulator| of each output that sums `convs`, each fed with integers up to the given limit."""
    total = sum(conv.mass() * limit for conv, limit in convs)
    assert isinstance(total, Tensor)
    return total + bias.peak() if bias is not None else total


@torch.no_grad()
def project(convs: Sequence[tuple[FixedConv2d, int]], bias: QualityTable | None = None, margin: float = 0.95) -> None:
    """Scale weights down where their accumulator could pass margin * ACCUMULATOR_LIMIT; called after every step."""
    room = margin * ACCUMULATOR_LIMIT - (bias.peak() if bias is not None else 0.0)
    scale = (room / bound(convs).clamp(min=1.0)).clamp(max=1.0)
    if bool((scale < 1).any()):
        for conv, _ in convs:
            conv.shrink(scale)
