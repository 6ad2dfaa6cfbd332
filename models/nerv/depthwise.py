"""Depthwise convolution whose weights' gradient is a matrix product.

On the CPU that gradient, as PyTorch computes it in bf16, takes longer than everything else in a step of NeRV++: 58 ms
for 7 x 7 weights and 21 channels of 320 x 192, against 7 ms here and 2 ms for the convolution itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 8  # a block of so many rows and columns of the gradient is one row of the matrix product


def weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """d loss / d weight, (C, 1, kernel, kernel) float32, of a convolution of x (B, C, H, W) with zeros around it.

    grad (B, C, H, W) is the gradient of what came out, kernel is odd.  With grad cut to blocks of n x n pixels and x to
    overlapping ones of n + kernel - 1 each way, (blocks x n^2) transposed times (blocks x (n + kernel - 1)^2) holds
    the products of every pixel of a block with all around it; those of one offset stand on a diagonal of rows and one
    of columns.
    """
    x, grad = x.contiguous(), grad.contiguous()  # not channels-last: what follows copies runs of a row
    batch, channels, height, width = x.shape
    edge, wide = kernel // 2, BLOCK + kernel - 1
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    below, beside = rows * BLOCK - height, columns * BLOCK - width
    inner = F.pad(grad, (0, beside, 0, below)).view(batch * channels, rows, BLOCK, columns, BLOCK)
    outer = F.pad(x, (edge, edge + beside, edge, edge + below)).unfold(2, wide, BLOCK).unfold(3, wide, BLOCK)
    left = inner.permute(0, 2, 4, 1, 3).reshape(batch * channels, BLOCK**2, rows * columns)
    products = torch.bmm(left, outer.reshape(batch * channels, rows * columns, wide**2))
    sums = products.view(batch, channels, BLOCK, BLOCK, wide, wide).float().sum(0)
    of_rows = torch.stack([sums.diagonal(i, 1, 3).sum(-1) for i in range(kernel)], 1)  # (C, kernel, BLOCK, wide)
    return torch.stack([of_rows.diagonal(j, 2, 3).sum(-1) for j in range(kernel)], 2)[:, None]


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
