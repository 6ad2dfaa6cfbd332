"""Videos in and out: time stamps, sizes, rotation, colour description, exact pixels."""

from __future__ import annotations

import io
import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tessera.codec.errors import FormatError, ParameterError
from tessera.codec.media import Colour, Frame, MediaInfo, Source, from_array, open_source, write_media
from tessera.codec.media import colour as colours

from ...support.media_samples import UNEVEN, Pixels, alpha_of, clip, exact, make_video, psnr, save, times


def written(suffix: str, source: Source, **options: Any) -> Source:
    file = io.BytesIO()
    write_media(file, suffix, source.media, source.frames(), **options)
    file.seek(0)
    return open_source(file)


def stack(source: Source) -> Pixels:
    return np.stack([frame.pixels for frame in source.frames()])


def seconds(source: Source) -> list[Fraction]:
    return [frame.pts * source.time_base for frame in source.frames()]


@pytest.mark.parametrize("container", ["mp4", "matroska", "mov", "mpegts", "avi"])
def test_frames_and_times(container: str) -> None:
    pixels = clip(12, 48, 64)
    source = open_source(io.BytesIO(make_video(pixels, container)))
    assert (source.kind, source.width, source.height, source.channels) == ("video", 64, 48, 3)
    assert source.rate == 25 and not source.alpha
    shown = [round(float(time) * 25, 1) for time in seconds(source)]
    assert shown == list(range(12)) or (container == "avi" and shown == list(range(1, 13)))  # AVI delays B-frames
    assert psnr(stack(source), pixels) > 35


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_variable_frame_rate_is_exact(suffix: str) -> None:
    source = open_source(io.BytesIO(make_video(clip(10, 32, 32), vary=True)))
    expected = [pts * UNEVEN for pts in times(10)]
    assert seconds(source) == expected
    assert seconds(written(suffix, source)) == expected


def test_variable_frame_rate_in_matroska_is_to_the_millisecond() -> None:
    source = open_source(io.BytesIO(make_video(clip(10, 32, 32), vary=True)))
    for a, b in zip(seconds(source), seconds(written("mkv", source)), strict=True):
        assert abs(a - b) <= Fraction(1, 2000)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(1, 2)])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "y4m"])
def test_frame_rates_survive(rate: Fraction, suffix: str) -> None:
    back = written(suffix, from_array(clip(4, 16, 16), rate))
    assert abs(back.rate / rate - 1) < 1e-3
    assert [round(time * rate) for time in seconds(back)] == [0, 1, 2, 3]
    if suffix != "mkv":
        assert back.rate == rate


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 33), (16, 33), (17, 32), (64, 48)])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_any_size_lossless_and_lossy(size: tuple[int, int], suffix: str) -> None:
    pixels = clip(3, *size)
    source = from_array(pixels)
    np.testing.assert_array_equal(stack(written(suffix, source, lossless=True)), pixels)
    back = written(suffix, source, crf=4)
    assert (back.height, back.width) == size
    assert psnr(stack(back), pixels) > 26


def test_gray_lossless_is_exact_and_gray_again() -> None:
    pixels = clip(3, 20, 30, 1)
    back = written("mkv", from_array(pixels), lossless=True)
    assert back.channels == 1
    np.testing.assert_array_equal(stack(back), pixels)
    exact = written("mp4", from_array(pixels), lossless=True)
    np.testing.assert_array_equal(stack(exact), np.repeat(pixels, 3, axis=3))
    assert psnr(stack(written("mp4", from_array(pixels), crf=4)), np.repeat(pixels, 3, axis=3)) > 38


def test_alpha_is_lossless_in_matroska_and_refused_elsewhere() -> None:
    pixels = clip(3, 20, 31, 4)
    source = from_array(pixels)
    back = written("mkv", source, lossless=True)
    np.testing.assert_array_equal(stack(back), pixels[..., :3])
    for frame, array in zip(back.frames(), pixels, strict=True):
        np.testing.assert_array_equal(alpha_of(frame), array[..., 3])
    for suffix, lossless in (("mp4", False), ("mp4", True), ("mkv", False)):
        with pytest.raises(ParameterError, match="alpha"):
            written(suffix, source, lossless=lossless)


def test_alpha_in_webm() -> None:
    pixels = clip(3, 20, 31, 4)
    back = written("webm", from_array(pixels), crf=2)
    assert back.alpha and psnr(stack(back), pixels[..., :3]) > 25
    for frame, array in zip(back.frames(), pixels, strict=True):
        assert psnr(alpha_of(frame), array[..., 3]) > 35


