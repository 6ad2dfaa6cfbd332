"""Networks in integers, computed step by step as kernels/network.hpp specifies them; the engine gives the same numbers.

Each cell of a layer's tensor is, for each output:

    sum     weights times the window around the cell, zero outside of the picture
    scale   (sum * multiplier + offset) >> 32, rounding down; the offset holds the half that makes it round to nearest
    curve   table[clamp(., 0, entries - 1)], where there is a table
    add     another tensor's cell, where one is named
    clamp   to the range of the layer's tensor
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.network import IntegerNetwork, Layer, Range

Tensor = NDArray[np.int16]  # (height, width, channels)
Wide = NDArray[np.int64]


def run(
    network: IntegerNetwork,
    x: NDArray[np.signedinteger[Any]],
    multipliers: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> Tensor:
    """The answer of a network; multipliers and offsets are those of all layers in a row."""
    tensors = [clamped(x.astype(np.int64), network.range)]
    first = 0
    for layer in network.layers:
        last = first + layer.outputs
        y = sums(layer, tensors[layer.source].astype(np.int64))
        y = (y * multipliers[first:last] + offsets[first:last]) >> 32
        if layer.table is not None:
            y = layer.table[y.clip(0, len(layer.table) - 1)].astype(np.int64)
        if layer.add is not None:
            y = y + tensors[layer.add]
        tensors.append(clamped(y, layer.range))
        first = last
    return tensors[-1]


def sums(layer: Layer, x: Wide) -> Wide:
    """Products of a layer's weights with the windows of x (height, width, inputs), added up."""
    height, width, _ = x.shape
    weights = layer.weights.astype(np.int64)
    side = weights.shape[1]
    framed = np.pad(x, ((side // 2, side // 2), (side // 2, side // 2), (0, 0)))
    total = np.zeros((height, width, layer.outputs), np.int64)
    for dy in range(side):
        for dx in range(side):
            window = framed[dy : dy + height, dx : dx + width]
            total += window * weights[dy, dx] if layer.depthwise else window @ weights[:, dy, dx].T
    return total


def clamped(y: Wide, to: Range) -> Tensor:
    return y.clip(to.low, to.high).astype(np.int16)
