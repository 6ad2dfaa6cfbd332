"""Measures clip codecs: from the bytes of the file and the frames it decodes to, streamed, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.codec.errors import CodecError, FormatError, ParameterError
from tessera.codec.media.types import Pixels
from tessera.tools.measuring.clock import cpu_seconds
from tessera.tools.measuring.figures import Figures
from tessera.tools.measuring.job import Job
from tessera.tools.measuring.rows import Row
from tessera.tools.peers.video import ClipPeer

SUFFIXES = {".mkv", ".mp4", ".mov", ".webm", ".avi", ".y4m"}
DISTORTION = 0.05  # largest relative change of a scaled clip's proportions; even sides need some
_BT709 = 1  # its number in H.273

Size = tuple[int, int]  # width, height


def scaled(path: Path, to: Size, folder: Path) -> Path:
    """A lossless copy of a clip in `folder`, scaled down with a Lanczos filter as 8-bit 4:2:0; named after its size.

    It has the frames, rate and colour of the clip and takes its place for every codec, so what is measured is named by
    the digest of the copy.  ParameterError for a size that the clip cannot be scaled down to.
    """
    import av

    target = folder / f"{path.stem} {to[0]}x{to[1]}.mkv"
    with av.open(str(path)) as source, av.open(str(target), "w", options={"fflags": "+bitexact"}) as output:
        if not source.streams.video:
            raise FormatError(f"{path}: no video stream")
        stream: Any = None
        for index, frame in enumerate(source.decode(video=0)):
            if stream is None:
                _check_scale(path, (frame.width, frame.height), to)
                stream = _lossless(output, source.streams.video[0], frame, to)
            small = frame.reformat(*to, format="yuv420p", interpolation="LANCZOS")
            small.pts, small.time_base = index, stream.codec_context.time_base  # the container changes it
            small.pict_type = 0
            output.mux(stream.encode(small))
        if stream is None:
            raise FormatError(f"{path}: no frame")
        output.mux(stream.encode(None))
    return target


def _check_scale(path: Path, of: Size, to: Size) -> None:
    if to[0] > of[0] or to[1] > of[1]:
        raise ParameterError(f"{path}: {to[0]}x{to[1]} is larger than the clip, {of[0]}x{of[1]}")
    if abs(to[0] * of[1] / (to[1] * of[0]) - 1) > DISTORTION:
        raise ParameterError(f"{path}: {to[0]}x{to[1]} would distort the clip, {of[0]}x{of[1]}")


def _lossless(output: Any, source: Any, frame: Any, to: Size) -> Any:
    """A video stream in FFV1, of the source's rate and colour."""
    rate = Fraction(source.average_rate or 25)
    stream = output.add_stream("ffv1", rate=rate, options={"threads": "1", "flags": "+bitexact"})
    stream.width, stream.height, stream.pix_fmt = *to, "yuv420p"
    context, of = stream.codec_context, source.codec_context
    context.time_base = stream.time_base = 1 / rate
    context.color_primaries, context.color_trc = of.color_primaries, of.color_trc
    context.colorspace, context.color_range = frame.colorspace, frame.color_range
    return stream


def measure_clip(job: Job, codec: ClipPeer) -> Row:
    """Encode a clip, decode the file and compare every frame.  CodecError where frames are lost."""
    from tessera.codec.media import open_source

    start = cpu_seconds()
    data = codec.encode(job.path, job.setting)
    encode_s = cpu_seconds() - start + codec.earlier()
    with open_source(str(job.path)) as source:
        media = source.media
        figures = Figures(job.context.msssim_every, "bt709" if media.colour.matrix == _BT709 else "bt601")
        decoded = _Timed(codec.decode(data))
        for frame in source.frames():
            result = next(decoded, None)
            if result is None:
                raise CodecError(f"the file of {codec.name} has only {figures.frames} frames")
            figures.add(frame.pixels, result)
        if next(decoded, None) is not None:
            raise CodecError(f"the file of {codec.name} has more than {figures.frames} frames")
    return figures.row(job, codec, len(data), encode_s, decoded.seconds)


class _Timed:
    """An iterator that adds up the CPU seconds it takes to get its items."""

    def __init__(self, frames: Iterator[Pixels]) -> None:
        self._frames = frames
        self.seconds = 0.0

    def __iter__(self) -> _Timed:
        return self

    def __next__(self) -> Pixels:
        start = cpu_seconds()
        try:
            return next(self._frames)
        finally:
            self.seconds += cpu_seconds() - start


def still(path: Path, index: int) -> Pixels:
    """Frame `index` of a clip, uint8 (H, W, 1 or 3)."""
    from tessera.codec.media import open_source

    with open_source(str(path)) as source:
        return next(iter(source.frames(index, index + 1))).pixels