@pytest.mark.parametrize("angle,turns", [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied(angle: int, turns: int) -> None:
    pixels = clip(3, 32, 48)
    source = open_source(io.BytesIO(make_video(pixels, rotation=angle)))
    turned = np.rot90(pixels, turns, axes=(1, 2))
    assert (source.height, source.width) == turned.shape[1:3]
    assert psnr(stack(source), turned) > 35
    back = written("mp4", source)
    assert (back.height, back.width) == turned.shape[1:3] and psnr(stack(back), turned) > 30


@pytest.mark.parametrize("matrix,full", [(1, False), (6, False), (9, False), (1, True), (5, True)])
def test_colour_description_survives(matrix: int, full: bool) -> None:
    pixels = clip(3, 48, 64)
    data = make_video(pixels, pixel_format="yuv444p", matrix=matrix, full_range=full)
    source = open_source(io.BytesIO(data))
    assert source.colour == Colour(1, 13, matrix, full)
    assert psnr(stack(source), pixels) > 40
    for suffix in ("mp4", "mkv"):
        back = written(suffix, source, crf=4)
        assert back.colour == source.colour
        assert psnr(stack(back), pixels) > 35


def test_an_untagged_matrix_stays_untagged() -> None:
    source = open_source(io.BytesIO(make_video(clip(3, 48, 64), matrix=2)))
    assert source.colour.matrix == 2
    for suffix in ("mp4", "mkv", "webm"):
        back = written(suffix, source, crf=4)
        assert back.colour.matrix == 2 and psnr(stack(back), stack(source)) > 36


@pytest.mark.parametrize("matrix", [1, 2, 6, 9])
@pytest.mark.parametrize("full", [False, True])
def test_y4m_keeps_the_values_of_the_source(matrix: int, full: bool) -> None:
    """It has no tag for a matrix: the samples stay what they were, with a warning where readers would guess wrong."""
    planes = [np.random.default_rng(i).integers(60, 180, (48, 64), dtype=np.uint8) for i in range(3)]
    frame = av.VideoFrame(64, 48, "yuv444p")
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    for plane, samples in zip(frame.planes, planes, strict=True):
        colours.rows(plane)[:48, :64] = samples
    pixels, _ = colours.unpack(frame)
    media = MediaInfo("video", 64, 48, 3, colour=Colour(1, 1, matrix, full))
    file, warnings = io.BytesIO(), list[str]()
    write_media(file, "y4m", media, iter([Frame(pixels)]), warnings=warnings)
    data = file.getvalue()
    kept = np.frombuffer(data[data.index(b"FRAME") + 6 :], np.uint8).reshape(3, 48, 64)
    inside = ((pixels > 0) & (pixels < 255)).all(axis=-1)
    assert np.abs(kept.astype(int) - planes)[:, inside].max() <= 2
    assert b"XCOLORRANGE=FULL" in data if full else b"XCOLORRANGE=LIMITED" in data
    assert bool(warnings) == (matrix in (1, 9))


def test_pixels_that_are_not_square() -> None:
    for suffix, lossless in (*((suffix, False) for suffix in ("mp4", "mov", "mkv", "webm", "y4m")), ("mkv", True)):
        source = from_array(clip(3, 32, 48))
        media = replace(source.media, aspect=Fraction(32, 27))
        file, warnings = io.BytesIO(), list[str]()
        write_media(file, suffix, media, source.frames(), lossless=lossless, warnings=warnings)
        file.seek(0)
        kept = open_source(file).media.aspect == Fraction(32, 27)
        assert kept == (suffix != "webm") and bool(warnings) != kept


def test_the_shape_of_pixels_turns_with_the_frame() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)
        frame = av.VideoFrame.from_ndarray(clip(1, 32, 48)[0], "rgb24")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    assert open_source(file).media.aspect == Fraction(3, 4)


def test_ten_bits_are_reduced_with_a_warning() -> None:
    pixels = clip(3, 48, 64)
    source = open_source(io.BytesIO(make_video(pixels, pixel_format="yuv420p10le")))
    assert "10-bit" in source.warnings[0] and psnr(stack(source), pixels) > 35


def test_slices_and_repeated_passes() -> None:
    source = open_source(io.BytesIO(make_video(clip(12, 32, 32))))
    everything = list(source.frames())
    part = list(source.frames(4, 7))
    assert [f.pts for f in part] == [f.pts for f in everything[4:7]]
    np.testing.assert_array_equal(part[0].pixels, everything[4].pixels)
    assert list(source.frames(12)) == [] and list(source.frames(3, 3)) == []
    first, second = source.frames(), source.frames()
    for _ in range(12):  # two passes at once do not disturb each other
        np.testing.assert_array_equal(next(first).pixels, next(second).pixels)
    with pytest.raises(ParameterError, match="range"):
        next(source.frames(5, 2))


def test_fps_replaces_the_time_stamps() -> None:
    source = open_source(io.BytesIO(make_video(clip(6, 32, 32), vary=True)), fps=Fraction(10))
    assert source.rate == 10 and seconds(source) == [Fraction(i, 10) for i in range(6)]


def test_a_clip_decodes_like_ffmpeg(tmp_path: Path) -> None:
    path = save(tmp_path, "clip.mkv", make_video(clip(4, 48, 64), "matroska"))
    with av.open(path) as container:
        expected = [exact(frame) for frame in container.decode(video=0)]
    np.testing.assert_array_equal(stack(open_source(path)), np.stack(expected))


def test_streaming_holds_one_frame_at_a_time() -> None:
    """Writing pulls the frames one by one: the source is never more than a few frames ahead."""
    alive: set[int] = set()
    most = 0

    def frames() -> Iterator[Frame]:
        nonlocal most
        for index in range(60):
            pixels = np.full((64, 64, 3), index, np.uint8)
            alive.add(index)
            weakref.finalize(pixels, alive.discard, index)
            most = max(most, len(alive))
            yield Frame(pixels, None, index)

    media = MediaInfo("video", 64, 64, 3, time_base=Fraction(1, 25), rate=Fraction(25))
    for suffix in ("y4m", "npy", "mkv"):
        write_media(io.BytesIO(), suffix, media, frames())
    assert most <= 5


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "gif", "y4m", "npy"])
@pytest.mark.parametrize("good", [0, 3])
def test_an_error_of_the_source_comes_out_of_the_writer(suffix: str, good: int) -> None:
    def frames() -> Iterator[Frame]:
        yield from from_array(clip(good or 1, 16, 16)).frames(0, good)
        raise FormatError("clip: damaged")

    with pytest.raises(FormatError, match="clip: damaged"):
        write_media(io.BytesIO(), suffix, from_array(clip(1, 16, 16)).media, frames())


