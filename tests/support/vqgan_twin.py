"""FORMAT.md section 17 in plain loops over integers: the calls of the coder that a frame's nodes make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
STRIDES = (32, 32, 16, 8, 8)


def depth_of(stage: int, quality: int) -> int:
    return min(max(8 + 42 * quality // 6400 - 10 * stage, 0), 10)


def rounded(x: int, bits: int) -> int:
    return (x + (1 << (bits - 1))) >> bits


def clip(x: int, low: int, high: int) -> int:
    return max(low, min(high, x))


class Twin:
    """nodes and before: of each stage an integer array (h, w)."""

    def __init__(self, tensors: dict[str, Tensor], quality: int) -> None:
        self.weights = {name: tensor.numpy().astype(np.int64) for name, tensor in tensors.items() if "priors" in name}
        self.quality = quality

    def of(self, stage: int, name: str) -> Array:
        return self.weights[f"priors.{stage}.{name}.weight"]

    def embedded(self, stage: int, node: int) -> list[int]:
        return list(self.of(stage, "own")[node]) if node else [0] * 12

    def told(self, stage: int, nodes: Sequence[Array], known: Array, before: Array, y: int, x: int) -> list[int]:
        parts: list[int] = []
        for earlier in range(stage):
            times = STRIDES[earlier] // STRIDES[stage]
            parts += self.embedded(earlier, int(nodes[earlier][y // times, x // times]))
        parts += self.embedded(stage, int(known[y, x])) + self.embedded(stage, int(before[y, x]))
        return [*parts, 127 * int(known[y, x] > 0), 127 * int(before[y, x] > 0)]

    def bias(self, stage: int) -> list[int]:
        table, anchor, part = self.of(stage, "bias"), self.quality >> 9, self.quality % 512
        upper = table[min(anchor + 1, len(table) - 1)]
        return [rounded(int(a) * (512 - part) + int(b) * part, 9) for a, b in zip(table[anchor], upper, strict=True)]

    def hidden(self, stage: int, nodes: Sequence[Array], known: Array, before: Array, y: int, x: int) -> list[int]:
        rows, columns = known.shape
        sums = self.bias(stage)
        context, mix = self.of(stage, "context"), self.of(stage, "mix")
        for dy in range(5):
            for dx in range(5):
                v, u = y + dy - 2, x + dx - 2
                if 0 <= v < rows and 0 <= u < columns:
                    told = np.array(self.told(stage, nodes, known, before, v, u))
                    sums = [s + int(w @ told) for s, w in zip(sums, context[:, :, dy, dx], strict=True)]
        first = [clip(rounded(s, 6), 0, 255) for s in sums]
        second = [sum(int(w) * a for w, a in zip(row[:, 0, 0], first, strict=True)) for row in mix]
        return [*(clip(rounded(s, 6), 0, 255) for s in second), 255]

    def logit(self, stage: int, hidden: list[int], node: int) -> int:
        total = sum(int(w) * h for w, h in zip(self.of(stage, "heads")[node], hidden, strict=True))
        return clip(rounded(total, 7), -64, 64)

    def calls(self, nodes: Sequence[Array], before: Sequence[Array]) -> list[tuple[list[int], list[int]]]:
        """(symbols, tables) of every call that codes these nodes."""
        found = []
        for stage, whole in enumerate(nodes):
            depth = depth_of(stage, self.quality)
            known = np.zeros_like(whole)
            for parity in (0, 1) if depth else ():
                cells = [(y, x) for y, x in np.ndindex(*whole.shape) if (y + x) % 2 == parity]
                hidden = [self.hidden(stage, nodes, known, before[stage], y, x) for y, x in cells]
                for level in range(depth) if cells else ():
                    passed = [int(whole[cell]) >> (depth - level) for cell in cells]
                    symbols = [int(whole[cell]) >> (depth - level - 1) & 1 for cell in cells]
                    tables = [64 + self.logit(stage, h, n) for h, n in zip(hidden, passed, strict=True)]
                    found.append((symbols, tables))
                for cell in cells:
                    known[cell] = whole[cell]
        return found
