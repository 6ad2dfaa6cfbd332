"""Animations in and out: GIF, APNG and WebP, their durations, plays and memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tessera.codec.details import Details
from tessera.codec.errors import ParameterError
from tessera.codec.media import Frame, MediaInfo, from_array, open_source, write_media

from ...support.media_samples import Pixels, alpha_of, picture, stored


def animation(kind: str, durations: list[int], **options: Any) -> io.BytesIO:
    frames = [Image.fromarray(picture(20, 30, seed=i)) for i in range(len(durations))]
    return stored(frames[0], kind, save_all=True, append_images=frames[1:], duration=durations, **options)


@pytest.mark.parametrize("kind,options", [("WEBP", {"lossless": True}), ("PNG", {}), ("GIF", {})])
def test_animations_are_videos(kind: str, options: dict[str, Any]) -> None:
    source = open_source(animation(kind, [40, 70, 100], **options))
    frames = list(source.frames())
    assert source.kind == "video" and source.frame_count == 3 and not source.alpha
    assert [frame.pts * source.time_base * 1000 for frame in frames] == [0, 40, 110]
    assert source.rate * 210 == 3 * 1000
    for index, frame in enumerate(frames):
        error = np.abs(frame.pixels.astype(int) - picture(20, 30, seed=index))
        assert error.max() == 0 or (kind == "GIF" and error.mean() < 12)
    np.testing.assert_array_equal(next(source.frames(2)).pixels, frames[2].pixels)


@pytest.mark.parametrize("suffix", ["apng", "webp"])
def test_animations_are_written(suffix: str) -> None:
    source = open_source(animation("PNG", [40, 70, 100]))
    file = io.BytesIO()
    write_media(file, suffix, source.media, source.frames())
    file.seek(0)
    back = open_source(file)
    assert [f.pts for f in back.frames()] == [0, 40, 110]
    for a, b in zip(source.frames(), back.frames(), strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def animation_of(pixels: Pixels, fps: Fraction, suffix: str = "gif", **more: Any) -> tuple[Any, list[str]]:
    """The opened animation that `pixels` are written to, and the warnings."""
    source = from_array(pixels, fps)
    file, warnings = io.BytesIO(), list[str]()
    write_media(file, suffix, replace(source.media, **more), source.frames(), warnings=warnings)
    return Image.open(io.BytesIO(file.getvalue())), warnings


def durations(image: Any) -> list[int]:
    found = []
    for index in range(image.n_frames):
        image.seek(index)
        image.load()
        found.append(int(image.info["duration"]))
    return found


@pytest.mark.parametrize("fps", [Fraction(15), Fraction(30), Fraction(30000, 1001), Fraction(60), Fraction(240)])
def test_gif_plays_at_the_right_speed(fps: Fraction) -> None:
    """Delays are hundredths of a second that add up; browsers make a tenth of what is shorter than two."""
    frames = np.stack([picture(8, 9, seed=i) for i in range(30)])
    image, warnings = animation_of(frames, fps)
    shown = durations(image)
    assert abs(sum(shown) - 30000 / fps) <= (10 if fps < 50 else 20) and min(shown) >= 20
    assert len(shown) == 30 or (fps > 50 and warnings == [
        f".gif shows at most 50 frames per second: {30 - len(shown)} frames are left out"
    ])  # fmt: skip


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_gif_shows_each_frame_alone(channels: int) -> None:
    """A transparent frame shows nothing of the one before, an opaque one may leave out what stays."""
    frames = np.zeros((4, 20, 30, channels), np.uint8)
    frames[..., 0] = 200
    for index in range(4):
        frames[index, 5:12, 3 + 6 * index : 9 + 6 * index] = 60
        if channels in (2, 4):
            frames[index, ..., -1] = 0
            frames[index, 5:12, 3 + 6 * index : 9 + 6 * index, -1] = 255
    image, warnings = animation_of(frames, Fraction(10))
    assert not warnings
    for index in range(4):
        image.seek(index)
        shown = np.asarray(image.convert("RGBA"))
        expected = frames[index]
        if channels in (2, 4):
            np.testing.assert_array_equal(shown[..., 3], expected[..., -1])
        visible = shown[..., 3] > 0
        error = shown[..., :3].astype(int) - expected[..., : channels - (channels % 2 == 0)]
        assert np.abs(error[visible]).max() <= 3


def test_gif_warns_of_partial_opacity_and_holds_still_frames() -> None:
    frames = np.full((3, 8, 9, 4), 100, np.uint8)
    assert animation_of(frames, Fraction(10))[1] == [".gif holds no partial opacity: pixels are shown from a half on"]
    image, warnings = animation_of(frames[..., :3], Fraction(10))
    assert durations(image) == [100, 100, 100] and not warnings


@pytest.mark.parametrize("suffix", ["gif", "apng", "webp"])
@pytest.mark.parametrize("plays", [0, 1, 2, 5])
def test_plays_and_the_last_frame_survive(suffix: str, plays: int) -> None:
    frames = np.stack([picture(8, 9, seed=i) for i in range(3)])
    image, _ = animation_of(frames, Fraction(10), suffix, plays=plays, last=7)
    file = image.fp
    assert durations(image) == [100, 100, 700]
    file.seek(0)
    source = open_source(file)
    assert source.media.plays == max(1, plays) and source.media.last == 700


def gif(second_transparent: int) -> io.BytesIO:
    """Two indexed frames that declare colour 3 transparent; the second uses it in a corner where asked."""
    frames = []
    for index in range(2):
        cells = np.tile(np.arange(3, dtype=np.uint8), (20, 10))
        cells[5 + index, 5] = 0
        cells[:second_transparent, :4] = 3 if index else 1
        image = Image.fromarray(cells).convert("P")
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9])
        image.info["transparency"] = 3
        frames.append(image)
    options = {"save_all": True, "append_images": frames[1:], "disposal": 2, "duration": 50, "optimize": False}
    return stored(frames[0], "GIF", **options)


def test_gif_transparency_counts_where_it_is_used() -> None:
    source = open_source(gif(4))
    first, second = source.frames()
    assert source.alpha and first.alpha is not None and second.alpha is not None
    assert first.alpha.min() == 255 and (second.alpha[:4, :4] == 0).all() and second.alpha[4:].min() == 255
    assert not open_source(gif(0)).alpha


def test_several_frames_need_a_format_that_holds_them() -> None:
    source = open_source(animation("PNG", [40, 70]))
    with pytest.raises(ParameterError, match="folder"):
        write_media(io.BytesIO(), "png", source.media, source.frames())


@pytest.mark.parametrize("suffix", ["gif", "apng", "webp"])
def test_animations_are_written_in_flat_memory(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is never more than a few frames ahead: no list of all of them is kept."""
    import weakref

    monkeypatch.setattr("tessera.codec.spool.IN_MEMORY", 0)  # what is spooled goes to the disk
    alive: set[int] = set()
    most = 0

    def frames() -> Iterator[Frame]:
        nonlocal most
        for index in range(40):
            pixels = picture(16, 24, seed=index % 3)
            alive.add(id(pixels))
            weakref.finalize(pixels, alive.discard, id(pixels))
            most = max(most, len(alive))
            yield Frame(pixels, None, index)

    media = MediaInfo("video", 24, 16, 3, time_base=Fraction(1, 10), rate=Fraction(10))
    file = io.BytesIO()
    write_media(file, suffix, media, frames())
    assert most < 8
    assert Image.open(io.BytesIO(file.getvalue())).n_frames == 40  # type: ignore[attr-defined]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["apng", "webp"])
