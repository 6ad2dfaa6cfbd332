"""Runs a band prior: the walk of `bands` in C++ (`_kernels`) with the integers of a weights file, frame by frame.

Twin of `BandPrior.walk`: the integers, and so the streams that it reads and the tables that it names, are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .. import _kernels
from ..base.configure import changed
from ..base.cost import convolutions
from ..base.family import GroupSpec, NativePort, SymbolPort
from ..base.kernels import Kernels
from ..base.ports import Zeros
from ..base.quality import at_quality
from ..transform.bands import CELL, GRAY_SLICES, PYRAMID, pyramid_sizes
from ..transform.levels import Levels, LevelTransform
from ..transform.steps import FrameSteps
from . import exchange
from .ladder import PER_OCTAVE, RUNGS, SHIFTS, SPENT_UNIT, TABLE_REACH, spent_units, values_cost
from .ports import Shifted

Integers = NDArray[np.int32]
Rungs = NDArray[np.uint8]
Arrays = Mapping[str, NDArray[Any]]

ANSWER_SHIFT = 10  # answers are in 1/1024 of a rung


@dataclass
class CodedFrame:
    """A decoded frame: packet bands (125, h, w) and their rungs, and the pyramid (details finest first, low band).

    low: int32 (3, ., .).  A frame that was not read to its end has the first packet bands only.  rungs: None where they
    were not kept.  bits: float32 (h, w), what every cell took, with coarse coefficients in equal parts on the cells
    below them; None where they were not counted.  planes: int16 (3, 8h, 8w) of a frame that was coded as a dyadic
    pyramid (`prior.dyadic`): it has no symbols of packets, and `restored` makes its latents of these.
    """

    packet: Integers
    rungs: Rungs | None
    pyramid: list[_kernels.Walk]
    low: Integers
    bits: NDArray[np.float32] | None = None
    planes: NDArray[np.int16] | None = None

    @property
    def kept_rungs(self) -> Rungs:
        """The rungs; the frame was read with them."""
        assert self.rungs is not None
        return self.rungs

    def restored(self, transform: LevelTransform, steps: FrameSteps, prediction: list[Integers] | None) -> Levels:
        """Lifted latents: symbols times steps and the prediction."""
        if self.planes is not None:
            return transform.analyse(self.planes)
        return transform.restore(self.levels(), steps, prediction)

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
        self.multiplications = convolutions(arrays)  # a cell, at most: the coarser levels have a third of the cells
        self.low = arrays["low.weight"].astype(np.int64)
        self.packet, self.pyramid = _LevelArrays(arrays, "packet"), _LevelArrays(arrays, "pyramid")
        self.packed = lru_cache(maxsize=8)(self.packet.pack)  # the first slices of the packet
        self.packed_pyramid = lru_cache(maxsize=1)(self.pyramid.pack)
        self.margins = margins(costs, rate_weight)
        self.at = lru_cache(maxsize=64)(self._at)
        self.plan = lru_cache(maxsize=32)(self._plan)
        self.prices = lru_cache(maxsize=4)(lambda tables: values_cost(tables, first_table))

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
        part = low[: spec.channels]
        if isinstance(port, NativePort):
            plan, kernels = self.plan_of(spec), self.kernels
            bands = [scaled[level] for level in plan.numbers]
            level_hints = plan.of_levels(hints)
            with port.native() as coder:
                walks, coded_low = kernels.code_frame(plan.plan, coder, bands, part, self.margins, level_hints, keep)
            walks.reverse()
            return CodedFrame(walks[0].values, walks[0].rungs, walks[1:], coded_low) if keep else None
        port = Shifted(port, self.first_table) if self.first_table else port
        coded_low = np.zeros_like(low)
        coded_low[: spec.channels] = exchange.put(port, part.ravel(), self._low_rungs(spec)).reshape(part.shape)
        walks = []
        for level, walk, passes in self._walks(spec, keep, hints):
            for number, parity, bias in passes:
                symbols, indices, rest, rest_indices = walk.round(number, parity, bias, scaled[level], self.margins)
                port.put(symbols, indices)
                if rest.size:
                    port.put(rest, rest_indices)
            walks.insert(0, walk)
        return CodedFrame(walks[0].values, walks[0].rungs, walks[1:], coded_low) if keep else None

    def read(
        self,
        spec: GroupSpec,
        port: SymbolPort,
        hints: Sequence[Integers] | None = None,
        most: int | None = None,
        count: Tables | None = None,
        rungs: bool = True,
    ) -> CodedFrame:
        """Get the integers of one frame.

        most: slices of the packet at which to stop; the frame then has no more packet bands than these hold.
        count: the coder's tables, to count bits by; rungs: whether those of the packet are wanted.
        """
        if isinstance(port, NativePort):
            coded = self._read_at_once(spec, port, hints, most, count, rungs)
        else:
            coded = self._read_in_passes(spec, port, hints, most)
            coded.bits = None if count is None else self.bits(coded, spec, count)
        return coded

    def _read_at_once(
        self,
        spec: GroupSpec,
        port: NativePort,
        hints: Sequence[Integers] | None,
        most: int | None,
        count: Tables | None,
        rungs: bool,
    ) -> CodedFrame:
        plan = self.plan_of(spec, most)
        costs = None if count is None else self.prices(count)
        with port.native() as coder:
            walks, low, bits = self.kernels.read_frame(plan.plan, coder, plan.of_levels(hints), costs, rungs)
        walks.reverse()
        if plan.numbers[-1]:
            return _without_packet(spec, walks, low, bits)
        return CodedFrame(walks[0].values, walks[0].rungs if rungs else None, walks[1:], low, bits)

    def _read_in_passes(
        self, spec: GroupSpec, port: SymbolPort, hints: Sequence[Integers] | None, most: int | None
    ) -> CodedFrame:
        """The same by the port's calls, pass by pass."""
        port = Shifted(port, self.first_table) if self.first_table else port
        low = np.zeros((3, *sizes_of(spec)[-1]), np.int32)
        low[: spec.channels] = exchange.get(port, self._low_rungs(spec)).reshape(low[: spec.channels].shape)
        walks: list[_kernels.Walk] = []
        for _, walk, passes in self._walks(spec, True, hints, most):
            for number, parity, bias in passes:
                indices, rest = walk.tables(number, parity, bias)
                symbols = port.get(indices)
                walk.update(symbols, port.get(rest) if rest.size else None)
            walks.insert(0, walk)
        if most == 0:
            return _without_packet(spec, walks, low, None)
        return CodedFrame(walks[0].values, walks[0].rungs, walks[1:], low)

    def _low_rungs(self, spec: GroupSpec) -> Rungs:
        """(channels * h * w,) of the low band."""
        h, w = sizes_of(spec)[-1]
        return np.repeat(self.at(spec.quality).low_rungs[: spec.channels], h * w)

    def _levels(self, spec: GroupSpec, most: int | None) -> list[LevelTurn]:
        """Every level of the walk, coarse to fine."""
        sizes, biases = sizes_of(spec), self.at(spec.quality).levels
        most = self.packet.slices if most is None else min(most, self.packet.slices)
        turns = []
        for level in range(PYRAMID, -1 if most else 0, -1):
            packed = self.packed_pyramid(self.pyramid.slices) if level else self.packed(most)
            slices = self._slices(level, spec.channels)
            turns.append(LevelTurn(level, packed, sizes[level], biases[level], slices if level else min(slices, most)))
        return turns

    def _walks(
        self, spec: GroupSpec, keep_packet: bool, hints: Sequence[Integers] | None, most: int | None = None
    ) -> Iterator[tuple[int, _kernels.Walk, Iterator[Pass]]]:
        """The walk of every level with its passes: all of them must be coded before the next level."""
        coarser: Integers | None = None
        for turn in self._levels(spec, most):
            keep = keep_packet or turn.level > 0
            beside = None if hints is None else hints[turn.level]
            walk = self.kernels.walk(turn.packed, turn.size, turn.biases.level, coarser, keep, beside)
            yield turn.level, walk, _passes(walk, turn)
            coarser = walk.values if keep else None

    def plan_of(self, spec: GroupSpec, most: int | None = None) -> WalkPlan:
        """The whole walk as data, for one call of the kernels."""
        return self.plan(replace(spec, frames=1), most)

    def _plan(self, spec: GroupSpec, most: int | None) -> WalkPlan:
        turns, sizes = self._levels(spec, most), sizes_of(spec)
        levels = []
        for turn in turns:
            answers = [answer for pair in turn.biases.slices[: turn.slices] for answer in pair]
            levels.append((turn.packed, turn.level, *turn.size, turn.biases.level, answers))
        low_rungs = self.at(spec.quality).low_rungs[: spec.channels]
        plan = _kernels.FramePlan(*sizes[0], levels, PYRAMID, *sizes[-1], low_rungs, self.first_table)
        return WalkPlan(plan, [turn.level for turn in turns])

    def _slices(self, level: int, channels: int) -> int:
        """Slices of a level that are coded: gray pictures leave the colour slices out."""
        if channels == 3:
            return (self.pyramid if level else self.packet).slices
        return 1 if level else GRAY_SLICES

    def bits(self, coded: CodedFrame, spec: GroupSpec, tables: Tables) -> NDArray[np.float32]:
        """Bits of every cell (h, w), coarse coefficients shared by the cells below them."""
        costs = self.prices(tables)
        return self._on_cells(coded, spec, lambda values, rungs: spent_units(costs, values, rungs))

    def expected_bits(
        self, spec: GroupSpec, tables: Tables, hints: Sequence[Integers] | None, most: int | None = None
    ) -> NDArray[np.float32]:
        """Bits that hints alone let expect for each cell (h, w): those of the tables they choose in an empty frame.

        most: as of `read`.
        """
        means = tables.mean_bits()[np.arange(RUNGS) - PER_OCTAVE * SHIFTS + self.first_table] + SHIFTS
        units = np.rint(means * SPENT_UNIT).astype(np.int32)
        return self._on_cells(self.read(spec, Zeros(), hints, most), spec, lambda values, rungs: units.take(rungs))

    def _on_cells(
        self, coded: CodedFrame, spec: GroupSpec, cost: Callable[[Integers, Rungs], Integers]
    ) -> NDArray[np.float32]:
        """Sum of cost(values, rungs), in 1 / SPENT_UNIT bits, on every cell (h, w)."""
        assert coded.rungs is not None
        size = sizes_of(spec)[0]
        total = np.zeros(size, np.float32)
        planes = [(coded.packet, coded.rungs), *((walk.values, walk.rungs) for walk in coded.pyramid)]
        low = coded.low[: spec.channels]
        planes.append((low, self._low_rungs(spec).reshape(low.shape)))
        for level, (values, rungs) in enumerate(planes):
            count = len(low)
            if level <= PYRAMID:
                count = sum((self.pyramid if level else self.packet).counts[: self._slices(level, spec.channels)])
            spent = cost(values[:count], rungs[:count]).sum(0, dtype=np.int32)
            total += exchange.share(spent, min(level, PYRAMID), size, SPENT_UNIT)
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


