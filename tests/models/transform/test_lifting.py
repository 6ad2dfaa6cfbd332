"""The integer transform against its twin on every path, its inverse, and the float transform that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tessera.data import procedural
from tessera.models import _kernels
from tessera.models.prior.native import pass_order
from tessera.models.reference import lifting as twin
from tessera.models.transform import packet as wp
from tessera.models.transform.bands import LEVELS, PYRAMID, pyramid_sizes, slice_bands
from tessera.models.transform.gains import factors
from tessera.models.transform.lifted import BAND_LIMIT, LIFTING, LOW_FACTOR, SAMPLE_LIMIT
from tessera.models.wavelet.model import WaveletModel

from ...support.kernel_paths import available_paths

SIZES = [(1, 1), (7, 9), (17, 130), (90, 300)]
ORDER = np.array([band for part in slice_bands() for band in part], np.int32)
EVERY = np.array([band for band in range(192) if band % 64], np.int32)
ORDERS = (ORDER, EVERY)
ENDS = np.iinfo(np.int32)


@pytest.fixture(scope="module", params=available_paths())
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def picture(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    full = procedural.picture(max(height, 64), max(width, 64))
    return np.ascontiguousarray(full[:height, :width, :channels])


def hostile(*shape: int) -> NDArray[np.int32]:
    """Small numbers, some of all sizes, and both ends of the range."""
    rng = np.random.default_rng(6)
    wild = rng.integers(ENDS.min, ENDS.max, shape, np.int64, endpoint=True) >> rng.integers(0, 31, shape)
    ends = rng.choice([ENDS.min, ENDS.max], shape)
    return np.where(rng.random(shape) < 0.1, ends, wild).astype(np.int32)


@dataclass
class Expected:
    """What the twin makes of a picture."""

    pixels: NDArray[np.uint8]
    planes: NDArray[np.int16]
    bands: list[tuple[NDArray[np.int32], NDArray[np.int32]]]  # packet and low plane for each of ORDERS
    back: list[NDArray[np.int16]]
    pyramid: tuple[list[NDArray[np.int32]], NDArray[np.int32]]


@lru_cache
def expected(size: tuple[int, int], channels: int) -> Expected:
    pixels = picture(*size, channels)
    planes = twin.exact_planes(pixels)
    bands = [twin.exact_analyse(planes, order) for order in ORDERS]
    back = [twin.exact_synthesise(*pair, order) for pair, order in zip(bands, ORDERS, strict=True)]
    return Expected(pixels, planes, bands, back, twin.exact_pyramid(bands[0][1], PYRAMID))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_twin_inverts(size: tuple[int, int], channels: int) -> None:
    """With every band, what went in comes back."""
    known = expected(size, channels)
    np.testing.assert_array_equal(known.back[-1], known.planes)
    np.testing.assert_array_equal(twin.exact_pixels(known.planes, *size, channels), known.pixels, strict=True)
    plane = known.bands[0][1]
    details, low = known.pyramid
    np.testing.assert_array_equal(twin.exact_unpyramid(details, low, *plane.shape[1:]), plane, strict=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("threads", [1, 2])
def test_twin(path: str, size: tuple[int, int], channels: int, threads: int) -> None:
    """The twin's integers at every stage from pixels to bands and back."""
    known = expected(size, channels)
    planes = _kernels.exact_planes(known.pixels, threads, path)
    np.testing.assert_array_equal(planes, known.planes, strict=True)
    for order, (packet, plane), back in zip(ORDERS, known.bands, known.back, strict=True):
        mine, low = _kernels.exact_analyse(planes, order, threads, path)
        np.testing.assert_array_equal(mine, packet, strict=True)
        np.testing.assert_array_equal(low, plane, strict=True)
        np.testing.assert_array_equal(_kernels.exact_synthesise(packet, plane, order, threads, path), back, strict=True)
    details, low = _kernels.exact_pyramid(plane, PYRAMID, threads, path)
    for one, theirs in zip([*details, low], [*known.pyramid[0], known.pyramid[1]], strict=True):
        np.testing.assert_array_equal(one, theirs, strict=True)
    height, width = plane.shape[1:]
    np.testing.assert_array_equal(
        _kernels.exact_unpyramid(details, low, height, width, threads, path), plane, strict=True
    )
    again = _kernels.exact_pixels(planes, *size, channels, threads, path)
    np.testing.assert_array_equal(again, known.pixels, strict=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [1, 2])
