"""Indices of codebooks as tensors; see `base.discrete` for their forms."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class IdTokens:
    """The ids of consecutive frames.

    sequence    (T, n) int64, 0..vocabulary - 1
    codes       (T, h, w, Q) int64 on the grid of cells
    times       (T,) float64 seconds
    vocabulary  numbers that an id of `sequence` can be
    """

    sequence: Tensor
    codes: Tensor
    times: Tensor
    vocabulary: int

    def __len__(self) -> int:
        return self.sequence.numel()
