"""Lifted-domain latents of one frame, level by level as the prior walks them, and their way from and to planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .. import _kernels
from ..prior.native import Coded
from ..transform.bands import PYRAMID
from .steps import FrameSteps

Planes = NDArray[np.int16]  # (3, 8h, 8w), 1/16 gray level along the colour axes
Integers = NDArray[np.int32]
Levels = list[Integers]  # packet (125, h, w), details (9, ., .) fine to coarse, low (3, ., .)


@dataclass(frozen=True)
class ExactTransform:
    """The integer wavelet transform of `reference.lifting`, for the bands that are kept."""

    order: Integers
    path: str | None = None

    def analyse(self, planes: Planes) -> Levels:
        packet, plane = _kernels.exact_analyse(planes, self.order, torch.get_num_threads(), self.path)
        details, low = _kernels.exact_pyramid(plane, PYRAMID)
        return [packet, *details, low]

    def synthesise(self, levels: Levels) -> Planes:
        packet, details, low = levels[0], levels[1:-1], levels[-1]
        plane = _kernels.exact_unpyramid(details, low, packet.shape[1], packet.shape[2])
        return _kernels.exact_synthesise(packet, plane, self.order, torch.get_num_threads(), self.path)

    def planes(self, pixels: NDArray[np.uint8]) -> Planes:
        """uint8 (H, W, 1 or 3) -> planes."""
        return _kernels.exact_planes(pixels, torch.get_num_threads(), self.path)

    def pixels(self, planes: Planes, height: int, width: int, channels: int) -> NDArray[np.uint8]:
        return _kernels.exact_pixels(planes, height, width, channels, torch.get_num_threads(), self.path)


def symbols_of(coded: Coded) -> Levels:
    """The integers of a walk, level by level."""
    low = np.ascontiguousarray(coded.low[0].numpy().astype(np.int32))
    return [coded.packet, *(walk.values for walk in coded.pyramid), low]


def restore(symbols: Levels, steps: FrameSteps, prediction: Levels | None) -> Levels:
    """Latents from symbols: prediction + symbol * step; of the first packet bands where no more were read."""
    predicted: Sequence[Integers | None] = prediction or [None] * len(symbols)
    return [
        _kernels.restore(values, level.steps[: len(values)], None if known is None else known[: len(values)])
        for values, level, known in zip(symbols, steps.levels, predicted, strict=True)
    ]


def residual(latents: Levels, prediction: Levels, steps: FrameSteps) -> tuple[list[NDArray[np.float32]], torch.Tensor]:
    """(latents - prediction) / step as `NativePrior.code` takes them."""
    scaled = [
        _kernels.scaled_residual(values, known, level.inverse)
        for values, known, level in zip(latents[:-1], prediction[:-1], steps.levels[:-1], strict=True)
    ]
    low = (latents[-1] - prediction[-1]) * steps.levels[-1].inverse[:, None, None]
    return scaled, torch.from_numpy(low.astype(np.float32))[None]


def hints(sources: Sequence[Levels], steps: FrameSteps) -> list[Integers]:
    """What a listening prior hears on each level but the low band: magnitudes of every source in quarter steps."""
    heard = []
    for level in range(PYRAMID + 1):
        reciprocals = steps.levels[level].reciprocals
        heard.append(np.concatenate([_kernels.hints(source[level], reciprocals) for source in sources]))
    return heard
