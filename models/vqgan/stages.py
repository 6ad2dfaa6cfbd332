"""The stages of family `vqgan`: which grid each codes, and how deep at each quality.

    stage   grid    vectors
    0, 1    1/32    low band and details that make the low band of 1/16
    2       1/16    what stages 0 and 1 left of that low band, and the details that make the low band of 1/8
    3, 4    1/8     what was left of that low band, and the strongest packet bands

Stages on one grid code what the one before left over (residual vector quantisation).  A quality is a total depth:
stages are filled one after the other, each up to DEPTH bits per vector; the last may be cut short and later ones
are absent.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..base.quality import MAX_FINE
from ..transform.bands import LEVELS, band_frequencies

DEPTH = 10  # turns from the root of a codebook's tree to a leaf
NODES = 2 << DEPTH  # heap order: row 0 stands for no word, row 1 is the root
DEAD = 0.03  # share of the mean use below which a word is dead


@dataclass(frozen=True)
class Stage:
    stride: int  # pixels, both ways
    size: int  # numbers per vector


LOW_SIZE, FINE_SIZE = 12, 24
STAGES = (Stage(32, LOW_SIZE), Stage(32, LOW_SIZE), Stage(16, LOW_SIZE), Stage(8, FINE_SIZE), Stage(8, FINE_SIZE))
LEAST_DEPTH = 8  # bits of the first stage at quality 0
CORRECTION = 16  # gray levels of a network's unit
RATE_WEIGHT = 1.0  # price of a bit, in the squared error that one more bit per vector of the last stage would save
FULL = len(STAGES) * DEPTH


def depths(quality: int) -> tuple[int, ...]:
    """Bits a vector of every stage at a fine quality."""
    total = LEAST_DEPTH + (FULL - LEAST_DEPTH) * quality // MAX_FINE
    return tuple(min(max(total - DEPTH * stage, 0), DEPTH) for stage in range(len(STAGES)))


def full_quality(stage: int) -> int:
    """The least fine quality at which a stage is coded in full."""
    return -(-(DEPTH * (stage + 1) - LEAST_DEPTH) * MAX_FINE // (FULL - LEAST_DEPTH))


def grid_of(height: int, width: int, stride: int) -> tuple[int, int]:
    return -(-height // stride), -(-width // stride)


def _fine_bands() -> list[int]:
    ranks = band_frequencies(LEVELS)
    order = sorted(range(1, 64), key=lambda b: (sum(ranks[b]), max(ranks[b]), ranks[b]))
    count = FINE_SIZE - 3
    return [*order[: count - 4], *(64 + b for b in order[:2]), *(128 + b for b in order[:2])]


# packet bands that the last stages code, plane * 64 + band: lowest frequencies of gray, then of colours
FINE_BANDS = _fine_bands()
