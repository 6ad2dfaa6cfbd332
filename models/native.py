"""Family `wavelet` on the processor: the walk, the transform and the network's input in C++ (`_kernels`).

Twin of the torch path in `wavelet_family`, which runs on other devices: the integers, and so the streams that it reads
and the tables that it names, are the same; floats (scaled bands, pixels) may differ in their last bits.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..entropy import Tables
from . import _kernels
from . import wavelet_packet as wp
from .band_prior import Level, hard, parity_mask
from .exchange import exchange, share, spent_bits
from .interface import GroupSpec, SymbolPort
from .painter import Painter
from .scale_tables import REACH, RUNGS
from .wavelet import CELL, GRAY_SLICES, PYRAMID, Bands, WaveletModel, step_size

Integers = NDArray[np.int32]


@dataclass
class Coded:
    """A decoded frame: packet bands (125, h, w) and their rungs, and the pyramid (details finest first, low band)."""

    packet: Integers
    rungs: NDArray[np.uint8]
    pyramid: list[_kernels.Walk]
    low: Tensor


class NativeWavelet:
    """The frozen integers of a model, packed for the kernels.  Stateless between calls."""

    def __init__(self, model: WaveletModel, rate_weight: float, path: str | None = None) -> None:
        self.model, self.path = model, path
        self.packet = _pack(model.prior.packet)
        self.pyramid = _pack(model.prior.pyramid)
        self.order = model.order.numpy().astype(np.int32)
        self.margins = margins(model.costs, rate_weight)
        self.painter = Painter(model.synthesis)
        self.at = lru_cache(maxsize=32)(self._at)

    def weighing(self, rate_weight: float) -> NativeWavelet:
        """The same with another price of a bit in rounding."""
        other = copy.copy(self)
        other.margins = margins(self.model.costs, rate_weight)
        return other

    def _at(self, quality: int) -> Settings:
        """What depends on the quality alone."""
        prior, at = self.model.prior, torch.tensor([quality])
        levels = [_biases(prior.packet, 0, at), *(_biases(prior.pyramid, level, at) for level in range(PYRAMID))]
        step = float(step_size(at))
        gain = torch.ones(192)
        gain[self.model.order] = self.model.packet_gain.flatten()
        inverse = gain / step
        inverse[::64] = 1.0
        return Settings(
            step=step,
            levels=levels,
            low_rungs=hard(prior.low_rungs(at, (1, 1))).flatten(2),
            forward=inverse.numpy(),
            backward=(step / self.model.every_gain.flatten()).numpy(),
        )

    # -- encoding ----------------------------------------------------------------------------------------------------

    def encode(self, frame: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        """Put the symbols of uint8 `frame` (H, W, channels)."""
        self.code(*self.scaled_bands(frame, spec.quality), spec, port)

    def scaled_bands(self, frame: Tensor, quality: int) -> tuple[list[NDArray[np.float32]], Tensor]:
        """Bands in quantisation steps: packet (125, h * w), details (9, .) finest first, and the low band (1, 3, ., .).

        Cells are in the order of the passes, but for the low band.
        """
        at, pixels = self.at(quality), np.ascontiguousarray(frame.cpu().numpy())
        packet, plane = _kernels.analyse(pixels, self.order, at.forward, torch.get_num_threads(), self.path)
        details, low = wp.pyramid(torch.from_numpy(plane)[None], PYRAMID)
        scaled = [
            d[0].flatten(1)[:, pass_order(*d.shape[2:])] * (g.view(-1, 1) / at.step)
            for d, g in zip(details, self.model.detail_gain, strict=True)
        ]
        return [packet, *(d.numpy() for d in scaled)], low * (self.model.low_gain / at.step)

    def code(self, scaled: list[NDArray[np.float32]], low: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        """Round the bands along the walk and put them."""
        y = low[:, : spec.channels].flatten(2)
        rungs = self.at(spec.quality).low_rungs[:, : spec.channels].expand(y.shape)
        exchange(port, rungs, lambda: torch.floor(y + 0.5))
        for level, walk, passes in self._levels(spec, keep_packet=False):
            for part, parity, bias in passes:
                symbols, indices, rest, rest_indices = walk.round(part, parity, bias, scaled[level], self.margins)
                port.put(torch.from_numpy(symbols), torch.from_numpy(indices))
                if rest.size:
                    port.put(torch.from_numpy(rest), torch.from_numpy(rest_indices))

    def _levels(self, spec: GroupSpec, keep_packet: bool) -> Iterator[tuple[int, _kernels.Walk, Iterator[Pass]]]:
        """Every level of the walk, coarse to fine, with its passes: all of them must be coded before the next level."""
        sizes = wp.pyramid_sizes(-(-spec.height // CELL), -(-spec.width // CELL), PYRAMID)
        biases, threads = self.at(spec.quality).levels, torch.get_num_threads()
        coarser: Integers | None = None
        for level in range(PYRAMID, -1, -1):
            owner = self.pyramid if level else self.packet
            keep = keep_packet or level > 0
            walk = _kernels.Walk(owner, *sizes[level], biases[level].level, coarser, keep, threads, self.path)
            slices = len(biases[level].slices) if spec.channels == 3 else (1 if level else GRAY_SLICES)
            yield level, walk, _passes(walk, biases[level], slices)
            coarser = walk.values if keep else None

    # -- decoding ----------------------------------------------------------------------------------------------------

    def read(self, spec: GroupSpec, port: SymbolPort) -> Coded:
        """Get the integers of one frame."""
        h, w = wp.pyramid_sizes(-(-spec.height // CELL), -(-spec.width // CELL), PYRAMID)[-1]
        rungs = self.at(spec.quality).low_rungs[:, : spec.channels].expand(-1, -1, h * w)
        low = torch.zeros(1, 3, h, w)
        low[:, : spec.channels] = exchange(port, rungs, None).unflatten(2, (h, w))
        walks: list[_kernels.Walk] = []
        for _, walk, passes in self._levels(spec, keep_packet=True):
            for part, parity, bias in passes:
                indices, rest = walk.ask(part, parity, bias)
                symbols = port.get(torch.from_numpy(indices)).numpy()
                walk.tell(symbols, port.get(torch.from_numpy(rest)).numpy() if rest.size else None)
            walks.insert(0, walk)
        return Coded(walks[0].values, walks[0].rungs, walks[1:], low)

    def paint(self, coded: Coded, spec: GroupSpec, decoder: str) -> Tensor:
        """uint8 (H, W, channels)."""
        at, threads = self.at(spec.quality), torch.get_num_threads()
        low = self.low_plane(coded, spec.quality)
        correction: NDArray[np.int16] | None = None
        if decoder == "standard":
            words = _kernels.describe(coded.packet, coded.rungs, 6, threads, self.path)
            described = torch.from_numpy(words).view(torch.bfloat16)
            described[-6:] = self.model.describe_low(low, torch.tensor(at.step))[0].to(torch.bfloat16)
            correction = self.painter(described, spec.quality).view(torch.int16).numpy()
        size = (spec.height, spec.width, spec.channels)
        planes = (coded.packet, low[0].contiguous().numpy())
        pixels = _kernels.synthesise(*planes, self.order, at.backward, correction, *size, threads, self.path)
        return torch.from_numpy(pixels)

    # -- latents -----------------------------------------------------------------------------------------------------

    def low_plane(self, coded: Coded, quality: int) -> Tensor:
        """The low packet band of each axis (1, 3, h, w), from the pyramid."""
        step = self.at(quality).step
        details = [torch.from_numpy(walk.values)[None] * step for walk in coded.pyramid]
        h, w = coded.packet.shape[1:]
        return self.model.low_plane(Bands(torch.empty(1, 0, h, w), details, coded.low * step))

    def bits(self, coded: Coded, spec: GroupSpec, tables: Tables) -> Tensor:
        """Bits of every cell (h, w), coarse coefficients shared by the cells below them."""
        size = (coded.packet.shape[1], coded.packet.shape[2])
        low_rungs = self.at(spec.quality).low_rungs[0, : spec.channels, :, None].expand(-1, *coded.low.shape[2:])
        total = share(spent_bits(tables, coded.low[0, : spec.channels], low_rungs.contiguous()).sum(0), PYRAMID, size)
        planes = [(coded.packet, coded.rungs), *((walk.values, walk.rungs) for walk in coded.pyramid)]
        for depth, (values, rungs) in enumerate(planes):
            part = self.model.prior.pyramid if depth else self.model.prior.packet
            slices = len(part.slices) if spec.channels == 3 else (1 if depth else GRAY_SLICES)
            count = sum(s.count for s in part.parts()[:slices])
            rung = torch.from_numpy(rungs[:count]).long()
            total += share(spent_bits(tables, torch.from_numpy(values[:count]), rung).sum(0), depth, size)
        return total


@lru_cache(maxsize=64)
def pass_order(height: int, width: int) -> Tensor:
    """Flat indices of the cells of the first pass, then of the second, each in raster order."""
    first = parity_mask(height, width, torch.device("cpu")).flatten()
    return torch.cat([first.nonzero(), (~first).nonzero()]).squeeze(1)


Pass = tuple[int, int, Integers]  # slice, parity, bias


@dataclass(frozen=True)
class LevelBiases:
    """Integers that a level adds at one quality: to the hidden channels, and to each slice's answers by parity."""

    level: Integers
    slices: list[tuple[Integers, Integers]]
    followed: list[bool]  # slices that have a context convolution


