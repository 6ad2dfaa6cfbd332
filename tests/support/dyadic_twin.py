"""The walk of `prior.dyadic_bands` in numpy, for any symbol port: the readable twin of the kernels' (dyadic_frame.hpp).

The cells of a level lie in four phases, phase 2 * (y % 2) + x % 2.  The first pass of a slice codes phases 0 and 3, the
second one phases 1 and 2; symbols of a pass are channel by channel, phase by phase, row by row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.entropy import Tables
from tessera.models.base.family import GroupSpec, SymbolPort
from tessera.models.base.kernels import Kernels
from tessera.models.base.quality import at_quality
from tessera.models.prior import offsets
from tessera.models.prior.dyadic import Arrays, DyadicCoder, DyadicFrame, Pyramid, owner_of, slices_of
from tessera.models.prior.exchange import LARGEST
from tessera.models.prior.ladder import PER_OCTAVE, RUNGS, SHIFTS, TABLE_REACH, TABLES, spent_units
from tessera.models.prior.offsets import OFFSET_REACH, WEIGHED, Offsets
from tessera.models.prior.quantisers import HALF_STEP, ODD_TABLE_OF, chains_of, next_state
from tessera.models.prior.signs import SIGN_TABLES
from tessera.models.transform.bands import pyramid_sizes
from tessera.models.transform.dyadic import DEPTH, GRAY_SLICES, SLICES, DyadicFrameSteps
from tessera.models.transform.lifted import HINT_BITS, HINT_LIMIT
from tests.support import trellis_twin

PHASES = ((0, 3), (1, 2))  # of each pass
SIGN_BIT = TABLES  # the uniform table of one bit: signs of the low band
HIDDEN_SHIFT, VIEW_SHIFT, ANSWER_SHIFT = 7, 8, 10
# 8 log2(1 + q), rounded: half the bit length of (1 + q) ** 16
FEATURES: NDArray[np.int64] = np.array([(n**16).bit_length() // 2 for n in range(1, 257)], np.int64)

Integers = NDArray[np.int32]
Rungs = NDArray[np.uint8]
Wide = NDArray[np.int64]
Chosen = tuple[Integers, Rungs]  # values, and the quantiser of each
# answers of a pass (channels, cells): rungs and sign tables -> values and their quantisers
Visit = Callable[[int, slice, int, Rungs, Rungs], Chosen]


# -- symbols -----------------------------------------------------------------------------------------------------------


def put(port: SymbolPort, chosen: Chosen, rungs: Rungs, signs: Rungs, first_odd: int, chains: int) -> None:
    """Put values (n,) of a pass: low bits of wide rungs, magnitudes, `chains` of them at a time, signs."""
    values, quantisers = chosen
    magnitudes, shift = np.abs(values), SHIFTS[rungs]
    if shift.any():
        port.put((magnitudes & (1 << shift) - 1)[shift > 0], _low_tables(shift))
    for at in range(0, values.size, chains):
        step = slice(at, at + chains)
        port.put((magnitudes >> shift)[step], _tables(rungs, quantisers, first_odd)[step])
    if values.any():
        port.put((values < 0).astype(np.int32)[values != 0], signs[values != 0])


def get(port: SymbolPort, rungs: Rungs, signs: Rungs, first_odd: int, chains: int, trellis: bool) -> Chosen:
    """Get what `put` put; what no encoder writes is clipped as in the kernels.

    trellis: whether values lead to quantisers; else all are even.
    """
    shift = SHIFTS[rungs]
    low = np.zeros(rungs.size, np.int32)
    if shift.any():
        low[shift > 0] = port.get(_low_tables(shift))
    values, quantisers, states = np.zeros(rungs.size, np.int32), np.zeros(rungs.size, np.uint8), [0] * chains
    for at in range(0, rungs.size, chains):
        step = slice(at, at + chains)
        quantisers[step] = np.array(states[: rungs[step].size]) % 2
        high = port.get(_tables(rungs[step], quantisers[step], first_odd))
        values[step] = high << shift[step] | low[step]
        if trellis:
            states = [next_state(state, value) for state, value in zip(states, values[step].tolist(), strict=False)]
    values = np.clip(values, 0, LARGEST)
    coded = np.flatnonzero(values)
    if coded.size:
        negative = port.get(signs[coded]) & 1
        values[coded] = np.where(negative, -values[coded], values[coded])
    return values, quantisers


def half_steps(chosen: Chosen) -> Integers:
    """What values of details stand for."""
    values, quantisers = chosen
    magnitudes = np.minimum(2 * np.abs(values) - np.where(values != 0, quantisers, 0), LARGEST)
    found: Integers = (np.sign(values) * magnitudes).astype(np.int32)
    return found


def _tables(rungs: Rungs, quantisers: Rungs, first_odd: int) -> Rungs:
    even = rungs - PER_OCTAVE * SHIFTS[rungs]
    return np.where(quantisers == 1, first_odd + ODD_TABLE_OF[even], even).astype(np.uint8)


def _low_tables(shift: Integers) -> Rungs:
    return (TABLES - 1 + shift[shift > 0]).astype(np.uint8)


# -- the walk ----------------------------------------------------------------------------------------------------------


class DyadicWalk:
    """One prior at one quality.

    arrays: its part of a weights file; first_sign: the first table of signs.
    """

    def __init__(
        self,
        arrays: Arrays,
        steps: DyadicFrameSteps,
        quality: int,
        first_sign: int,
        kernels: Kernels,
        given: Offsets,
    ) -> None:
        self.arrays, self.steps, self.quality = arrays, steps, quality
        self.first_sign, self.kernels, self.given = first_sign, kernels, given

    def weights(self, name: str) -> Wide:
        found: Wide = self.arrays[f"{name}.weight"].astype(np.int64)
        return found

    def bias(self, name: str) -> Wide:
        return at_quality(self.weights(name), self.quality)[:, None, None]

    def low_tables(self, channels: int, size: tuple[int, ...]) -> tuple[Rungs, Rungs]:
        """Rungs and sign tables of the low band, (channels * h * w,)."""
        rungs = _rung(self.bias("low")[:channels, 0, 0]).astype(np.uint8).repeat(size[0] * size[1])
        return rungs, np.full(len(rungs), SIGN_BIT, np.uint8)

    def run(self, height: int, width: int, channels: int, low: Integers, visit: Visit) -> DyadicFrame:
        """Walk a frame whose low band's symbols (channels, ., .) are known; visit(level, channels, parity, ...)."""
        sizes = pyramid_sizes(height, width, DEPTH)
        whole = np.zeros((3, *sizes[-1]), np.int32)
        whole[:channels] = low
        plane = self.kernels.restore(whole, self.steps.low, None)
        details: list[Integers] = []
        values: Integers | None = None
        for level in range(DEPTH, 0, -1):
            values, halves = self.level(level, plane, values, channels, visit)
            details.insert(0, halves)
            known = self.kernels.restore(halves, self.steps.levels[level - 1].halves, None)
            plane = self.kernels.unpyramid([known], plane, *sizes[level - 1])
        return DyadicFrame(details, whole, plane)

    def level(
        self, level: int, low: Integers, above: Integers | None, channels: int, visit: Visit
    ) -> tuple[Integers, Integers]:
        """Values and half steps of a level (9, h, w) whose low plane and next coarser values are known."""
        owner, depth = owner_of(level)
        h, w = low.shape[1:]
        described = _signed(self.described(low, level))
        total = self.bias(f"{owner}.biases.{depth}") + self.convolve(f"{owner}.low", described)
        if above is not None:
            parent = self.convolve(f"{owner}.parent", _features(above))
            shuffled = parent.reshape(-1, 2, 2, *parent.shape[1:]).transpose(0, 3, 1, 4, 2)
            total = total + shuffled.reshape(len(total), 2 * parent.shape[1], 2 * parent.shape[2])[:, :h, :w]
        values, halves = np.zeros((2, sum(SLICES), h, w), np.int32)
        coded = len(SLICES) if channels == 3 else GRAY_SLICES
        for k in range(coded):
            band, name = slice(sum(SLICES[:k]), sum(SLICES[: k + 1])), f"{owner}.slices.{k}"
            hidden = _activated(total, HIDDEN_SHIFT)
            for parity in (0, 1):
                answers = self.answers(name, parity, hidden, values[band])
                offset = self.given[(DEPTH - level) * coded + k] if self.given else 0
                rungs = _rung(answers[: SLICES[k]], offset).astype(np.uint8)
                logits = (answers[SLICES[k] :] >> ANSWER_SHIFT) + SIGN_TABLES // 2
                signs = (logits.clip(0, SIGN_TABLES - 1) + self.first_sign).astype(np.uint8)
                found = visit(level, band, parity, in_pass(rungs, parity), in_pass(signs, parity))
                put_pass(values[band], parity, found[0])
                put_pass(halves[band], parity, half_steps(found))
            if k + 1 < coded:
                total = total + self.convolve(f"{name}.context", _signed(values[band]))
        return values, halves

    def described(self, low: Integers, level: int) -> Wide:
        """A low plane less the mean of 3 x 3 cells, in quarters of a step."""
        framed = np.pad(low.astype(np.int64), ((0, 0), (1, 1), (1, 1)), mode="edge")
        sums = sum(part for _, _, part in _windows(framed, 3))
        difference = 9 * low - sums
        magnitude = np.minimum(np.abs(difference), HINT_LIMIT) * self.steps.levels[level - 1].reciprocal >> HINT_BITS
        found: Wide = np.sign(difference) * magnitude
        return found

    def answers(self, name: str, parity: int, hidden: Wide, seen: Integers) -> Wide:
        """(2 * channels, h, w): rungs, then logits, in 1 / 1024; the second pass reads `seen` of the first."""
        total = self.convolve(f"{name}.view.{parity}", hidden) + self.bias(f"{name}.views.{parity}")
        if parity:
            total = total + self.convolve(f"{name}.near", _signed(seen))
        view = _activated(total, VIEW_SHIFT)
        return self.convolve(f"{name}.heads.{parity}", view) + self.bias(f"{name}.biases.{parity}")

    def convolve(self, name: str, x: Wide) -> Wide:
        """A convolution with zeros around x (inputs, h, w)."""
        weights = self.weights(name)
        side = weights.shape[2]
        framed = np.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2)))
        parts = [np.tensordot(weights[:, :, dy, dx], part, 1) for dy, dx, part in _windows(framed, side)]
        total: Wide = np.sum(parts, 0, np.int64)
        return total


