"""A band prior at work: the walk of `bands` in C++ (`_kernels`) on the integers of a weights file, a frame at a time.

Twin of `BandPrior.walk`: the integers, and so the streams that it reads and the tables that it names, are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .. import _kernels
from ..base.configure import changed
from ..base.family import GroupSpec, SymbolPort
from ..base.kernels import Kernels
from ..base.ports import Zeros
from ..base.quality import at_quality
from ..transform.bands import CELL, GRAY_SLICES, PYRAMID, pyramid_sizes
from . import exchange
from .ladder import PER_OCTAVE, RUNGS, SHIFTS, TABLE_REACH
from .ports import Shifted

Integers = NDArray[np.int32]
Rungs = NDArray[np.uint8]
Arrays = Mapping[str, NDArray[Any]]

ANSWER_SHIFT = 10  # answers are in 1/1024 of a rung


@dataclass
class CodedFrame:
    """A decoded frame: packet bands (125, h, w) and their rungs, and the pyramid (details finest first, low band).

    low: int32 (3, ., .).  Of a frame that was not read to its end the first packet bands.
    """

    packet: Integers
    rungs: Rungs
    pyramid: list[_kernels.Walk]
    low: Integers

    def levels(self) -> list[Integers]:
        """Every level of the walk, packet first."""
        return [self.packet, *(walk.values for walk in self.pyramid), self.low]


class NativePrior:
    """The integers of a frozen prior, packed for the kernels.  Stateless between calls.

    arrays: of a weights file, by the names that `BandPrior` gives them.
    hints: what is known beside the coarser levels, int32 (channels, h, w) of each level, packet first, for a prior that
    takes them.
    """

    def __init__(
        self, arrays: Arrays, costs: NDArray[np.float32], rate_weight: float, kernels: Kernels, first_table: int = 0
    ) -> None:
        self.costs, self.kernels, self.first_table = costs, kernels, first_table
        self.low = arrays["low.weight"].astype(np.int64)
        self.packet, self.pyramid = _LevelArrays(arrays, "packet"), _LevelArrays(arrays, "pyramid")
        self.packed = lru_cache(maxsize=8)(self.packet.pack)  # the first slices of the packet
        self.packed_pyramid = lru_cache(maxsize=1)(self.pyramid.pack)
        self.margins = margins(costs, rate_weight)
        self.at = lru_cache(maxsize=64)(self._at)

    def weighing(self, rate_weight: float) -> NativePrior:
        """The same with another price of a bit in rounding."""
        return changed(self, margins=margins(self.costs, rate_weight))

    def _at(self, quality: int) -> Biases:
        """What depends on the quality alone."""
        levels = [self.packet.biases(0, quality), *(self.pyramid.biases(level, quality) for level in range(PYRAMID))]
        rungs = (at_quality(self.low, quality) + (1 << ANSWER_SHIFT - 1) >> ANSWER_SHIFT).clip(0, RUNGS - 1)
        return Biases(levels, rungs.astype(np.uint8))

    def code(
        self,
        scaled: list[NDArray[np.float32]],
        low: Integers,
        spec: GroupSpec,
        port: SymbolPort,
        hints: Sequence[Integers] | None = None,
        keep: bool = True,
    ) -> CodedFrame | None:
        """Round the bands of a frame along the walk and put them; with `keep` return what a decoder will read.

        scaled: bands in quantisation steps, packet (125, h * w), then details (9, .), cells in the order of the passes;
        low: rounded, int32 (3, ., .).
        """
        port = Shifted(port, self.first_table) if self.first_table else port
        coded_low = np.zeros_like(low)
        part = low[: spec.channels]
        coded_low[: spec.channels] = exchange.put(port, part.ravel(), self._low_rungs(spec)).reshape(part.shape)
        walks: list[_kernels.Walk] = []
        for level, walk, passes in self._levels(spec, keep, hints):
            for number, parity, bias in passes:
                symbols, indices, rest, rest_indices = walk.round(number, parity, bias, scaled[level], self.margins)
                port.put(symbols, indices)
                if rest.size:
                    port.put(rest, rest_indices)
            walks.insert(0, walk)
        return CodedFrame(walks[0].values, walks[0].rungs, walks[1:], coded_low) if keep else None

    def read(
        self, spec: GroupSpec, port: SymbolPort, hints: Sequence[Integers] | None = None, most: int | None = None
    ) -> CodedFrame:
        """Get the integers of one frame.

        most: slices of the packet at which to stop; the frame then has no more packet bands than these hold.
        """
        port = Shifted(port, self.first_table) if self.first_table else port
        low = np.zeros((3, *sizes_of(spec)[-1]), np.int32)
        low[: spec.channels] = exchange.get(port, self._low_rungs(spec)).reshape(low[: spec.channels].shape)
        walks: list[_kernels.Walk] = []
        for _, walk, passes in self._levels(spec, True, hints, most):
            for number, parity, bias in passes:
                indices, rest = walk.ask(number, parity, bias)
                symbols = port.get(indices)
                walk.tell(symbols, port.get(rest) if rest.size else None)
            walks.insert(0, walk)
        if most == 0:
            cells = (0, *sizes_of(spec)[0])
            return CodedFrame(np.empty(cells, np.int32), np.empty(cells, np.uint8), walks, low)
        return CodedFrame(walks[0].values, walks[0].rungs, walks[1:], low)

    def _low_rungs(self, spec: GroupSpec) -> Rungs:
        """(channels * h * w,) of the low band."""
        h, w = sizes_of(spec)[-1]
        return np.repeat(self.at(spec.quality).low_rungs[: spec.channels], h * w)

    def _levels(
        self, spec: GroupSpec, keep_packet: bool, hints: Sequence[Integers] | None, most: int | None = None
    ) -> Iterator[tuple[int, _kernels.Walk, Iterator[Pass]]]:
        """Every level of the walk, coarse to fine, with its passes: all of them must be coded before the next level."""
        sizes, biases = sizes_of(spec), self.at(spec.quality).levels
        every = self.packet.slices
        most = every if most is None else min(most, every)
        coarser: Integers | None = None
        for level in range(PYRAMID, -1 if most else 0, -1):
            owner = self.packed_pyramid(self.pyramid.slices) if level else self.packed(most)
            keep = keep_packet or level > 0
            beside = None if hints is None else hints[level]
            walk = self.kernels.walk(owner, sizes[level], biases[level].level, coarser, keep, beside)
            slices = self._slices(level, spec.channels)
            yield level, walk, _passes(walk, biases[level], slices if level else min(slices, most))
            coarser = walk.values if keep else None

    def _slices(self, level: int, channels: int) -> int:
        """Slices of a level that are coded: gray pictures leave the colour slices out."""
        if channels == 3:
            return (self.pyramid if level else self.packet).slices
        return 1 if level else GRAY_SLICES

    def bits(self, coded: CodedFrame, spec: GroupSpec, tables: Tables) -> NDArray[np.float32]:
        """Bits of every cell (h, w), coarse coefficients shared by the cells below them."""
        return self._on_cells(
            coded, spec, lambda values, rungs: exchange.spent_bits(tables, values, rungs, self.first_table)
        )

    def expected_bits(
        self, spec: GroupSpec, tables: Tables, hints: Sequence[Integers] | None, most: int | None = None
    ) -> NDArray[np.float32]:
        """Bits that hints alone let expect of every cell (h, w): of the tables that they choose in an empty frame.

        most: as of `read`.
        """
        rungs = np.arange(RUNGS)
        means = (tables.mean_bits()[rungs - PER_OCTAVE * SHIFTS + self.first_table] + SHIFTS).astype(np.float32)
        return self._on_cells(self.read(spec, Zeros(), hints, most), spec, lambda values, rungs: means.take(rungs))

    def _on_cells(
        self, coded: CodedFrame, spec: GroupSpec, cost: Callable[[Integers, Rungs], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Sum of cost(values, rungs) on every cell (h, w)."""
        size = (coded.packet.shape[1], coded.packet.shape[2])
        planes = [(coded.packet, coded.rungs), *((walk.values, walk.rungs) for walk in coded.pyramid)]
        for level, (values, rungs) in enumerate(planes):
            count = sum((self.pyramid if level else self.packet).counts[: self._slices(level, spec.channels)])
            planes[level] = values[:count], rungs[:count]
        low = coded.low[: spec.channels]
        planes.append((low, self._low_rungs(spec).reshape(low.shape)))
        total = np.zeros(size, np.float32)
        for first, some in ((0, planes[:1]), (1, planes[1:])):  # the small ones at once: calls are what costs there
            values, rungs = (np.concatenate([plane.ravel() for plane in same]) for same in zip(*some, strict=True))
            ends = np.cumsum([plane.size for plane, _ in some])[:-1]
            shares = zip(np.split(cost(values, rungs), ends), some, strict=True)
            for level, (spent, (plane, _)) in enumerate(shares, first):
                total += exchange.share(spent.reshape(plane.shape).sum(0), min(level, PYRAMID), size)
        return total