@dataclass(frozen=True)
class Settings:
    step: float
    levels: list[LevelBiases]  # packet, then the pyramid from fine to coarse
    low_rungs: Tensor  # int64 (1, 3, 1)
    forward: NDArray[np.float32]  # (192,) factor of each packet band when encoding
    backward: NDArray[np.float32]  # and when decoding


def _integers(tensor: Tensor) -> Integers:
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.int32))


def _pack(level: Level) -> _kernels.Level:
    packed = _kernels.Level(_integers(level.coarse.integers()))
    for part in level.parts():
        context = None if part.context is None else _integers(part.context.integers())
        first, near, second = (_integers(conv.integers()) for conv in (part.first, part.near, part.second))
        packed.add(first, near, second, context)
    return packed


def _biases(level: Level, depth: int, quality: Tensor) -> LevelBiases:
    def of(tables: nn.ModuleList) -> list[Integers]:
        return [_integers(table(quality).flatten()) for table in tables]

    slices = [(first, second) for first, second in (of(part.biases) for part in level.parts())]
    return LevelBiases(of(level.biases)[depth], slices, [part.context is not None for part in level.parts()])


def _passes(walk: _kernels.Walk, biases: LevelBiases, slices: int) -> Iterator[Pass]:
    for part in range(slices):
        for parity in (0, 1):
            yield part, parity, biases.slices[part][parity]
        if biases.followed[part] and part + 1 < slices:
            walk.finish(part)


def margins(costs: Tensor, weight: float) -> NDArray[np.float32]:
    """(RUNGS, REACH + 3): weight * bits that |v| costs more than |v| - 1, after the shift of wide rungs."""
    rows = torch.zeros(RUNGS, REACH + 3)
    rows[:, 1 : REACH + 2] = weight * (costs[:, 1:] - costs[:, :-1])
    return rows.numpy()
