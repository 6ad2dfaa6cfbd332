"""Numbers that the kernels' C++ and Python both have are the same: every one that constants.hpp holds, part by part."""

from __future__ import annotations

import math

import torch

from tessera.models import _kernels
from tessera.models.motion import field
from tessera.models.overfitted import shape, tables
from tessera.models.prior import bands as prior
from tessera.models.prior import dyadic_bands, exchange, fixed_point, ladder, offsets, quantisers, signs
from tessera.models.reference import motion
from tessera.models.spatiotemporal import group, prediction
from tessera.models.transform import bands, levels, lifted, steps


def test_parts() -> None:
    assert set(_kernels.CONSTANTS) == {"ladder", "prior", "trellis", "transform", "motion", "overfitted"}


def test_ladder() -> None:
    assert _kernels.CONSTANTS["ladder"] == {
        "TABLES": ladder.TABLES,
        "PER_OCTAVE": ladder.PER_OCTAVE,
        "RUNGS": ladder.RUNGS,
        "MARGINS": ladder.TABLE_REACH + 3,  # 0 .. TABLE_REACH + 1, and what is larger
        "LARGEST": exchange.LARGEST,
        "COST_UNIT": ladder.SPENT_UNIT,
        "COST_REACH": ladder.COST_REACH,
    }


def test_prior() -> None:
    reached = prior.features(torch.arange(256))
    reachable = range(1, prior.FEATURE_MAX + 1)
    near = prior.SliceNetwork(hidden=4, count=1, first=0, reach=0).near.weight
    assert _kernels.CONSTANTS["prior"] == {
        "NEAR_REACH": near.shape[-1] // 2,
        "ACTIVATION_SHIFT": prior.ACTIVATION_SHIFT,
        "ANSWER_SHIFT": prior.ANSWER_SHIFT,
        "ACTIVATION_MAX": fixed_point.ACTIVATION_MAX,
        "FEATURE_MAX": prior.FEATURE_MAX,
        "ACCUMULATOR_LIMIT": fixed_point.ACCUMULATOR_LIMIT,
        "VIEW_SHIFT": dyadic_bands.VIEW_SHIFT,
        "SIGN_TABLES": signs.SIGN_TABLES,
        "FEATURE_FROM": tuple(1 + int((reached < level).sum()) for level in reachable),
    }


def test_trellis() -> None:
    assert _kernels.CONSTANTS["trellis"] == {
        "STATES": quantisers.STATES,
        "STATE_FEEDBACK": quantisers.STATE_FEEDBACK,
        "VALUE_FEEDBACK": quantisers.VALUE_FEEDBACK,
        "MOST_CHAINS": quantisers.MOST_CHAINS,
        "CHAIN_VALUES": quantisers.CHAIN_VALUES,
        "ODD_TABLES": quantisers.ODD_TABLES,
        "RATE_COLUMNS": ladder.TABLE_REACH + 2,
        "HALF_STEP": quantisers.HALF_STEP,
        "LARGEST_RATE": quantisers.LARGEST_RATE,
        "OFFSET_REACH": offsets.OFFSET_REACH,
        "WEIGHED": offsets.WEIGHED,
    }


def test_transform() -> None:
    axes = lifted.matrix()
    assert _kernels.CONSTANTS["transform"] == {
        "CELL": bands.CELL,
        "BANDS": len(levels.EVERY) + 3,
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
        "LIMIT": field.LIMIT,
        "NEW": field.NEW,
        "MODES": field.MODES,
        "ROOT": field.ROOT,
        "CONTEXTS": tuple(math.prod(shape) for shape in field.KINDS.values()),
    }
    assert prediction.BOTH == field.MODES - 1


def test_overfitted() -> None:
    assert _kernels.CONSTANTS["overfitted"] == {
        "MAX_LEVELS": shape.MAX_LEVELS,
        "FEATURE_LEVELS": shape.FEATURE_LEVELS,
        "FIRST_HYPER": shape.FIRST_HYPER,
        "LARGEST": shape.LARGEST,
        "LARGEST_WEIGHT": shape.LARGEST_WEIGHT,
        "STRIP": shape.STRIP,
        "LAG": shape.LAG,
        "SCALES": tables.SCALES,
        "POINTS": [(point.spatial, point.features, point.width, point.windows) for point in shape.POINTS],
        "PLACES": list(shape.PLACES),
    }