def test_animations_are_exact(suffix: str, channels: int) -> None:
    """Frames that repeat, change in a corner, or change only where nothing is shown; FFmpeg reads the same."""
    frames = np.repeat(picture(16, 24, channels)[None], 5, 0)
    frames[2:, 3:5, 4:9] //= 2
    if channels in (2, 4):
        frames[3:, 8:, :, -1] = 0
        frames[4, 8:, :, 0] = 77
    if suffix == "webp":
        frames = frames[[0, 2] if channels % 2 else [0, 2, 3]]  # equal frames become one that shows longer
    image, _ = animation_of(frames, Fraction(10), suffix)
    back = open_source(io.BytesIO(image.fp.getvalue()))
    colours = channels - (channels % 2 == 0)
    for frame, expected in zip(back.frames(), frames, strict=True):
        seen = expected[..., -1] > 0 if channels == 4 or channels == 2 else np.ones((16, 24), bool)
        seen |= suffix == "apng"  # WebP blackens what is not shown
        np.testing.assert_array_equal(frame.pixels[seen][..., :colours], expected[seen][..., :colours])
        if channels in (2, 4):
            np.testing.assert_array_equal(alpha_of(frame), expected[..., -1])
    if suffix == "apng":
        with av.open(io.BytesIO(image.fp.getvalue()), "r", format="apng") as container:
            shown = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
        assert len(shown) == 5
        np.testing.assert_array_equal(shown[2][..., 0], frames[2][..., 0])


def test_an_apng_keeps_its_profile_and_texts() -> None:
    frames = np.stack([picture(8, 9, seed=i) for i in range(3)])
    image, _ = animation_of(frames, Fraction(10), "apng", icc=b"profile", details=Details(texts=(("Title", "x"),)))
    assert image.info["icc_profile"] == b"profile" and image.text == {"Title": "x"}
