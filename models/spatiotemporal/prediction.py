"""The temporal prior's prediction of a frame: motion-compensated latents of decoded frames, all in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..base.kernels import Field, Modes, Planes
from ..transform.levels import Levels, LevelTransform
from .velocity import Motion

BOTH = 2  # mode of a block that both references predict


@dataclass(frozen=True)
class Decoded:
    """A decoded frame, as far as later frames need it.

    surprise: how far its latents lay from their prediction; None where no frame is predicted from this one alone.
    """

    planes: Planes
    surprise: Levels | None
    motion: Motion


@dataclass(frozen=True)
class Prediction:
    """latents: the prediction; doubt: how far it may be wrong.  The prior's hints are made from both."""

    latents: Levels
    doubt: Levels


def predict(
    references: Sequence[Decoded],
    fields: Sequence[Field],
    modes: Modes | None,
    block: int,
    transform: LevelTransform,
) -> Prediction:
    """Predict from one frame, whose surprise is the doubt, or from two, whose difference is the doubt."""
    planes = [reference.planes for reference in references]

    def compensate(used: list[Planes], vectors: Sequence[Field], chosen: Modes | None) -> Planes:
        return transform.kernels.compensate(used, np.ascontiguousarray(np.stack(vectors)), chosen, block)

    latents = transform.analyse(compensate(planes, fields, modes))
    if len(references) == 1:
        doubt = references[0].surprise
        assert doubt is not None
        return Prediction(latents, doubt)
    first, second = (compensate([p], [f], None) for p, f in zip(planes, fields, strict=True))
    return Prediction(latents, transform.analyse(first - second))


def no_surprise(levels: Levels) -> Levels:
    return [np.zeros_like(level) for level in levels]


def surprise(latents: Levels, prediction: Levels) -> Levels:
    return [known - expected for known, expected in zip(latents, prediction, strict=True)]
