"""What networks read of a frame, and what becomes of their answers (FORMAT.md sections 14, 15 and 24)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .steps import QualitySteps

Integers = NDArray[np.int64]

LARGEST_MAGNITUDE = 1 << 20
BAND_LIMIT = 65535


def logarithm(n: float) -> int:
    return math.floor(1024 * math.log1p(n) + 0.5)


WHOLE = np.array([logarithm(n) for n in range(1024)], np.int64)  # logarithms of whole steps
FINE = np.array([logarithm(n / 16) for n in range(16384)], np.int64)  # logarithms of sixteenths of a step


def of_frame(values: Integers, rungs: Integers, low: Integers, steps: QualitySteps) -> Integers:
    """The 256 words of each cell (h, w, 256): of symbols and rungs (125, h, w), and of low packet bands (3, h, w)."""
    symbols = np.sign(values) * WHOLE[np.minimum(np.abs(values), 1023)]
    found: Integers = np.concatenate([symbols, 64 * rungs, of_low(low, steps)]).transpose(1, 2, 0)
    return found


def of_bands(bands: Integers, steps: QualitySteps) -> Integers:
    """The 195 words of each cell (h, w, 195) of a frame that was coded as a dyadic pyramid: bands (192, h, w)."""
    others = [band for band in range(len(bands)) if band % 64]
    words = in_steps(bands[others], steps.every[others, None, None])
    found: Integers = np.concatenate([words, of_low(bands[::64], steps)]).transpose(1, 2, 0)
    return found


def of_low(low: Integers, steps: QualitySteps) -> Integers:
    """The six words of low packet bands (3, h, w), channels first."""
    count, total = around(np.ones_like(low[:1])), around(low)
    high = in_steps(count * low - total, count * steps.low)
    raw = (18910 * low + 32768 >> 16).clip(-32768, 32767)
    return np.concatenate([high, raw])


def of_predicted(packet: Integers, frame: int, references: tuple[int, ...], steps: QualitySteps) -> Integers:
    """The 127 words more of a predicted frame; packet (125, h, w): its latents with the addition."""
    _, h, w = packet.shape
    place = [1024 * (len(references) - 1), math.floor(256 * math.log2(abs(frame - references[0])) + 0.5)]
    bands = in_steps(packet, steps.levels[0][:, None, None]).transpose(1, 2, 0)
    return np.concatenate([np.broadcast_to(place, (h, w, 2)), bands], 2)


def in_steps(x: Integers, step: Integers) -> Integers:
    """F of the format."""
    k = np.minimum(np.abs(x), LARGEST_MAGNITUDE) * ((1 << 52) // step) >> 32
    found: Integers = np.sign(x) * FINE[np.minimum(k, len(FINE) - 1)]
    return found


def around(x: Integers) -> Integers:
    """Sums over the 3 x 3 windows of (., h, w), as far as they lie in the picture."""
    height, width = x.shape[1:]
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    parts = [framed[:, dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)]
    total: Integers = np.sum(parts, 0, np.int64)
    return total


def corrected(bands: Integers, corrections: NDArray[np.int16], steps: QualitySteps) -> Integers:
    """All bands (192, h, w) with a network's answer (h, w, 192)."""
    change = corrections.transpose(2, 0, 1).astype(np.int64) * steps.every[:, None, None] + (1 << 23) >> 24
    found: Integers = (bands + change).clip(-BAND_LIMIT, BAND_LIMIT)
    return found
