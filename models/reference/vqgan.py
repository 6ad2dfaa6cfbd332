"""Second decoder of codec `vqgan`, readable and slow: codec/FORMAT.md, section 17, in loops over integers.

It shares no code with models/vqgan, which gives the same indices and the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.family import GroupSpec, SymbolPort
from ..engine.network import network_of, part_of
from ..transform.lifted import BAND_LIMIT
from . import integer_network, lifting

Array = NDArray[Any]
Nodes = NDArray[np.int64]  # (h, w) of a stage, 0 where it has no index

STRIDES = (32, 32, 16, 8, 8)
SPACING = 512  # quality steps between anchors
EMBEDDING = 12  # numbers of a node's vector
WORD_BITS, ENTRIES, LOGARITHMS = 10, 32, 32768  # logarithms: fraction bits, entries per 8 gray levels, entries in all
CORRECTION = 1 << 52  # 16 gray levels, 36 fraction bits above those of a correction
# packet bands of the words of 1/8, behind the three low ones: gray, then the two other planes
GRAY = (1, 2, 3, 5, 10, 7, 11, 4, 8, 15, 6, 9, 20, 40, 14, 13, 22)


def rounded(x: Any, bits: int) -> Any:
    """x / 2**bits, rounded to nearest, halves up."""
    return (x + (1 << bits - 1)) >> bits


def clip(x: int, low: int, high: int) -> int:
    return max(low, min(high, x))


def depth_of(stage: int, quality: int) -> int:
    return clip(8 + 42 * quality // 6400 - 10 * stage, 0, 10)


class VqganDecoder:
    """Decodes groups with the arrays of a weights file."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays

    def decode(self, spec: GroupSpec, port: SymbolPort) -> NDArray[np.uint8]:
        """Frames (T, H, W, channels)."""
        return np.stack([self.pixels(nodes, spec) for nodes in self.read(spec, port)])

    # -- indices -----------------------------------------------------------------------------------------------------

    def read(self, spec: GroupSpec, port: SymbolPort) -> list[list[Nodes]]:
        """Nodes of every stage of every frame."""
        frames: list[list[Nodes]] = []
        for _ in range(spec.frames):
            frames.append(self.frame(spec, port, frames[-1] if frames else None))
        return frames

    def frame(self, spec: GroupSpec, port: SymbolPort, before: list[Nodes] | None) -> list[Nodes]:
        nodes: list[Nodes] = []
        for stage, stride in enumerate(STRIDES):
            size = (-(-spec.height // stride), -(-spec.width // stride))
            known = np.zeros(size, np.int64)
            past = np.zeros(size, np.int64) if before is None else before[stage]
            depth = depth_of(stage, spec.quality)
            for parity in (0, 1) if depth else ():
                cells = [cell for cell in np.ndindex(*size) if sum(cell) % 2 == parity]
                hidden = [self.hidden(stage, nodes, known, past, cell, spec.quality) for cell in cells]
                found = [1] * len(cells)
                for _ in range(depth) if cells else ():
                    tables = [64 + self.logit(stage, h, n) for h, n in zip(hidden, found, strict=True)]
                    turns = port.get(np.array(tables, np.uint8))
                    found = [2 * n + int(turn) % 2 for n, turn in zip(found, turns, strict=True)]
                for cell, node in zip(cells, found, strict=True):
                    known[cell] = node
            nodes.append(known)
        return nodes

    def weights(self, stage: int, name: str) -> Array:
        return self.arrays[f"priors.{stage}.{name}.weight"].astype(np.int64)

    def embedded(self, stage: int, node: int) -> list[int]:
        return list(self.arrays[f"priors.{stage}.own.weight"][node].astype(int)) if node else [0] * EMBEDDING

    def inputs_of(self, stage: int, nodes: Sequence[Nodes], known: Nodes, past: Nodes, y: int, x: int) -> list[int]:
        parts: list[int] = []
        for earlier in range(stage):
            times = STRIDES[earlier] // STRIDES[stage]
            parts += self.embedded(earlier, int(nodes[earlier][y // times, x // times]))
        parts += self.embedded(stage, int(known[y, x])) + self.embedded(stage, int(past[y, x]))
        return [*parts, 127 * int(known[y, x] > 0), 127 * int(past[y, x] > 0)]

    def hidden(
        self, stage: int, nodes: Sequence[Nodes], known: Nodes, past: Nodes, cell: tuple[int, ...], quality: int
    ) -> list[int]:
        rows, columns = known.shape
        anchor, part = divmod(quality, SPACING)
        bias = self.weights(stage, "bias")
        after = bias[min(anchor + 1, len(bias) - 1)]
        sums = rounded(bias[anchor] * (SPACING - part) + after * part, 9)
        context, mix = self.weights(stage, "context"), self.weights(stage, "mix")[:, :, 0, 0]
        for dy in range(5):
            for dx in range(5):
                y, x = cell[0] + dy - 2, cell[1] + dx - 2
                if 0 <= y < rows and 0 <= x < columns:
                    sums = sums + context[:, :, dy, dx] @ np.array(self.inputs_of(stage, nodes, known, past, y, x))
        first = np.array([clip(rounded(int(s), 6), 0, 255) for s in sums])
        return [*(clip(rounded(int(s), 6), 0, 255) for s in mix @ first), 255]

    def logit(self, stage: int, hidden: list[int], node: int) -> int:
        total = sum(int(w) * h for w, h in zip(self.arrays[f"priors.{stage}.heads.weight"][node], hidden, strict=True))
        return clip(rounded(total, 7), -64, 64)

    # -- pixels ------------------------------------------------------------------------------------------------------

    def pixels(self, nodes: Sequence[Nodes], spec: GroupSpec) -> NDArray[np.uint8]:
        """One frame (H, W, channels)."""
        books = (self.arrays[f"codebooks.{stage}.nodes"].astype(np.int64) for stage in range(len(STRIDES)))
        words = [np.moveaxis(book[at], 2, 0) for book, at in zip(books, nodes, strict=True)]
        coarse, middle, fine = words[0] + words[1], words[2], words[3] + words[4]
        near = middle.copy()
        near[:3] += finer(coarse, *middle.shape[1:])
        low = fine[:3] + finer(near, *fine.shape[1:])
        answer = self.corrections(coarse, middle, fine, low, spec.quality)
        bands = np.zeros((192, *low.shape[1:]), np.int64)
        bands[::64] = low
        bands[fine_bands()] = fine[3:]
        factors = self.arrays["factors.packet"]
        for band in range(192):
            step = (CORRECTION + int(factors[band]) // 2) // int(factors[band])
            changed = bands[band] + rounded(answer[:, :, band] * step, 24)
            bands[band] = changed.clip(-BAND_LIMIT, BAND_LIMIT)
        every = [band for band in range(192) if band % 64]
        final = bands.astype(np.int32)
        planes = lifting.exact_synthesise(final[every], final[::64], np.array(every, np.int32))
        return lifting.exact_pixels(planes, spec.height, spec.width, spec.channels)

    def corrections(self, coarse: Array, middle: Array, fine: Array, low: Array, quality: int) -> Array:
        """What the network answers to the words of a frame: (h, w, 192)."""
        packet = self.arrays["factors.packet"]
        factors = (self.arrays["factors.coarse"], self.arrays["factors.middle"], packet[[0, 64, 128, *fine_bands()]])
        _, h, w = low.shape
        read = np.zeros((h, w, 54), np.int16)
        for y, x in np.ndindex(h, w):
            around = low[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            count = around.shape[1] * around.shape[2]
            above = low[:, y, x] * count - around.sum((1, 2))
            cell = [companded(int(v), int(packet[0]) * 4 // count) for v in above]
            raw = int(packet[0]) * 2 >> 16
            cell += [clip(rounded(int(v) * raw, 16), -32768, 32767) for v in low[:, y, x]]
            for words, numbers, times in ((fine, factors[2], 1), (middle, factors[1], 2), (coarse, factors[0], 4)):
                near = words[:, y // times, x // times]
                cell += [companded(int(v), 4 * int(f)) for v, f in zip(near, numbers, strict=True)]
            read[y, x] = cell
        arrays = part_of(self.arrays, "synthesis")
        anchor, part = divmod(quality, SPACING)
        scale, offset = (
            rounded(anchors[anchor] * (SPACING - part) + anchors[min(anchor + 1, len(anchors) - 1)] * part, 9)
            for anchors in (arrays["multipliers"].astype(np.int64), arrays["offsets"])
        )
        return integer_network.run(network_of(arrays), read, scale, offset).astype(np.int64)


def finer(bands: Array, height: int, width: int) -> Array:
    """Low bands and details (12, h, w) -> the low bands of the next finer grid, cut to height x width."""
    return lifting.exact_unpyramid([bands[3:]], bands[:3], height, width).astype(np.int64)


def companded(value: int, scale: int) -> int:
    """sign(v) log(1 + |v| / 8) of a lifted number times `scale`, four entries of the table a gray level."""
    entry = min(min(abs(value), 1 << 20) * scale >> 32, LOGARITHMS - 1)
    word = int(np.floor(np.log1p(entry / ENTRIES) * (1 << WORD_BITS) + 0.5))
    return -word if value < 0 else word


def fine_bands() -> list[int]:
    return [*GRAY, 64 + GRAY[0], 64 + GRAY[1], 128 + GRAY[0], 128 + GRAY[1]]