def sizes_of(spec: GroupSpec) -> list[tuple[int, int]]:
    """Sides of the plane of cells and of each level of the pyramid."""
    return pyramid_sizes(-(-spec.height // CELL), -(-spec.width // CELL), PYRAMID)


@lru_cache(maxsize=64)
def pass_order(height: int, width: int) -> NDArray[np.intp]:
    """Flat indices of the cells of the first pass, then of the second, each in raster order."""
    odd = (np.arange(height)[:, None] + np.arange(width) & 1).ravel()
    return np.concatenate([np.flatnonzero(odd == 0), np.flatnonzero(odd)])


Pass = tuple[int, int, Integers]  # slice, parity, bias


@dataclass(frozen=True)
class LevelBiases:
    """Integers that a level adds at one quality: to the hidden channels, and to each slice's answers by parity."""

    level: Integers
    slices: list[tuple[Integers, Integers]]
    followed: list[bool]  # slices that have a context convolution


@dataclass(frozen=True)
class Biases:
    levels: list[LevelBiases]  # packet, then the pyramid from fine to coarse
    low_rungs: Rungs  # (3,)


class _LevelArrays:
    """The integers of one level of a prior."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        self.arrays, self.name = arrays, name
        numbers = {key.split(".")[2] for key in arrays if key.startswith(f"{name}.slices.")}
        self.slices = len(numbers)
        self.counts = [self._of(f"slices.{number}.near").shape[0] for number in range(self.slices)]

    def _has(self, layer: str) -> bool:
        return f"{self.name}.{layer}.weight" in self.arrays

    def _of(self, layer: str) -> Integers:
        return np.ascontiguousarray(self.arrays[f"{self.name}.{layer}.weight"].astype(np.int32))

    def pack(self, slices: int) -> _kernels.Level:
        """The first slices of the level for the kernels."""
        packed = _kernels.Level(self._of("coarse"))
        if self._has("hints"):
            packed.listen(self._of("hints"))
        for number in range(slices):
            first, near, second = (self._of(f"slices.{number}.{layer}") for layer in ("first", "near", "second"))
            context = f"slices.{number}.context"
            packed.add(first, near, second, self._of(context) if self._has(context) else None)
        return packed

    def biases(self, depth: int, quality: int) -> LevelBiases:
        def of(layer: str) -> Integers:
            return at_quality(self._of(layer).astype(np.int64), quality).astype(np.int32)

        slices = [(of(f"slices.{k}.biases.0"), of(f"slices.{k}.biases.1")) for k in range(self.slices)]
        followed = [self._has(f"slices.{k}.context") for k in range(self.slices)]
        return LevelBiases(of(f"biases.{depth}"), slices, followed)


def _passes(walk: _kernels.Walk, biases: LevelBiases, slices: int) -> Iterator[Pass]:
    for part in range(slices):
        for parity in (0, 1):
            yield part, parity, biases.slices[part][parity]
        if biases.followed[part] and part + 1 < slices:
            walk.finish(part)


def margins(costs: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """(RUNGS, TABLE_REACH + 3): weight * bits that |v| costs more than |v| - 1, after the shift of wide rungs."""
    rows = np.zeros((RUNGS, TABLE_REACH + 3), np.float32)
    rows[:, 1 : TABLE_REACH + 2] = weight * (costs[:, 1:] - costs[:, :-1]).astype(np.float64)
    return rows
