"""Learned starts of fits: parameters that fits of many pictures begin from, and end not far away from.

Nichol et al., "On First-Order Meta-Learning Algorithms" (Reptile), 2018: a short fit of one crop after another, and
after each a step from the start towards what the fit has found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..overfitted.fitting import Phase, PictureFit, State
from ..overfitted.start import LEVELS, Floats

STEPS, FIRST_RATE, RATE = 200, 1e-2, 4e-3  # of each fit; the first begins cold and learns faster
SIDE = 176  # of a crop: a fit takes a second or two
FARTHEST, NEAREST = 0.55, 0.05  # parts of the way that the start moves, in the beginning and at the end


def phase(steps: int, rate: float) -> Phase:
    """A whole fit that is short: rounding hardens, and the rate falls to its end."""
    return Phase(steps, rate, True, (0.35, 0.12), (0.22, 0.15), (0.9, 0.99), 5)


def learn_start(
    pictures: Sequence[NDArray[np.uint8]],
    point: int,
    weight: float,
    progress: Callable[[], float],
    seed: int = 0,
    start: Floats | None = None,
) -> Floats:
    """Fit crops of `pictures`, uint8 (H, W, 3), until `progress` says 1; the parameters to start from.

    start: to go on from; None begins cold.
    """
    random = np.random.default_rng(seed)
    while (done := progress()) < 1:
        picture = pictures[random.integers(len(pictures))]
        y, x = (int(random.integers(max(1, side - SIDE))) for side in picture.shape[:2])
        fit = PictureFit(picture[y : y + SIDE, x : x + SIDE], point, LEVELS, weight, int(random.integers(1 << 31)))
        fit.start()
        if start is not None:
            fit.put(State(start, fit.get().latents))
        for _ in fit.run(phase(STEPS, FIRST_RATE if start is None else RATE)):
            pass
        found = fit.state.parameters
        if not np.isfinite(found).all():
            continue
        move = np.float32(FARTHEST + (NEAREST - FARTHEST) * done)
        start = found.copy() if start is None else start + move * (found - start)
    if start is None:
        raise ValueError("no fit was done: the time is too short")
    return start
