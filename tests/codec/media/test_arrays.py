"""Arrays, .npy files and folders of frames."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tessera.codec.media import Source, from_array, open_source, write_media
from tessera.codec.media.folders import natural_key

from ...support.media_samples import Pixels, clip, picture


def joined(source: Source) -> Pixels:
    """All frames with alpha as the last channel."""
    parts = []
    for frame in source.frames():
        extra = [] if frame.alpha is None else [frame.alpha[..., None]]
        parts.append(np.concatenate([frame.pixels, *extra], axis=-1))
    return np.stack(parts)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_shape_of_array(channels: int) -> None:
    video = clip(3, 9, 11, channels)
    for array, kind in ((video, "video"), (video[0], "picture")):
        source = from_array(array, Fraction(30))
        assert source.kind == kind and source.channels == (1 if channels < 3 else 3)
        assert source.alpha == (channels in (2, 4)) and source.frame_count == (3 if kind == "video" else 1)
        np.testing.assert_array_equal(joined(source).squeeze(), array.squeeze())
    flat = from_array(video[0, ..., 0])
    assert flat.channels == 1 and flat.frame_count == 1


def test_views_need_not_be_contiguous() -> None:
    video = clip(3, 9, 11)[::-1, ::2, ::-1]
    np.testing.assert_array_equal(joined(from_array(video)), video)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_npy_round_trip(tmp_path: Path, channels: int) -> None:
    for array in (clip(3, 9, 11, channels), clip(1, 9, 11, channels)[0]):
        source = from_array(array)
        path = str(tmp_path / "frames.npy")
        write_media(path, ".npy", source.media, source.frames())
        np.testing.assert_array_equal(np.load(path).squeeze(), array.squeeze())
        for again in (open_source(path), open_source(io.BytesIO(Path(path).read_bytes()))):
            assert again.kind == source.kind
            np.testing.assert_array_equal(joined(again), joined(source))


def test_npy_of_numpy_itself(tmp_path: Path) -> None:
    video = clip(3, 9, 11)
    for array in (video, np.asfortranarray(video)):
        np.save(tmp_path / "a.npy", array)
        np.testing.assert_array_equal(joined(open_source(str(tmp_path / "a.npy"))), video)


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_sixteen_bit_npy_is_reduced_with_a_warning(tmp_path: Path, kind: str) -> None:
    video = clip(3, 9, 11)
    np.save(tmp_path / "a.npy", (video.astype(np.uint16) * 257).astype(kind))
    source = open_source(str(tmp_path / "a.npy"), fps=Fraction(7))
    np.testing.assert_array_equal(joined(source), video)
    assert "16-bit" in source.warnings[0] and source.rate == 7 and source.frame_count == 3


def test_a_folder_is_a_video_in_natural_order(tmp_path: Path) -> None:
    video = clip(12, 9, 11)
    for index, array in enumerate(video):
        Image.fromarray(array).save(tmp_path / f"frame{index}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    source = open_source(str(tmp_path), fps=Fraction(12))
    assert source.frame_count == 12 and source.rate == 12 and "notes.txt" in source.warnings[0]
    np.testing.assert_array_equal(joined(source), video)
    np.testing.assert_array_equal(next(source.frames(10)).pixels, video[10])


def test_mixed_modes_in_a_folder_meet_in_the_widest(tmp_path: Path) -> None:
    Image.fromarray(picture(9, 11)[..., 0]).save(tmp_path / "a.png")
    Image.fromarray(picture(9, 11, 4)).save(tmp_path / "b.png")
    source = open_source(str(tmp_path))
    first, second = source.frames()
    assert source.channels == 3 and source.alpha
    assert first.alpha is not None and (first.alpha == 255).all()
    np.testing.assert_array_equal(first.pixels, np.repeat(picture(9, 11)[..., :1], 3, axis=2))
    np.testing.assert_array_equal(second.pixels, picture(9, 11, 4)[..., :3])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_folder_round_trip(tmp_path: Path, channels: int) -> None:
    source = from_array(clip(11, 9, 11, channels))
    write_media(str(tmp_path / "out"), "", source.media, source.frames())
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[10] == "000010.png"
    np.testing.assert_array_equal(joined(open_source(str(tmp_path / "out"))), joined(source))


def test_natural_order() -> None:
    names = ["a10.png", "a9.png", "a1b2.png", "b.png", "1.png", "a1b10.png"]
    assert sorted(names, key=natural_key) == ["1.png", "a1b2.png", "a1b10.png", "a9.png", "a10.png", "b.png"]
