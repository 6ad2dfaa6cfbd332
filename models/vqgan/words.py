"""The words that the networks of family `vqgan` read, and the units of their answers.

Numbers v in gray levels are companded: sign(v) log(1 + |v| / COMPANDED), words with WORD_BITS fraction bits.  The
logarithm is a table.  No entry lies near a half before rounding, so every mathematics library gives the same (a test
checks it).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 10
CORRECTION_BITS = 8  # fraction bits of the synthesis network's answers
MOVE_BITS = 4  # fraction bits of the analysis network's answers, which are large where stages are few
COMPANDED = 8  # gray levels: the unit of |v| in the logarithm
LOW_UNIT = 512  # gray levels that the low bands are divided by
ENTRIES_PER_GRAY = 4  # entries of the table per gray level
LARGEST_GRAY = 8192  # gray levels at which the table ends

LOGARITHMS: NDArray[np.int16] = np.array(
    [
        math.floor(math.log1p(n / (ENTRIES_PER_GRAY * COMPANDED)) * (1 << WORD_BITS) + 0.5)
        for n in range(LARGEST_GRAY * ENTRIES_PER_GRAY)
    ],
    np.int16,
)
