"""A picture's operating point, levels and tensors <-> the port; see codec/FORMAT.md, section 22.

The grids follow in the kernels, see kernels/overfitted.hpp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import GroupSpec, SymbolPort
from .shape import (
    CUBIC,
    LARGEST_WEIGHT,
    MAX_LEVELS,
    POINTS,
    FittedPicture,
    Integers,
    IntegerTensor,
    TensorShape,
    tensor_shapes,
)
from .tables import SCALES

NUMBER_TABLE, SCALE_TABLE = 19, 29  # of small differences, and of differences of `table`
FIRST_BITS, FIRST_SCALE = 8, 29  # what the first tensor of each kind differs from
MIDDLE_POINT, MIDDLE_LEVELS = 1, 7
SMOOTH = "upsampling.smooth"


@dataclass
class _Before:
    """Fraction bits and table of the last tensor of one kind, biases or others."""

    bits: int = FIRST_BITS
    scale: int = FIRST_SCALE


def put_numbers(port: SymbolPort, picture: FittedPicture, tables: Tables) -> None:
    """Put everything that comes before the grids; `tables`: of the port, to choose the cheapest for each tensor."""
    _put_one(port, picture.point - MIDDLE_POINT, NUMBER_TABLE)
    _put_one(port, picture.levels - MIDDLE_LEVELS, NUMBER_TABLE)
    before = {False: _Before(), True: _Before()}
    for shape in picture.tensor_shapes():
        tensor, last = picture.tensors[shape.name], before[shape.is_bias]
        values = (tensor.values - _usual(shape, tensor.bits)).astype(np.int32).ravel()
        scale = _cheapest(values, last.scale, tables)
        _put_one(port, tensor.bits - last.bits, NUMBER_TABLE)
        _put_one(port, scale - last.scale, SCALE_TABLE)
        port.put(values, np.full(values.size, scale, np.uint8))
        before[shape.is_bias] = _Before(tensor.bits, scale)


def get_numbers(port: SymbolPort, spec: GroupSpec) -> FittedPicture:
    """Get what `put_numbers` put: a picture without grids.  ValueError names a number that is out of its bounds."""
    point = _within(MIDDLE_POINT + _get_one(port, NUMBER_TABLE), 0, len(POINTS) - 1, "operating point")
    levels = _within(MIDDLE_LEVELS + _get_one(port, NUMBER_TABLE), 1, MAX_LEVELS, "levels")
    picture = FittedPicture(spec.height, spec.width, spec.channels, point, levels, {}, [])
    before = {False: _Before(), True: _Before()}
    for shape in tensor_shapes(point, levels, spec.channels):
        last = before[shape.is_bias]
        bits = last.bits + _get_one(port, NUMBER_TABLE)
        _within(bits, shape.least_bits, shape.most_bits, f"fraction bits of {shape.name}")
        scale = _within(last.scale + _get_one(port, SCALE_TABLE), 0, SCALES - 1, f"table of {shape.name}")
        coded = port.get(np.full(shape.size, scale, np.uint8)).reshape(shape.shape)
        values = coded.astype(np.int64) + _usual(shape, bits)
        _within(int(np.abs(values).max()), 0, LARGEST_WEIGHT, f"largest magnitude of {shape.name}")
        picture.tensors[shape.name] = IntegerTensor(values.astype(np.int32), bits)
        before[shape.is_bias] = _Before(bits, scale)
    return picture


def number_bits(picture: FittedPicture, tables: Tables) -> float:
    """Bits of everything that comes before the grids."""
    meter = _Meter(tables)
    put_numbers(meter, picture, tables)
    return meter.bits


class _Meter:
    """A port that adds up bits."""

    def __init__(self, tables: Tables) -> None:
        self.tables, self.bits = tables, 0.0

    def put(self, symbols: Integers, indices: NDArray[np.uint8]) -> None:
        self.bits += float(self.tables.bits(symbols, indices).sum(dtype=np.float64))

    def get(self, indices: NDArray[np.uint8]) -> Integers:
        raise TypeError("this port only takes symbols")


def _put_one(port: SymbolPort, value: int, table: int) -> None:
    port.put(np.array([value], np.int32), np.array([table], np.uint8))


def _get_one(port: SymbolPort, table: int) -> int:
    return int(port.get(np.array([table], np.uint8))[0])


def _within(value: int, low: int, high: int, name: str) -> int:
    if not low <= value <= high:
        raise ValueError(f"{name} of an overfitted picture: {value} is not in {low}..{high}")
    return value


def tensor_bits(shape: TensorShape, tensor: IntegerTensor, tables: Tables) -> float:
    """Bits of a tensor's integers by the cheapest table."""
    values = (tensor.values - _usual(shape, tensor.bits)).astype(np.int32).ravel()
    return float(_by_table(values, tables).min())


def _usual(shape: TensorShape, bits: int) -> NDArray[np.int64]:
    """What the integers of a tensor are coded as differences to."""
    if shape.name != SMOOTH:
        return np.zeros(1, np.int64)
    cubic = np.array(CUBIC, np.int64)
    return cubic if bits == 12 else (cubic + (1 << (11 - bits))) >> (12 - bits)


def _cheapest(values: Integers, before: int, tables: Tables) -> int:
    """The table 0..SCALES-1 that codes `values` and its own difference to the one before in the fewest bits."""
    differences = (np.arange(SCALES) - before).astype(np.int32)
    named = tables.bits(differences, np.full(SCALES, SCALE_TABLE, np.uint8))
    return int((_by_table(values, tables) + named).argmin())


def _by_table(values: Integers, tables: Tables) -> NDArray[np.float64]:
    """Bits of `values` by each of the tables 0..SCALES-1."""
    symbols = np.broadcast_to(values, (SCALES, values.size))
    indices = np.broadcast_to(np.arange(SCALES)[:, None], symbols.shape).astype(np.uint8)
    bits: NDArray[np.float64] = tables.bits(symbols, indices).sum(1, dtype=np.float64)
    return bits
