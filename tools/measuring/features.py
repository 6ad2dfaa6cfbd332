"""The distance of two pictures in a classifier's features, and pictures cut into tiles of its input size.

The distance is that of LPIPS (Zhang et al., "The Unreasonable Effectiveness of Deep Features", CVPR 2018) without its
learned weights, in the features of a network of `perception`: the outputs of its residual blocks, all before pooling.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tessera.codec.errors import ParameterError
from tessera.tools.measuring import perception

BATCH = 100


def features(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Inputs (n, 3, H, W) -> outputs (n, C, h, w) of the residual blocks, of length 1 over the channels."""
    found = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, perception.ConvolutionBlock):
            found.append(x / x.norm(dim=1, keepdim=True).clamp_min(1e-6))
    return found


@torch.inference_mode()
def distances(model: nn.Sequential, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each pair of pictures uint8 (n, H, W, 3): (n,), 0 where they are equal, at most 2.

    Squared distance over the channels, mean over places, mean over depths.
    """
    if first.shape != second.shape:
        raise ValueError(f"pictures of different shapes, {first.shape} and {second.shape}")
    parts = []
    for start in range(0, len(first), BATCH):
        a, b = (features(model, perception.as_input(pixels[start : start + BATCH])) for pixels in (first, second))
        each = [(one - other).square().sum(1).mean((1, 2)) for one, other in zip(a, b, strict=True)]
        parts.append(torch.stack(each).mean(0))
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def tiles(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The whole squares (n, side, side, 3) of a picture (H, W, 3), row by row; what is over is left on all sides.

    ParameterError where none fits.
    """
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    if rows == 0 or columns == 0:
        raise ParameterError(f"a picture of {pixels.shape[1]}x{pixels.shape[0]} holds no tile of {side}x{side}")
    top, left = (pixels.shape[0] - rows * side) // 2, (pixels.shape[1] - columns * side) // 2
    part = pixels[top : top + rows * side, left : left + columns * side]
    cut = part.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(rows * columns, side, side, 3)
    return np.ascontiguousarray(cut)


def mosaic(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Pictures (n, side, side, 3), n a multiple of `columns`, as one: the inverse of `tiles`."""
    count, side = pictures.shape[:2]
    rows = pictures.reshape(count // columns, columns, side, side, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(count // columns * side, columns * side, 3))