def in_pass(planes: NDArray[Any], parity: int) -> NDArray[Any]:
    """The cells of a pass, (n, h, w) -> (n, cells)."""
    return np.concatenate([planes[:, p // 2 :: 2, p % 2 :: 2].reshape(len(planes), -1) for p in PHASES[parity]], 1)


def put_pass(planes: Integers, parity: int, values: Integers) -> None:
    """The inverse of `in_pass`, into `planes`."""
    for p in PHASES[parity]:
        part = planes[:, p // 2 :: 2, p % 2 :: 2]
        count = part.shape[1] * part.shape[2]
        part[...] = values[:, :count].reshape(part.shape)
        values = values[:, count:]


def _windows(framed: Wide, side: int) -> Sequence[tuple[int, int, Wide]]:
    h, w = framed.shape[1] - side + 1, framed.shape[2] - side + 1
    return [(dy, dx, framed[:, dy : dy + h, dx : dx + w]) for dy in range(side) for dx in range(side)]


def _features(q: NDArray[Any]) -> Wide:
    found: Wide = FEATURES[np.minimum(np.abs(q), 255)]
    return found


def _signed(q: NDArray[Any]) -> Wide:
    magnitudes = _features(q)
    return np.concatenate([magnitudes * np.sign(q), magnitudes])


def _activated(total: Wide, shift: int) -> Wide:
    return (total + (1 << shift - 1) >> shift).clip(0, 255)


def _rung(answer: Wide, offset: int = 0) -> Wide:
    return ((answer + (1 << ANSWER_SHIFT - 1) >> ANSWER_SHIFT) + offset).clip(0, RUNGS - 1)


# -- the coder ---------------------------------------------------------------------------------------------------------


class TwinCoder(DyadicCoder):
    """`DyadicCoder` that walks in numpy."""

    def walk(self, spec: GroupSpec, given: Offsets = ()) -> DyadicWalk:
        steps = self.steps.at(spec.quality)
        return DyadicWalk(self.arrays, steps, spec.quality, self.first_sign, self.kernels, given)

    def code_pyramid(
        self,
        pyramid: Pyramid,
        spec: GroupSpec,
        port: SymbolPort,
        keep: bool = False,
        given: Offsets = (),
        weigh: bool = False,
    ) -> DyadicFrame:
        """The same of lifted details (9, ., .), finest first, and the low band (3, ., .)."""
        details, low = pyramid
        offsets.put(port, given)
        steps = self.steps.at(spec.quality)
        scaled = np.floor(low[: spec.channels] * steps.low_inverse + np.float32(0.5))
        coarse = np.clip(scaled, -LARGEST, LARGEST).astype(np.int32)
        walk, weighed = self.walk(spec, given), np.zeros((DEPTH, slices_of(spec), 2 * OFFSET_REACH + 1), np.int64)
        plain = coarse.ravel(), np.zeros(coarse.size, np.uint8)
        put(port, plain, *walk.low_tables(spec.channels, coarse.shape[1:]), self.first_odd, coarse.size)

        def visit(level: int, band: slice, parity: int, rungs: Rungs, signs: Rungs) -> Chosen:
            inverse = steps.levels[level - 1].inverse[band, None] * np.float32(2 * HALF_STEP)
            lifted = in_pass(details[level - 1][band], parity).astype(np.float32)
            distances = np.minimum(np.abs(lifted) * inverse + np.float32(0.5), np.float32(1 << 30)).astype(np.int32)
            magnitudes, quantisers = trellis_twin.choose(distances.ravel(), rungs.ravel(), self.rates)
            values = np.where(lifted.ravel() < 0, -magnitudes, magnitudes)
            put(port, (values, quantisers), rungs.ravel(), signs.ravel(), self.first_odd, chains_of(values.size))
            if weigh:
                k = int(np.searchsorted(np.cumsum(SLICES), band.start, "right"))
                weighed[DEPTH - level, k] += self.beside(magnitudes, quantisers, rungs.ravel())
            return values.reshape(rungs.shape), quantisers.reshape(rungs.shape)

        frame = walk.run(spec.height, spec.width, spec.channels, coarse, visit)
        frame.weighed = weighed.reshape(-1, weighed.shape[2]) if weigh else frame.weighed
        return frame

    def beside(self, magnitudes: Integers, quantisers: Rungs, rungs: Rungs) -> Wide:
        """What the values of a pass would cost with each offset."""
        step = max(1, -(-magnitudes.size // WEIGHED))
        magnitudes, quantisers, rungs = magnitudes[::step], quantisers[::step], rungs[::step]
        found = []
        for offset in range(-OFFSET_REACH, OFFSET_REACH + 1):
            other = (rungs.astype(np.int32) + offset).clip(0, RUNGS - 1)
            columns = np.minimum(magnitudes >> SHIFTS[other], TABLE_REACH + 1)
            found.append(step * self.rates[quantisers, other, columns].sum(dtype=np.int64))
        return np.array(found)

    def read(self, spec: GroupSpec, port: SymbolPort, count: Tables | None = None, keep: bool = False) -> DyadicFrame:
        """Get one frame.  count: the coder's tables, to count bits by."""
        costs = None if count is None else self.prices(count)
        given = offsets.get(port, DEPTH * slices_of(spec))
        walk = self.walk(spec, given)
        size = pyramid_sizes(spec.height, spec.width, DEPTH)[-1]
        tables = walk.low_tables(spec.channels, size)
        low, _ = get(port, *tables, self.first_odd, tables[0].size, trellis=False)

        def visit(level: int, band: slice, parity: int, rungs: Rungs, signs: Rungs) -> Chosen:
            flat = rungs.ravel(), signs.ravel()
            values, quantisers = get(port, *flat, self.first_odd, chains_of(rungs.size), trellis=True)
            found = values.reshape(rungs.shape), quantisers.reshape(rungs.shape)
            if costs is not None:
                spent = np.where(found[1] == 1, *(spent_units(of, np.abs(found[0]), rungs) for of in costs[0][::-1]))
                spent += costs[1][signs - np.uint8(self.first_sign), (found[0] < 0).astype(np.intp)] * (found[0] != 0)
                h, w = pyramid_sizes(spec.height, spec.width, DEPTH)[level]
                cells = np.zeros((len(spent), h, w), np.int32)
                put_pass(cells, parity, spent)
                kept[level - 1] = kept.get(level - 1, 0) + cells.sum(0, dtype=np.int32)
            return found

        kept: dict[int, Any] = {}
        frame = walk.run(spec.height, spec.width, spec.channels, low.reshape(spec.channels, *size), visit)
        frame.given = given
        frame.spent = [kept[level] for level in sorted(kept)]
        return frame


def twin_of(coder: DyadicCoder) -> TwinCoder:
    """The same numbers."""
    twin = copy.copy(coder)
    twin.__class__ = TwinCoder
    assert isinstance(twin, TwinCoder)
    return twin
