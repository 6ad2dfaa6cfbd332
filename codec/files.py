"""File to file: what the command line and batch work call.

A target is written under a temporary name beside it and renamed when it is complete, so that an interrupted run leaves
the old file or none.  '-' is standard input or output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..models.base.quality import shown
from .atomic import check_target, output, output_folder
from .checked import standard_input
from .coding import weights
from .coding.best import encode_chosen
from .coding.groups import Group
from .coding.stream import Encoded, decode_groups, frame_tick, media_info, settings_for, to_frames
from .coding.weights import name_of
from .errors import FormatError, ParameterError, naming
from .format.container import Metadata
from .format.pipe import PipeReader
from .format.seekable import FileReader
from .limits import DEFAULT_LIMITS, Limits
from .options import DecodeOptions, EncodeOptions, Progress, from_keywords, takes
from .ranges import FrameRange, bounds, clipped
from .reading.info import Info, describe, survey
from .reading.source import as_file, label, open_path, or_stdin

if TYPE_CHECKING:
    from .media.types import Frame, MediaInfo


@dataclass(frozen=True)
class EncodeReport:
    """What `encode_file` wrote.

    Attributes:
        bytes: Size of the file.
        bpp: Bits per pixel: every byte of the file, over all pixels of all frames.
        frames: Frames that were encoded.
        width: Width in pixels.
        height: Height in pixels.
        seconds: Duration of the whole call.
        codec: The codec family.
        quality: 0..100; where a target was given, the quality that met it.
        warnings: One line for each thing that was left out or could not be met.
    """

    bytes: int
    bpp: float
    frames: int
    width: int
    height: int
    seconds: float
    codec: str
    quality: float
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DecodeReport:
    """What `decode_file` read.

    Attributes:
        frames: Frames that were written.
        width: Width in pixels.
        height: Height in pixels.
        seconds: Duration of the whole call.
        codec: The codec family.
        bytes: Size of the file that was read; None from a pipe.
        warnings: One line for each loss.
    """

    frames: int
    width: int
    height: int
    seconds: float
    codec: str
    bytes: int | None
    warnings: list[str] = field(default_factory=list)


@takes(EncodeOptions)
def encode_file(
    source: str, target: str, options: EncodeOptions | None = None, *, force: bool = False, **keywords: Any
) -> EncodeReport:
    """Encode a picture, a video or a folder of frames to a .tsr file.

    The target is written under a temporary name and renamed when it is complete.

    Args:
        source: Path of a picture, a video or a folder of frames; "-" is standard input.
        target: Path of the file to write; "-" is standard output.
        options: How to encode.  None: the defaults of `EncodeOptions`.
        force: Overwrite the target if it exists.
        **keywords: The fields of `EncodeOptions`, which replace those of `options`; see `encode`.

    Returns:
        Size, quality, duration and warnings.

    Raises:
        ParameterError: An argument is out of range, the source cannot be read, or the target exists.
        FormatError: The source is a damaged media file.
        UnsupportedError: This install lacks the weights of the codec, or the codec does not run on the device.
        LimitError: The source is larger than the limits allow.
    """
    chosen = from_keywords(EncodeOptions, options, keywords)
    _check_distinct(source, target)
    with output(target, force) as sink:  # before the source: an existing target is refused at once
        return encode_to(source, sink, chosen)


def encode_to(source: str, sink: BinaryIO, options: EncodeOptions) -> EncodeReport:
    """Encode a media file to a binary file that is open for writing; see `encode_file`."""
    from .media import open_source

    began = time.perf_counter()
    settings = settings_for(options)
    with open_source(source, fps=options.rate, max_pixels=options.limits.pixels, replay=options.searches) as media:
        encoded = encode_chosen(media, sink, settings)
        warnings = [*media.warnings, *encoded.warnings]
    return _encode_report(encoded, warnings, time.perf_counter() - began)


def _check_distinct(source: str, target: str) -> None:
    """ParameterError when the target is the source, a link to it or one of its frames, which writing would destroy."""
    if not os.path.exists(target) or not Path(target).is_file():
        return
    if source == "-":
        same = False
        with suppress(OSError, ValueError):  # standard input may be no file
            same = os.path.samestat(os.fstat(standard_input().fileno()), os.stat(target))
        if same:
            raise ParameterError(f"{target} is standard input as well; write to another file")
        return
    if os.path.exists(source) and os.path.samefile(source, target):
        raise ParameterError(f"{target} is the input {source} itself; write to another file")
    if os.path.isdir(source) and os.path.samefile(source, Path(target).resolve().parent):
        raise ParameterError(f"{target} is one of the files of the input {source}; write to another file")


def _encode_report(encoded: Encoded, warnings: list[str], seconds: float) -> EncodeReport:
    head = encoded.header
    bpp = 8 * encoded.bytes / (encoded.frames * head.width * head.height)
    return EncodeReport(
        encoded.bytes,
        bpp,
        encoded.frames,
        head.width,
        head.height,
        seconds,
        name_of(head.codec),
        shown(head.quality),
        list(dict.fromkeys(warnings)),
    )


@contextmanager
def opened(source: str, limits: Limits) -> Iterator[FileReader | PipeReader]:
    """A reader over a path, or over standard input, which is read as it comes."""
    if source == "-":
        yield PipeReader(standard_input(), limits)
        return
    with open_path(source) as file:
        yield FileReader(file, limits) if file.seekable() else PipeReader(file, limits)


@takes(DecodeOptions)
def decode_file(
    source: str,
    target: str,
    options: DecodeOptions | None = None,
    *,
    force: bool = False,
    crf: int | None = None,
    lossless: bool = False,
    **keywords: Any,
) -> DecodeReport:
    """Decode a .tsr file to a picture, a video, an array or a folder of frames.

    Args:
        source: Path of the file to read; "-" is standard input.
        target: Path to write to: the suffix names the type (png, webp, mp4, mkv, y4m, npy and others), a path without
            one is a folder of pictures, "-" is standard output.
        options: How to decode.  None: the defaults of `DecodeOptions`.
        force: Overwrite the target if it exists.
        crf: Quality of a lossy video, as its encoder counts it: lower is better.
        lossless: Write a video without further loss.
        **keywords: The fields of `DecodeOptions`, which replace those of `options`.

    Returns:
        Frames, size, duration, and a warning for each loss.

    Raises:
        FormatError: The file is damaged, and neither `partial` nor `conceal` is set; or no frame can be decoded.
        ParameterError: An argument is out of range, the target exists, or the file has none of the frames asked for.
        UnsupportedError: This install lacks what the file needs, or the codec does not run on the device.
        LimitError: The file is larger than the limits allow.
    """
    began = time.perf_counter()
    chosen = from_keywords(DecodeOptions, options, keywords)
    warnings: list[str] = []
    if target != "-":
        _check_distinct(source, target)
        check_target(target, force)
    with naming(label(source)), opened(source, chosen.limits) as reader:
        head = reader.header
        start, stop = bounds(chosen.frames)
        count = _Counter(reader, start, stop, chosen.progress)
        groups = count(decode_groups(reader, chosen, warnings))
        first = next(groups, None)
        if first is None:
            raise _nothing(reader, chosen.frames)
        metadata = _metadata(reader, chosen.lenient, warnings)
        if isinstance(reader, FileReader) and stop is not None and stop >= reader.frames:
            stop = None
        part = start > 0 or stop is not None
        if part and metadata.audio is not None:
            metadata.audio = _sound_of_part(reader, metadata.audio, first.times[0] if start else None, stop)
        shift = first.times[0] if start else 0
        write(
            target, force, media_info(head, metadata, part), to_frames(_again(first, groups), shift), crf, lossless,
            warnings,
        )  # fmt: skip
        size = reader.size if isinstance(reader, FileReader) else None
    codec = weights.name_of(head.codec)
    return DecodeReport(count.frames, head.width, head.height, time.perf_counter() - began, codec, size, warnings)


def _sound_of_part(reader: FileReader | PipeReader, audio: bytes, start: int | None, stop: int | None) -> bytes | None:
    """The sound from tick `start`, which becomes time 0, to the frame `stop`; None for the beginning and the end."""
    from .media import cut_audio

    head = reader.header
    end: int | None = None
    if stop is not None:
        end = frame_tick(reader, stop) if isinstance(reader, FileReader) else head.uniform(stop)
    begin = None if start is None else start * head.time_base
    return cut_audio(audio, begin, None if end is None else end * head.time_base)


class _Counter:
    """Passes groups through, counts their frames and reports progress."""

    def __init__(
        self, reader: FileReader | PipeReader, start: int, stop: int | None, progress: Progress | None
    ) -> None:
        total = reader.frames if isinstance(reader, FileReader) else reader.header.announced
        total = 1 if reader.header.still else total
        self.total = max(0, (total if stop is None else min(stop, total)) - start) or None
        self.frames = 0
        self._progress = progress

    def __call__(self, groups: Iterator[Group]) -> Iterator[Group]:
        for group in groups:
            self.frames += len(group.times)
            yield group
            if self._progress is not None:
                self._progress(self.frames, self.total)


def _again(first: Group, rest: Iterator[Group]) -> Iterator[Group]:
    yield first
    yield from rest


def _nothing(reader: FileReader | PipeReader, frames: FrameRange | None) -> FormatError:
    """Why no group came.  ParameterError when the range lies beyond the file."""
    if isinstance(reader, FileReader):
        clipped(frames, reader.frames)
    return FormatError("no frame of the file can be decoded")


def _metadata(reader: FileReader | PipeReader, partial: bool, warnings: list[str]) -> Metadata:
    try:
        return reader.metadata()
    except FormatError as error:
        if not partial:
            raise
        warnings.append(str(error))
        return Metadata()


def write(
    target: str,
    force: bool,
    info: MediaInfo,
    frames: Iterator[Frame],
    crf: int | None,
    lossless: bool,
    warnings: list[str],
) -> None:
    """Write media to `target`, in place when it is complete; `warnings` takes a line for each loss."""
    from .media import write_media

    suffix = Path(target).suffix
    if target == "-":
        write_media(target, "-", info, frames, crf=crf, lossless=lossless, warnings=warnings)
    elif suffix:
        with output(target, force) as file:
            write_media(file, suffix, info, frames, crf=crf, lossless=lossless, warnings=warnings)
    else:
        with output_folder(target, force) as folder:
            write_media(folder, "", info, frames, crf=crf, lossless=lossless, warnings=warnings)


def info_file(source: str, limits: Limits = DEFAULT_LIMITS, *, digests: bool = False) -> Info:
    """Everything that the file says about itself; reads all of it and checks every checksum.

    Nothing is decoded, unless `digests` asks for those of the decoded pixels.
    """
    with naming(label(source)):
        file, _ = as_file(or_stdin(source))
        with file:
            reader = FileReader(file, limits)
            info = describe(reader, survey(reader, digests))
            try:
                reader.metadata()
            except FormatError as error:
                info = replace(info, sound=False, problems=[*info.problems, str(error)])
    return info


__all__ = ["DecodeReport", "EncodeReport", "decode_file", "encode_file", "encode_to", "info_file"]
