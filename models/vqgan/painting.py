"""Indices to pixels, and pixels to the targets of the choice of indices, all in integers.

    nodes -> words, added up on the three grids -> low bands through two levels of the pyramid, packet bands
          -> corrected by the synthesis network -> inverse packet -> RGB
    RGB -> packet bands -> low bands through two levels; moves by the analysis network -> targets on the three grids

Words and bands are integers of the lifted transform (`transform.lifted`).  A number for each band, with 32 fraction
bits, brings them to gray levels at the scale of `transform.packet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.family import GroupSpec, Pixels
from ..base.kernels import Integers, Kernels, Words
from ..engine.network import part_of
from ..engine.painter import Painter
from ..transform.levels import EVERY
from .index_prior import Nodes, enlarged
from .stages import CORRECTION, FINE_BANDS, FINE_SIZE, LOW_SIZE, STAGES
from .words import CORRECTION_BITS, ENTRIES_PER_GRAY, LOGARITHMS, LOW_UNIT, MOVE_BITS, WORD_BITS

FACTOR_BITS = 32
CORRECTION_SHIFT = 24  # fraction bits of an answer and of its step: kCorrectionShift of kernels/words.hpp
UNIT = 16  # vectors and words are compared in 1 / UNIT gray levels
LOWS = np.array([0, 64, 128], np.int32)  # the low packet band of each plane
FACTORS = ("factors.coarse", "factors.middle", "factors.packet")  # for the grids 1/32 and 1/16, and all packet bands
_FINE = np.searchsorted(EVERY, np.array(FINE_BANDS, np.int32))

Arrays = Mapping[str, NDArray[Any]]
Wide = NDArray[np.int64]


@dataclass(frozen=True)
class Targets:
    """The targets that a frame's words should add up to, on the grids of 1/32, 1/16 and 1/8.

    bands   (size, h, w) each
    moves   (h, w, size) each, by the analysis network, in 1 / UNIT gray levels
    """

    bands: list[Integers]
    moves: list[Wide]


class Painting:
    """Transform, codebooks and networks of a weights file.  Stateless between calls."""

    def __init__(self, arrays: Arrays, kernels: Kernels) -> None:
        self.kernels = kernels
        self.codebooks = [
            np.ascontiguousarray(arrays[f"codebooks.{k}.nodes"].astype(np.int32)) for k in range(len(STAGES))
        ]
        self.synthesis = Painter(part_of(arrays, "synthesis"), kernels.path)
        self.analysis = Painter(part_of(arrays, "analysis"), kernels.path)
        coarse, middle, self.packet = (arrays[name].astype(np.int64) for name in FACTORS)
        self.factors = [coarse, middle, np.concatenate([self.packet[LOWS], self.packet[FINE_BANDS]])]
        low = self.packet[0]
        self.low_word = int(low * ((1 << WORD_BITS) // LOW_UNIT) >> FACTOR_BITS - 16)
        self.low_entries = np.array([low * ENTRIES_PER_GRAY // max(cells, 1) for cells in range(10)], np.int64)
        unit = CORRECTION << CORRECTION_SHIFT - CORRECTION_BITS + FACTOR_BITS
        self.steps = (unit + self.packet // 2) // self.packet

    # -- words -------------------------------------------------------------------------------------------------------

    def words(self, stage: int, nodes: Nodes) -> Integers:
        """Words (size, h, w) of nodes (h, w); no node counts as zero."""
        return np.ascontiguousarray(np.moveaxis(self.codebooks[stage][nodes], -1, 0))

    def sums(self, nodes: Sequence[Nodes]) -> list[Integers]:
        """Words of the nodes of the first stages, or of all of them, see `summed`."""
        return summed([self.words(stage, at) for stage, at in enumerate(nodes)])

    def units(self, stage: int) -> NDArray[np.float64]:
        """All words of a stage in 1 / UNIT gray levels, whole numbers: (NODES, size)."""
        return self.in_units(self.codebooks[stage].T[:, None], grid_of_stage(stage)).reshape(-1, STAGES[stage].size)

    def in_units(self, bands: Integers, grid: int) -> NDArray[np.float64]:
        """Bands (size, h, w) of a grid in 1 / UNIT gray levels, whole numbers: (h, w, size)."""
        shift = FACTOR_BITS - UNIT.bit_length() + 1
        scaled = bands * self.factors[grid][:, None, None] + (1 << shift - 1) >> shift
        return np.moveaxis(scaled, 0, -1).astype(np.float64)

    # -- to pixels ---------------------------------------------------------------------------------------------------

    def merged(self, bands: Integers, height: int, width: int) -> Integers:
        """Low band and details (12, h, w) -> the finer low band (3, height, width)."""
        return self.kernels.unpyramid([bands[3:]], bands[:3], height, width)

    def low_bands(self, sums: Sequence[Integers]) -> Integers:
        """The low bands (3, h, w) of 1/8 that all three grids make."""
        coarse, middle, fine = sums
        low = middle[:3] + self.merged(coarse, *middle.shape[1:])
        return fine[:3] + self.merged(np.concatenate([low, middle[3:]]), *fine.shape[1:])

    def describe(self, sums: Sequence[Integers], low: Integers) -> Words:
        """What the synthesis network reads: words (h, w, 6 + 48).

        The low bands less their surroundings and as they are; words of 1/8, of 1/16 and of 1/32.
        """
        _, h, w = low.shape
        words = np.empty((h, w, 6 + FINE_SIZE + 2 * LOW_SIZE), np.int16)
        self.kernels.describe_low(low, self.low_entries, LOGARITHMS, self.low_word, words, 0)
        first = 6
        for grid, times in ((2, 1), (1, 2), (0, 4)):
            near = sums[grid] if times == 1 else sums[grid].repeat(times, 1).repeat(times, 2)[:, :h, :w]
            entries = self.factors[grid] * ENTRIES_PER_GRAY
            self.kernels.describe_scaled(np.ascontiguousarray(near), entries, LOGARITHMS, words, first)
            first += len(near)
        return words

    def paint(self, sums: Sequence[Integers], spec: GroupSpec) -> Pixels:
        """Words of one frame, added up on the three grids -> uint8 (H, W, channels)."""
        low, fine = self.low_bands(sums), sums[2][3:]
        correction = self.synthesis(self.describe(sums, low), spec.quality)
        packet = np.zeros((len(EVERY), *low.shape[1:]), np.int32)
        packet[_FINE] = fine
        self.kernels.add_corrections(packet, correction, EVERY, self.steps)
        self.kernels.add_corrections(low, correction, LOWS, self.steps)
        planes = self.kernels.synthesise(packet, low, EVERY)
        return self.kernels.pixels(planes, spec.height, spec.width, spec.channels)

    # -- from pixels -------------------------------------------------------------------------------------------------

    def targets(self, pixels: Pixels, quality: int) -> Targets:
        """Of a frame uint8 (H, W, channels)."""
        packet, low = self.kernels.analyse(self.kernels.planes(pixels), EVERY)
        (near,), middle = self.kernels.pyramid(low, 1)
        (far,), coarse = self.kernels.pyramid(middle, 1)
        bands = [np.concatenate(parts) for parts in ((coarse, far), (middle, near), (low, packet[_FINE]))]
        moves = self.analysis(self.describe_packet(packet, low), quality).astype(np.int64)
        moves *= CORRECTION * UNIT >> MOVE_BITS
        fine = moves[..., :FINE_SIZE]
        rest = moves[..., FINE_SIZE:]
        return Targets(bands, [pooled(rest[..., LOW_SIZE:], 4), pooled(rest[..., :LOW_SIZE], 2), fine])

    def describe_packet(self, packet: Integers, low: Integers) -> Words:
        """What the analysis network reads: words (h, w, 192), the low bands last."""
        words = np.empty((*low.shape[1:], len(EVERY) + 3), np.int16)
        for bands, numbers, first in ((packet, EVERY, 0), (low, LOWS, len(EVERY))):
            entries = self.packet[numbers] * ENTRIES_PER_GRAY
            self.kernels.describe_scaled(np.ascontiguousarray(bands), entries, LOGARITHMS, words, first)
        return words

    def left(self, targets: Targets, sums: Sequence[Integers]) -> NDArray[np.float64]:
        """The targets of a grid less the words of coarser ones, `sums`: (cells, size) in 1 / UNIT gray levels."""
        grid = len(sums)
        bands = targets.bands[grid].copy()
        if grid:
            coarser = sums[0]
            if grid == 2:
                coarser = sums[1].copy()
                coarser[:3] += self.merged(sums[0], *coarser.shape[1:])
            bands[:3] -= self.merged(coarser, *bands.shape[1:])
        rest = self.in_units(bands, grid) + targets.moves[grid]
        return rest.reshape(-1, rest.shape[-1])

    # -- latents -----------------------------------------------------------------------------------------------------

    def cells(self, sums: Sequence[Integers]) -> NDArray[np.float32]:
        """Words on the three grids in gray levels -> (h, w, channels) on the middle one."""
        coarse, middle, fine = (
            np.moveaxis((bands * (factor * 2.0**-FACTOR_BITS)[:, None, None]).astype(np.float32), 0, -1)
            for bands, factor in zip(sums, self.factors, strict=True)
        )
        h, w = middle.shape[:2]
        return np.concatenate([enlarged(coarse, 2)[:h, :w], middle, unshuffled(fine)], -1)


def grid_of_stage(stage: int) -> int:
    """0 of 1/32, 1 of 1/16, 2 of 1/8."""
    return sorted({s.stride for s in STAGES}, reverse=True).index(STAGES[stage].stride)


def summed(words: Sequence[Integers]) -> list[Integers]:
    """Words (size, h, w) of every stage, added up on each grid."""
    sums: list[Integers] = []
    for stage, part in enumerate(words):
        if grid_of_stage(stage) < len(sums):
            sums[-1] = sums[-1] + part
        else:
            sums.append(part)
    return sums


def pooled(moves: Wide, times: int) -> Wide:
    """Means of windows of `times` x `times` cells of (h, w, channels), rounded; of those that are there at the ends."""
    h, w, channels = moves.shape
    padded = np.pad(moves, ((0, -h % times), (0, -w % times), (0, 0)))
    sums = padded.reshape(-(-h // times), times, -(-w // times), times, channels).sum((1, 3))
    rows, columns = (np.minimum(times, n - np.arange(0, n, times)) for n in (h, w))
    count = (rows[:, None] * columns)[..., None]
    means: Wide = (2 * sums + count) // (2 * count)
    return means


def unshuffled(x: NDArray[Any]) -> NDArray[Any]:
    """(h, w, C), sides filled up with zeros to be even -> (h / 2, w / 2, 4 C), each channel's four cells together."""
    h, w, channels = x.shape
    even = np.pad(x, ((0, h % 2), (0, w % 2), (0, 0)))
    cells = even.reshape(-(-h // 2), 2, -(-w // 2), 2, channels).transpose(0, 2, 4, 1, 3)
    return cells.reshape(*cells.shape[:2], -1)
