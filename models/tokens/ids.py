"""Indices of codebooks as tensors; see `base.discrete` for their forms."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
