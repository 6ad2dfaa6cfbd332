"""YUV to RGB and back against a plain numpy twin of the formulas in ITU-R BT.601, BT.709 and BT.2020."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.media import SRGB, Colour, Frame
from tessera.codec.media.colour import pack, rows, unpack

from ...support.media_samples import Pixels, picture

WEIGHTS = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def to_rgb(planes: list[NDArray[Any]], matrix: int, full: bool) -> NDArray[np.float64]:
    """The twin: planes of full size to RGB, not rounded."""
    red, blue = WEIGHTS[matrix]
    luma = planes[0].astype(np.float64) if full else (planes[0] - 16.0) * 255 / 219
    u, v = ((plane - 128.0) * (1 if full else 255 / 224) for plane in planes[1:])
    r, b = luma + 2 * (1 - red) * v, luma + 2 * (1 - blue) * u
    rgb: NDArray[np.float64] = np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], axis=-1)
    return rgb.clip(0, 255)


def to_yuv(rgb: Pixels, matrix: int, full: bool) -> NDArray[np.float64]:
    """The twin's way back: (H, W, 3) Y, U, V, not rounded."""
    red, blue = WEIGHTS[matrix]
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))
    luma, chroma = (luma, 1.0) if full else (16 + luma * 219 / 255, 224 / 255)
    return np.stack([luma, 128 + u * chroma, 128 + v * chroma], axis=-1)


def frame_of(
    planes: list[Pixels], pixel_format: str, matrix: int, color_range: int, size: tuple[int, int] | None = None
) -> av.VideoFrame:
    """A frame of `planes` of bytes; `size` is (width, height) where the first plane does not show it."""
    width, height = size or (planes[0].shape[1], planes[0].shape[0])
    frame = av.VideoFrame(width, height, pixel_format)
    frame.colorspace, frame.color_range = matrix, color_range
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows(plane)[: samples.shape[0], : samples.shape[1]] = samples
    return frame


@pytest.mark.parametrize("matrix", sorted(WEIGHTS))
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_reading_444_is_the_formula(matrix: int, color_range: int) -> None:
    random = np.random.default_rng(matrix)
    low, high = (0, 256) if color_range == 2 else (16, 236)  # FFmpeg overflows on limited samples far beyond white
    planes = [random.integers(low, high, (37, 53), dtype=np.uint8) for _ in range(3)]
    pixels, alpha = unpack(frame_of(planes, "yuv444p", matrix, color_range))
    assert alpha is None
    assert np.abs(pixels - np.rint(to_rgb(planes, matrix, color_range == 2))).max() <= 1


@pytest.mark.parametrize("matrix", [1, 2])
@pytest.mark.parametrize("size", [(48, 64), (47, 64), (33, 17), (2, 2), (1, 1)])
def test_reading_420_at_any_size(matrix: int, size: tuple[int, int]) -> None:
    """With flat chroma every way of enlarging it agrees."""
    luma = np.random.default_rng(0).integers(60, 180, size, dtype=np.uint8)
    small = (-(-size[0] // 2), -(-size[1] // 2))
    u, v = (np.full(small, value, np.uint8) for value in (100, 150))
    pixels, _ = unpack(frame_of([luma, u, v], "yuv420p", matrix, 1))
    full_size = [luma, np.full(size, 100), np.full(size, 150)]
    assert np.abs(pixels - to_rgb(full_size, matrix, False)).max() <= 1


@pytest.mark.parametrize(
    ("pixel_format", "wide", "high"),
    [("yuv420p", 2, 2), ("yuv422p", 2, 1), ("yuv411p", 4, 1), ("yuv444p", 1, 1), ("yuv420p10le", 2, 2)],
)
@pytest.mark.parametrize("matrix", [1, 2])
def test_reading_has_no_bias(pixel_format: str, wide: int, high: int, matrix: int) -> None:
    """FFmpeg's default conversion of small chroma is -1 to -1.5 levels off on average."""
    y, x = np.mgrid[0:96, 0:160]
    waves = [np.sin(x / 50), np.cos(y / 30), np.sin((x + y) / 51)]
    rgb = np.rint(np.stack([127 + 110 * wave for wave in waves], axis=-1)).astype(np.uint8)
    planes = np.moveaxis(to_yuv(rgb, matrix, False), -1, 0)
    small = [plane.reshape(96 // high, high, 160 // wide, wide).mean(axis=(1, 3)) for plane in planes[1:]]
    deep = pixel_format.endswith("le")
    stored = [np.rint(plane * (4 if deep else 1)).astype("<u2" if deep else "u1") for plane in (planes[0], *small)]
    frame = frame_of([plane.view(np.uint8) for plane in stored], pixel_format, matrix, 1, (160, 96))
    pixels, _ = unpack(frame)
    error = pixels.astype(float) - rgb
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.05 and np.sqrt((error**2).mean()) < 0.8


@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("full", [False, True])
def test_writing_444_is_the_formula(matrix: int, full: bool) -> None:
    pixels = picture(37, 53)
    packed = pack(Frame(pixels), "yuv444p", Colour(1, 13, matrix, full))
    assert (packed.colorspace, packed.color_range) == (matrix, 2 if full else 1)
    planes = np.stack([rows(plane)[:37, :53] for plane in packed.planes], axis=-1)
    assert np.abs(planes - to_yuv(pixels, matrix, full)).max() <= 1.5
    back, _ = unpack(packed)
    assert np.abs(back.astype(int) - pixels).max() <= 3


def test_writing_420_takes_the_mean_of_each_block() -> None:
    pixels = picture(36, 52)
    packed = pack(Frame(pixels), "yuv420p", Colour(1, 1, 1, False))
    chroma = to_yuv(pixels, 1, False)[..., 1:].reshape(18, 2, 26, 2, 2).mean(axis=(1, 3))
    got = np.stack([rows(plane)[:18, :26] for plane in packed.planes[1:]], axis=-1)
    assert np.abs(got - chroma).max() <= 1.5


def test_what_the_source_does_not_tag_is_not_tagged() -> None:
    """The samples of an untagged source are BT.601, as it was read, and so the same as before."""
    pixels = picture(8, 8)
    untagged, full, unknown = Colour(), Colour(full_range=True), Colour(matrix=8)
    for colour, tags in ((SRGB, (1, 1)), (untagged, (2, 1)), (full, (2, 2)), (unknown, (8, 1))):
        packed = pack(Frame(pixels), "yuv444p", colour)
        assert (packed.colorspace, packed.color_range) == tags
        matrix = 1 if colour.matrix == 0 else 6
        planes = np.stack([rows(plane)[:8, :8] for plane in packed.planes], axis=-1)
        assert np.abs(planes - to_yuv(pixels, matrix, colour.full_range and colour != SRGB)).max() <= 1.5


def test_gray_keeps_full_range_and_expands_limited() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    expanded = np.clip(np.rint((ramp[0] - 16.0) * 255 / 219), 0, 255)
    for color_range, expected in ((0, ramp[0]), (2, ramp[0]), (1, expanded)):
        pixels, _ = unpack(frame_of([ramp], "gray", 2, color_range))
        assert pixels.shape == (1, 256, 1)
        np.testing.assert_array_equal(pixels[0, :, 0], expected)


def test_gray_goes_out_as_rgb_without_a_tint() -> None:
    pixels = picture(20, 30, 1)
    packed = pack(Frame(pixels), "yuv420p", SRGB)
    assert all((rows(plane)[:10, :15] == 128).all() for plane in packed.planes[1:])
