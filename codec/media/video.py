"""Videos read through PyAV: frames with their own time stamps, turned upright, as 8-bit gray or RGB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.video.stream import VideoStream

from ..errors import FormatError
from . import colour as colours
from .audio import read_audio
from .demux import check_whole, claims_alpha, decode, failure, open_container, pick_video, what_is_lost
from .details_read import of_video
from .inputs import Input
from .orientation import matrix_orientation, turned_size, upright
from .types import DEFAULT_RATE, Frame, MediaInfo, Source, check_size

_MILLISECOND = Fraction(1, 1000)
_SLOWEST = Fraction(1, 1 << 20)  # frames per second; damaged headers claim less
_HDR = {16: "PQ", 18: "HLG"}
_CLOCKED = ("mpegts", "mpeg")  # time stamps there start at an arbitrary moment of a running clock


@dataclass
class _Video:
    """What one pass over the file needs to know, found out at opening."""

    data: Input
    stream: str | None  # FFmpeg's name of the format where it is known
    orientation: int
    origin: Fraction  # seconds that are taken off every time stamp
    warnings: list[str] = field(default_factory=list)

    def warn(self, line: str) -> None:
        """Add one line, once."""
        if line not in self.warnings:
            self.warnings.append(line)


def open_video(data: Input, max_pixels: int, stream_name: str | None = None) -> Source | None:
    """The video in `data`, or None where PyAV knows no such format.  The first frame is decoded to prove it.

    stream_name: FFmpeg's name of the format, where it is known to be a stream of pictures.
    """
    check_whole(data)
    with _opened(data, stream_name) as container:
        if container is None:
            return None
        stream = pick_video(container, data.name)
        context = stream.codec_context
        check_size(data.name, context.width or 1, context.height or 1, max_pixels)
        first, second = _first_frames(container, stream, data.name)
        check_size(data.name, first.width, first.height, max_pixels)
        video = _Video(data, stream_name, 1, _origin(container), what_is_lost(container, stream, data.name))
        video.orientation = _orientation(first, video)
        info = replace(_describe(first, stream, video), details=of_video(container))
        if container.format.name.endswith("_pipe") and second is None:
            # One picture of a format that Pillow lacks, such as JPEG XL.
            info = replace(info, kind="picture", time_base=Fraction(1), rate=Fraction(1))
        count = 1 if info.kind == "picture" else stream.frames or None
        sounds = bool(container.streams.audio)

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        return _read(video, start, stop)

    return Source(
        data.name,
        info,
        read,
        frame_count=count,
        warnings=video.warnings,
        close=data.close,
        read_audio=(lambda: read_audio(data, video.origin, video.warnings)) if sounds else None,
    )


@contextmanager
def _opened(data: Input, stream_name: str | None) -> Iterator[InputContainer | None]:
    with data.handle() as handle:
        container = open_container(handle, data.name, stream_name)
        try:
            yield container
        finally:
            if container is not None:
                container.close()


def _first_frames(
    container: InputContainer, stream: VideoStream, name: str
) -> tuple[av.VideoFrame, av.VideoFrame | None]:
    """The first frame, and of a stream of pictures the second, where there is one."""
    frames = decode(container, stream)
    try:
        first = next(frames, None)
        if first is not None:
            several = container.format.name.endswith("_pipe")
            return first, next(frames, None) if several else None
    except av.error.EOFError:
        pass  # FFmpeg's way to say the same as an empty loop
    except (av.error.FFmpegError, ValueError) as error:
        raise failure(name, error) from error
    raise FormatError(f"{name}: the video stream has no frame; record or export it again")


def _origin(container: InputContainer) -> Fraction:
    """Start of the program clock in seconds; 0 where time stamps mean what they say."""
    if container.format.name not in _CLOCKED or container.start_time is None:
        return Fraction(0)
    return Fraction(container.start_time, av.time_base)


def _orientation(frame: av.VideoFrame, video: _Video) -> int:
    """EXIF orientation 1..8 of the display matrix; other angles only warn."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV fails on any side data that is newer than its list; the angle has its own way
        return {90: 8, 180: 3, -180: 3, -90: 6}.get(round(frame.rotation), 1)
    if data is None:
        return 1
    orientation = matrix_orientation(bytes(cast(SideData, data)))
    if orientation is None:
        video.warn(f"{video.data.name}: a rotation that is no quarter turn is not applied")
    return orientation or 1


