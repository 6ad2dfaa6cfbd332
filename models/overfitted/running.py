"""A whole fit: a race of starts, the long phase, networks on rounded latents; aims in bits or dB; kept states."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.fitted import Store
from .fitting import PictureFit, Score, State, heat, heat_steps, main_phase, rounded_phase
from .start import Floats

CANDIDATES, SURVIVORS = 5, 2  # starts that race, and how many go into the second heat
ROUNDED_PART, MOST_ROUNDED = 0.1, 500  # of the iterations, for networks on rounded latents
STEER_EVERY, STEER_UNTIL = 25, 0.8  # iterations between two looks at the aim, and the part of the fit that looks
STEER_POWER, STEER_MOST = 1.2, 1.4  # how a rate weight follows the ratio to the aim, and how far at once
SAVE_EVERY = 30.0  # seconds
COLLAPSED = 0.9  # of the error of one flat colour: a fit above it has found nothing
LEAST_COLLAPSED = 1.0  # squared gray levels

Watch = Callable[[float, Score], None]


@dataclass(frozen=True)
class Aim:
    """What a fit is to meet instead of a rate weight: bits of the grids, or a PSNR in dB."""

    bits: float | None = None
    psnr: float | None = None

    def steer(self, weight: float, seen: Score) -> float:
        """The rate weight that comes nearer."""
        if self.bits is not None:
            ratio = float((seen.bits / max(self.bits, 1.0)) ** STEER_POWER)
        elif self.psnr is not None:
            ratio = float(10 ** ((seen.psnr - self.psnr) / 10))
        else:
            return weight
        return weight * min(max(ratio, 1 / STEER_MOST), STEER_MOST)


class FitRun:
    """One fit from its starts to its end.

    Args:
        fit: The picture.
        iterations: Of all phases together.
        watch: Called after every iteration with the part that is done and what the pass measured.
        start: Parameters of the networks to start from; None: several cold starts race.
        store, key: Where the state is kept, for a later run to go on from the long phase; None keeps nothing.
    """

    def __init__(
        self,
        fit: PictureFit,
        iterations: int,
        aim: Aim,
        watch: Watch,
        start: Floats | None = None,
        store: Store | None = None,
        key: str = "",
    ) -> None:
        self.fit, self.iterations, self.aim, self.watch = fit, iterations, aim, watch
        self.store, self.key = store, key
        self.start = start
        self.heats = 0 if start is not None else heat_steps(iterations)
        racing = self.heats * (CANDIDATES + SURVIVORS)
        if 2 * racing > iterations:
            self.heats = racing = 0
        self.rounded = min(MOST_ROUNDED, int(ROUNDED_PART * iterations))
        self.long = iterations - racing - self.rounded
        self.done = 0
        self.saved = time.monotonic()

    def run(self) -> None:
        """KeyboardInterrupt passes; the fit then has the state that it was interrupted in."""
        first = self._load()
        if first is None:
            self._race()
            first = 0
        self.done = self.iterations - self.long - self.rounded + first
        for step, seen in enumerate(self.fit.run(main_phase(self.long), first), first + 1):
            if step % STEER_EVERY == 0 and step < STEER_UNTIL * self.long:
                self.fit.weight = self.aim.steer(self.fit.weight, seen)
            self._tell(seen)
            if self.store is not None and time.monotonic() - self.saved > SAVE_EVERY:
                self._save(step)
        self._follow(self.fit.run(rounded_phase(self.rounded)))

    def _race(self) -> None:
        """Several starts, fewer in a second heat; the best stays.  Short fits take the first start."""
        self.fit.start()
        if self.start is not None:
            self.fit.put(State(self.start, self.fit.get().latents))
        if not self.heats:
            return
        found: list[tuple[float, State]] = []
        for _ in range(CANDIDATES):
            self.fit.start()
            found.append(self._heat())
        for _, state in sorted(found, key=lambda one: one[0])[:SURVIVORS]:
            self.fit.put(state)
            found.append(self._heat())
        self.fit.put(min(found, key=lambda one: one[0])[1])

    def _heat(self) -> tuple[float, State]:
        self._follow(self.fit.run(heat(self.heats, self.fit.weight)))
        return self.fit.score().loss, self.fit.get()

    def _follow(self, steps: Iterator[Score]) -> None:
        for seen in steps:
            self._tell(seen)

    def _tell(self, seen: Score) -> None:
        self.done += 1
        self.watch(self.done / self.iterations, seen)

    # -- kept states -------------------------------------------------------------------------------------------------

    def _save(self, step: int) -> None:
        if self.store is None:
            return
        state = self.fit.get()
        arrays: dict[str, NDArray[Any]] = {f"latents.{i}": grid for i, grid in enumerate(state.latents)}
        numbers = np.array([step, self.fit.weight], np.float64)
        self.store.save(self.key, {"parameters": state.parameters, "numbers": numbers, **arrays})
        self.saved = time.monotonic()

    def _load(self) -> int | None:
        """Put the state that was kept; the step of the long phase that comes next."""
        kept = None if self.store is None else self.store.load(self.key)
        if kept is None:
            return None
        step, self.fit.weight = int(kept["numbers"][0]), float(kept["numbers"][1])
        latents = [kept[f"latents.{i}"] for i in range(len(self.fit.grids))]
        self.fit.put(State(kept["parameters"], latents))
        return min(step, self.long)


def has_collapsed(shown: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> bool:
    """Whether what a file shows is hardly nearer to the pixels than one flat colour; flat pixels may be a level off."""
    exact = pixels.astype(np.float64)
    flat = float(np.square(exact - exact.mean((0, 1))).mean())
    return float(np.square(exact - shown).mean()) > max(COLLAPSED * flat, LEAST_COLLAPSED)


def levels_of(height: int, width: int) -> int:
    """Levels of grids for a picture: coarser ones for larger pictures, at most one of a single cell."""
    pixels = height * width
    most = 7 if pixels < 1_000_000 else 8 if pixels < 3_000_000 else 9
    return min(most, math.ceil(math.log2(max(height, width))) + 1)
