"""y4m: own reader and writer against FFmpeg's demuxer, pipes, and every kind of damage."""

from __future__ import annotations

import io
import os
import threading
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
import pytest

from tessera.codec.errors import FormatError, LimitError, ParameterError, UnsupportedError
from tessera.codec.media import MediaInfo, Source, from_array, open_source, write_media

from ...support.media_samples import Pixels, clip, exact, make_y4m

LAYOUTS = {"420jpeg": (2, 2), "420mpeg2": (2, 2), "420": (2, 2), "422": (2, 1), "444": (1, 1), "411": (4, 1)}


def planes(layout: str, height: int, width: int, frames: int, dtype: Any = np.uint8, top: int = 256) -> list[Any]:
    random = np.random.default_rng(1)
    if layout == "mono":
        return [[random.integers(0, top, (height, width)).astype(dtype)] for _ in range(frames)]
    wide, high = LAYOUTS[layout]
    small = (-(-height // high), -(-width // wide))
    sizes = [(height, width), small, small]
    return [[random.integers(60, 180, size).astype(dtype) for size in sizes] for _ in range(frames)]


def stack(source: Source) -> Pixels:
    return np.stack([frame.pixels for frame in source.frames()])


def by_ffmpeg(data: bytes, pixel_format: str = "rgb24") -> Pixels:
    with av.open(io.BytesIO(data), "r", format="yuv4mpegpipe") as container:
        return np.stack([exact(frame, pixel_format) for frame in container.decode(video=0)])


class Pipe(io.RawIOBase):
    """A stream that cannot seek, in short reads as a pipe gives them."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(memoryview(buffer)[:1000])
        self.taken += count
        return count


def pipe(data: bytes) -> BinaryIO:
    return io.BufferedReader(Pipe(data), 1024)


@pytest.mark.parametrize("layout", [*LAYOUTS, "mono"])
@pytest.mark.parametrize("size", [(16, 24), (17, 23), (1, 1)])
def test_reads_what_ffmpeg_reads(layout: str, size: tuple[int, int]) -> None:
    height, width = size
    data = make_y4m(planes(layout, height, width, 3), f"YUV4MPEG2 W{width} H{height} F30000:1001 Ip A1:1 C{layout}")
    source = open_source(io.BytesIO(data))
    assert (source.width, source.height, source.channels) == (width, height, 1 if layout == "mono" else 3)
    assert source.rate == Fraction(30000, 1001) and source.frame_count == 3
    expected = by_ffmpeg(data, "gray" if layout == "mono" else "rgb24")
    if layout in ("420mpeg2", "420paldv"):  # FFmpeg's reader tells where chroma sits, which nothing tells PyAV's frames
        assert np.abs(stack(source).astype(int) - expected).mean() < 16
        return
    np.testing.assert_array_equal(stack(source).squeeze(), expected.squeeze())


def test_full_range_is_honoured() -> None:
    head = "YUV4MPEG2 W24 H16 F25:1 Ip A1:1 C444"
    frames = planes("444", 16, 24, 2)
    limited, full = (make_y4m(frames, head + tag) for tag in (" XCOLORRANGE=LIMITED", " XCOLORRANGE=FULL"))
    np.testing.assert_array_equal(stack(open_source(io.BytesIO(full))), by_ffmpeg(full))
    assert open_source(io.BytesIO(full)).colour.full_range
    assert np.abs(stack(open_source(io.BytesIO(limited))).astype(int) - stack(open_source(io.BytesIO(full)))).max() > 5


@pytest.mark.parametrize("layout,name", [("420", "420p10"), ("444", "444p12"), ("mono", "mono10")])
def test_deep_samples_are_reduced_with_a_warning(layout: str, name: str) -> None:
    bits = int(name[-2:])
    shallow = planes(layout, 16, 24, 2)
    deep = [[plane.astype("<u2") << (bits - 8) for plane in frame] for frame in shallow]
    source = open_source(io.BytesIO(make_y4m(deep, f"YUV4MPEG2 W24 H16 F25:1 C{name}")))
    reference = open_source(io.BytesIO(make_y4m(shallow, f"YUV4MPEG2 W24 H16 F25:1 C{layout}")))
    assert f"{bits}-bit" in source.warnings[0]
    tolerance = 2 if layout == "mono" else 70 if layout == "420" else 3  # deep 4:2:0 has its chroma interpolated
    assert np.abs(stack(source).astype(int) - stack(reference)).max() <= tolerance


def test_alpha_is_read() -> None:
    frames = [[*frame, np.full((16, 24), 77, np.uint8)] for frame in planes("444", 16, 24, 2)]
    source = open_source(io.BytesIO(make_y4m(frames, "YUV4MPEG2 W24 H16 F25:1 C444alpha")))
    assert source.alpha and all(f.alpha is not None and (f.alpha == 77).all() for f in source.frames())


@pytest.mark.parametrize("channels", [1, 3])
def test_written_streams_are_read_back_by_ffmpeg_and_by_us(channels: int) -> None:
    pixels = clip(4, 17, 23, channels)
    file = io.BytesIO()
    source = from_array(pixels, Fraction(24))
    write_media(file, "y4m", source.media, source.frames())
    back = open_source(io.BytesIO(file.getvalue()))
    assert back.rate == 24 and back.frame_count == 4 and back.channels == channels
    theirs = by_ffmpeg(file.getvalue(), "rgb24" if channels == 3 else "gray").reshape(pixels.shape)
    np.testing.assert_array_equal(stack(back), theirs)
    assert np.abs(theirs.astype(int) - pixels).max() <= (2 if channels == 3 else 0)


def test_a_pipe_is_read_as_it_comes_and_can_be_replayed() -> None:
    data = make_y4m(planes("420", 16, 24, 50), "YUV4MPEG2 W24 H16 F25:1 C420")
    raw = Pipe(data)
    source = open_source(io.BufferedReader(raw, 1024))
    assert source.frame_count is None and raw.taken < len(data) // 2
    frames = source.frames()
    first = next(frames)
    assert raw.taken < len(data) // 2  # the rest is still in the pipe
    np.testing.assert_array_equal(first.pixels, next(source.frames()).pixels)
    assert len(list(frames)) == 49
    np.testing.assert_array_equal(stack(source), stack(open_source(io.BytesIO(data))))


def test_a_pipe_without_replay_is_read_once() -> None:
    data = make_y4m(planes("444", 40, 60, 9), "YUV4MPEG2 W60 H40 F25:1 C444")
    source = open_source(pipe(data), replay=False)
    np.testing.assert_array_equal(stack(source), stack(open_source(io.BytesIO(data))))
    with pytest.raises(ParameterError, match="twice"):
        list(source.frames())


def test_an_operating_system_pipe() -> None:
    data = make_y4m(planes("420", 64, 64, 30), "YUV4MPEG2 W64 H64 F25:1 C420")
    reader, writer = os.pipe()

    def feed() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(reader, "rb") as file, open_source(file) as source:
        assert len(list(source.frames())) == 30
    thread.join()


def test_pictures_and_containers_come_through_pipes_too() -> None:
    for suffix in ("png", "mkv"):
        file = io.BytesIO()
        source = from_array(clip(1, 16, 16))
        write_media(file, suffix, source.media, source.frames())
        for replay in (True, False):
            assert len(list(open_source(pipe(file.getvalue()), replay=replay).frames())) == 1


HEAD = "YUV4MPEG2 W24 H16 F25:1 C420"


@pytest.mark.parametrize(
    "data,error,words",
    [
        (b"YUV4MPEG2 W24 H16 F25:1", FormatError, "header does not end"),
        (b"YUV4MPEG2 H16 F25:1 C420\nFRAME\n", FormatError, "field W"),
        (b"YUV4MPEG2 W24 H-3 F25:1\nFRAME\n", FormatError, "field H"),
        (b"YUV4MPEG2 W0 H16 F25:1\nFRAME\n", FormatError, "no pixels"),
        (b"YUV4MPEG2 W24 H16 F25:0\nFRAME\n", FormatError, "not a rate"),
        (b"YUV4MPEG2 W24 H16 F25:1 C999\nFRAME\n", UnsupportedError, "C999"),
        (b"YUV4MPEG2 W99999 H99999 F25:1\nFRAME\n", LimitError, "limit"),
        (HEAD.encode() + b"\n", FormatError, "no frame"),
        (HEAD.encode() + b"\nFRAMX\n" + bytes(576), FormatError, "does not begin with FRAME"),
        (HEAD.encode() + b"\nFRAME\n" + bytes(575), FormatError, "575 of 576"),
    ],
)
def test_damage_gives_one_line(data: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        list(open_source(io.BytesIO(data)).frames())
    assert str(caught.value).startswith("<stream>: ") and "\n" not in str(caught.value)


def test_standard_output_and_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Standard:
        buffer = io.BytesIO()

    monkeypatch.setattr("sys.stdout", Standard)
    source = from_array(clip(2, 16, 24))
    write_media("-", "", source.media, source.frames())
    Standard.buffer.seek(0)
    monkeypatch.setattr("sys.stdin", Standard)
    with open_source("-") as back:
        assert back.name == "standard input" and back.frame_count == 2 and len(list(back.frames())) == 2


def test_alpha_cannot_be_written() -> None:
    with pytest.raises(ParameterError, match="alpha"):
        write_media(io.BytesIO(), "y4m", MediaInfo("video", 4, 4, 3, True), from_array(clip(1, 4, 4, 4)).frames())
