"""The walk of one frame through its prior: which rung each value has (FORMAT.md section 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .steps import between
from .symbols import Arrays, Symbols

Integers = NDArray[np.int64]

LEVELS = 4  # levels of the pyramid
RUNGS = 120
GRAY_SLICES = (4, 1)  # slices of gray in the packet, and in each level of the pyramid
# round(8 log2(1 + q)): half the bit length of (1 + q) ** 16, since no power of two lies in between
MAGNITUDES = np.array([((1 + q) ** 16).bit_length() // 2 for q in range(256)], np.int64)


@dataclass
class Walked:
    """levels: the packet's values (125, h, w), details of levels 1 to 4 (9, ., .), low (3, ., .); rungs (125, h, w)."""

    levels: list[Integers]
    rungs: Integers


class Walk:
    """One prior at one quality.

    owner: of the prior in the weights file; first: the table of rung 0.
    """

    def __init__(self, arrays: Arrays, owner: str, first: int, channels: int, quality: int, symbols: Symbols) -> None:
        self.arrays, self.owner, self.first, self.symbols = arrays, owner, first, symbols
        self.channels, self.quality = channels, quality

    def weights(self, name: str) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.arrays[f"{self.owner}.{name}.weight"].astype(np.int64)
        return found

    def bias(self, name: str) -> Integers:
        return between(self.arrays[f"{self.owner}.{name}.weight"], self.quality)[:, None, None]

    def read(self, height: int, width: int, hints: Sequence[Integers] | None = None) -> Walked:
        """A frame of height x width cells; hints: of the packet and of levels 1 to 4."""
        sizes = [(-(-height // (1 << level)), -(-width // (1 << level))) for level in range(LEVELS + 1)]
        rungs = rung_of(self.bias("low")[: self.channels])
        low = self.symbols.values(np.broadcast_to(rungs, (self.channels, *sizes[-1])), self.first)
        levels = [np.concatenate([low, np.zeros((3 - self.channels, *sizes[-1]), np.int64)])]
        coarser = np.zeros((9, *(side + 1 >> 1 for side in sizes[-1])), np.int64)
        for level in range(LEVELS, -1, -1):
            coarser, seen = self.level(level, sizes[level], coarser, None if hints is None else hints[level])
            levels.insert(0, coarser)
        return Walked(levels, seen)

    def level(
        self, level: int, size: tuple[int, int], coarser: Integers, hints: Integers | None
    ) -> tuple[Integers, Integers]:
        """Values and rungs of every band of a level; 0 for both where nothing is coded."""
        owner = "pyramid" if level else "packet"
        counts = self.counts(owner)
        values, rungs = (np.zeros((sum(counts), *size), np.int64) for _ in range(2))
        above = coarser.repeat(2, 1).repeat(2, 2)[:, : size[0], : size[1]]
        total = self.bias(f"{owner}.biases.{max(level - 1, 0)}") + self.convolve(f"{owner}.coarse", magnitudes(above))
        if hints is not None:
            total = total + self.convolve(f"{owner}.hints", magnitudes(hints))
        coded = len(counts) if self.channels == 3 else GRAY_SLICES[level > 0]
        for k in range(coded):
            name, at = f"{owner}.slices.{k}", slice(sum(counts[:k]), sum(counts[: k + 1]))
            values[at], rungs[at] = self.slice(name, activated(total), counts[k])
            if k + 1 < coded:
                total = total + self.convolve(f"{name}.context", magnitudes(values[at]))
        return values, rungs

    def counts(self, owner: str) -> list[int]:
        """Bands of each slice of the packet or of a level of the pyramid."""
        found: list[int] = []
        while (name := f"{self.owner}.{owner}.slices.{len(found)}.near.weight") in self.arrays:
            found.append(len(self.arrays[name]))
        return found

    def slice(self, name: str, hidden: Integers, count: int) -> tuple[Integers, Integers]:
        """Values and rungs of one slice, in its two passes."""
        size = hidden.shape[1:]
        y, x = np.indices(size)
        values, rungs = (np.zeros((count, *size), np.int64) for _ in range(2))
        for parity, head in enumerate(("first", "second")):
            seen = hidden
            if parity:
                seen = np.concatenate([hidden, activated(self.near(name, magnitudes(values)))])
            answers = rung_of(self.convolve(f"{name}.{head}", seen) + self.bias(f"{name}.biases.{parity}"))
            cells = (y + x) % 2 == parity
            rungs[:, cells] = answers[:, cells]
            if cells.any():
                values[:, cells] = self.symbols.values(rungs[:, cells], self.first)
        return values, rungs

    def convolve(self, name: str, x: Integers) -> Integers:
        return convolved(self.weights(name), x)

    def near(self, name: str, x: Integers) -> Integers:
        """A convolution of every channel by itself."""
        weights = self.weights(f"{name}.near")
        parts = [weights[:, 0, dy, dx, None, None] * part for dy, dx, part in windows(x, weights.shape[2])]
        total: Integers = np.sum(parts, 0, np.int64)
        return total


def convolved(weights: Integers, x: Integers) -> Integers:
    """A convolution with zeros around x (inputs, h, w)."""
    parts = [np.tensordot(weights[:, :, dy, dx], part, 1) for dy, dx, part in windows(x, weights.shape[2])]
    total: Integers = np.sum(parts, 0, np.int64)
    return total


def windows(x: Integers, side: int) -> list[tuple[int, int, Integers]]:
    """Every place of a side x side window, and what lies there around each cell."""
    height, width = x.shape[1:]
    framed = np.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    return [(dy, dx, framed[:, dy : dy + height, dx : dx + width]) for dy in range(side) for dx in range(side)]


def magnitudes(q: Integers) -> Integers:
    """M of the format."""
    found: Integers = MAGNITUDES[np.minimum(np.abs(q), 255)]
    return found


def activated(total: Integers) -> Integers:
    """A of the format."""
    found: Integers = (total + 64 >> 7).clip(0, 255)
    return found


def rung_of(answer: Integers) -> Integers:
    found: Integers = (answer + 512 >> 10).clip(0, RUNGS - 1)
    return found
