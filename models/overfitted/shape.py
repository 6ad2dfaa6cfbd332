"""The parts of a fitted picture: operating points, grids and tensors, with their names, shapes and order.

codec/FORMAT.md, section 22, says what the numbers mean.  kernels/overfitted.hpp has the same constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]

MAX_LEVELS = 9
FEATURE_LEVELS = 3  # grids of levels 0..2 have features
FIRST_HYPER = 4  # levels from here on have a hyper grid
LARGEST = 2047  # of |value|
LARGEST_WEIGHT = 32767  # of |integer of a tensor|
STRIP, LAG = 16, 3  # rows that are coded together, and how many columns each is behind the one above

PLACES = (
    (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-3, 0), (0, -3), (-1, -2), (-2, 1), (-2, -1), (-1, 2),
    (-2, -2), (-1, -3),
)  # fmt: skip
"""Spatial inputs of the context network: (rows, columns) from the cell."""

CUBIC = (-144, -432, 1072, 3600)
"""The upsampling filter that `upsampling.smooth` is coded as a difference to, in 1/4096."""


@dataclass(frozen=True)
class OperatingPoint:
    """An operating point: how much work a pixel is.

    spatial, features: inputs of the context network.  width: of the first synthesis layer.  windows: layers of 3 x 3.
    """

    name: str
    spatial: int
    features: int
    width: int
    windows: int

    @property
    def inputs(self) -> int:
        return self.spatial + self.features


POINTS = (
    OperatingPoint("small", 6, 2, 8, 1),
    OperatingPoint("middle", 10, 4, 16, 2),
    OperatingPoint("large", 14, 6, 48, 2),
)


class GridShape(NamedTuple):
    """One grid: its level, whether it is the hyper grid there, and its sides in cells."""

    level: int
    hyper: bool
    height: int
    width: int


def grid_shapes(height: int, width: int, levels: int) -> list[GridShape]:
    """Every grid in the order of coding: from the last level to level 0, at a level hyper before latent."""
    return [
        GridShape(level, hyper, -(-height >> level), -(-width >> level))
        for level in range(levels - 1, -1, -1)
        for hyper in ((True, False) if level >= FIRST_HYPER else (False,))
    ]


def feature_sources(level: int, levels: int) -> list[tuple[int, bool]]:
    """(level, hyper) of the grids that features of `level` read, in the order of their weights."""
    return [
        (above, hyper)
        for above in range(level + 1, levels)
        for hyper in ((False, True) if above >= FIRST_HYPER else (False,))
    ]


class TensorShape(NamedTuple):
    """One tensor of the networks: its name and shape, and the bounds of its fraction bits."""

    name: str
    shape: tuple[int, ...]
    least_bits: int
    most_bits: int

    @property
    def is_bias(self) -> bool:
        return self.name.endswith(".bias")

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


def tensor_shapes(point: int, levels: int, channels: int) -> list[TensorShape]:
    """Every tensor in the order of coding."""
    chosen = POINTS[point]
    n, features = chosen.inputs, chosen.features
    found = [
        *_layer("context.1", (n, n)),
        *_layer("context.2", (n, n)),
        *_layer("context.3", (2, n)),
        _weight("context.beside.weight", (2, n)),
    ]
    for level in range(FEATURE_LEVELS - 1, -1, -1):
        if level < levels - 1:
            found += _layer(f"features.{level}", (features, len(feature_sources(level, levels))))
    if levels > 1:
        found += [_weight("upsampling.smooth", (levels - 1, 4)), _weight("upsampling.own", (levels - 1, 4))]
    found += [*_layer("synthesis.1", (chosen.width, levels), 2), *_layer("synthesis.2", (channels, chosen.width))]
    for number in (3, 4)[2 - chosen.windows :]:
        found += _layer(f"synthesis.{number}", (channels, channels, 3, 3))
    return [*found, _weight("synthesis.beside.weight", (channels, levels), 2)]


def _weight(name: str, shape: tuple[int, ...], least_bits: int = 0) -> TensorShape:
    return TensorShape(name, shape, least_bits, 12)


def _layer(name: str, shape: tuple[int, ...], least_bits: int = 0) -> list[TensorShape]:
    return [_weight(f"{name}.weight", shape, least_bits), TensorShape(f"{name}.bias", shape[:1], 0, 16)]


class IntegerTensor(NamedTuple):
    """Integers, int32 in the tensor's shape, that stand for multiples of 2**-bits."""

    values: Integers
    bits: int


@dataclass
class FittedPicture:
    """One picture as it is coded.

    Attributes:
        height: Pixels.
        width: Pixels.
        channels: 1 or 3.
        point: Number of the operating point in POINTS.
        levels: 1..MAX_LEVELS.
        tensors: By the names of `tensor_shapes`.
        grids: int32 in the shapes and order of `grid_shapes`, -LARGEST..LARGEST.
    """

    height: int
    width: int
    channels: int
    point: int
    levels: int
    tensors: dict[str, IntegerTensor]
    grids: list[Integers]

    def grid_shapes(self) -> list[GridShape]:
        return grid_shapes(self.height, self.width, self.levels)

    def tensor_shapes(self) -> list[TensorShape]:
        return tensor_shapes(self.point, self.levels, self.channels)

    def grid(self, level: int, hyper: bool = False) -> Integers:
        """The grid of a level."""
        return self.grids[[shape[:2] for shape in self.grid_shapes()].index((level, hyper))]