def test_lifted_pictures_and_planes(path: str, size: tuple[int, int], threads: int) -> None:
    """Clipped, with the last row and column repeated up to whole cells; back, what lies beyond is cut off."""
    lifted = np.random.default_rng(size[0]).integers(-6000, 6000, (3, *size), np.int32)
    lifted[:, -1, -1], lifted[0, 0, 0] = ENDS.max, ENDS.min
    clipped = np.clip(lifted, -4095, 4095)
    sides = ((0, 0), (0, -size[0] % 8), (0, -size[1] % 8))
    planes = _kernels.exact_pad(lifted, threads, path)
    np.testing.assert_array_equal(planes, np.pad(clipped, sides, "edge").astype(np.int16), strict=True)
    np.testing.assert_array_equal(_kernels.exact_crop(planes, *size, threads), clipped, strict=True)


def test_exact_values() -> None:
    """Numbers worked out by hand, which no change of the arithmetic may move."""
    assert LIFTING == (-6496, -217, 3616, 1817)
    white = np.full((8, 8, 3), 255, np.uint8)
    planes = _kernels.exact_planes(white)
    assert planes[:, 0, 0].tolist() == [3520, 0, 0]  # 16 * 127 * sqrt(3) = 3519.53
    flat = np.zeros((3, 8, 8), np.int16)
    flat[0] = 1000
    # high: 1000 - 3172.4 -> -2172; low: 1000 + 230.1 -> 1230; high: -2172 + 2171.7 -> 0; low: 1230 + 0
    low, high = twin.split(flat.astype(np.int64), 2)
    assert (low[0] == 1230).all() and (high[0] == 0).all()
    # 1000 * 1.230174 ** 6 = 3465.9
    assert int(_kernels.exact_analyse(flat, EVERY)[1][0, 0, 0]) == 3465


@pytest.mark.parametrize("size", [(8, 8), (61, 90), (200, 300)])
def test_float_transform(size: tuple[int, int]) -> None:
    """Times factors(), integers are the coefficients of the float transform but for rounding, of the factors too."""
    pixels = picture(*size, 3)
    bands = WaveletModel(8, 1).analyse(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
    planes = _kernels.exact_planes(pixels)
    packet, plane = _kernels.exact_analyse(planes, ORDER)
    details, low = _kernels.exact_pyramid(plane, PYRAMID)
    levels = zip([packet, *details, low], factors(), [bands.packet, *bands.details, bands.low], strict=True)
    for mine, factor, theirs in levels:
        error = (torch.from_numpy(mine) * factor[:, None, None] - theirs[0]).abs()
        assert float(error.max()) < 3.0 + 0.004 * float(theirs.abs().max())
    packet_error = torch.from_numpy(packet) * factors()[0][:, None, None] - bands.packet[0]
    assert float(packet_error.abs().mean()) < 0.15
    assert factors()[0].shape == (len(ORDER),) and factors()[-1].shape == (3,)
    exact = wp.packet(torch.from_numpy(planes)[None].double() / 16, LEVELS)[0, :, 0]
    assert float((torch.from_numpy(plane) * LOW_FACTOR - exact).abs().max()) < 1.0 + 0.004 * float(exact.abs().max())


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 33)])
@pytest.mark.parametrize("threads", [1, 2])
def test_hostile_bands(path: str, size: tuple[int, int], threads: int) -> None:
    for values in (hostile, lambda *s: np.full(s, ENDS.min, np.int32), lambda *s: np.full(s, ENDS.max, np.int32)):
        packet, low = values(len(ORDER), *size), values(3, *size)
        planes = _kernels.exact_synthesise(packet, low, ORDER, threads, path)
        np.testing.assert_array_equal(planes, twin.exact_synthesise(packet, low, ORDER), strict=True)
        sizes = pyramid_sizes(*size, 2)
        details, coarse = [values(9, *s) for s in sizes[1:]], values(3, *sizes[-1])
        merged = _kernels.exact_unpyramid(details, coarse, *size, 1, path)
        np.testing.assert_array_equal(merged, twin.exact_unpyramid(details, coarse, *size), strict=True)
        for mine, theirs in zip(_kernels.exact_pyramid(low, 2, 1, path)[0], twin.exact_pyramid(low, 2)[0], strict=True):
            np.testing.assert_array_equal(mine, theirs, strict=True)


