"""Guesses the motion of a frame from that of decoded frames, at constant velocity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base.kernels import Field
from .order import Place


@dataclass(frozen=True)
class Motion:
    """The fields of a decoded frame."""

    fields: dict[int, Field]  # number of the reference -> field


def guess(place: Place, motions: dict[int, Motion]) -> list[Field | None]:
    """A field towards each reference of `place`, scaled from the motion between its references where there is one.

    The references of a frame between two others refer to each other in one direction; a key frame takes the velocity
    of the key frame before.
    """
    first = place.references[0]
    if len(place.references) == 2:
        second = place.references[1]
        for start, end in ((second, first), (first, second)):
            field = motions[start].fields.get(end)
            if field is not None:
                return [scaled(field, number - place.number, end - start) for number in place.references]
        return [None, None]
    for end, field in motions[first].fields.items():
        return [scaled(field, first - place.number, end - first)]
    return [None]


def scaled(field: Field, distance: int, span: int) -> Field:
    """field * distance / span, rounded half up in integers."""
    if span < 0:
        distance, span = -distance, -span
    product = field.astype(np.int32) * (2 * distance) + span
    return (product // (2 * span)).clip(-2048, 2047).astype(np.int16, order="C")
