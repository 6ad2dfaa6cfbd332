"""What networks read of a frame, in integers, and what their answers mean.

Words have WORD_BITS fraction bits.  Integers and scaled coefficients v are companded: sign(v) log(1 + |v|).  The
logarithm is a table, made with a margin that no rounding of a mathematics library passes (a test looks).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..base.kernels import Integers, Kernels, Words
from ..transform.lifted import LOW_FACTOR
from ..transform.steps import WORD_GAIN, FrameSteps

WORD_BITS = 10
CORRECTION_BITS = 8  # fraction bits of corrections in steps; a step has 16 more: add_corrections in kernels/words.hpp
WORD_LIMIT = 32767  # largest word: 16 bits
LOWS = 6  # channels that describe the low bands
LOW_UNIT = 512.0  # gray levels that the low bands are divided by
LOW_WORD = round(LOW_FACTOR / LOW_UNIT * 2 ** (WORD_BITS + 16))

COMPANDED: NDArray[np.int16] = np.array(
    [math.floor(math.log1p(n) * (1 << WORD_BITS) + 0.5) for n in range(1024)], np.int16
)
COMPANDED_FINE: NDArray[np.int16] = np.array(  # logarithms of sixteenths of a step
    [math.floor(math.log1p(n / WORD_GAIN) * (1 << WORD_BITS) + 0.5) for n in range(1024 * WORD_GAIN)], np.int16
)
RUNG_WORDS: NDArray[np.int16] = np.array([n << WORD_BITS - 4 for n in range(256)], np.int16)  # sixteenths of a rung


def describe(
    kernels: Kernels, packet: Integers, rungs: NDArray[np.uint8], low: Integers, steps: FrameSteps, more: int
) -> Words:
    """Words (h, w, channels) of a frame: packet symbols, their rungs, the low bands (3, h, w), and `more` channels."""
    count, h, w = packet.shape
    words = np.zeros((h, w, 2 * count + LOWS + more), np.int16)
    kernels.describe_integers(packet, COMPANDED, words, 0)
    kernels.describe_bytes(rungs, RUNG_WORDS, words, count)
    kernels.describe_low(low, steps.low_words, COMPANDED_FINE, LOW_WORD, words, 2 * count)
    return words
