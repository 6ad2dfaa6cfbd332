"""The orthonormal discrete cosine transform (DCT-II) along axes of a raster, and its way back to cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .types import Shape, TokenSet


@lru_cache(maxsize=64)
def dct_matrix(size: int) -> Tensor:
    """(size, size) float64 orthonormal DCT-II; row k is frequency k."""
    k, n = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)[None]
    matrix: Tensor = torch.cos(torch.pi * (2 * n + 1) * k / (2 * size)) * (2 / size) ** 0.5
    matrix[0] /= 2**0.5
    return matrix


def dct(x: Tensor, axes: tuple[int, ...], inverse: bool = False) -> Tensor:
    """DCT of `x` along `axes`, in its own precision."""
    for axis in axes:
        matrix = dct_matrix(x.shape[axis]).to(x)
        x = torch.movedim(torch.tensordot(matrix.T if inverse else matrix, x, dims=([1], [axis])), 0, axis)
    return x


@dataclass(frozen=True)
class Basis:
    """What the rows of a transformed set mean.

    full       (t, h, w) of the raster that was transformed
    axes       the transformed axes of that raster
    frequency  (N,) int64 flat place of each row in that raster of coefficients, or None when the rows are a raster
    kept       the shape of that raster
    cells      (t*h*w,) int64 the grid's cell at each place
    """

    full: Shape
    axes: tuple[int, ...]
    frequency: Tensor | None
    kept: Shape
    cells: Tensor

    def invert(self, values: Tensor, tokens: TokenSet) -> Tensor:
        """(T, H, W, C) cells; what was dropped counts as zero."""
        channels = values.shape[1]
        spectrum = values.new_zeros(*self.full, channels)
        if self.frequency is None:
            low = dct(values.view(*self.kept, channels), self.axes) * (1 / self.gain())
            spectrum[: self.kept[0], : self.kept[1], : self.kept[2]] = low
        else:
            spectrum.view(-1, channels)[self.frequency] = values
        out = values.new_zeros(tokens.assign.numel(), channels)
        out[self.cells] = dct(spectrum, self.axes, inverse=True).reshape(-1, channels)
        return out.view(*tokens.shape, channels)

    def gain(self) -> float:
        """The factor that keeps the mean: sqrt(kept values / full values)."""
        ratio = 1.0
        for axis in self.axes:
            ratio *= self.kept[axis] / self.full[axis]
        return float(ratio**0.5)
