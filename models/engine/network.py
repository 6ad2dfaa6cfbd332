"""The description of a network in integers, layer by layer, and how it is passed to the engine (`_kernels.Network`).

kernels/network.hpp specifies the arithmetic and its bounds; `reference.integer_network` computes the same in numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .. import _kernels

LIMIT = 8191  # largest magnitude that a dense 3 x 3 layer reads: 14 bits
ONE = 1 << 32  # a multiplier of 1, an offset of 1
WINDOW_SUM_LIMIT = 1 << 29  # no sum of a dense 3 x 3 layer reaches it
OFFSET_LIMIT = 1 << 53  # largest |offset|: interpolating between two anchors adds up 512 of them in 64 bits


@dataclass(frozen=True)
class Range:
    """What a tensor may hold, within int16."""

    low: int = -LIMIT
    high: int = LIMIT


@dataclass(frozen=True)
class Layer:
    """A layer reads tensor `source` (0 is the input) and makes the next tensor.

    weights    int8 (outputs, side, side, inputs), or (side, side, channels) of a depthwise layer
    range      of the tensor that it makes
    table      int16 (entries,), or None
    add        number of the tensor that is added at the end, not the input, or None
    """

    source: int
    weights: NDArray[np.int8]
    range: Range = Range()
    table: NDArray[np.int16] | None = None
    add: int | None = None

    @property
    def depthwise(self) -> bool:
        return self.weights.ndim == 3

    @property
    def outputs(self) -> int:
        return self.weights.shape[2 if self.depthwise else 0]


@dataclass(frozen=True)
class IntegerNetwork:
    """Input (height, width, channels) within `range`, and layers; the last layer's tensor is the answer."""

    channels: int
    range: Range
    layers: Sequence[Layer]

    @property
    def outputs(self) -> int:
        """Outputs of all layers together: the length of multipliers and offsets."""
        return sum(layer.outputs for layer in self.layers)

    def native(self) -> _kernels.Network:
        """Packed for the engine; ValueError where a bound does not hold."""
        from .. import _kernels  # here, so that a network can be described and read without the kernels

        network = _kernels.Network(self.channels, self.range.low, self.range.high)
        for layer in self.layers:
            put = network.depthwise if layer.depthwise else network.convolve
            put(layer.source, layer.weights, layer.table, layer.add, layer.range.low, layer.range.high)
        return network


def fixed(factors: NDArray[np.float64], shifts: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Multipliers and offsets that scale a sum by `factors`, below a half in magnitude, and add `shifts`, rounded."""
    multipliers = np.floor(factors * ONE + 0.5)
    offsets = np.floor(shifts * ONE + 0.5) + ONE // 2
    if np.abs(multipliers).max(initial=0) >= ONE // 2 or np.abs(offsets).max(initial=0) > OFFSET_LIMIT:
        raise ValueError("a factor of a half or more, or an offset beyond 21 bits, fits no multiplier")
    return multipliers.astype(np.int32), offsets.astype(np.int64)


# -- in a weights file -------------------------------------------------------------------------------------------------

Arrays = Mapping[str, NDArray[Any]]


def part_of(arrays: Arrays, owner: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin with `owner` and a dot, without it."""
    return {name[len(owner) + 1 :]: array for name, array in arrays.items() if name.startswith(owner + ".")}


def arrays_of(network: IntegerNetwork, multipliers: NDArray[np.int32], offsets: NDArray[np.int64]) -> dict[str, Any]:
    """A network with its multipliers and offsets at every anchor (anchors, outputs), as arrays by name.

    plan   int32 (1 + layers, 5): of the input its channels, 0, low, high, 0; of a layer its source, what it adds (-1:
           nothing), low, high, the number of its table (-1: none)
    """
    tables: list[NDArray[np.int16]] = []
    rows = [[network.channels, 0, network.range.low, network.range.high, 0]]
    for layer in network.layers:
        found = -1
        if layer.table is not None:
            same = [k for k, table in enumerate(tables) if np.array_equal(table, layer.table)]
            found = same[0] if same else len(tables)
            if not same:
                tables.append(layer.table)
        add = -1 if layer.add is None else layer.add
        rows.append([layer.source, add, layer.range.low, layer.range.high, found])
    arrays: dict[str, Any] = {"plan": np.array(rows, np.int32), "multipliers": multipliers, "offsets": offsets}
    arrays |= {f"weights.{k}": layer.weights for k, layer in enumerate(network.layers)}
    return arrays | {f"tables.{k}": table for k, table in enumerate(tables)}


def network_of(arrays: Arrays) -> IntegerNetwork:
    """The inverse of `arrays_of`, without multipliers and offsets."""
    first, *rows = arrays["plan"].tolist()
    layers = []
    for k, (source, add, low, high, table) in enumerate(rows):
        layers.append(
            Layer(
                source,
                arrays[f"weights.{k}"],
                Range(low, high),
                None if table < 0 else arrays[f"tables.{table}"],
                None if add < 0 else add,
            )
        )
    channels, _, low, high, _ = first
    return IntegerNetwork(channels, Range(low, high), layers)
