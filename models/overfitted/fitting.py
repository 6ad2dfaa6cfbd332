"""Fitting a picture: latents and networks by gradient descent on error + rate weight * bits per pixel.

The recipe is that of the Cool-chic line (Ladune et al., 2023, to version 5 of 2025) after C3 (Kim et al., 2024):
several starts race for a few steps, the best goes on with rounding ever less soft, and networks end on rounded latents.

Errors are mean squared ones of pixels in 0..1, rates are bits per pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _fit
from ..base.kernels import threads
from ..base.quality import MAX_FINE
from .shape import PLACES, POINTS, grid_shapes, tensor_shapes
from .soap import EPSILON, Soap
from .start import Floats, cold_start

MIDDLE_WEIGHT, MIDDLE_QUALITY = 1e-3, 0.48  # the rate weight at this part of the range of qualities
OCTAVES = 13.0  # of rate weights over the range: twice those of the other families' steps
RATE = 1e-2  # of learning, networks and latents (those in sixteenths of a step)
LAST_RATE = 1e-5
LARGEST_NORM = 0.1  # of the networks' gradient
ROUNDED_RATE, SHORT_RATE = 1e-4, 6e-3


def rate_weight(quality: int) -> float:
    """Mean squared error, pixels in 0..1, that a bit per pixel is worth at a fine quality."""
    return float(MIDDLE_WEIGHT * 2.0 ** (-OCTAVES * (quality / MAX_FINE - MIDDLE_QUALITY)))


class Score(NamedTuple):
    """Of rounded latents."""

    loss: float
    error: float
    bits: float

    @property
    def psnr(self) -> float:
        return -10 * math.log10(max(self.error, 1e-12))


@dataclass
class State:
    """What a fit changes."""

    parameters: Floats
    latents: list[Floats] = field(default_factory=list)


class Phase(NamedTuple):
    """Steps under one schedule; pairs are start and end, between them a line."""

    steps: int
    rate: float
    decays: bool  # the rate, as a cosine
    temperature: tuple[float, float]
    deviation: tuple[float, float]
    betas: tuple[float, float]  # of latents
    turn_every: int
    latents: bool = True  # whether they are stepped

    def rate_at(self, part: float) -> float:
        """After this part of the steps, 0..1."""
        if not self.decays:
            return self.rate
        return LAST_RATE + (self.rate - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * part))


def heat(steps: int, weight: float) -> Phase:
    """A race of starts."""
    deviation = (0.747 - 0.432 * math.log10(weight)) / 10
    return Phase(steps, RATE, False, (0.35, 0.35), (deviation, deviation), (0.725, 0.97), 1)


def heat_steps(iterations: int) -> int:
    """Steps of a heat, from a fit's whole length."""
    return 50 if iterations < 4000 else 100 if iterations < 9000 else 200 if iterations < 12000 else 400


def main_phase(steps: int) -> Phase:
    return Phase(steps, RATE, True, (0.35, 0.08), (0.22, 0.15), (0.9, 0.999), 10)


def short_phase(steps: int) -> Phase:
    """On from the end of the long phase, for a rate weight that is a little different."""
    return Phase(steps, SHORT_RATE, True, (0.1, 0.08), (0.15, 0.15), (0.9, 0.999), 10)


def rounded_phase(steps: int) -> Phase:
    """Networks alone, on rounded latents."""
    return Phase(steps, ROUNDED_RATE, True, (0.0, 0.0), (0.0, 0.0), (0.9, 0.999), 10, latents=False)


class PictureFit:
    """One picture at work.

    Args:
        pixels: uint8 (height, width, 1 or 3).
        point: Operating point, a number of `shape.POINTS`.
        levels: Of grids.
        weight: Rate weight.
        seed: Of starts and noise.
        path: Instruction set of the loops, see `_fit.cpu_paths`; None takes the fastest.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], point: int, levels: int, weight: float, seed: int = 0, path: str | None = None
    ) -> None:
        height, width, channels = pixels.shape
        chosen = POINTS[point]
        self.point, self.levels, self.weight = point, levels, weight
        self.shape = (height, width, channels)
        sizes = (PLACES[: chosen.spatial], chosen.features, chosen.width, chosen.windows)
        self.fit = _fit.Fit(np.ascontiguousarray(pixels), levels, *sizes, seed, path)
        self.tensors = tensor_shapes(point, levels, channels)
        self.mean = pixels.mean((0, 1), np.float64) / 255
        self.random = np.random.default_rng(seed)
        self.state = State(np.zeros(self.fit.parameters, np.float32))
        self.grids = grid_shapes(height, width, levels)

    @property
    def pixels(self) -> int:
        return self.shape[0] * self.shape[1]

    def start(self) -> None:
        """Fresh networks that paint the mean colour, latents of zero."""
        values = [cold_start(shape, self.random, self.mean).ravel() for shape in self.tensors]
        self.put(State(np.concatenate(values).astype(np.float32), [np.zeros(g[2:], np.float32) for g in self.grids]))

    def get(self) -> State:
        """A copy of the state."""
        latents = [self.fit.latents(i).copy() for i in range(len(self.grids))]
        return State(self.state.parameters.copy(), latents)

    def put(self, state: State) -> None:
        self.state.parameters = state.parameters.copy()
        for i, latents in enumerate(state.latents):
            self.fit.latents(i)[...] = latents

    def score(self, parameters: Floats | None = None) -> Score:
        """Of rounded latents, with other networks where they are given."""
        networks = self.state.parameters if parameters is None else parameters
        error, bits, _ = self.fit.measure(networks, 0.0, 0.0, self.weight, False, threads())
        return Score(error + self.weight * bits / self.pixels, error, bits)

    def run(self, phase: Phase, first: int = 0) -> Iterator[Score]:
        """Step after step, from step `first` on; yields what the noisy pass of each step measured."""
        optimiser = Soap(self.fit.parameters, self._matrices(), phase.turn_every)
        self.fit.forget_steps()
        for step in range(first, phase.steps):
            part = step / phase.steps
            rate = phase.rate_at(part)
            temperature, deviation = (a + (b - a) * part for a, b in (phase.temperature, phase.deviation))
            softness = temperature, deviation
            error, bits, gradient = self.fit.measure(self.state.parameters, *softness, self.weight, True, threads())
            norm = float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))
            if math.isfinite(norm):  # a step that overflowed is left out
                if norm > LARGEST_NORM:
                    gradient *= np.float32(LARGEST_NORM / norm)
                optimiser.step(self.state.parameters, gradient, rate)
                if phase.latents:
                    beta1, beta2 = phase.betas
                    count = step - first + 1
                    corrections = 1 / (1 - beta1**count), 1 / (1 - beta2**count)
                    self.fit.step_latents(rate, beta1, beta2, *corrections, EPSILON, threads())
            yield Score(error + self.weight * bits / self.pixels, error, bits)

    def _matrices(self) -> list[tuple[int, int, int]]:
        found, at = [], 0
        for shape in self.tensors:
            if len(shape.shape) > 1 and not shape.name.startswith("upsampling") and shape.size:
                found.append((at, shape.shape[0], shape.size // shape.shape[0]))
            at += shape.size
        return found
