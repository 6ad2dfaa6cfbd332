"""Which bands a picture has, and in which slices they are coded."""

from __future__ import annotations

from functools import cache

LEVELS = 3  # packet levels: bands at 1/8 resolution
CELL = 1 << LEVELS
PYRAMID = 4  # further dyadic levels of the low bands
COLOUR_BANDS = 32  # bands kept of each colour axis
AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 2.0, -1.0))  # rows are orthogonal; normalised below
LARGEST_STEP, OCTAVES = 320.0, 6.5  # step = LARGEST_STEP * 2 ** (-OCTAVES * quality / 100)
# brings both synthesis filters of the wavelet close to unit norm: the low band times this, the high one by it
LOW_GAIN = 2.0**0.5 / 1.230174104914001
RATE_WEIGHT = 0.14  # squared error in steps that one bit is worth when a coefficient is rounded


def slice_bands() -> list[list[int]]:
    """Packet bands of each slice, as indices plane * 64 + band, gray slices first, low frequencies first."""
    ranks = band_frequencies(LEVELS)
    order = sorted(range(1, 64), key=lambda b: (max(ranks[b]), sum(ranks[b]), ranks[b]))
    octave = [[b for b in order if low <= max(ranks[b]) < high] for low, high in ((1, 2), (2, 4), (4, 6), (6, 8))]
    by_sum = sorted(range(1, 64), key=lambda b: (sum(ranks[b]), max(ranks[b]), ranks[b]))[: COLOUR_BANDS - 1]
    near = [b for b in by_sum if max(ranks[b]) < 2]
    far = [b for b in by_sum if max(ranks[b]) >= 2]
    return [*octave, [p * 64 + b for p in (1, 2) for b in near], [p * 64 + b for p in (1, 2) for b in far]]


@cache
def slices_of(channels: int) -> int:
    """Slices of the packet that hold the first `channels` latent channels: the 3 low bands, then packet bands."""
    counts, found = [len(bands) for bands in slice_bands()], 0
    while found < len(counts) and 3 + sum(counts[:found]) < channels:
        found += 1
    return found


GRAY_SLICES = 4  # slices of the packet that hold gray bands
# side of each slice's context convolution: 1 x 1 for high frequencies took 1.2 % fewer bits at half the work
REACHES = (3, 3, 1, 1, 1, 0)


def band_frequencies(levels: int) -> list[tuple[int, int]]:
    """(vertical, horizontal) frequency rank of every packet band, 0 lowest.

    Splitting a high band turns its frequency axis round, so the bits of a band's path are the Gray code of its rank.
    """
    ranks = []
    for band in range(4**levels):
        path = [(band >> 2 * (levels - 1 - level)) & 3 for level in range(levels)]
        rank = []
        for shift in (1, 0):
            code, value = 0, 0
            for step in path:
                code ^= (step >> shift) & 1
                value = value << 1 | code
            rank.append(value)
        ranks.append((rank[0], rank[1]))
    return ranks


def pyramid_sizes(height: int, width: int, levels: int) -> list[tuple[int, int]]:
    """Sides of the plane (entry 0) and of each level's bands (entries 1..levels)."""
    sizes = [(height, width)]
    for _ in range(levels):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes
