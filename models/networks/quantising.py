"""Float networks to integers, and back: 8-bit weights with a scale per output, ranges from calibration pictures.

The residual stream and the tensors between two convolutions have 14 bits.  Their ranges are MARGIN times what occurs in
calibration.  The activation becomes a table.  The fraction bits of a network's words and answers are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..engine.network import LIMIT, ONE, Arrays, IntegerNetwork, Layer, Range, arrays_of, fixed, network_of
from .synthesis import Film, ResidualBlock, SynthesisNetwork, weight_scales

MARGIN = 1.5  # a tensor can hold so many times the largest value of the calibration
LEAST_PEAK = 1e-3
ENTRIES = 4096  # entries of the activation's table: the engine allows no more
ONES = 64  # weight of each channel in the last film, which is a layer of its own
FULL = Range(-32767, 32767)  # range of the answer: 16 bits, since no dense 3 x 3 layer reads it
Wide = NDArray[np.float64]


@dataclass
class Peaks:
    """Largest magnitudes in calibration: of the residual stream, and before each activation."""

    stream: float
    before: list[float]


@torch.no_grad()
def peaks(network: SynthesisNetwork, samples: Sequence[tuple[Tensor, Tensor]]) -> Peaks:
    """samples: words (1, inputs, h, w) in floats and qualities (1,)."""
    stream, before = LEAST_PEAK, [LEAST_PEAK] * (len(network.blocks) + 1)
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
def quantised(
    network: SynthesisNetwork, found: Peaks, word_bits: int, answer_bits: int
) -> dict[str, NDArray[np.generic]]:
    """The arrays of a weights file, see `engine.network.arrays_of`.

    ValueError where a bound of the engine does not hold.
    """
    builder = _Builder(network.enter.in_channels)
    stream = LIMIT / (MARGIN * found.stream)  # units of the residual stream in 1.0
    weights, scales = _rounded(network.enter)
    x = builder.add(Layer(0, weights), *_scaled(network.enter, scales / (1 << word_bits), stream))
    for place, block in enumerate(network.blocks):
        assert isinstance(block, ResidualBlock)
        table, entry, unit = _activation(MARGIN * found.before[place])
        weights, scales = _rounded(block.enter)
        factors, shifts = _scaled(block.enter, scales / stream, entry, block.film)
        h = builder.add(Layer(x, weights, Range(), table), factors, shifts + ENTRIES / 2)
        weights, scales = _rounded(block.leave)
        x = builder.add(Layer(h, weights, Range(), None, x), *_scaled(block.leave, scales / unit, stream))
    table, entry, unit = _activation(MARGIN * found.before[-1])
    ones = np.full((1, 1, network.enter.out_channels), ONES, np.int8)
    gain, offset = _film(network.film)
    factors = gain * entry / (ONES * stream)
    h = builder.add(Layer(x, ones, Range(), table), factors, offset * entry + ENTRIES / 2)
    weights, scales = _rounded(network.leave)
    builder.add(Layer(h, weights, FULL), *_scaled(network.leave, scales / unit, float(1 << answer_bits)))
    built = IntegerNetwork(builder.channels, FULL, builder.layers)
    built.native()  # checks its bounds
    return arrays_of(built, np.concatenate(builder.multipliers, 1), np.concatenate(builder.offsets, 1))


def _rounded(conv: nn.Conv2d) -> tuple[NDArray[np.int8], Wide]:
    """Weights (outputs, side, side, inputs), and what one unit of each output's weights stands for (outputs,)."""
    weights = conv.weight.detach().double().permute(0, 2, 3, 1).numpy()
    scales = weight_scales(conv.weight).double().numpy()
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
    silu = values / (1 + np.exp(-values.clip(min=-500)))
    return np.floor(silu * unit + 0.5).astype(np.int16), entry, unit


# -- back --------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def restored(arrays: Arrays, word_bits: int, answer_bits: int) -> SynthesisNetwork:
    """A float network whose answers are those of the integers, but for roundings between its layers.

    Only products of scales are known, so scales are chosen: films have a largest gain of 1, the last one a mean of 1.
    ValueError where the arrays are not of such a network.
    """
    built = network_of(arrays)
    layers, (blocks, rest) = built.layers, divmod(len(built.layers) - 3, 2)
    if rest or blocks < 0 or layers[-2].weights.ndim != 3:
        raise ValueError(f"{len(layers)} layers are not those of a synthesis network")
    ends = np.cumsum([layer.outputs for layer in layers])[:-1]
    factors = np.split(arrays["multipliers"] / ONE, ends, 1)
    shifts = np.split((arrays["offsets"] - ONE // 2) / ONE, ends, 1)
    with torch.device("meta"):  # no random numbers are drawn: every parameter is set below
        network = SynthesisNetwork(built.channels, layers[-1].outputs, layers[0].outputs, blocks)
    network = network.to_empty(device="cpu").float()
    entries = [_units(layer.table) for layer in layers if layer.table is not None]

    entry, unit = entries[-1]
    stream = entry / (ONES * max(float(factors[-2].mean()), 1e-12))
    _set(network.enter, layers[0], factors[0][0] * (1 << word_bits) / stream, shifts[0][0] / stream)
    for place, block in enumerate(network.blocks):
        assert isinstance(block, ResidualBlock)
        (into, out), at = entries[place], 1 + 2 * place
        scales = _largest(factors[at])
        _set(block.enter, layers[at], scales * stream / into, np.zeros(len(scales)))
        _set_film(block.film, factors[at] / np.where(scales == 0, 1, scales), (shifts[at] - ENTRIES / 2) / into)
        _set(block.leave, layers[at + 1], factors[at + 1][0] * out / stream, shifts[at + 1][0] / stream)
    _set_film(network.film, factors[-2] * ONES * stream / entry, (shifts[-2] - ENTRIES / 2) / entry)
    one = float(1 << answer_bits)
    _set(network.leave, layers[-1], factors[-1][0] * unit / one, shifts[-1][0] / one)
    return network


def _set(conv: nn.Conv2d, layer: Layer, scales: Wide, bias: Wide) -> None:
    assert conv.bias is not None
    weights = layer.weights * scales[:, None, None, None]
    conv.weight.copy_(torch.from_numpy(weights).permute(0, 3, 1, 2))
    conv.bias.copy_(torch.from_numpy(bias))


def _set_film(film: Film, gain: Wide, offset: Wide) -> None:
    """gain, offset: (anchors, channels)."""
    film.table.copy_(torch.from_numpy(np.concatenate([gain - 1.0, offset], 1)))


def _largest(factors: Wide) -> Wide:
    """Of each column the entry of the largest magnitude."""
    found: Wide = np.take_along_axis(factors, np.abs(factors).argmax(0)[None], 0)[0]
    return found


def _units(table: NDArray[np.int16]) -> tuple[float, float]:
    """Entries and units in 1.0 of a table of `_activation`: its sum grows with its reach."""
    low, high, wanted = 1e-3, 1e5, int(table.sum(dtype=np.int64))
    for _ in range(60):
        middle = (low * high) ** 0.5
        if int(_activation(middle)[0].sum(dtype=np.int64)) < wanted:
            low = middle
        else:
            high = middle
    _, entry, unit = _activation((low * high) ** 0.5)
    return entry, unit
