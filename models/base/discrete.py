"""Families whose symbols are indices of codebooks: ids that language models read and write, and that can be restored.

A clip's ids come in three forms, each of which gives back the others:

    codes      (T, h, w, Q) int64, all indices at each cell of one grid; coarse indices are repeated
    sequence   (T, n) int64, each index once, coarse to fine: what a language model is trained on
    packed     (T, bytes) uint8, each index at its fixed length, as a byte model reads it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .family import Family, GroupSpec, Pixels, SymbolPort

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Erasures = Mask | Sequence[Mask]


@runtime_checkable
class Discrete(Family, Protocol):
    """See the module.  Every method that takes ids raises ValueError for what is no id at the group's quality."""

    vocabulary: ClassVar[int]  # how many different ids `sequence` can hold
    mask_id: ClassVar[int]  # stands in `codes` where an index is hidden; no index is coded as it

    def ids(self, spec: GroupSpec, port: SymbolPort) -> Codes:
        """Get a group's symbols and return its codes (T, h, w, Q); no pixels are made."""

    def put_ids(self, codes: Codes, spec: GroupSpec, port: SymbolPort) -> None:
        """Put codes (T, h, w, Q) to the port as the symbols of a group."""

    def from_ids(self, codes: Codes, spec: GroupSpec) -> Pixels:
        """Codes (T, h, w, Q) -> frames uint8 (T, H, W, channels)."""

    def codes_of(self, codes: NDArray[Any], spec: GroupSpec) -> Codes:
        """Codes in any of the three forms -> codes (T, h, w, Q)."""

    def sequence(self, codes: Codes, spec: GroupSpec) -> Codes:
        """Codes (T, h, w, Q) -> (T, n) int64."""

    def packed(self, codes: Codes, spec: GroupSpec) -> NDArray[np.uint8]:
        """Codes (T, h, w, Q) -> (T, bytes) uint8."""

    def lost(self, erasures: Erasures, spec: GroupSpec) -> list[Mask]:
        """Masks of lost indices, bool (T, ., .) for each codebook, from a mask of cells, bool (T, h, w), or such masks.

        ValueError for other shapes.
        """

    def conceal(self, spec: GroupSpec, port: SymbolPort, lost: list[Mask]) -> Pixels:
        """Decode a group some of whose indices are lost: frames uint8 (T, H, W, channels)."""

    def predict(self, codes: Codes, spec: GroupSpec) -> Pixels:
        """The likeliest frames after one with codes (h, w, Q): uint8 (T, H, W, channels)."""
