"""Frames on their own: symbols to latents, latents and corrections to planes (FORMAT.md sections 14, 18 and 24)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..engine.network import network_of
from . import integer_network, lifting, words
from .bands import CODED, EVERY, LOWS
from .steps import QualitySteps, between
from .symbols import Arrays
from .walk import Walked

Integers = NDArray[np.int64]
Planes = NDArray[np.int16]
Levels = list[Integers]  # packet (125, h, w), details of levels 1 to 4, low


def restore(walked: Walked, steps: QualitySteps, prediction: Levels | None) -> Levels:
    """Latents of every level."""
    expected: Sequence[Integers | None] = prediction or [None] * len(walked.levels)
    return [
        lifting.restore(values, step, known).astype(np.int64)
        for values, step, known in zip(walked.levels, steps.levels, expected, strict=True)
    ]


def low_bands(latents: Levels) -> Integers:
    """The low packet bands (3, h, w)."""
    packet, *details, low = latents
    return lifting.exact_unpyramid(details, low, packet.shape[1], packet.shape[2]).astype(np.int64)


def transform(planes: Planes) -> Levels:
    """The latents of planes."""
    packet, low = lifting.exact_analyse(planes, CODED)
    details, low = lifting.exact_pyramid(low, 4)
    return [level.astype(np.int64) for level in (packet, *details, low)]


def inverse(latents: Levels) -> Planes:
    return lifting.exact_synthesise(latents[0], low_bands(latents), CODED)


def every_band(packet: Integers, low: Integers) -> Integers:
    """All 192 packet bands of those that are coded (125, h, w) and the low ones (3, h, w)."""
    bands = np.zeros((len(EVERY), *packet.shape[1:]), np.int64)
    bands[CODED], bands[LOWS] = packet, low
    return bands


def paint(arrays: Arrays, owner: str, quality: int, read: Integers, bands: Integers) -> Planes:
    """Planes of packet bands (192, h, w) with what network `owner` answers to words `read`."""
    part = {name[len(owner) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{owner}.")}
    multipliers = between(part["multipliers"], quality).astype(np.int32)
    offsets = between(part["offsets"], quality)
    answer = integer_network.run(network_of(part), read, multipliers, offsets)
    bands = words.corrected(bands, answer, QualitySteps(arrays, quality))
    return lifting.exact_synthesise(bands, bands[LOWS], EVERY)


def paint_still(arrays: Arrays, owner: str, quality: int, walked: Walked) -> Planes:
    """A frame on its own; without a network of that name by the inverse transform alone."""
    steps = QualitySteps(arrays, quality)
    latents = restore(walked, steps, None)
    if f"{owner}.plan" not in arrays:
        return inverse(latents)
    low = low_bands(latents)
    read = words.of_frame(walked.levels[0], walked.rungs, low, steps)
    return paint(arrays, owner, quality, read, every_band(latents[0], low))


def paint_pyramid(arrays: Arrays, owner: str, quality: int, planes: Planes) -> Planes:
    """A frame that was coded as a dyadic pyramid; without a network of that name as it is."""
    if f"{owner}.plan" not in arrays:
        return planes
    bands = lifting.exact_analyse(planes, EVERY)[0].astype(np.int64)
    return paint(arrays, owner, quality, words.of_bands(bands, QualitySteps(arrays, quality)), bands)
