"""Numbers that the kernels' C++ and Python both have are the same: every one that constants.hpp holds, part by part."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tessera.models import _kernels
from tessera.models.motion import field
from tessera.models.prior import bands as prior
from tessera.models.prior import exchange, fixed_point, ladder
from tessera.models.reference import motion
from tessera.models.spatiotemporal import group, model, prediction, steps
from tessera.models.transform import bands, lifted, packet


def floats(values: Any) -> list[float]:
    """As the kernels hold them."""
    array: NDArray[np.float32] = np.asarray(values, np.float32)
    return [float(value) for value in array]


def test_parts() -> None:
    assert set(_kernels.CONSTANTS) == {"ladder", "prior", "transform", "exact", "motion"}


def test_ladder() -> None:
    assert _kernels.CONSTANTS["ladder"] == {
        "TABLES": ladder.TABLES,
        "PER_OCTAVE": ladder.PER_OCTAVE,
        "RUNGS": ladder.RUNGS,
        "MARGINS": ladder.REACH + 3,  # 0 .. REACH + 1, and what is larger
        "LARGEST": exchange.LARGEST,
        "COST_UNIT": ladder.SPENT_UNIT,
        "COST_REACH": ladder.COST_REACH,
    }


def test_prior() -> None:
    reached = prior.features(torch.arange(256))
    levels = range(1, prior.FEATURE_MAX + 1)
    near = prior.Slice(hidden=4, count=1, first=0, reach=0).near.weight
    assert _kernels.CONSTANTS["prior"] == {
        "NEAR_REACH": near.shape[-1] // 2,
        "ACTIVATION_SHIFT": prior.ACTIVATION_SHIFT,
        "ANSWER_SHIFT": prior.ANSWER_SHIFT,
        "ACTIVATION_MAX": fixed_point.ACTIVATION_MAX,
        "FEATURE_MAX": prior.FEATURE_MAX,
        "ACCUMULATOR_LIMIT": fixed_point.ACCUMULATOR_LIMIT,
        "FEATURE_FROM": tuple(1 + int((reached < level).sum()) for level in levels),
    }


def test_transform() -> None:
    constants = dict(_kernels.CONSTANTS["transform"])
    axes = np.array(bands.AXES)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)  # in double precision, which `colour_matrix` is not
    assert floats(constants.pop("LIFTING")) == floats(packet.LIFTING)
    assert floats(constants.pop("AXES")) == floats([axes[0, 0], axes[1, 0], -axes[2, 0]])
    assert constants == {"CELL": bands.CELL, "BANDS": 3 * bands.CELL**2, "LOW_GAIN": packet.LOW_GAIN}
    assert constants["BANDS"] == model.OUTPUTS


def test_transform_in_integers() -> None:
    axes = lifted.matrix()
    assert _kernels.CONSTANTS["exact"] == {
        "FRACTION_BITS": lifted.FRACTION_BITS,
        "LIFTING": lifted.LIFTING,
        "UNITS": lifted.UNITS,
        "MATRIX_BITS": lifted.MATRIX_BITS,
        "AXES": (axes[0, 0], axes[1, 0], -axes[2, 0]),
        "SAMPLE_LIMIT": lifted.SAMPLE_LIMIT,
        "BAND_LIMIT": lifted.BAND_LIMIT,
        "STEP_BITS": lifted.STEP_BITS,
        "HINT_BITS": lifted.HINT_BITS,
        "HINT_LIMIT": lifted.HINT_LIMIT,
    }
    assert (steps.STEP_BITS, steps.HINT_BITS) == (lifted.STEP_BITS, lifted.HINT_BITS)


def test_motion() -> None:
    assert _kernels.CONSTANTS["motion"] == {
        "FILTERS": tuple(map(tuple, motion.FILTERS.tolist())),
        "BEFORE": motion.BEFORE,
        "LARGEST": motion.LARGEST,
        "BLOCKS": group.BLOCKS,
        "LONGEST_VECTOR": field.LIMIT - 1,
        "BOTH": prediction.BOTH,
    }
    assert prediction.BOTH == field.MODES - 1
