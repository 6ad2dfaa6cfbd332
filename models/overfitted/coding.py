"""Whole fitted pictures to and from a port, their pixels, and what they cost; the loops are those of the kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .. import _kernels
from ..base.family import GroupSpec, Pixels, SymbolPort
from ..base.kernels import Kernels, threads
from ..base.ports import Metered, lent
from .shape import FittedPicture, Integers
from .wire import get_numbers, number_bits, put_numbers


@dataclass
class MeasuredPicture:
    """A picture, and the bits of its parts.

    number_bits: of everything before the grids.  grid_bits: float32 in the shapes of the grids, of every value.
    """

    picture: FittedPicture
    number_bits: float
    grid_bits: list[NDArray[np.float32]]

    @property
    def bits(self) -> float:
        return self.number_bits + sum(float(bits.sum(dtype=np.float64)) for bits in self.grid_bits)


def networks_of(picture: FittedPicture) -> _kernels.FittedNetworks:
    """A picture's networks, packed.  ValueError for a tensor that does not fit, or whose sums may overflow."""
    tensors = [picture.tensors[shape.name] for shape in picture.tensor_shapes()]
    return _kernels.FittedNetworks(
        picture.point, picture.levels, picture.channels, [(tensor.values.ravel(), tensor.bits) for tensor in tensors]
    )


def put_picture(picture: FittedPicture, port: SymbolPort, tables: Tables, kernels: Kernels) -> None:
    """Put a picture; `tables` are those of the port."""
    networks = networks_of(picture)
    put_numbers(port, picture, tables)
    with lent(port) as coder:
        networks.put(picture.height, picture.width, picture.grids, coder, kernels.path)


def get_picture(spec: GroupSpec, port: SymbolPort, kernels: Kernels) -> Pixels:
    """Get a picture and paint it: uint8 (H, W, channels)."""
    networks = networks_of(get_numbers(port, spec))
    with lent(port) as coder:
        return networks.decode(spec.height, spec.width, coder, threads(), kernels.path)


def read_picture(spec: GroupSpec, port: SymbolPort, tables: Tables, kernels: Kernels) -> MeasuredPicture:
    """Get a picture and what it cost, without its pixels."""
    metered = Metered(port, tables)
    picture = get_numbers(metered, spec)
    networks = networks_of(picture)
    with lent(port) as coder:
        picture.grids, trace = networks.read(spec.height, spec.width, coder, kernels.path)
    return MeasuredPicture(picture, metered.spent, _grid_bits(picture, *trace, tables))


def measure(picture: FittedPicture, tables: Tables, kernels: Kernels) -> MeasuredPicture:
    """What a picture would cost."""
    trace = networks_of(picture).trace(picture.height, picture.width, picture.grids, kernels.path)
    return MeasuredPicture(picture, number_bits(picture, tables), _grid_bits(picture, *trace, tables))


def paint(picture: FittedPicture, kernels: Kernels) -> Pixels:
    """The pixels that a decoder makes of a picture: uint8 (H, W, channels)."""
    networks = networks_of(picture)
    return networks.paint(picture.height, picture.width, picture.grids, threads(), kernels.path)


def _grid_bits(
    picture: FittedPicture, symbols: Integers, indices: NDArray[np.uint8], tables: Tables
) -> list[NDArray[np.float32]]:
    bits = tables.bits(symbols, indices)
    shapes = picture.grid_shapes()
    ends = np.cumsum([shape.height * shape.width for shape in shapes])
    return [part.reshape(shape[2:]) for part, shape in zip(np.split(bits, ends[:-1]), shapes, strict=True)]
