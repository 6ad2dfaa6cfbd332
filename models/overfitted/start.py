"""Where a fit starts: tensors of the networks before the first step, by the names of `shape.tensor_shapes`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .shape import CUBIC, TensorShape

Floats = NDArray[np.float32]

ANSWER_SPREAD = 0.25  # of the context network's first answers; hidden layers start as the identity


def cold_start(shape: TensorShape, random: np.random.Generator) -> NDArray[np.float64]:
    """Hidden layers of the context network and windows as the identity, small synthesis, a cubic filter.

    Residual layers start at zero, so that the gradient sees a linear model first.
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
    else:
        values = np.zeros(size)
    return values
