"""A band prior on the processor: the walk of `prior.bands` in C++ (`_kernels`), for one frame at a time.

Twin of `BandPrior.walk`: the integers, and so the streams that it reads and the tables that it names, are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...entropy import Tables
from .. import _kernels
from ..base.configure import changed
from ..base.family import GroupSpec, SymbolPort
from ..base.ports import Zeros
from ..transform import packet as wp
from ..transform.bands import CELL, GRAY_SLICES, PYRAMID
from .bands import BandPrior, Level, hard, parity_mask
from .exchange import exchange, share, spent_bits
from .ladder import PER_OCTAVE, REACH, RUNGS, shift_of
from .ports import Shifted

Integers = NDArray[np.int32]


@dataclass
class Coded:
    """A decoded frame: packet bands (125, h, w) and their rungs, and the pyramid (details finest first, low band).

    Of a frame that was not read to its end the first packet bands.
    """

    packet: Integers
    rungs: NDArray[np.uint8]
    pyramid: list[_kernels.Walk]
    low: Tensor


class NativePrior:
    """The frozen integers of a prior, packed for the kernels.  Stateless between calls.

    hints: what is known beside the coarser levels, int32 (channels, h, w) of each level, packet first, for a prior that
    was made to listen.
    """

    def __init__(
        self, prior: BandPrior, costs: Tensor, rate_weight: float, path: str | None = None, first_table: int = 0
    ) -> None:
        self.prior, self.costs, self.path, self.first_table = prior, costs, path, first_table
        self.packet = lru_cache(maxsize=8)(lambda slices: _pack(prior.packet, slices))  # its first ones
        self.packet(len(prior.packet.slices))
        self.pyramid = _pack(prior.pyramid)
        self.margins = margins(costs, rate_weight)
        self.at = lru_cache(maxsize=64)(self._at)

    def weighing(self, rate_weight: float) -> NativePrior:
        """The same with another price of a bit in rounding."""
        return changed(self, margins=margins(self.costs, rate_weight))

    def _at(self, quality: int) -> Biases:
        """What depends on the quality alone."""
        prior, at = self.prior, torch.tensor([quality])
        levels = [_biases(prior.packet, 0, at), *(_biases(prior.pyramid, level, at) for level in range(PYRAMID))]
        return Biases(levels, hard(prior.low_rungs(at, (1, 1))).flatten(2))

    def code(self, scaled: list[NDArray[np.float32]], low: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        """Round the bands of a frame along the walk and put them.

        scaled: bands in quantisation steps, packet (125, h * w), then details (9, .), cells in the order of the passes;
        low (1, 3, ., .).
        """
        self._code(scaled, low, spec, port, None, False)

    def code_kept(
        self,
        scaled: list[NDArray[np.float32]],
        low: Tensor,
        spec: GroupSpec,
        port: SymbolPort,
        hints: Sequence[Integers] | None = None,
    ) -> Coded:
        """The same, and what a decoder will read."""
        walks, coded_low = self._code(scaled, low, spec, port, hints, True)
        return Coded(walks[0].values, walks[0].rungs, walks[1:], coded_low)

    def _code(
        self,
        scaled: list[NDArray[np.float32]],
        low: Tensor,
        spec: GroupSpec,
        port: SymbolPort,
        hints: Sequence[Integers] | None,
        keep: bool,
    ) -> tuple[list[_kernels.Walk], Tensor]:
        port = Shifted(port, self.first_table) if self.first_table else port
        y = low[:, : spec.channels].flatten(2)
        rungs = self.at(spec.quality).low_rungs[:, : spec.channels].expand(y.shape)
        coded_low = torch.zeros_like(low)
        coded_low[:, : spec.channels] = exchange(port, rungs, lambda: torch.floor(y + 0.5)).view_as(
            low[:, : spec.channels]
        )
        walks: list[_kernels.Walk] = []
        for level, walk, passes in self._levels(spec, keep, hints):
            for part, parity, bias in passes:
                symbols, indices, rest, rest_indices = walk.round(part, parity, bias, scaled[level], self.margins)
                port.put(torch.from_numpy(symbols), torch.from_numpy(indices))
                if rest.size:
                    port.put(torch.from_numpy(rest), torch.from_numpy(rest_indices))
            walks.insert(0, walk)
        return walks, coded_low

    def read(
        self, spec: GroupSpec, port: SymbolPort, hints: Sequence[Integers] | None = None, most: int | None = None
    ) -> Coded:
        """Get the integers of one frame.

        most: slices of the packet at which to stop; the frame then has no more packet bands than these hold.
        """
        port = Shifted(port, self.first_table) if self.first_table else port
        h, w = sizes_of(spec)[-1]
        rungs = self.at(spec.quality).low_rungs[:, : spec.channels].expand(-1, -1, h * w)
        low = torch.zeros(1, 3, h, w)
        low[:, : spec.channels] = exchange(port, rungs, None).unflatten(2, (h, w))
        walks: list[_kernels.Walk] = []
        for _, walk, passes in self._levels(spec, True, hints, most):
            for part, parity, bias in passes:
                indices, rest = walk.ask(part, parity, bias)
                symbols = port.get(torch.from_numpy(indices)).numpy()
                walk.tell(symbols, port.get(torch.from_numpy(rest)).numpy() if rest.size else None)
            walks.insert(0, walk)
        if most == 0:
            cells = (0, *sizes_of(spec)[0])
            return Coded(np.empty(cells, np.int32), np.empty(cells, np.uint8), walks, low)
        return Coded(walks[0].values, walks[0].rungs, walks[1:], low)

    def _levels(
        self, spec: GroupSpec, keep_packet: bool, hints: Sequence[Integers] | None, most: int | None = None
    ) -> Iterator[tuple[int, _kernels.Walk, Iterator[Pass]]]:
        """Every level of the walk, coarse to fine, with its passes: all of them must be coded before the next level."""
        sizes = sizes_of(spec)
        biases, threads = self.at(spec.quality).levels, torch.get_num_threads()
        every = len(biases[0].slices)
        most = every if most is None else min(most, every)
        coarser: Integers | None = None
        for level in range(PYRAMID, -1 if most else 0, -1):
            owner = self.pyramid if level else self.packet(most)
            keep = keep_packet or level > 0
            beside = None if hints is None else hints[level]
            walk = _kernels.Walk(owner, *sizes[level], biases[level].level, coarser, keep, threads, self.path, beside)
            slices = len(biases[level].slices) if spec.channels == 3 else (1 if level else GRAY_SLICES)
            slices = slices if level else min(slices, most)
            yield level, walk, _passes(walk, biases[level], slices)
            coarser = walk.values if keep else None

    def bits(self, coded: Coded, spec: GroupSpec, tables: Tables) -> Tensor:
        """Bits of every cell (h, w), coarse coefficients shared by the cells below them."""
        return self._on_cells(coded, spec, lambda values, rung: spent_bits(tables, values, rung, self.first_table))

    def expected_bits(
        self, spec: GroupSpec, tables: Tables, hints: Sequence[Integers] | None, most: int | None = None
    ) -> Tensor:
        """Bits that hints alone let expect of every cell (h, w): of the tables that they choose in an empty frame.

        most: as of `read`.
        """
        rungs = torch.arange(RUNGS)
        shift = shift_of(rungs)
        means = tables.mean_bits()[(rungs - PER_OCTAVE * shift + self.first_table).numpy()] + shift.numpy()

        def expect(values: Tensor, rung: Tensor) -> Tensor:
            return torch.from_numpy(means.astype(np.float32).take(rung.numpy()))

        return self._on_cells(self.read(spec, Zeros(), hints, most), spec, expect)

    def _on_cells(self, coded: Coded, spec: GroupSpec, cost: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Sum of cost(values, rungs) on every cell (h, w)."""
        size = (coded.packet.shape[1], coded.packet.shape[2])
        low = coded.low[0, : spec.channels].numpy()
        low_rungs = np.broadcast_to(self.at(spec.quality).low_rungs[0, : spec.channels, :, None].numpy(), low.shape)
        planes: list[tuple[NDArray[Any], NDArray[Any]]] = [(coded.packet, coded.rungs)]
        planes += [(walk.values, walk.rungs) for walk in coded.pyramid]
        for depth, (values, rungs) in enumerate(planes):
            part = self.prior.pyramid if depth else self.prior.packet
            slices = len(part.slices) if spec.channels == 3 else (1 if depth else GRAY_SLICES)
            count = sum(s.count for s in part.parts()[:slices])
            planes[depth] = values[:count], rungs[:count]
        planes.append((low.astype(np.int32), low_rungs.astype(np.uint8)))
        total = torch.zeros(size)
        for first, some in ((0, planes[:1]), (1, planes[1:])):  # the small ones at once: calls are what costs there
            values, rungs = (np.concatenate([plane.ravel() for plane in same]) for same in zip(*some, strict=True))
            found = cost(torch.from_numpy(values), torch.from_numpy(rungs)).split([plane.size for plane, _ in some])
            for depth, (spent, (plane, _)) in enumerate(zip(found, some, strict=True), first):
                total += share(spent.view(plane.shape).sum(0), min(depth, PYRAMID), size)
        return total


def sizes_of(spec: GroupSpec) -> list[tuple[int, int]]:
    """Sides of the plane of cells and of each level of the pyramid."""
    return wp.pyramid_sizes(-(-spec.height // CELL), -(-spec.width // CELL), PYRAMID)


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
class Biases:
    levels: list[LevelBiases]  # packet, then the pyramid from fine to coarse
    low_rungs: Tensor  # int64 (1, 3, 1)


def _integers(tensor: Tensor) -> Integers:
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.int32))


def _pack(level: Level, slices: int | None = None) -> _kernels.Level:
    """A level for the kernels, or its first slices alone."""
    packed = _kernels.Level(_integers(level.coarse.integers()))
    if level.hints is not None:
        packed.listen(_integers(level.hints.integers()))
    for part in level.parts()[:slices]:
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
