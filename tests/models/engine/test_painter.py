"""Networks in a weights file: there and back as arrays, and between the anchors of the quality."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.models.base.quality import ANCHORS, MAX_FINE, SPACING, at_quality
from tessera.models.engine.network import OFFSET_LIMIT, IntegerNetwork, Layer, Range, arrays_of, fixed, network_of
from tessera.models.engine.painter import Painter
from tessera.models.reference import integer_network as twin

from ...support.kernel_paths import available_paths, threads

FULL = Range(-32767, 32767)


def network() -> IntegerNetwork:
    """Every kind of layer; two layers share a table."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> NDArray[np.int8]:
        return rng.integers(-40, 41, shape).astype(np.int8)

    one, two = (rng.integers(-8000, 8001, count).astype(np.int16) for count in (300, 4096))
    layers = [
        Layer(0, weights(8, 1, 1, 5)),
        Layer(1, weights(8, 3, 3, 8), Range(), one),
        Layer(2, weights(8, 3, 3, 8), Range(-100, 4000), None, 1),
        Layer(3, weights(3, 3, 8), Range(), two),
        Layer(4, weights(6, 1, 1, 8), FULL, one.copy()),
    ]
    return IntegerNetwork(5, Range(-3000, 8000), layers)


def scales(count: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Of every anchor, (ANCHORS, count)."""
    rng = np.random.default_rng(2)
    size = (ANCHORS, count)
    return fixed(rng.choice([-1, 1], size) * 10.0 ** rng.uniform(-5, -1, size), rng.normal(0, 500, size))


def arrays() -> dict[str, NDArray[np.generic]]:
    return arrays_of(network(), *scales(network().outputs))


def test_there_and_back() -> None:
    made, found = network(), network_of(arrays())
    assert (found.channels, found.range, found.outputs) == (made.channels, made.range, made.outputs)
    for one, two in zip(made.layers, found.layers, strict=True):
        assert (one.source, one.range, one.add, one.depthwise) == (two.source, two.range, two.add, two.depthwise)
        np.testing.assert_array_equal(one.weights, two.weights, strict=True)
        assert (one.table is None) == (two.table is None)
        if one.table is not None and two.table is not None:
            np.testing.assert_array_equal(one.table, two.table, strict=True)


def test_a_table_that_layers_share_is_kept_once() -> None:
    assert sum(name.startswith("tables.") for name in arrays()) == 2
    assert arrays()["plan"].tolist()[0] == [5, 0, -3000, 8000, 0]
    assert [row[4] for row in arrays()["plan"].tolist()[1:]] == [-1, 0, -1, 1, 0]
    assert [row[1] for row in arrays()["plan"].tolist()[1:]] == [-1, -1, 1, -1, -1]


def interpolated(anchors: NDArray[np.int64], quality: int) -> list[int]:
    """Between the anchors around a quality, in fractions; halves go up."""
    place = Fraction(quality, SPACING)
    below = min(floor(place), len(anchors) - 2)
    rows = anchors[below].tolist(), anchors[below + 1].tolist()
    return [floor(a + (b - a) * (place - below) + Fraction(1, 2)) for a, b in zip(*rows, strict=True)]


@pytest.mark.parametrize("quality", [0, 1, 255, 256, 511, 512, 513, 3199, 6143, 6144, 6399, MAX_FINE])
def test_between_anchors(quality: int) -> None:
    rng = np.random.default_rng(quality)
    anchors = rng.integers(-OFFSET_LIMIT, OFFSET_LIMIT, (ANCHORS, 50), np.int64, endpoint=True)
    anchors[:, :25] = anchors[:, :25] >> rng.integers(20, 53, 25)
    anchors[:, 25] = OFFSET_LIMIT, *([-OFFSET_LIMIT, OFFSET_LIMIT] * 6), -OFFSET_LIMIT
    anchors[:, 26] = np.arange(ANCHORS) * 1001  # halves occur
    assert at_quality(anchors, quality).tolist() == interpolated(anchors, quality)


def test_anchors_reach_the_best_quality() -> None:
    assert (ANCHORS - 1) * SPACING >= MAX_FINE
    rows = np.arange(ANCHORS)[:, None]
    assert at_quality(rows, (ANCHORS - 1) * SPACING).tolist() == [ANCHORS - 1]  # no anchor stands behind the last


@pytest.mark.parametrize("path", available_paths())
def test_painter_runs_the_network_at_the_quality(path: str) -> None:
    made = arrays()
    painter, words = Painter(made, path), np.random.default_rng(3).integers(-4000, 9000, (7, 33, 5)).astype(np.int16)
    found = {}
    for quality in (0, 700, 4001, MAX_FINE):
        multipliers = np.array(interpolated(made["multipliers"].astype(np.int64), quality), np.int32)
        offsets = np.array(interpolated(made["offsets"].astype(np.int64), quality), np.int64)
        expected = twin.run(network(), words, multipliers, offsets)
        for count in (1, 3):
            with threads(count):
                np.testing.assert_array_equal(painter(words, quality), expected, strict=True)
        found[quality] = expected.tobytes()
    assert len(set(found.values())) == len(found)  # the quality matters


def test_offsets_that_cannot_be_interpolated_are_refused() -> None:
    """SPACING times an offset must fit 64 bits."""
    assert OFFSET_LIMIT * SPACING < 1 << 63
    with pytest.raises(ValueError, match="offset"):
        fixed(np.array([0.1]), np.array([float(OFFSET_LIMIT >> 32) + 2]))
    made = arrays()
    made["offsets"][3, 2] = OFFSET_LIMIT + 1
    with pytest.raises(ValueError, match="offset"):
        Painter(made).at(3 * SPACING)