def test_targets_that_cannot_be_made(tmp_path: Path) -> None:
    source = from_array(clip(2, 16, 16))
    with pytest.raises(ParameterError, match="cannot be written"):
        write_media(str(tmp_path / "none" / "a.mp4"), "mp4", source.media, source.frames())
    path = save(tmp_path, "file", b"")
    with pytest.raises(ParameterError, match="cannot be made"):
        write_media(path, "", source.media, source.frames())


def test_what_a_writer_refuses() -> None:
    source = from_array(clip(2, 16, 16))
    for options, word in (({"crf": 99}, "crf"), ({"crf": 3, "lossless": True}, "exclude")):
        with pytest.raises(ParameterError, match=word):
            written("mp4", source, **options)
    with pytest.raises(ParameterError, match="neither"):
        written("npy", source, crf=3)
    with pytest.raises(ParameterError, match="not written"):
        written("doc", source)
    with pytest.raises(ParameterError, match="no frame"):
        write_media(io.BytesIO(), "mp4", source.media, iter([]))
    with pytest.raises(ParameterError, match="announced"):
        write_media(io.BytesIO(), "mp4", source.media, from_array(clip(2, 8, 8)).frames())
    with pytest.raises(ParameterError, match="rise"):
        write_media(io.BytesIO(), "mp4", source.media, iter([next(source.frames())] * 2))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "webm", "webp", "apng", "gif", "y4m"])
def test_clocks_that_no_container_holds_are_one_line(suffix: str) -> None:
    """Both rates at the ends of what a .tsr file holds: FFmpeg's integers end before."""
    pixels = clip(3, 16, 16)
    tiny = Fraction(1, (1 << 31) - 1)
    for base, rate in ((tiny, tiny), (Fraction(1 << 31), tiny), (Fraction(1, 1 << 31), Fraction(25)), (1 / tiny, tiny)):
        media = MediaInfo("video", 16, 16, 3, time_base=base, rate=rate)
        step = max(1, round(1 / (rate * base)))
        try:
            write_media(io.BytesIO(), suffix, media, (Frame(frame, None, k * step) for k, frame in enumerate(pixels)))
        except ParameterError as error:
            assert str(error).startswith(f".{suffix} cannot hold")
