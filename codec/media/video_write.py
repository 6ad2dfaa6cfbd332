"""Videos written through PyAV: a viewing copy in H.264 or VP9, or every pixel exactly, with time stamps and audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO, cast

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from ..errors import ParameterError
from . import colour as colours
from .audio import AudioWriter
from .details_write import into_video
from .types import Colour, Frame, MediaInfo

VIDEO_SUFFIXES = {"mp4": "mp4", "m4v": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}
DEFAULT_CRF = 18
_MAX_CRF = {"libx264": 51, "libvpx-vp9": 63}


@dataclass
class _Plan:
    codec: str
    pixel_format: str
    options: dict[str, str] = field(default_factory=dict)


def write_video(
    file: BinaryIO, suffix: str, media: MediaInfo, frames: Iterator[Frame], crf: int | None, lossless: bool
) -> None:
    """Write a video into a seekable `file`.

    crf       quality of the viewing copy, 18 without it: H.264 yuv420p, or yuv444p where a side is odd (4:2:0 needs
              even sides); VP9 in .webm
    lossless  exact pixels: H.264 in RGB, VP9 in RGB in .webm; gray and alpha are FFV1 in .mkv.  Gray in .mp4 is
              H.264 without chroma, which decoders hand out as colour with equal channels
    """
    plan = _plan(suffix, media, crf, lossless)
    try:
        with av.open(file, "w", format=VIDEO_SUFFIXES[suffix], options=_container_options(suffix, media)) as output:
            into_video(output, suffix, media.details)
            stream = _add_video(output, plan, media)
            audio = AudioWriter(media.audio, output, suffix) if media.audio else None
            try:
                _write(output, stream, plan, media, frames, audio)
            finally:
                if audio is not None:
                    audio.close()
    except OverflowError as error:
        clock = f"ticks of {media.time_base} s and {media.rate} frames per second"
        raise ParameterError(f".{suffix} cannot hold {clock}; write a folder, .npy or .y4m") from error
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, (ParameterError, OSError)):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        size = f"{media.width}x{media.height}"
        raise ParameterError(f".{suffix} cannot hold this {size} video ({reason}); write a folder or .y4m") from error


def _plan(suffix: str, media: MediaInfo, crf: int | None, lossless: bool) -> _Plan:
    """Codec, pixel format and settings for what is asked."""
    if lossless and crf is not None:
        raise ParameterError("crf and lossless exclude each other; give one")
    if lossless:
        return _lossless_plan(suffix, media)
    if media.alpha and suffix != "webm":
        raise ParameterError(f".{suffix} holds no alpha; write .webm, .mkv with lossless, or a folder of pictures")
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    value = DEFAULT_CRF if crf is None else crf
    if not 0 <= value <= _MAX_CRF[codec]:
        raise ParameterError(f"crf is {value}; for .{suffix} it goes from 0 to {_MAX_CRF[codec]}")
    if codec == "libvpx-vp9":
        pixel_format = "yuva420p" if media.alpha else "yuv420p"
        return _Plan(codec, pixel_format, {"crf": str(value), "b:v": "0", "row-mt": "1", "cpu-used": "4"})
    odd = media.width % 2 or media.height % 2
    return _Plan(codec, "yuv444p" if odd else "yuv420p", {"crf": str(value), "preset": "medium"})


def _lossless_plan(suffix: str, media: MediaInfo) -> _Plan:
    if media.alpha and suffix != "mkv":
        raise ParameterError(f".{suffix} holds no lossless alpha; write .mkv or a folder of pictures")
    if suffix == "mkv" and (media.alpha or media.channels == 1):
        return _Plan("ffv1", "bgra" if media.alpha else "gray", {"level": "3"})
    if suffix == "webm":
        return _Plan("libvpx-vp9", "gbrp", {"lossless": "1", "row-mt": "1", "cpu-used": "4"})
    if media.channels == 1:
        return _Plan("libx264", "gray", {"qp": "0", "preset": "fast"})
    return _Plan("libx264rgb", "rgb24", {"qp": "0", "preset": "fast"})


def _container_options(suffix: str, media: MediaInfo) -> dict[str, str]:
    """Keep the ticks of the time base where the container lets us (Matroska counts in milliseconds)."""
    if VIDEO_SUFFIXES[suffix] not in ("mp4", "mov"):
        return {"avoid_negative_ts": "disabled"}
    return {"video_track_timescale": str(media.time_base.denominator)}


def _add_video(output: OutputContainer, plan: _Plan, media: MediaInfo) -> VideoStream:
    stream = cast(VideoStream, output.add_stream(plan.codec, rate=media.rate, options=plan.options))
    stream.width, stream.height, stream.pix_fmt = media.width, media.height, plan.pixel_format
    stream.time_base = media.time_base
    context = stream.codec_context
    context.time_base = media.time_base
    context.sample_aspect_ratio = media.aspect
    context.color_primaries, context.color_trc = media.colour.primaries, media.colour.transfer
    context.colorspace, context.color_range = colours.written_tags(plan.pixel_format, media.colour)
    return stream


def _write(
    output: OutputContainer,
    stream: VideoStream,
    plan: _Plan,
    media: MediaInfo,
    frames: Iterator[Frame],
    audio: AudioWriter | None,
) -> None:
    """Encode every frame, with the audio packets that are due before it."""
    count = 0
    for frame, ticks in _with_durations(frames, media):
        packed = _pack(frame, ticks, plan, media.colour, media.time_base)
        if audio is not None:
            audio.write_until(frame.pts * media.time_base)
        output.mux(stream.encode(packed))
        count += 1
    if not count:
        raise ParameterError("there is no frame to write")
    output.mux(stream.encode(None))
    if audio is not None:
        audio.write_until(None)


def _pack(frame: Frame, ticks: int, plan: _Plan, colour: Colour, time_base: Fraction) -> av.VideoFrame:
    packed = colours.pack(frame, plan.pixel_format, colour)
    packed.pts, packed.duration, packed.time_base = frame.pts, ticks, time_base
    return packed


def _with_durations(frames: Iterator[Frame], media: MediaInfo) -> Iterator[tuple[Frame, int]]:
    """Each frame with its ticks up to the next one; the last lasts one nominal frame."""
    before: Frame | None = None
    for frame in frames:
        if before is not None:
            if frame.pts <= before.pts:
                raise ParameterError(f"time stamps must rise: {frame.pts} follows {before.pts}")
            yield before, frame.pts - before.pts
        before = frame
    if before is not None:
        yield before, media.last or max(1, round(1 / (media.rate * media.time_base)))
