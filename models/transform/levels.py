"""Lifted-domain latents of one frame, level by level as the prior walks them, and their way from and to planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.kernels import Integers, Kernels, Planes
from .bands import PYRAMID, slice_bands
from .steps import FrameSteps

Levels = list[Integers]  # packet (125, h, w), details (9, ., .) fine to coarse, low (3, ., .)

ORDER: Integers = np.array([band for part in slice_bands() for band in part], np.int32)  # kept packet bands, as coded
EVERY: Integers = np.array([band for band in range(192) if band % 64], np.int32)  # all packet bands but the low ones


@dataclass(frozen=True)
class LevelTransform:
    """The integer wavelet transform of the bands that are kept, and what is done to every level alike."""

    kernels: Kernels

    def analyse(self, planes: Planes) -> Levels:
        packet, plane = self.kernels.analyse(planes, ORDER)
        details, low = self.kernels.pyramid(plane, PYRAMID)
        return [packet, *details, low]

    def synthesise(self, levels: Levels) -> Planes:
        return self.kernels.synthesise(levels[0], self.low_plane(levels), ORDER)

    def low_plane(self, levels: Levels) -> Integers:
        """The low packet band of each axis (3, h, w)."""
        packet, details, low = levels[0], levels[1:-1], levels[-1]
        return self.kernels.unpyramid(details, low, packet.shape[1], packet.shape[2])

    def corrected(
        self, packet: Integers, low: Integers, correction: NDArray[np.int16], every: NDArray[np.int64]
    ) -> Planes:
        """Planes of kept packet bands and low bands with what a network adds to all 192, (h, w, 192) in steps."""
        full, low = self.kernels.corrected(packet, ORDER, low, correction, every)
        return self.kernels.synthesise(full, low, EVERY)

    def restore(self, symbols: Levels, steps: FrameSteps, prediction: Levels | None) -> Levels:
        """Latents from symbols: prediction + symbol * step; of the first packet bands where no more were read."""
        predicted: Sequence[Integers | None] = prediction or [None] * len(symbols)
        return [
            self.kernels.restore(values, level.steps[: len(values)], None if known is None else known[: len(values)])
            for values, level, known in zip(symbols, steps.levels, predicted, strict=True)
        ]

    def residual(
        self, latents: Levels, prediction: Levels | None, steps: FrameSteps
    ) -> tuple[list[NDArray[np.float32]], Integers]:
        """(latents - prediction) / step as `NativePrior.code` takes it: the low band rounded."""
        known: Sequence[Integers | None] = prediction or [None] * len(latents)
        scaled = [
            self.kernels.scaled_residual(values, expected, level.inverse)
            for values, expected, level in zip(latents[:-1], known[:-1], steps.levels[:-1], strict=True)
        ]
        rest = latents[-1] if known[-1] is None else latents[-1] - known[-1]
        low = rest * steps.levels[-1].inverse[:, None, None]
        return scaled, np.floor(low + np.float32(0.5)).astype(np.int32)

    def hints(self, sources: Sequence[Levels], steps: FrameSteps) -> list[Integers]:
        """Hints of a prior on each level but the low band: magnitudes of every source in quarter steps."""
        return [
            self.kernels.hints([source[level] for source in sources], steps.levels[level].reciprocals)
            for level in range(PYRAMID + 1)
        ]
