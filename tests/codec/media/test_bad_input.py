"""Bad input: each class gives one line with the file's name and a remedy, as a CodecError, and never a traceback."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tessera.codec.errors import CodecError, FormatError, LimitError, ParameterError, UnsupportedError
from tessera.codec.media import demux, from_array, open_source, write_media

from ...support.media_samples import clip, make_png, make_video, picture, save


def read_all(path: Any, **options: Any) -> None:
    with open_source(path, **options) as source:
        for _ in source.frames():
            pass
        assert source.media is not None


def encoded(suffix: str, frames: int = 1, size: tuple[int, int] = (40, 56), **options: Any) -> bytes:
    file = io.BytesIO()
    source = from_array(clip(frames, *size))
    write_media(file, suffix, source.media, source.frames(), **options)
    return file.getvalue()


def refused(path: str, error: type[CodecError], words: str, **options: Any) -> None:
    with pytest.raises(error, match=words) as caught:
        read_all(path, **options)
    text = str(caught.value)
    assert text.startswith(path) and "\n" not in text and len(text) < 300 + len(path)
    assert ";" in text, "the remedy follows a semicolon"


def test_missing(tmp_path: Path) -> None:
    refused(str(tmp_path / "none.png"), ParameterError, "no such file")


def test_empty(tmp_path: Path) -> None:
    refused(save(tmp_path, "empty.mp4", b""), FormatError, "empty")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "avif", "jp2", "tga", "gif"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated_pictures(tmp_path: Path, suffix: str, part: float) -> None:
    data = encoded(suffix)
    refused(save(tmp_path, f"cut.{suffix}", data[: int(len(data) * part)]), FormatError, "damaged|neither|truncated")


@pytest.mark.parametrize("container", ["mp4", "matroska", "mov", "avi"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.97])
def test_truncated_videos(tmp_path: Path, container: str, part: float) -> None:
    data = make_video(clip(20, 48, 64), container)
    refused(save(tmp_path, "cut.mp4", data[: int(len(data) * part)]), FormatError, "truncated|neither")


def test_truncated_array_and_y4m(tmp_path: Path) -> None:
    for suffix in ("npy", "y4m"):
        data = encoded(suffix, 3)
        refused(save(tmp_path, f"cut.{suffix}", data[:-1]), FormatError, "truncated")
        with pytest.raises(FormatError, match="truncated"):
            read_all(io.BytesIO(data[:-1]))


@pytest.mark.parametrize(
    "data",
    [b"just some text\n" * 40, b"PK\x03\x04" + bytes(60), bytes(4096), b"{}"],
)
@pytest.mark.parametrize("name", ["notes.txt", "clip.mp4", "list.m3u8"])
def test_wrong_types(tmp_path: Path, data: bytes, name: str) -> None:
    refused(save(tmp_path, name, data), FormatError, "neither a picture")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"ID3\x04" + bytes(400), "holds only audio"),
        (b"\xff\xfb\x90\x64" + bytes(400), "holds only audio"),
        (b"fLaC" + bytes(400), "holds only audio"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(400), "holds only audio"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>', "SVG is a drawing"),
        (b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg width="4"/>', "SVG is a drawing"),
        (b"%PDF-1.7\n", "document"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\na.ts\n", "playlist"),
        (b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>', "playlist"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, data: bytes, words: str) -> None:
    for name in ("a.bin", "a.mp4", "a.png"):
        refused(save(tmp_path, name, data), FormatError, words)


@pytest.mark.parametrize("codec,container", [("libmp3lame", "mp3"), ("flac", "flac"), ("pcm_s16le", "wav")])
def test_real_sound_files_are_named(tmp_path: Path, codec: str, container: str) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        sound: Any = output.add_stream(codec, rate=44100)
        tone = np.sin(np.arange(4410) / 9).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
        frame.rate = 44100
        output.mux([*sound.encode(frame), *sound.encode(None)])
    refused(save(tmp_path, "a", file.getvalue()), FormatError, "holds only audio")


def test_a_movie_without_its_index_gets_no_useless_advice(tmp_path: Path) -> None:
    """What FFmpeg cannot copy either is not advised to be copied by it."""
    data = make_video(clip(20, 48, 64), "mov")
    assert data.index(b"moov") > data.index(b"mdat")
    refused(save(tmp_path, "cut.mov", data[:-200]), FormatError, "without its index")
    whole = data[: data.index(b"moov") - 4]
    refused(save(tmp_path, "unfinished.mov", whole), FormatError, "has no index")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"}) as output:
        stream: Any = output.add_stream("libx264", rate=25, options={"g": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for pixels in clip(20, 48, 64):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(stream.encode(None))
    refused(save(tmp_path, "cut.mp4", file.getvalue()[:-400]), FormatError, "keeps what is there")


def test_a_picture_codec_is_no_video_codec() -> None:
    assert demux._not_decoded("jpegxl_pipe") == "this install cannot decode JPEG XL; convert the picture to PNG first"
    assert "H.264" in demux._not_decoded("matroska,webm")


def test_random_bytes(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for index in range(20):
        refused(save(tmp_path, f"{index}.mkv", random.bytes(5000)), FormatError, "damaged|neither|truncated")


def test_our_own_file_is_named(tmp_path: Path) -> None:
    refused(save(tmp_path, "a.tsr", b"\x89TSR\r\n\x1a\n" + bytes(40)), FormatError, "decode it")


def test_a_sound_file_has_no_video(tmp_path: Path) -> None:
    audio = open_source(io.BytesIO(make_video(clip(10, 16, 16), audio="aac"))).audio
    assert audio is not None
    refused(save(tmp_path, "sound.mka", audio), FormatError, "no video")


def test_videos_without_frames(tmp_path: Path) -> None:
    empty = clip(1, 16, 16)[:0]
    for container in ("mp4", "matroska", "avi"):
        refused(save(tmp_path, "none.mp4", make_video(empty, container)), FormatError, "first frame|no frame|no video")


def test_oversized(tmp_path: Path) -> None:
    for suffix in ("png", "mkv", "y4m", "npy"):
        path = save(tmp_path, f"big.{suffix}", encoded(suffix, 1))
        refused(path, LimitError, "56x40 is 2240 pixels per frame, the limit is 2000; .*raise", max_pixels=2000)
        read_all(path, max_pixels=2240)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    bomb = make_png(20000, 20000, 1, 0, bytes(2501) * 100)
    refused(save(tmp_path, "bomb.png", bomb), LimitError, "400000000 pixels")


def test_frames_of_different_size(tmp_path: Path) -> None:
    for name, size in (("1.png", (10, 12)), ("2.png", (12, 10))):
        Image.fromarray(picture(*size)).save(tmp_path / name)
    refused(str(tmp_path), FormatError, "one size")


def test_folders_without_pictures(tmp_path: Path) -> None:
    refused(str(tmp_path), FormatError, "no picture")
    save(tmp_path, "notes.txt", b"text")
    refused(str(tmp_path), FormatError, "no picture")


def test_a_truncated_frame_in_a_folder_is_named(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        save(tmp_path, name, encoded("png"))
    save(tmp_path, "2.png", encoded("png")[:-500])
    with pytest.raises(FormatError, match="2.png"):
        read_all(str(tmp_path))


@pytest.mark.parametrize("name", ["2.png", "2.JPG", "2.tiff"])
@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"text"])
def test_a_frame_that_is_no_picture_is_an_error(tmp_path: Path, name: str, data: bytes) -> None:
    save(tmp_path, "1.png", encoded("png"))
    save(tmp_path, "notes.txt", b"")
    with open_source(str(tmp_path)) as source:
        assert source.frame_count == 1 and source.warnings == [f"{tmp_path}: notes.txt is no picture and is left out"]
    save(tmp_path, name, data)
    with pytest.raises(FormatError, match=f"{name}: the frame is"):
        open_source(str(tmp_path))


def test_arrays_of_the_wrong_kind(tmp_path: Path) -> None:
    cases: list[tuple[Any, type[CodecError], str]] = [
        (np.zeros((4, 4, 3), np.float32), UnsupportedError, "float32"),
        (np.zeros((4, 4, 7), np.uint8), ParameterError, "shape"),
        (np.zeros((2, 0, 4, 3), np.uint8), FormatError, "no pixels"),
        (np.zeros(9, np.uint8), ParameterError, "shape"),
    ]
    for array, error, words in cases:
        path = str(tmp_path / "a.npy")
        np.save(path, array)
        refused(path, error, words)
    with pytest.raises(ParameterError, match="uint8"):
        from_array(np.zeros((4, 4, 3)))
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    refused(path, UnsupportedError, "object")


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(ParameterError, match="positive"):
        open_source(io.BytesIO(encoded("mkv", 2)), fps=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tif", "avif", "mp4", "mkv", "y4m", "npy"])
def test_flipped_and_cut_bytes_never_escape(suffix: str) -> None:
    """Damaged files decode to something or raise a CodecError; nothing else comes out."""
    random = np.random.default_rng(7)
    good = encoded(suffix, 3 if suffix in ("gif", "mp4", "mkv", "y4m", "npy") else 1, (16, 24))
    for _ in range(40):
        data = bytearray(good[: random.integers(1, len(good) + 1)] if random.random() < 0.3 else good)
        for position in random.integers(0, min(len(data), 400), random.integers(1, 6)):
            data[position] = random.integers(0, 256)
        try:
            read_all(io.BytesIO(bytes(data)), max_pixels=1 << 20)
        except CodecError as error:
            assert "\n" not in str(error)
