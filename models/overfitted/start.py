"""Where a fit starts: tensors of the networks before the first step, by the names of `shape.tensor_shapes`.

A learned start is what many fits have in common (Nichol et al., "Reptile", 2018; `training/starts.py`): from it a fit
of 800 steps ends with a loss that is a few per cent lower.  There is one for each operating point and each of a few
rate weights, for RGB pictures with as many levels as most have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .shape import CUBIC, POINTS, TensorShape, tensor_shapes

Floats = NDArray[np.float32]

LEVELS, CHANNELS = 7, 3  # that learned starts are for

ANSWER_SPREAD = 0.25  # of the context network's first answers; hidden layers start as the identity


def cold_start(shape: TensorShape, random: np.random.Generator, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hidden layers of the context network and windows as the identity, small synthesis, a cubic filter.

    Residual layers start at zero, so that the gradient sees a linear model first.  `mean`, (channels,) in 0..1, is the
    colour that latents of zero give: from black, bright pictures take hundreds of steps to get there.
    """
    name, size = shape.name, shape.shape
    values: NDArray[np.float64]
    if name in ("context.3.weight", "context.beside.weight"):
        values = random.normal(size=size) * ANSWER_SPREAD
    elif name.startswith("features.") and not shape.is_bias:
        values = random.normal(size=size) / size[0] ** 2
    elif name == "upsampling.smooth":
        values = np.tile(np.array(CUBIC) / 4096, (size[0], 1))
    elif name == "upsampling.own":
        values = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (size[0], 1))
    elif name in ("synthesis.1.weight", "synthesis.2.weight", "synthesis.beside.weight"):
        values = random.uniform(-1, 1, size) / size[0] ** 2 / size[1] ** 0.5
    elif name == "synthesis.2.bias":
        values = mean.copy()
    else:
        values = np.zeros(size)
    return values


class LearnedStart(NamedTuple):
    """All parameters of a fit, and the rate weight that they were learned at."""

    weight: float
    parameters: Floats


Starts = Mapping[int, list[LearnedStart]]  # of each operating point


def read_starts(arrays: Mapping[str, NDArray[Any]]) -> Starts:
    """The starts of a weights file: `start.POINT` (starts, parameters) and `start.POINT.weights` (starts,).

    ValueError where a start is not that of the point.
    """
    found: dict[int, list[LearnedStart]] = {}
    for number, point in enumerate(POINTS):
        rows = arrays.get(f"start.{point.name}")
        if rows is None:
            continue
        size = sum(shape.size for shape in tensor_shapes(number, LEVELS, CHANNELS))
        if rows.ndim != 2 or rows.shape[1] != size:
            raise ValueError(f"start.{point.name} has shape {rows.shape}, not (starts, {size})")
        weights = arrays[f"start.{point.name}.weights"]
        found[number] = [LearnedStart(float(w), row.astype(np.float32)) for w, row in zip(weights, rows, strict=True)]
    return found


def nearest_start(starts: Starts, point: int, levels: int, channels: int, weight: float) -> Floats | None:
    """The parameters of the start of the nearest rate weight, None where there is none for such pictures."""
    known = starts.get(point, [])
    if (levels, channels) != (LEVELS, CHANNELS) or not known:
        return None
    return min(known, key=lambda start: abs(math.log(start.weight / weight))).parameters
