"""Quantisation steps, and integers between the anchors of a quality (FORMAT.md section 14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def between(anchors: NDArray[Any], quality: int) -> Integers:
    """Of (14, n) integers at the anchors, those at a quality, computed in integers of any size."""
    a, p = quality >> 9, quality % 512
    one, other = anchors[a].tolist(), anchors[min(a + 1, 13)].tolist()
    return np.array([rounded(x * (512 - p) + y * p, 9) for x, y in zip(one, other, strict=True)], np.int64)


def rounded(x: int, bits: int) -> int:
    """R of the format."""
    return x + (1 << bits - 1) >> bits


class QualitySteps:
    """Steps at one fine quality, in 1/65536 of the lifted domain.

    levels: of the packet bands as coded, of the details of levels 1 to 4, of the low band; every: of all 192 bands.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], quality: int) -> None:
        self.octaves, rest = divmod(13 * quality, 12800)
        self.factor = int(arrays["steps.coarse"][rest // 128]) * int(arrays["steps.fine"][rest % 128]) >> 20
        self.levels = [self.of(arrays[f"steps.{level}"].tolist()) for level in range(6)]
        self.every = self.of(arrays["steps.every"].tolist())
        self.low = int(self.of([145364845])[0])

    def of(self, bases: list[int]) -> Integers:
        """Steps at this quality from those at quality 0."""
        return np.array([max(1, base * self.factor >> 20 + self.octaves) for base in bases], np.int64)

    def halves(self, bases: list[int]) -> Integers:
        """Half steps."""
        return np.array([max(1, base * self.factor >> 21 + self.octaves) for base in bases], np.int64)
