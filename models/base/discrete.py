"""Families whose symbols are indices of codebooks: ids that language models read and write, and that can be restored.

A clip's ids come in three forms, each of which gives back the others:

    codes      (T, h, w, Q) int64, all indices at each cell of one grid; a coarse index stands at every cell it covers
    sequence   (T, n) int64, each index once, coarse to fine: what a language model is trained on
    packed     (T, bytes) uint8, each index at its fixed length, as a byte model reads it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from .family import Family, GroupSpec, SymbolPort

Erasures = Tensor | Sequence[Tensor]


@dataclass(frozen=True)
class IdTokens:
    """The codebook indices of consecutive frames.

    Attributes:
        sequence: int64 (T, n), 0..vocabulary - 1: each index once, coarse to fine.
        codes: int64 (T, h, w, Q), all indices at each cell of one grid.
        times: float64 (T,), seconds.
        vocabulary: How many different ids `sequence` can hold.
    """

    sequence: Tensor
    codes: Tensor
    times: Tensor
    vocabulary: int

    def __len__(self) -> int:
        return self.sequence.numel()


@runtime_checkable
class Discrete(Family, Protocol):
    """See the module.  Every method that takes ids raises ValueError for what is no id at the group's quality."""

    vocabulary: ClassVar[int]  # of `sequence`
    mask_id: ClassVar[int]  # stands in `codes` where an index is hidden; no index is coded as it

    def ids(self, spec: GroupSpec, port: SymbolPort) -> Tensor:
        """Get a group's symbols and return its codes (T, h, w, Q); no pixels are made."""

    def put_ids(self, codes: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        """Put codes (T, h, w, Q) to the port as the symbols of a group."""

    def from_ids(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes (T, h, w, Q) -> frames uint8 (T, H, W, channels)."""

    def codes_of(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes in any of the three forms -> codes (T, h, w, Q)."""

    def sequence(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes (T, h, w, Q) -> (T, n) int64."""

    def packed(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes (T, h, w, Q) -> (T, bytes) uint8."""

    def lost(self, erasures: Erasures, spec: GroupSpec) -> list[Tensor]:
        """Which indices are lost, bool (T, ., .) for each codebook, from bool (T, h, w) of cells or such masks.

        ValueError for other shapes.
        """

    def conceal(self, spec: GroupSpec, port: SymbolPort, lost: list[Tensor]) -> Tensor:
        """Decode a group some of whose indices are lost: frames uint8 (T, H, W, channels)."""

    def predict(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """The frames that are likeliest beside one of codes (h, w, Q): uint8 (T, H, W, channels)."""
