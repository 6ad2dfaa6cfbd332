"""The engine of integer networks against its twin, on every path, for every kind of layer and at every extreme."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.models import _kernels
from tessera.models.engine.network import LIMIT, ONE, IntegerNetwork, Layer, Range, fixed
from tessera.models.reference import integer_network as twin

from ...support.kernel_paths import available_paths

SIZES = [(1, 1), (1, 9), (2, 3), (7, 1), (5, 49), (13, 98)]
CHANNELS = [1, 2, 15, 16, 17, 33, 80, 96, 128, 192]
WORDS = Range()
FULL = Range(-32768, 32767)
SMALL = Range(-100, 255)


@pytest.fixture(scope="module", params=available_paths())
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def inputs(rng: np.random.Generator, height: int, width: int, channels: int, range_: Range) -> NDArray[np.int16]:
    """Some of them beyond the range, where the type holds them."""
    low, high = max(-32768, 2 * range_.low), min(32767, 2 * range_.high)
    return rng.integers(low, high, (height, width, channels), endpoint=True).astype(np.int16)


def weights(rng: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    """Small, with the two ends of the range now and then."""
    small = rng.normal(0, 12, shape).round()
    return np.where(rng.random(shape) < 0.01, rng.choice([-128, 127], shape), small).astype(np.int8)


def dense(rng: np.random.Generator, outputs: int, side: int, count: int) -> NDArray[np.int8]:
    return weights(rng, outputs, side, side, count)


def table(rng: np.random.Generator, entries: int) -> NDArray[np.int16]:
    """Some entries are beyond the range of words."""
    return rng.integers(-40000 // 4, 40000 // 4, entries, endpoint=True).astype(np.int16)


def scales(rng: np.random.Generator, network: IntegerNetwork) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Of both signs, with a few that lead far outside of every range."""
    count = network.outputs
    size = 10.0 ** rng.uniform(-6, -0.31, count)
    return fixed(size * rng.choice([-1, 1], count), rng.normal(0, 1000, count))


def agree(network: IntegerNetwork, x: NDArray[np.int16], path: str, rng: np.random.Generator, threads: int = 1) -> None:
    multipliers, offsets = scales(rng, network)
    expected = twin.run(network, x, multipliers, offsets)
    found = network.native().run(x, multipliers, offsets, threads, path)
    np.testing.assert_array_equal(found, expected)


def residual(rng: np.random.Generator, count: int, width: int, outputs: int) -> IntegerNetwork:
    """As the networks of the codecs are: in, one block, an affine layer with a table, out."""
    layers = [
        Layer(0, dense(rng, width, 1, count)),
        Layer(1, dense(rng, width, 3, width), table=table(rng, 300)),
        Layer(2, dense(rng, width, 3, width), add=1),
        Layer(3, np.full((1, 1, width), 64, np.int8), table=table(rng, 4096)),
        Layer(4, dense(rng, outputs, 1, width), FULL),
    ]
    return IntegerNetwork(count, WORDS, layers)


@pytest.mark.parametrize("height, width", SIZES)
def test_networks_of_every_size(path: str, height: int, width: int) -> None:
    rng = np.random.default_rng(height * 100 + width)
    agree(residual(rng, 37, 32, 20), inputs(rng, height, width, 37, WORDS), path, rng)


@pytest.mark.parametrize("count", CHANNELS)
@pytest.mark.parametrize("range_", [WORDS, SMALL], ids=["words", "small"])
def test_layers_of_every_width(path: str, count: int, range_: Range) -> None:
    rng = np.random.default_rng(count)
    outputs = CHANNELS[-1 - CHANNELS.index(count)]
    for side in (1, 3):
        for made in (WORDS, SMALL):
            network = IntegerNetwork(count, range_, [Layer(0, dense(rng, outputs, side, count), made)])
            agree(network, inputs(rng, 3, 14, count, range_), path, rng)
            network = IntegerNetwork(count, range_, [Layer(0, weights(rng, side, side, count), made)])
            agree(network, inputs(rng, 3, 14, count, range_), path, rng)


@pytest.mark.parametrize("threads", [2, 3, 64])
def test_threads(path: str, threads: int) -> None:
    rng = np.random.default_rng(threads)
    for height, width in ((1, 40), (9, 30), (31, 5)):
        agree(residual(rng, 20, 48, 17), inputs(rng, height, width, 20, WORDS), path, rng, threads)


