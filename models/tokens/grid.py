"""Latents as tensors: what every way to reduce tokens starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..base.family import Latents


@dataclass
class TokenGrid:
    """Latents of consecutive frames, read without making pixels.

    Attributes:
        x: float32 (T, H, W, C), dequantised latents.
        bits: float32 (T, H, W), -log2 p of the symbols that were coded; they sum to the payload.  None where unknown.
        bits_prior: float32 (T, H, W), bits expected from side information alone, or None.
        codes: int64 (T, H, W) or (T, H, W, Q), codebook indices, or None.
        times: float64 (T,), seconds.
        frame_type: int64 (T,), 0 for frames coded alone, 1 for predicted ones.
        valid: bool (T, H, W), False where a cell holds padding only.
        levels: Coarser or finer grids of the same frames, or None.
    """

    x: Tensor
    bits: Tensor | None
    bits_prior: Tensor | None
    codes: Tensor | None
    times: Tensor
    frame_type: Tensor
    valid: Tensor
    levels: list[Tensor] | None = None

    @classmethod
    def of(cls, latents: Latents) -> TokenGrid:
        """The same numbers, without a copy."""

        def tensor(array: Any) -> Any:
            return None if array is None else torch.from_numpy(array)

        return cls(
            x=tensor(latents.x),
            bits=tensor(latents.bits),
            bits_prior=tensor(latents.bits_prior),
            codes=tensor(latents.codes),
            times=tensor(latents.times),
            frame_type=tensor(latents.frame_type),
            valid=tensor(latents.valid),
            levels=None if latents.levels is None else [tensor(level) for level in latents.levels],
        )