@dataclass(frozen=True)
class LevelTurn:
    """One level of a walk: its number, its integers, and how many of its slices are coded."""

    level: int
    packed: _kernels.Level
    size: tuple[int, int]
    biases: LevelBiases
    slices: int


@dataclass(frozen=True)
class WalkPlan:
    """numbers: of the levels, coarse to fine."""

    plan: _kernels.FramePlan
    numbers: list[int]

    def of_levels(self, hints: Sequence[Integers] | None) -> list[Integers] | None:
        """Hints of each level that is walked, in its order."""
        return None if hints is None else [hints[number] for number in self.numbers]


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
            packed.add_hints(self._of("hints"))
        for number in range(slices):
            first, near, second = (self._of(f"slices.{number}.{layer}") for layer in ("first", "near", "second"))
            context = f"slices.{number}.context"
            packed.add(first, near, second, self._of(context) if self._has(context) else None)
        return packed

    def biases(self, depth: int, quality: int) -> LevelBiases:
        def of(layer: str) -> Integers:
            return at_quality(self._of(layer).astype(np.int64), quality).astype(np.int32)

        slices = [(of(f"slices.{k}.biases.0"), of(f"slices.{k}.biases.1")) for k in range(self.slices)]
        return LevelBiases(of(f"biases.{depth}"), slices)


def _passes(walk: _kernels.Walk, turn: LevelTurn) -> Iterator[Pass]:
    for part in range(turn.slices):
        for parity in (0, 1):
            yield part, parity, turn.biases.slices[part][parity]
        if part + 1 < turn.slices:
            walk.finish(part)


def _without_packet(
    spec: GroupSpec, walks: list[_kernels.Walk], low: Integers, bits: NDArray[np.float32] | None
) -> CodedFrame:
    cells = (0, *sizes_of(spec)[0])
    return CodedFrame(np.empty(cells, np.int32), np.empty(cells, np.uint8), walks, low, bits)


def margins(costs: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """(RUNGS, TABLE_REACH + 3): weight * bits that |v| costs more than |v| - 1, after the shift of wide rungs."""
    rows = np.zeros((RUNGS, TABLE_REACH + 3), np.float32)
    rows[:, 1 : TABLE_REACH + 2] = weight * (costs[:, 1:] - costs[:, :-1]).astype(np.float64)
    return rows