@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize("which", ["low", "high"])
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("side", [1, 3])
def test_the_largest_sums(path: str, weight: int, which: str, depthwise: bool, side: int) -> None:
    """As many inputs as the bounds let through, all of them and all weights at an end of their ranges."""
    for range_ in (WORDS, SMALL, Range(-8191, 0), FULL):
        if side == 3 and not depthwise and range_ == FULL:
            continue
        reach = max(-range_.low, range_.high)
        limit = (1 << 29) if side == 3 and not depthwise else (1 << 31)
        count = 5 if depthwise else min((limit - 1) // (128 * reach * side * side), 2000)
        shape = (side, side, count) if depthwise else (18, side, side, count)
        network = IntegerNetwork(count, range_, [Layer(0, np.full(shape, weight, np.int8), FULL)])
        x = np.full((4, 13, count), range_.low if which == "low" else range_.high, np.int16)
        for factor in (2.0**-18, 2.0**-31, 0.4999):
            outputs = network.outputs
            multipliers, offsets = fixed(np.full(outputs, factor), np.zeros(outputs))
            expected = twin.run(network, x, multipliers, offsets)
            np.testing.assert_array_equal(network.native().run(x, multipliers, offsets, 1, path), expected)


def test_the_largest_scales(path: str) -> None:
    """Multipliers and offsets at the ends of what is taken: no step overflows."""
    rng = np.random.default_rng(4)
    network = IntegerNetwork(
        2000, WORDS, [Layer(0, dense(rng, 32, 1, 2000), FULL), Layer(1, dense(rng, 32, 1, 32), FULL, add=1)]
    )
    x = inputs(rng, 2, 15, 2000, WORDS)
    for m in (np.iinfo(np.int32).min, np.iinfo(np.int32).max, 0):
        for b in (-(1 << 61), 1 << 61, 0):
            multipliers, offsets = np.full(64, m, np.int32), np.full(64, b, np.int64)
            expected = twin.run(network, x, multipliers, offsets)
            np.testing.assert_array_equal(network.native().run(x, multipliers, offsets, 1, path), expected)


def test_rounding_is_to_the_nearest_and_halves_go_up(path: str) -> None:
    network = IntegerNetwork(1, WORDS, [Layer(0, np.ones((1, 1, 1), np.int8))])
    x = np.arange(-7, 8, dtype=np.int16).reshape(1, 15, 1)
    multipliers, offsets = fixed(np.array([0.25]), np.array([0.0]))
    found = network.native().run(x, multipliers, offsets, 1, path).ravel()
    np.testing.assert_array_equal(found, np.floor(np.arange(-7, 8) / 4 + 0.5))


def test_a_window_reads_zeros_outside(path: str) -> None:
    """The sum of ones around each cell counts the cells that lie inside."""
    network = IntegerNetwork(1, WORDS, [Layer(0, np.ones((1, 3, 3, 1), np.int8), FULL)])
    x = np.full((3, 4, 1), 8, np.int16)
    found = network.native().run(x, *fixed(np.array([0.125]), np.array([0.0])), 1, path)[..., 0]
    np.testing.assert_array_equal(found, [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]])


def test_bounds_are_proven_when_a_network_is_built() -> None:
    def build(count: int, side: int, range_: Range, weight: int = 127) -> _kernels.Network:
        heavy = np.full((1, side, side, count), weight, np.int8)
        return IntegerNetwork(count, range_, [Layer(0, heavy)]).native()

    build(57, 3, WORDS)  # 57 * 9 * 127 * 8191 < 2**29
    with pytest.raises(ValueError, match="overflow"):
        build(58, 3, WORDS)
    build(2064, 1, WORDS)  # 2064 * 127 * 8191 < 2**31
    with pytest.raises(ValueError, match="overflow"):
        build(2065, 1, WORDS)
    with pytest.raises(ValueError, match="14 bits"):
        build(1, 3, Range(-8192, 8191))


@pytest.mark.parametrize(
    "layer",
    [
        Layer(2, np.ones((4, 1, 1, 4), np.int8)),
        Layer(0, np.ones((4, 1, 1, 5), np.int8)),
        Layer(0, np.ones((4, 2, 2, 4), np.int8)),
        Layer(0, np.ones((4, 1, 1, 4), np.int8), Range(0, 32768)),
        Layer(0, np.ones((4, 1, 1, 4), np.int8), Range(5, 4)),
        Layer(0, np.ones((4, 1, 1, 4), np.int8), Range(-40000, 0)),
        Layer(0, np.ones((4, 1, 1, 4), np.int8), WORDS, np.zeros(4097, np.int16)),
        Layer(0, np.ones((4, 1, 1, 4), np.int8), WORDS, np.zeros(0, np.int16)),
        Layer(0, np.ones((4, 1, 1, 4), np.int8), WORDS, add=0),
        Layer(0, np.ones((4, 1, 1, 4), np.int8), WORDS, add=1),
        Layer(0, np.ones((0, 1, 1, 4), np.int8)),
    ],
)
def test_bad_layers_are_refused(layer: Layer) -> None:
    with pytest.raises(ValueError):
        IntegerNetwork(4, WORDS, [layer]).native()


def test_bad_runs_are_refused() -> None:
    network = IntegerNetwork(4, WORDS, [Layer(0, np.ones((3, 1, 1, 4), np.int8))]).native()
    x, multipliers, offsets = np.zeros((2, 2, 4), np.int16), np.zeros(3, np.int32), np.zeros(3, np.int64)
    with pytest.raises(ValueError):
        network.run(x[:, :, :3].copy(), multipliers, offsets)
    with pytest.raises(ValueError):
        network.run(x[:0], multipliers, offsets)
    with pytest.raises(ValueError):
        network.run(x, multipliers[:2].copy(), offsets)
    with pytest.raises(ValueError, match="offset"):
        network.run(x, multipliers, offsets + (1 << 61) + 1)
    with pytest.raises(TypeError):
        network.run(x.astype(np.uint8), multipliers, offsets)
    with pytest.raises(ValueError, match="half"):
        fixed(np.array([0.5]), np.array([0.0]))
    assert ONE == 1 << 32 and LIMIT == 8191