def _describe(frame: av.VideoFrame, stream: VideoStream, video: _Video) -> MediaInfo:
    context, name = stream.codec_context, video.data.name
    described = colours.describe(frame, context.color_primaries, context.color_trc)
    if colours.is_linear(frame):
        video.warn(f"{name}: floats of linear light become 8-bit sRGB, and what is brighter than white is cut")
        described = replace(described, transfer=13)
    elif colours.bit_depth(frame) > 8:
        video.warn(f"{name}: {colours.bit_depth(frame)}-bit samples reduced to 8 bits")
    if described.transfer in _HDR:
        video.warn(f"{name}: the {_HDR[described.transfer]} transfer curve is kept, not mapped to standard range")
    if described.matrix not in colours.KNOWN_MATRICES:
        video.warn(f"{name}: colour matrix {described.matrix} is not computed, BT.601 is used in its place")
    if claims_alpha(stream) and not colours.has_alpha(frame):
        video.warn(f"{name}: alpha is not kept: this install has no libvpx to decode it")
    if frame.interlaced_frame:
        video.warn(f"{name}: interlaced fields are kept woven into whole frames")
    width, height = turned_size(frame.width, frame.height, video.orientation)
    return MediaInfo(
        "video",
        width,
        height,
        channels=1 if colours.is_gray(frame) else 3,
        alpha=colours.has_alpha(frame),
        time_base=_time_base(stream),
        rate=_rate(stream),
        colour=described,
        aspect=_aspect(stream, video.orientation),
    )


def _aspect(stream: VideoStream, orientation: int) -> Fraction:
    """Width over height of a pixel, after the turn."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if aspect <= 0:
        return Fraction(1)
    aspect = aspect.limit_denominator(1 << 16)
    return 1 / aspect if orientation >= 5 else aspect


def _rate(stream: VideoStream) -> Fraction:
    """Nominal frames per second, as a fraction of moderate terms."""
    rate = Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
    return max(rate, _SLOWEST).limit_denominator(_SLOWEST.denominator)


def _time_base(stream: VideoStream) -> Fraction:
    return Fraction(stream.time_base or _MILLISECOND)


def _read(video: _Video, start: int, stop: int | None) -> Iterator[Frame]:
    """One pass: decode from the beginning (the exact frame number is known in no other way), convert start..stop."""
    with _opened(video.data, video.stream) as container:
        if container is None:
            raise failure(video.data.name, ValueError("the file changed while it was read"))
        stream = pick_video(container, video.data.name)
        stream.thread_type = "AUTO"
        clock = _Clock(stream, video)
        index = 0
        frames = decode(container, stream)
        while stop is None or index < stop:
            try:
                frame = next(frames, None)
            except (av.error.FFmpegError, ValueError) as error:
                raise failure(video.data.name, error, f"video after frame {index}") from error
            if frame is None:
                return
            pts = clock.tick(frame)
            if index >= start:
                yield _convert(frame, pts, video)
            index += 1


class _Clock:
    """Time stamps as the file has them, less the origin; missing or backward ones are mended with a warning."""

    def __init__(self, stream: VideoStream, video: _Video) -> None:
        base = _time_base(stream)
        self._step = max(1, round(1 / (_rate(stream) * base)))
        self._origin = round(video.origin / base)
        self._last: int | None = None
        self._video = video

    def tick(self, frame: av.VideoFrame) -> int:
        pts = None if frame.pts is None else frame.pts - self._origin
        if pts is None or (self._last is not None and pts <= self._last):
            self._video.warn(f"{self._video.data.name}: missing or repeated time stamps were replaced")
            pts = 0 if self._last is None else self._last + self._step
        self._last = pts
        return pts


def _convert(frame: av.VideoFrame, pts: int, video: _Video) -> Frame:
    if frame.is_corrupt:
        video.warn(f"{video.data.name}: damaged parts of the video were concealed by the decoder")
    try:
        pixels, alpha = colours.unpack(frame)
    except (av.error.FFmpegError, ValueError) as error:
        raise failure(video.data.name, error) from error
    if video.orientation != 1:
        pixels = upright(pixels, video.orientation)
        alpha = None if alpha is None else upright(alpha, video.orientation)
    return Frame(pixels, alpha, pts)
