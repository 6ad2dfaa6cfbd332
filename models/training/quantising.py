"""Float networks to integers: scales from what calibration pictures show, weights rounded to 8 bits an output.

The words that a network reads have WORD_BITS fraction bits, its residual stream and what lies between two convolutions
14 bits, chosen so that nothing in calibration is clipped with a margin of MARGIN.  The activation becomes a table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..engine.network import LIMIT, IntegerNetwork, Layer, Range, arrays_of, fixed
from ..networks.synthesis import Film, ResidualBlock, SynthesisNetwork
from ..wavelet.words import WORD_BITS

MARGIN = 1.5  # of the largest value in calibration that a tensor can hold
ENTRIES = 4096  # of the activation's table
FULL = Range(-32767, 32767)  # of the answer, which no dense 3 x 3 layer reads
Wide = NDArray[np.float64]


@dataclass
class Peaks:
    """Largest magnitudes in calibration: of the residual stream, and before each activation."""

    stream: float
    before: list[float]


@torch.no_grad()
def peaks(network: SynthesisNetwork, samples: list[tuple[Tensor, Tensor]]) -> Peaks:
    """samples: words (1, inputs, h, w) in floats and qualities (1,)."""
    stream, before = 0.0, [0.0] * (len(network.blocks) + 1)
    for words, quality in samples:
        x = network.enter(words)
        for place, block in enumerate(network.blocks):
            assert isinstance(block, ResidualBlock)
            stream = max(stream, float(x.abs().max()))
            h = block.film(block.enter(x), quality)
            before[place] = max(before[place], float(h.abs().max()))
            x = x + block.leave(F.silu(h))
        stream = max(stream, float(x.abs().max()))
        before[-1] = max(before[-1], float(network.film(x, quality).abs().max()))
    return Peaks(stream, before)


class _Builder:
    """Layers of a network, with their multipliers and offsets at every anchor of the quality."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.layers: list[Layer] = []
        self.multipliers: list[NDArray[np.int32]] = []
        self.offsets: list[NDArray[np.int64]] = []

    def add(self, layer: Layer, factors: Wide, shifts: Wide) -> int:
        """factors, shifts: (anchors, outputs).  The number of the tensor that the layer makes."""
        multipliers, offsets = fixed(factors, shifts)
        self.layers.append(layer)
        self.multipliers.append(multipliers)
        self.offsets.append(offsets)
        return len(self.layers)


@torch.no_grad()
def quantised(network: SynthesisNetwork, found: Peaks, answer_bits: int) -> dict[str, NDArray[np.generic]]:
    """The arrays of a weights file, see `integer.arrays_of`; the answer has `answer_bits` fraction bits."""
    builder = _Builder(network.enter.in_channels)
    stream = LIMIT / (MARGIN * found.stream)  # units of the residual stream in 1.0
    weights, scales = _rounded(network.enter)
    x = builder.add(Layer(0, weights), *_scaled(network.enter, scales / (1 << WORD_BITS), stream))
    for place, block in enumerate(network.blocks):
        assert isinstance(block, ResidualBlock)
        table, entry, unit = _activation(MARGIN * found.before[place])
        weights, scales = _rounded(block.enter)
        factors, shifts = _scaled(block.enter, scales / stream, entry, block.film)
        h = builder.add(Layer(x, weights, Range(), table), factors, shifts + ENTRIES / 2)
        weights, scales = _rounded(block.leave)
        x = builder.add(Layer(h, weights, Range(), None, x), *_scaled(block.leave, scales / unit, stream))
    table, entry, unit = _activation(MARGIN * found.before[-1])
    ones = np.full((1, 1, network.enter.out_channels), 64, np.int8)
    gain, offset = _film(network.film)
    h = builder.add(
        Layer(x, ones, Range(), table), gain * entry / (64 * stream), offset * entry + ENTRIES / 2
    )
    weights, scales = _rounded(network.leave)
    builder.add(Layer(h, weights, FULL), *_scaled(network.leave, scales / unit, float(1 << answer_bits)))
    built = IntegerNetwork(builder.channels, FULL, builder.layers)
    built.native()  # the bounds hold, or ValueError
    return arrays_of(built, np.concatenate(builder.multipliers, 1), np.concatenate(builder.offsets, 1))


def _rounded(conv: nn.Conv2d) -> tuple[NDArray[np.int8], Wide]:
    """Weights (outputs, side, side, inputs), and what one unit of each output's weights stands for (outputs,)."""
    weights = conv.weight.detach().double().permute(0, 2, 3, 1).numpy()
    scales = np.maximum(np.abs(weights).max((1, 2, 3)), 1e-12) / 127
    rounded = np.floor(weights / scales[:, None, None, None] + 0.5)
    return np.ascontiguousarray(rounded.astype(np.int8)), scales


def _scaled(conv: nn.Conv2d, scales: Wide, unit: float, film: Film | None = None) -> tuple[Wide, Wide]:
    """Factors and shifts (anchors, outputs) that bring sums of a convolution to `unit` units in 1.0."""
    assert conv.bias is not None
    bias = conv.bias.detach().double().numpy()
    gain, offset = _film(film) if film is not None else (np.ones((Film.anchors(), 1)), np.zeros((Film.anchors(), 1)))
    return gain * scales * unit, (gain * bias + offset) * unit


def _film(film: Film) -> tuple[Wide, Wide]:
    """Gain and offset (anchors, channels)."""
    gain, offset = film.table.detach().double().numpy().T.reshape(2, -1, Film.anchors()).swapaxes(1, 2)
    return 1.0 + gain, offset


def _activation(reach: float) -> tuple[NDArray[np.int16], float, float]:
    """The table of SiLU over -reach..reach, its entries in 1.0, and the units of its values in 1.0."""
    entry = ENTRIES / 2 / reach
    values = (np.arange(ENTRIES) - ENTRIES / 2) / entry
    unit = LIMIT / reach
    return np.floor(values / (1 + np.exp(-values)) * unit + 0.5).astype(np.int16), entry, unit
