"""Frames on their own as a dyadic pyramid: symbols to planes (FORMAT.md section 24)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base.family import GroupSpec
from . import lifting
from .steps import QualitySteps, between
from .symbols import Arrays, Symbols
from .walk import activated, convolved, magnitudes, rung_of, windows

Integers = NDArray[np.int64]
Planes = NDArray[np.int16]

LEVELS = 7
SLICES = (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 6), slice(6, 9))  # details of each slice of a level
GRAY_SLICES = 3
PASSES = (((0, 0), (1, 1)), ((0, 1), (1, 0)))  # row and column modulo 2 of the cells of each pass
FIRST_MOTION_TABLE = 150
BIT = 72  # table of a bit: signs of low, and of offsets
OFFSETS = 36  # table of their magnitudes
SAMPLE_LIMIT = 4095


def read(arrays: Arrays, spec: GroupSpec, symbols: Symbols) -> Planes:
    """The planes of a frame of spec.quality, on sides of whole cells: P of the format."""
    planes = PyramidWalk(arrays, spec, symbols).read().clip(-SAMPLE_LIMIT, SAMPLE_LIMIT).astype(np.int16)
    return np.pad(planes, ((0, 0), (0, -spec.height % 8), (0, -spec.width % 8)), mode="edge")


class PyramidWalk:
    """The walk of one frame."""

    def __init__(self, arrays: Arrays, spec: GroupSpec, symbols: Symbols) -> None:
        self.arrays, self.spec, self.symbols = arrays, spec, symbols
        self.steps = QualitySteps(arrays, spec.quality)
        self.first_sign = FIRST_MOTION_TABLE + len(arrays["motion.sizes"])

    def weights(self, name: str) -> Integers:
        found: Integers = self.arrays[f"still.dyadic.{name}.weight"].astype(np.int64)
        return found

    def bias(self, name: str) -> Integers:
        return between(self.weights(name), self.spec.quality)[:, None, None]

    def bases(self, row: int) -> list[int]:
        found: list[int] = self.arrays["still.dyadic.steps"][row].tolist()
        return found

    def size(self, level: int) -> tuple[int, int]:
        return -(-self.spec.height >> level), -(-self.spec.width >> level)

    def read(self) -> Integers:
        """The planes (3, height, width), not clipped."""
        self.offsets = self.read_offsets()
        low = self.restored(self.low_values(), self.steps.of(self.bases(LEVELS)[:1] * 3))
        coarser: Integers | None = None
        for level in range(LEVELS, 0, -1):
            steps = self.steps.of(self.bases(level - 1) * 3)
            coarser, halves = self.level(level, low, coarser, int(steps[0]))
            details = self.restored(halves, self.steps.halves(self.bases(level - 1) * 3))
            low = lifting.exact_unpyramid([details], low, *self.size(level - 1)).astype(np.int64)
        return low

    def restored(self, values: Integers, steps: Integers) -> Integers:
        return lifting.restore(values, steps, None).astype(np.int64)

    def read_offsets(self) -> dict[int, list[int]]:
        """Of each slice of every level."""
        slices = len(SLICES) if self.spec.channels == 3 else GRAY_SLICES
        found = np.zeros(LEVELS * slices, np.int64)
        if self.symbols.get([BIT])[0] & 1:
            sizes = np.array(self.symbols.get([OFFSETS] * len(found)), np.int64).clip(0, 119)
            found = self.symbols.signed(sizes, np.full(len(found), BIT))
        return dict(zip(range(LEVELS, 0, -1), found.reshape(LEVELS, slices).tolist(), strict=True))

    def low_values(self) -> Integers:
        channels, size = self.spec.channels, self.size(LEVELS)
        rungs = np.broadcast_to(rung_of(self.bias("low"))[:channels], (channels, *size))
        values = np.zeros((3, *size), np.int64)
        values[:channels] = self.symbols.values_by_sign(rungs, np.full(rungs.shape, BIT))
        return values

    def level(self, level: int, low: Integers, coarser: Integers | None, step: int) -> tuple[Integers, Integers]:
        """Values and half steps (9, h, w) of a level whose low plane and next coarser values are known."""
        h, w = low.shape[1:]
        owner = f"levels.{min(level - 1, 3)}"
        total = self.bias(f"{owner}.biases.{max(level - 4, 0)}")
        total = total + convolved(self.weights(f"{owner}.low"), with_signs(unevenness(low, step)))
        if coarser is not None:
            total = total + spread(convolved(self.weights(f"{owner}.parent"), magnitudes(coarser)))[:, :h, :w]
        values, halves = np.zeros((2, 9, h, w), np.int64)
        for k, bands in enumerate(SLICES if self.spec.channels == 3 else SLICES[:GRAY_SLICES]):
            name = f"{owner}.slices.{k}"
            self.slice(name, activated(total), self.offsets[level][k], values[bands], halves[bands])
            if k + 1 < len(SLICES):
                total = total + convolved(self.weights(f"{name}.context"), with_signs(values[bands]))
        return values, halves

    def slice(self, name: str, hidden: Integers, offset: int, values: Integers, halves: Integers) -> None:
        """Read a slice into `values` and `halves`, zeros before."""
        count = len(values)
        for number, parts in enumerate(PASSES):
            total = convolved(self.weights(f"{name}.view.{number}"), hidden) + self.bias(f"{name}.views.{number}")
            if number:
                total = total + convolved(self.weights(f"{name}.near"), with_signs(values))
            view = (total + 128 >> 8).clip(0, 255)
            answers = convolved(self.weights(f"{name}.heads.{number}"), view) + self.bias(f"{name}.biases.{number}")
            rungs = rung_of(answers[:count] + (offset << 10))
            signs = self.first_sign + ((answers[count:] >> 10) + 16).clip(0, 31)
            found = self.symbols.half_steps(in_order(rungs, parts), in_order(signs, parts), self.first_sign + 32)
            place = in_order(np.arange(values[0].size).reshape(1, *values.shape[1:]), parts)[0]
            for planes, part in zip((values, halves), found, strict=True):
                planes.reshape(count, -1)[:, place] = part


def in_order(planes: Integers, parts: tuple[tuple[int, int], ...]) -> Integers:
    """The cells of a pass in the order of its symbols: (n, h, w) -> (n, cells)."""
    return np.concatenate([planes[:, y::2, x::2].reshape(len(planes), -1) for y, x in parts], 1)


def unevenness(low: Integers, step: int) -> Integers:
    """u of the format: how far a low plane lies above its surroundings, in quarters of a step of detail 0."""
    framed = np.pad(low, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = sum(part[:, 1:-1, 1:-1] for _, _, part in windows(framed, 3))
    d = 9 * low - around
    factor = (630687445 << 18) // step
    found: Integers = np.sign(d) * (np.minimum(np.abs(d), 1 << 20) * factor >> 32)
    return found


def with_signs(x: Integers) -> Integers:
    """S of the format."""
    found = magnitudes(x)
    return np.concatenate([np.sign(x) * found, found])


def spread(x: Integers) -> Integers:
    """(4n, h, w) -> (n, 2h, 2w): four numbers of a cell become two by two cells."""
    count, h, w = len(x) // 4, *x.shape[1:]
    return x.reshape(count, 2, 2, h, w).transpose(0, 3, 1, 4, 2).reshape(count, 2 * h, 2 * w)
