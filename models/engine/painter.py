"""A network of a weights file at work: its integers in the engine, and what depends on the quality."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.kernels import threads
from ..base.quality import at_quality
from .network import IntegerNetwork, network_of

Words = NDArray[np.int16]  # (h, w, channels)
Arrays = Mapping[str, NDArray[Any]]


class Painter:
    """Stateless between calls, but for the scales of a few qualities.

    arrays: of a weights file, by the names that `network.arrays_of` gives them.
    """

    def __init__(self, arrays: Arrays, path: str | None = None) -> None:
        self.network: IntegerNetwork = network_of(arrays)
        self.native, self.path = self.network.native(), path
        self.multipliers, self.offsets = (arrays[name].astype(np.int64) for name in ("multipliers", "offsets"))
        self.at = lru_cache(maxsize=32)(self._at)

    def _at(self, quality: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Of all layers in a row, between the anchors of a fine quality."""
        return at_quality(self.multipliers, quality).astype(np.int32), at_quality(self.offsets, quality)

    def __call__(self, words: Words, quality: int) -> Words:
        """(h, w, inputs) -> (h, w, outputs)."""
        return self.native.run(words, *self.at(quality), threads(), self.path)
