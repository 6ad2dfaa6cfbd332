"""Runs a network of a weights file: its integers in the engine, with multipliers and offsets for a quality."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from ..base.cost import convolutions
from ..base.kernels import threads
from ..base.quality import at_quality
from .network import OFFSET_LIMIT, network_of

Words = NDArray[np.int16]  # (h, w, channels)
Arrays = Mapping[str, NDArray[Any]]


class Painter:
    """Stateless between calls, but for the scales of a few qualities.

    arrays: of a weights file, by the names that `network.arrays_of` gives them.
    """

    def __init__(self, arrays: Arrays, path: str | None = None) -> None:
        self.arrays, self.path = arrays, path
        self.at = lru_cache(maxsize=32)(self._at)

    @cached_property
    def native(self) -> _kernels.Network:
        """Packed at the first call: of a file's networks most processes run one."""
        return network_of(self.arrays).native()

    @property
    def multiplications(self) -> int:
        """A cell."""
        return convolutions(self.arrays)

    @property
    def reach(self) -> int:
        """Cells around a cell that its outputs depend on, at most."""
        return sum(layer.weights.shape[1] // 2 for layer in network_of(self.arrays).layers)  # a window is square

    def _at(self, quality: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Of all layers in a row, between the anchors of a fine quality."""
        multipliers, offsets = (self.arrays[name].astype(np.int64) for name in ("multipliers", "offsets"))
        if np.abs(offsets).max() > OFFSET_LIMIT:
            raise ValueError("an offset of the network is out of range")
        return at_quality(multipliers, quality).astype(np.int32), at_quality(offsets, quality)

    def __call__(self, words: Words, quality: int) -> Words:
        """(h, w, inputs) -> (h, w, outputs)."""
        return self.native.run(words, *self.at(quality), threads(), self.path)