def test_largest_gains_stay_within_32_bits(path: str) -> None:
    """Samples and bands of either sign at the clamps, with the signs that each filter adds up most."""
    rng = np.random.default_rng(7)
    for trial in range(20):
        signs = np.sign(rng.standard_normal((3, 16, 24)))
        if trial < 4:
            y, x = np.indices((16, 24))
            signs[:] = (-1.0) ** (y * (trial & 1) + x * (trial >> 1))
        planes = (signs * 32767).astype(np.int16)
        packet, low = _kernels.exact_analyse(planes, ORDER, 1, path)
        same = twin.exact_analyse(planes, ORDER)
        np.testing.assert_array_equal(packet, same[0])
        np.testing.assert_array_equal(low, same[1])
        bands = (np.sign(rng.standard_normal((128, 2, 3))) * BAND_LIMIT).astype(np.int32)
        back = _kernels.exact_synthesise(bands[3:], bands[:3], ORDER, 1, path)
        np.testing.assert_array_equal(back, twin.exact_synthesise(bands[3:], bands[:3], ORDER))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_of_any_samples(path: str, channels: int) -> None:
    planes = hostile(3, 16, 24).astype(np.int16)
    pixels = _kernels.exact_pixels(planes, 13, 20, channels, 1, path)
    np.testing.assert_array_equal(pixels, twin.exact_pixels(planes, 13, 20, channels), strict=True)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (6, 34)])
@pytest.mark.parametrize("threads", [1, 2])
def test_symbols_and_hints(path: str, size: tuple[int, int], threads: int) -> None:
    symbols, prediction = hostile(20, *size), hostile(20, *size)[::-1].copy()
    rng = np.random.default_rng(8)
    steps = rng.integers(1, 2**31, 20) >> rng.integers(0, 24, 20) | 1
    steps[0] = 2**31 - 1
    reciprocals = rng.integers(0, 2**40, 20) >> rng.integers(0, 36, 20)
    reciprocals[:2] = 2**40 - 1, 0
    for known in (None, prediction):
        values = _kernels.restore(symbols, steps, known, threads, path)
        np.testing.assert_array_equal(values, twin.restore(symbols, steps, known), strict=True)
        assert int(np.abs(values).max()) <= BAND_LIMIT
    heard = _kernels.hints([prediction, symbols], reciprocals, threads, path)
    both = [twin.hints(source, reciprocals) for source in (prediction, symbols)]
    np.testing.assert_array_equal(heard, np.concatenate(both), strict=True)
    costs = rng.integers(0, 1 << 20, 256, np.int32)
    for known in (None, prediction):
        rest = symbols if known is None else symbols - known
        expected = int(costs[twin.hints(rest, reciprocals)].sum(dtype=np.int64))
        assert _kernels.effort(symbols, known, reciprocals, costs, threads, path) == expected


def test_restoring_rounds_half_up(path: str) -> None:
    symbols = np.array([[[-3, -1, 0, 1, 3]]], np.int32)
    half = np.array([1 << 15], np.int64)
    assert _kernels.restore(symbols, half, None, 1, path).ravel().tolist() == [-1, 0, 0, 1, 2]
    assert _kernels.restore(symbols, half, symbols * 10, 1, path).ravel().tolist() == [-31, -10, 0, 11, 32]


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (6, 34), (7, 8)])
@pytest.mark.parametrize("threads", [1, 2])
def test_scaled_residual(path: str, size: tuple[int, int], threads: int) -> None:
    bands, prediction = hostile(20, *size), hostile(20, *size)[::-1].copy()
    inverse = np.random.default_rng(9).random(20, np.float32)
    for known in (None, prediction):
        scaled = _kernels.scaled_residual(bands, known, inverse, threads, path)
        apart = bands.astype(np.float32) - np.float32(0 if known is None else known)
        expected = (apart * inverse[:, None, None]).reshape(20, -1)[:, pass_order(*size)]
        np.testing.assert_array_equal(scaled, expected, strict=True)


