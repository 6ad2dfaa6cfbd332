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
from tessera.models.prior.dyadic import Arrays, DyadicCoder, DyadicFrame, Pyramid, owner_of
from tessera.models.prior.exchange import LARGEST
from tessera.models.prior.ladder import PER_OCTAVE, RUNGS, SHIFTS, TABLE_REACH, TABLES, spent_units
from tessera.models.prior.signs import SIGN_TABLES
from tessera.models.transform.bands import pyramid_sizes
from tessera.models.transform.dyadic import DEPTH, GRAY_SLICES, SLICES, DyadicFrameSteps
from tessera.models.transform.lifted import HINT_BITS, HINT_LIMIT

PHASES = ((0, 3), (1, 2))  # of each pass
SIGN_BIT = TABLES  # the uniform table of one bit: signs of the low band
HIDDEN_SHIFT, VIEW_SHIFT, ANSWER_SHIFT = 7, 8, 10
# 8 log2(1 + q), rounded: half the bit length of (1 + q) ** 16
FEATURES: NDArray[np.int64] = np.array([(n**16).bit_length() // 2 for n in range(1, 257)], np.int64)

Integers = NDArray[np.int32]
Rungs = NDArray[np.uint8]
Wide = NDArray[np.int64]
# answers of a pass (channels, cells): rungs and sign tables -> values
Visit = Callable[[int, slice, int, Rungs, Rungs], Integers]


# -- symbols -----------------------------------------------------------------------------------------------------------


def put(port: SymbolPort, values: Integers, rungs: Rungs, signs: Rungs) -> None:
    """Put values (n,) with their rungs and tables of signs: magnitudes, low bits of wide rungs, signs."""
    magnitudes, shift = np.abs(values), SHIFTS[rungs]
    if not values.size:
        return
    port.put(magnitudes >> shift, _tables(rungs))
    if shift.any():
        port.put((magnitudes & (1 << shift) - 1)[shift > 0], _low_tables(shift))
    if values.any():
        port.put((values < 0).astype(np.int32)[values != 0], signs[values != 0])


def get(port: SymbolPort, rungs: Rungs, signs: Rungs) -> Integers:
    """Get what `put` put; what no encoder writes is clipped as in the kernels."""
    shift = SHIFTS[rungs]
    if not rungs.size:
        return np.zeros(0, np.int32)
    values = port.get(_tables(rungs)) << shift
    if shift.any():
        values[shift > 0] |= port.get(_low_tables(shift))
    values = np.clip(values, 0, LARGEST)
    coded = np.flatnonzero(values)
    if coded.size:
        negative = port.get(signs[coded]) & 1
        values[coded] = np.where(negative, -values[coded], values[coded])
    return values


def _tables(rungs: Rungs) -> Rungs:
    return (rungs - PER_OCTAVE * SHIFTS[rungs]).astype(np.uint8)


def _low_tables(shift: Integers) -> Rungs:
    return (TABLES - 1 + shift[shift > 0]).astype(np.uint8)


def rounded(scaled: NDArray[np.float32], rungs: Rungs, margins: NDArray[np.float32]) -> Integers:
    """The nearest integer, or the next one towards zero where it saves bits worth more than its error."""
    magnitudes = np.minimum(np.abs(scaled), np.float32(LARGEST))
    nearest = (magnitudes + np.float32(0.5)).astype(np.int32)
    shift = SHIFTS[rungs]
    high = nearest >> shift
    below: NDArray[np.float32] = magnitudes - (nearest - 1).astype(np.float32)
    above: NDArray[np.float32] = magnitudes - nearest.astype(np.float32)
    saved = margins[rungs, np.minimum(high, TABLE_REACH + 2)] > below * below - above * above
    nearest -= saved & (high << shift == nearest) & (nearest > 0)
    return np.where(scaled < 0, -nearest, nearest).astype(np.int32)


# -- the walk ----------------------------------------------------------------------------------------------------------


class DyadicWalk:
    """One prior at one quality.

    arrays: its part of a weights file; first_sign: the first table of signs.
    """

    def __init__(
        self, arrays: Arrays, steps: DyadicFrameSteps, quality: int, first_sign: int, kernels: Kernels
    ) -> None:
        self.arrays, self.steps, self.quality = arrays, steps, quality
        self.first_sign, self.kernels = first_sign, kernels

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
        for level in range(DEPTH, 0, -1):
            above = details[0] if details else None
            details.insert(0, self.level(level, plane, above, channels, visit))
            known = self.kernels.restore(details[0], self.steps.levels[level - 1].steps, None)
            plane = self.kernels.unpyramid([known], plane, *sizes[level - 1])
        return DyadicFrame(details, whole, plane)

    def level(self, level: int, low: Integers, above: Integers | None, channels: int, visit: Visit) -> Integers:
        """The symbols of a level (9, h, w) whose low plane and next coarser symbols are known."""
        owner, depth = owner_of(level)
        h, w = low.shape[1:]
        described = _signed(self.described(low, level))
        total = self.bias(f"{owner}.biases.{depth}") + self.convolve(f"{owner}.low", described)
        if above is not None:
            parent = self.convolve(f"{owner}.parent", _features(above))
            shuffled = parent.reshape(-1, 2, 2, *parent.shape[1:]).transpose(0, 3, 1, 4, 2)
            total = total + shuffled.reshape(len(total), 2 * parent.shape[1], 2 * parent.shape[2])[:, :h, :w]
        values = np.zeros((sum(SLICES), h, w), np.int32)
        coded = len(SLICES) if channels == 3 else GRAY_SLICES
        for k in range(coded):
            band, name = slice(sum(SLICES[:k]), sum(SLICES[: k + 1])), f"{owner}.slices.{k}"
            hidden = _activated(total, HIDDEN_SHIFT)
            for parity in (0, 1):
                answers = self.answers(name, parity, hidden, values[band])
                rungs = _rung(answers[: SLICES[k]]).astype(np.uint8)
                logits = (answers[SLICES[k] :] >> ANSWER_SHIFT) + SIGN_TABLES // 2
                signs = (logits.clip(0, SIGN_TABLES - 1) + self.first_sign).astype(np.uint8)
                found = visit(level, band, parity, in_pass(rungs, parity), in_pass(signs, parity))
                put_pass(values[band], parity, found)
            if k + 1 < coded:
                total = total + self.convolve(f"{name}.context", _signed(values[band]))
        return values

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


def _rung(answer: Wide) -> Wide:
    return (answer + (1 << ANSWER_SHIFT - 1) >> ANSWER_SHIFT).clip(0, RUNGS - 1)


# -- the coder ---------------------------------------------------------------------------------------------------------


class TwinCoder(DyadicCoder):
    """`DyadicCoder` that walks in numpy."""

    def walk(self, spec: GroupSpec) -> DyadicWalk:
        return DyadicWalk(self.arrays, self.steps.at(spec.quality), spec.quality, self.first_sign, self.kernels)

    def code_pyramid(self, pyramid: Pyramid, spec: GroupSpec, port: SymbolPort, keep: bool = False) -> DyadicFrame:
        """The same of lifted details (9, ., .), finest first, and the low band (3, ., .)."""
        details, low = pyramid
        steps = self.steps.at(spec.quality)
        scaled = np.floor(low[: spec.channels] * steps.low_inverse + np.float32(0.5))
        coarse = np.clip(scaled, -LARGEST, LARGEST).astype(np.int32)
        walk = self.walk(spec)
        put(port, coarse.ravel(), *walk.low_tables(spec.channels, coarse.shape[1:]))

        def visit(level: int, band: slice, parity: int, rungs: NDArray[np.uint8], signs: NDArray[np.uint8]) -> Integers:
            inverse = steps.levels[level - 1].inverse[band, None]
            lifted = in_pass(details[level - 1][band], parity).astype(np.float32)
            values = rounded(lifted * inverse, rungs, self.margins)
            put(port, values.ravel(), rungs.ravel(), signs.ravel())
            return values

        return walk.run(spec.height, spec.width, spec.channels, coarse, visit)

    def read(self, spec: GroupSpec, port: SymbolPort, count: Tables | None = None, keep: bool = False) -> DyadicFrame:
        """Get one frame.  count: the coder's tables, to count bits by."""
        costs = None if count is None else self.prices(count)
        walk, size = self.walk(spec), pyramid_sizes(spec.height, spec.width, DEPTH)[-1]
        low = get(port, *walk.low_tables(spec.channels, size)).reshape(spec.channels, *size)

        def visit(level: int, band: slice, parity: int, rungs: NDArray[np.uint8], signs: NDArray[np.uint8]) -> Integers:
            values = get(port, rungs.ravel(), signs.ravel()).reshape(rungs.shape)
            if costs is not None:
                spent = spent_units(costs[0], np.abs(values), rungs)
                spent += costs[1][signs - np.uint8(self.first_sign), (values < 0).astype(np.intp)] * (values != 0)
                h, w = pyramid_sizes(spec.height, spec.width, DEPTH)[level]
                cells = np.zeros((len(spent), h, w), np.int32)
                put_pass(cells, parity, spent)
                kept[level - 1] = kept.get(level - 1, 0) + cells.sum(0, dtype=np.int32)
            return values

        kept: dict[int, Any] = {}
        frame = walk.run(spec.height, spec.width, spec.channels, low, visit)
        frame.spent = [kept[level] for level in sorted(kept)]
        return frame


def twin_of(coder: DyadicCoder) -> TwinCoder:
    """The same numbers."""
    twin = copy.copy(coder)
    twin.__class__ = TwinCoder
    assert isinstance(twin, TwinCoder)
    return twin
