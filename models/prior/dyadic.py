"""Codes and reads a dyadic pyramid with its prior, in one call of the kernels (dyadic_frame.hpp)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .. import _kernels
from ..base.configure import changed
from ..base.cost import convolutions
from ..base.family import GroupSpec, SymbolPort
from ..base.kernels import Kernels
from ..base.ports import lent
from ..base.quality import ANCHORS, MAX_FINE, at_quality
from ..transform.bands import CELL, LEVELS
from ..transform.dyadic import DEPTH, GRAY_SLICES, SLICES, DyadicSteps
from .exchange import LARGEST, share
from .ladder import PER_OCTAVE, RUNGS, SHIFTS, SPENT_UNIT, spent_units, values_cost
from .offsets import OFFSET_REACH, OFFSET_TABLE, Offsets, bits_of, chosen, get, put
from .quantisers import ODD_TABLES, QUANTISERS, ladders, price_of_bit, search_rates
from .signs import SIGN_TABLES, magnitude_costs, sign_costs

OWN = 3  # levels with networks of their own
ANSWER_SHIFT = 10  # fraction bits of rungs and logits

Integers = NDArray[np.int32]
Arrays = Mapping[str, NDArray[Any]]
Pyramid = tuple[list[Integers], Integers]


@dataclass
class DyadicFrame:
    """A decoded frame: details of every level (9, ., .), finest first, in half steps; symbols of the low band
    (3, ., .); lifted planes.

    details is empty where they were not kept; spent: what the details of each cell of a level took, in 1 / SPENT_UNIT
    bits, empty where bits were not counted; weighed: what values cost on the rungs beside, see `offsets.chosen`, empty
    where nobody asked; given: offsets of rungs.
    """

    details: list[Integers]
    low: Integers
    planes: Integers
    spent: list[Integers] = field(default_factory=list)
    weighed: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2 * OFFSET_REACH + 1), np.int64))
    given: Offsets = ()


def owner_of(level: int) -> tuple[str, int]:
    """The networks of level 1..DEPTH in a weights file, and which of their biases."""
    return f"levels.{min(level - 1, OWN)}", max(level - 1 - OWN, 0)


class DyadicCoder:
    """The integers of a weights file, packed for the kernels.  Stateless between calls.

    arrays: the prior's part of the file; steps: of its levels; tables: the ladder of magnitudes first, and from
    `first_sign` on the tables of signs and those of the odd quantiser.
    """

    def __init__(
        self,
        arrays: Arrays,
        steps: DyadicSteps,
        tables: Tables,
        first_sign: int,
        rate_weight: float,
        kernels: Kernels,
    ) -> None:
        self.arrays, self.steps, self.first_sign, self.kernels = arrays, steps, first_sign, kernels
        self.first_odd = first_sign + SIGN_TABLES
        self._check_tables(tables)
        self.costs = np.stack([magnitude_costs(ladder) for ladder in ladders(tables, self.first_odd)])
        self.rates, self.rate_weight = search_rates(self.costs, rate_weight), rate_weight
        self.prices = lru_cache(maxsize=4)(self._prices)
        self.packed = lru_cache(maxsize=8)(self._pack)
        self.plan = lru_cache(maxsize=32)(self._plan)
        self._check()

    def _check_tables(self, tables: Tables) -> None:
        signs = slice(self.first_sign, self.first_odd)
        if len(tables.sizes[signs]) < SIGN_TABLES or (tables.frequencies[signs, :2] == 0).any():
            raise ValueError(f"there must be {SIGN_TABLES} tables of signs that code 0 and 1")
        if len(tables) < self.first_odd + ODD_TABLES:
            raise ValueError(f"there must be {ODD_TABLES} tables of the odd quantiser after those of signs")

    def _check(self) -> None:
        """ValueError names what does not fit, or could pass a bound of the kernels at some quality."""
        largest = _kernels.CONSTANTS["prior"]["ACCUMULATOR_LIMIT"]
        for name, array in self.arrays.items():
            if array.dtype.kind not in "iu":
                raise ValueError(f"tensor {name} must hold integers, not {array.dtype}")
            if array.ndim == 2 and name != "steps" and len(array) != ANCHORS:
                raise ValueError(f"tensor {name} has {len(array)} rows, not one for each of {ANCHORS} qualities")
            if name != "steps" and array.size and max(int(array.max()), -int(array.min())) > largest:
                raise ValueError(f"tensor {name} holds a number beyond {largest}")
        for quality in (0, MAX_FINE):  # packs every level, and compares shapes, sums and steps with the bounds
            self.plan_of(GroupSpec(1, 1, 1, 3, quality))

    def weighing(self, rate_weight: float) -> DyadicCoder:
        """The same with another price of a bit in the search for values."""
        return changed(self, rates=search_rates(self.costs, rate_weight), rate_weight=rate_weight)

    # -- symbols -----------------------------------------------------------------------------------------------------

    def code(self, planes: Integers, spec: GroupSpec, port: SymbolPort, keep: bool = False) -> DyadicFrame:
        """Choose values of the pyramid of lifted planes (3, height, width) along the walk and put them.

        Returns what a decoder reads.

        keep: the details too.
        """
        return self.code_pyramid(self.kernels.pyramid(planes, DEPTH), spec, port, keep)

    def code_pyramid(
        self,
        pyramid: Pyramid,
        spec: GroupSpec,
        port: SymbolPort,
        keep: bool = False,
        given: Offsets = (),
        weigh: bool = False,
    ) -> DyadicFrame:
        """The same of lifted details (9, ., .), finest first, and the low band (3, ., .).

        given: offsets of rungs; weigh: what other rungs would cost, for `offsets_of`.
        """
        details, low = pyramid
        put(port, given)
        steps = self.steps.at(spec.quality)
        scaled = np.floor(low[: spec.channels] * steps.low_inverse + np.float32(0.5))
        coarse = np.clip(scaled, -LARGEST, LARGEST).astype(np.int32)
        with lent(port) as coder:
            plan = self.plan_of(spec, given)
            found = self.kernels.code_dyadic(plan, coder, details[::-1], coarse, self.rates, keep, weigh)
        return _frame(found)

    def offsets_of(self, trial: DyadicFrame) -> Offsets:
        """The best offsets of a frame of which `trial` was weighed."""
        return chosen(trial.weighed, self.costs[0, OFFSET_TABLE], price_of_bit(self.rate_weight))

    def read(self, spec: GroupSpec, port: SymbolPort, count: Tables | None = None, keep: bool = False) -> DyadicFrame:
        """Get one frame.  count: the coder's tables, to count bits by."""
        costs = None if count is None else self.prices(count)
        given = get(port, DEPTH * slices_of(spec))
        plan = self.plan_of(spec, given)
        with lent(port) as coder:
            return replace(_frame(self.kernels.read_dyadic(plan, coder, keep, costs)), given=given)

    def bits(self, frame: DyadicFrame, spec: GroupSpec, tables: Tables) -> NDArray[np.float32]:
        """Bits of every cell (h, w) of CELL x CELL pixels, of a frame whose bits were counted.

        All cells share those of the offsets.
        """
        costs = self.prices(tables)[0][0]
        coded = frame.low[: spec.channels]
        rungs = np.broadcast_to(self.low_rungs(spec)[:, None, None], coded.shape)
        low = spent_units(costs, np.abs(coded), rungs) + SPENT_UNIT * (coded != 0)
        size = -(-spec.height // CELL), -(-spec.width // CELL)
        planes = [(level, spent) for level, spent in enumerate(frame.spent, 1)]
        found = on_cells([*planes, (DEPTH, low.sum(0, dtype=np.int32))], size)
        return found + np.float32(bits_of(frame.given, tables) / found.size)

    def expected_bits(self, spec: GroupSpec, tables: Tables) -> NDArray[np.float32]:
        """Bits that an empty frame's tables let expect for each cell (h, w)."""
        means = tables.mean_bits()[np.arange(RUNGS) - PER_OCTAVE * SHIFTS] + SHIFTS
        units = np.rint(means * SPENT_UNIT).astype(np.int32)
        costs = np.tile(units[:, None], (QUANTISERS, 1, self.prices(tables)[0].shape[2]))
        empty = self.kernels.read_dyadic(self.plan_of(spec), None, False, (costs, np.zeros((SIGN_TABLES, 2), np.int32)))
        low = np.full(empty[1].shape[1:], units[self.low_rungs(spec)].sum(), np.int32)
        size = -(-spec.height // CELL), -(-spec.width // CELL)
        return on_cells([*enumerate(empty[3][::-1], 1), (DEPTH, low)], size)

    def _prices(self, tables: Tables) -> tuple[Integers, Integers]:
        """Of magnitudes, by quantiser, and of signs."""
        magnitudes = [values_cost(ladder) for ladder in ladders(tables, self.first_odd)]
        return np.stack(magnitudes), sign_costs(tables, self.first_sign)

    def low_rungs(self, spec: GroupSpec) -> NDArray[np.uint8]:
        """Of the low band's planes, (channels,)."""
        answers = self._at("low", spec)[: spec.channels]
        return (answers + (1 << ANSWER_SHIFT - 1) >> ANSWER_SHIFT).clip(0, RUNGS - 1).astype(np.uint8)

    @cached_property
    def multiplications(self) -> int:
        """A cell of CELL x CELL pixels, at most: coarser levels have a quarter of the cells each."""
        of = [convolutions({n: a for n, a in self.arrays.items() if n.startswith(owner_of(k)[0])}) for k in (1, 2, 3)]
        return sum(CELL * CELL * count >> 2 * level for level, count in enumerate(of, 1)) + of[-1]

    # -- integers for the kernels --------------------------------------------------------------------------------------

    def plan_of(self, spec: GroupSpec, given: Offsets = ()) -> _kernels.DyadicPlan:
        """The whole walk as data, for one call of the kernels, with offsets of rungs."""
        return self.plan(replace(spec, frames=1, allowance=None), given)

    def _plan(self, spec: GroupSpec, given: Offsets) -> _kernels.DyadicPlan:
        steps, levels = self.steps.at(spec.quality), []
        slices = slices_of(spec)
        offsets = np.array(given or [0] * (DEPTH * slices), np.int32).reshape(DEPTH, slices) << ANSWER_SHIFT
        for level, added in zip(range(DEPTH, 0, -1), offsets, strict=True):
            owner, depth = owner_of(level)
            names = [(f"{owner}.slices.{k}", parity) for k in range(slices) for parity in (0, 1)]
            passes = [
                (self._at(f"{name}.views.{parity}", spec), self._at(f"{name}.biases.{parity}", spec))
                for name, parity in names
            ]
            for k, offset in enumerate(added):
                for _, answers in passes[2 * k : 2 * k + 2]:
                    answers[: SLICES[k]] += offset  # rungs come before logits
            of = steps.levels[level - 1]
            bias = self._at(f"{owner}.biases.{depth}", spec)
            levels.append((self.packed(owner), bias, passes, of.halves, 2 * of.inverse, of.reciprocal))
        rungs = self.low_rungs(spec)
        return _kernels.DyadicPlan(
            spec.height, spec.width, spec.channels, levels, rungs, int(steps.low[0]), self.first_sign, self.first_odd
        )

    def _at(self, name: str, spec: GroupSpec) -> Integers:
        return at_quality(self.arrays[f"{name}.weight"].astype(np.int64), spec.quality).astype(np.int32)

    def _pack(self, owner: str) -> _kernels.DyadicLevel:
        def of(layer: str) -> Integers:
            return np.ascontiguousarray(self.arrays[f"{owner}.{layer}.weight"].astype(np.int32))

        level = _kernels.DyadicLevel(of("parent"), of("low"))
        for k in range(len(SLICES)):
            name = f"slices.{k}"
            view, heads = ((of(f"{name}.{layer}.0"), of(f"{name}.{layer}.1")) for layer in ("view", "heads"))
            level.add(view, of(f"{name}.near"), heads, of(f"{name}.context") if k + 1 < len(SLICES) else None)
        return level


def slices_of(spec: GroupSpec) -> int:
    """Slices of a level."""
    return len(SLICES) if spec.channels == 3 else GRAY_SLICES


def _frame(found: tuple[list[Integers], Integers, Integers, list[Integers], NDArray[np.int64]]) -> DyadicFrame:
    details, low, planes, spent, weighed = found
    return DyadicFrame(details[::-1], low, planes, spent[::-1], weighed)


def on_cells(planes: Sequence[tuple[int, Integers]], size: tuple[int, int]) -> NDArray[np.float32]:
    """Sum over levels of what was spent, in 1 / SPENT_UNIT bits, on each cell of `size`.

    Fine levels are added up within a cell, coarse ones shared by the cells below them.
    """
    total = np.zeros(size, np.float32)
    for level, spent in planes:
        side = CELL >> level
        if side > 1:
            within = np.zeros((size[0] * side, size[1] * side), np.int32)
            within[: spent.shape[0], : spent.shape[1]] = spent
            spent = within.reshape(size[0], side, size[1], side).sum((1, 3), dtype=np.int32)
        total += share(spent, max(level - LEVELS, 0), size, SPENT_UNIT)
    return total
