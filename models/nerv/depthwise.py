"""Depthwise convolution whose weights' gradient is a few matrix products.

On the CPU that gradient, as PyTorch computes it in bf16, takes longer than everything else in a step of NeRV++: 58 ms
for 7 x 7 weights and 21 channels of 320 x 192, against 8 ms here and 2 ms for the convolution itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 16  # columns of the gradient that a matrix product takes together


def weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """d loss / d weight, (C, 1, kernel, kernel) float32, of a convolution of x (B, C, H, W) with zeros around it.

    grad (B, C, H, W) is the gradient of what came out, kernel is odd.  With rows cut to blocks of n columns, and those
    of x to overlapping ones of n + kernel - 1, (blocks x n) transposed times (blocks x n + kernel - 1) holds the sums
    for each row offset of the kernel on its diagonals: offset j is the sum of diagonal j.
    """
    x, grad = x.contiguous(), grad.contiguous()  # not channels-last: what follows is a copy of rows
    batch, channels, height, width = x.shape
    edge, count = kernel // 2, -(-width // BLOCK)
    spare = count * BLOCK - width
    wide = BLOCK + 2 * edge
    left = F.pad(grad, (0, spare)).reshape(batch * channels, height * count, BLOCK).transpose(1, 2).contiguous()
    padded = F.pad(x, (edge, edge + spare, edge, edge))
    right = padded.unfold(3, wide, BLOCK).reshape(batch * channels, (height + 2 * edge) * count, wide)
    products = [torch.bmm(left, right[:, i * count : (i + height) * count]) for i in range(kernel)]
    sums = torch.stack(products, 1).view(batch, channels, kernel, BLOCK, wide).float().sum(0)
    return torch.stack([sums.diagonal(j, 2, 3).sum(-1) for j in range(kernel)], 2)[:, None]


class _Convolve(torch.autograd.Function):
    """x (B, C, H, W), weight (C, 1, k, k), bias (C,), all of one type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        (grad,) = grads
        kernel = weight.shape[2]
        back = None
        if ctx.needs_input_grad[0]:
            back = F.conv2d(grad, weight.flip(2, 3), padding=kernel // 2, groups=len(weight))
        return back, weight_gradient(x, grad, kernel).to(weight.dtype), grad.sum((0, 2, 3))


class Depthwise(nn.Conv2d):
    """A convolution of each channel by itself, with an odd kernel and as many rows and columns out as in."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(x)
        assert self.bias is not None
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        convolve: Callable[..., Tensor] = _Convolve.apply
        return convolve(x.to(kind), self.weight.to(kind), self.bias.to(kind))