def integers(*shape: int) -> NDArray[np.int32]:
    return np.zeros(shape, np.int32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _kernels.exact_planes(np.zeros((8, 8), np.uint8)),
        lambda: _kernels.exact_planes(np.zeros((8, 8, 2), np.uint8)),
        lambda: _kernels.exact_planes(np.zeros((0, 8, 3), np.uint8)),
        lambda: _kernels.exact_pixels(np.zeros((3, 8, 8), np.int16), 9, 8, 3),
        lambda: _kernels.exact_pixels(np.zeros((3, 8, 8), np.int16), 8, 8, 2),
        lambda: _kernels.exact_pixels(np.zeros((3, 8, 8), np.int16), -1, 8, 3),
        lambda: _kernels.exact_analyse(np.zeros((3, 8, 12), np.int16), ORDER),
        lambda: _kernels.exact_analyse(np.zeros((1, 8, 8), np.int16), ORDER),
        lambda: _kernels.exact_analyse(np.zeros((3, 0, 8), np.int16), ORDER),
        lambda: _kernels.exact_analyse(np.zeros((3, 8, 8), np.int16), np.array([64], np.int32)),
        lambda: _kernels.exact_analyse(np.zeros((3, 8, 8), np.int16), np.array([192], np.int32)),
        lambda: _kernels.exact_analyse(np.zeros((3, 8, 8), np.int16), np.array([-1], np.int32)),
        lambda: _kernels.exact_analyse(np.zeros((3, 8, 8), np.int16), np.array([5, 5], np.int32)),
        lambda: _kernels.exact_synthesise(integers(2, 4, 4), integers(3, 4, 4), ORDER),
        lambda: _kernels.exact_synthesise(integers(125, 4, 4), integers(3, 4, 5), ORDER),
        lambda: _kernels.exact_synthesise(integers(125, 0, 4), integers(3, 0, 4), ORDER),
        lambda: _kernels.exact_pad(integers(2, 4, 4)),
        lambda: _kernels.exact_pad(integers(3, 0, 4)),
        lambda: _kernels.exact_crop(np.zeros((3, 8, 8), np.int16), 9, 8),
        lambda: _kernels.exact_crop(np.zeros((3, 8, 8), np.int16), 8, 0),
        lambda: _kernels.exact_pyramid(integers(2, 4, 4), 1),
        lambda: _kernels.exact_pyramid(integers(3, 4, 4), 17),
        lambda: _kernels.exact_unpyramid([integers(9, 2, 2)], integers(3, 2, 2), 5, 4),
        lambda: _kernels.exact_unpyramid([integers(9, 2, 2)], integers(3, 2, 3), 4, 4),
        lambda: _kernels.exact_unpyramid([], integers(3, 2, 2), 1 << 30, 1 << 30),
        lambda: _kernels.restore(integers(2, 3, 3), np.array([1, 0]), None),
        lambda: _kernels.restore(integers(2, 3, 3), np.array([1, 2**31]), None),
        lambda: _kernels.restore(integers(2, 3, 3), np.array([1]), None),
        lambda: _kernels.restore(integers(2, 3, 3), np.array([1, 1]), integers(2, 3, 4)),
        lambda: _kernels.hints([integers(2, 3, 3)], np.array([1, 2**40])),
        lambda: _kernels.hints([integers(2, 3, 3)], np.array([1, -1])),
        lambda: _kernels.scaled_residual(integers(2, 3, 3), integers(1, 3, 3), np.ones(2, np.float32)),
        lambda: _kernels.scaled_residual(integers(2, 3, 3), None, np.ones(3, np.float32)),
    ],
)
def test_wrong_arguments_raise(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        call()


def test_wrong_types_raise() -> None:
    with pytest.raises(TypeError):
        _kernels.exact_unpyramid([np.zeros((9, 2, 2))], integers(3, 2, 2), 4, 4)  # type: ignore[list-item]
    with pytest.raises(TypeError):
        _kernels.exact_analyse(np.zeros((3, 8, 8), np.int32), ORDER)


def test_sample_limit() -> None:
    low = integers(3, 2, 2)
    low[0] = BAND_LIMIT
    planes = _kernels.exact_synthesise(integers(125, 2, 2), low, ORDER)
    assert int(planes.max()) == SAMPLE_LIMIT and int(np.abs(planes[1:]).max()) == 0
