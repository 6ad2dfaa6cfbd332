"""File to file: what the command line and batch work call.

A target is written under a temporary name beside it and renamed when it is complete, so that an interrupted run leaves
the old file or none.  '-' is standard input or output.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .atomic import check_target, output, replacing
from .coding import weights
from .coding.groups import Group, paint_group
from .coding.stream import (
    Encoded,
    Progress,
    Range,
    decode_groups,
    frame_range,
    load_family,
    media_info,
    settings_for,
    to_frames,
)
from .coding.targets import Target, encode_target
from .defaults import CODEC
from .errors import CodecError, FormatError, ParameterError
from .format.container import Metadata
from .format.pipe import PipeReader
from .format.seekable import FileReader
from .limits import DEFAULT_LIMITS, Limits
from .reading.clip import as_file, open_path
from .reading.info import Info, describe, survey

if TYPE_CHECKING:
    from .media.types import Frame


@dataclass(frozen=True)
class EncodeReport:
    """bpp counts every byte of the file over all pixels of all frames; quality 0..100; times in seconds."""

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
    frames: int
    width: int
    height: int
    seconds: float
    codec: str
    bytes: int | None  # of the file read, None from a pipe
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class VerifyReport:
    """ok: every checksum holds and every group decodes.  problems: one line each, of the file and of its groups."""

    ok: bool
    frames: int
    groups: int
    bad_groups: list[int]
    problems: list[str]
    truncated: bool
    seconds: float


@contextmanager
def named(source: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name before the message of a FormatError and its relatives."""
    label = "standard input" if source == "-" else os.fspath(source)
    try:
        yield
    except CodecError as error:
        if isinstance(error, ParameterError) or str(error).startswith(label):
            raise
        kind = FormatError if isinstance(error, FormatError) else type(error)
        raise kind(f"{label}: {error}") from error


def encode_file(
    source: str,
    target: str,
    *,
    codec: str = CODEC,
    quality: float | None = None,
    bpp: float | None = None,
    size: int | None = None,
    psnr: float | None = None,
    gop: int | None = None,
    fps: float | Fraction | None = None,
    effort: str = "medium",
    device: str = "cpu",
    frames: Range | None = None,
    decoder: str | None = None,
    metadata: bool = True,
    force: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
    **options: object,
) -> EncodeReport:
    """Encode a picture, a video, a folder or standard input to a .tsr file; arguments as in `api.encode`."""
    from .media import open_source

    began = time.perf_counter()
    wanted = Target(quality, bpp, size, psnr)
    settings = settings_for(
        codec,
        options=options,
        effort=effort,
        device=device,
        decoder=decoder,
        gop=gop,
        frames=frames,
        metadata=metadata,
        limits=limits,
        progress=progress,
    )
    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    once = bpp is None and size is None and psnr is None
    with output(target, force) as sink:  # before the source: an existing target is refused at once
        with open_source(source, fps=rate, max_pixels=limits.pixels, replay=not once) as media:
            encoded = encode_target(media, sink, settings, wanted)
            warnings = [*media.warnings, *encoded.warnings]
    return _encode_report(encoded, codec, warnings, time.perf_counter() - began)


def _encode_report(encoded: Encoded, codec: str, warnings: list[str], seconds: float) -> EncodeReport:
    head = encoded.header
    bpp = 8 * encoded.bytes / (encoded.frames * head.width * head.height)
    return EncodeReport(
        encoded.bytes,
        bpp,
        encoded.frames,
        head.width,
        head.height,
        seconds,
        codec,
        head.quality / 64,
        list(dict.fromkeys(warnings)),
    )


@contextmanager
def opened(source: str, limits: Limits) -> Iterator[FileReader | PipeReader]:
    """A reader over a path, or over standard input, which is read as it comes."""
    if source == "-":
        yield PipeReader(sys.stdin.buffer, limits)
        return
    with open_path(source) as file:
        yield FileReader(file, limits) if file.seekable() else PipeReader(file, limits)


def decode_file(
    source: str,
    target: str,
    *,
    force: bool = False,
    frames: Range | None = None,
    decoder: str | None = None,
    device: str = "cpu",
    crf: int | None = None,
    lossless: bool = False,
    partial: bool = False,
    conceal: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> DecodeReport:
    """Decode a .tsr file to what the suffix of `target` names; without one, to a folder of pictures.

    FormatError when anything is damaged; with `partial` what is left is written, with `conceal` lost frames are filled
    in as well, and there is a warning for each loss.
    """
    began = time.perf_counter()
    warnings: list[str] = []
    if target != "-":
        check_target(target, force)
    with named(source), opened(source, limits) as reader:
        head = reader.header
        start, stop = frame_range(frames)
        count = _Counter(reader, start, stop, progress)
        groups = count(
            decode_groups(
                reader,
                frames,
                decoder=decoder,
                device=device,
                partial=partial,
                conceal=conceal,
                warnings=warnings,
                limits=limits,
            )
        )
        first = next(groups, None)
        if first is None:
            raise _nothing(reader, start)
        metadata = _metadata(reader, partial or conceal, warnings)
        part = start > 0 or (stop is not None and not (isinstance(reader, FileReader) and stop >= reader.frames))
        if part and metadata.audio is not None:
            warnings.append("audio left out, since only a part of the frames is decoded")
        info = media_info(head, metadata, audio=not part)
        write(target, force, info, to_frames(_again(first, groups), first.times[0] if start else 0), crf, lossless)
        size = reader.size if isinstance(reader, FileReader) else None
    codec = weights.name_of(head.codec)
    return DecodeReport(count.frames, head.width, head.height, time.perf_counter() - began, codec, size, warnings)


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


def _nothing(reader: FileReader | PipeReader, start: int) -> FormatError | ParameterError:
    if isinstance(reader, FileReader) and 0 < reader.frames <= start:
        return ParameterError(f"frames {start}: the file has {reader.frames}")
    return FormatError("no frame of the file can be decoded")


def _metadata(reader: FileReader | PipeReader, partial: bool, warnings: list[str]) -> Metadata:
    try:
        return reader.metadata()
    except FormatError as error:
        if not partial:
            raise
        warnings.append(str(error))
        return Metadata()


def write(target: str, force: bool, info: object, frames: Iterator[Frame], crf: int | None, lossless: bool) -> None:
    """Write media to `target`, in place when it is complete."""
    from .media import write_media

    suffix = Path(target).suffix
    if target == "-":
        write_media(target, "-", info, frames, crf=crf, lossless=lossless)  # type: ignore[arg-type]
        return
    with replacing(target, force) as name:
        if suffix and Path(target).is_dir():
            raise ParameterError(f"{target} is a folder; name a file")
        write_media(name, suffix, info, frames, crf=crf, lossless=lossless)  # type: ignore[arg-type]


def info_file(source: str, limits: Limits = DEFAULT_LIMITS) -> Info:
    """Everything that the file says about itself; reads all of it and checks every checksum, decodes nothing."""
    with named(source):
        file, _ = as_file(sys.stdin.buffer if source == "-" else source)
        with file:
            reader = FileReader(file, limits)
            info = describe(reader, survey(reader))
            try:
                reader.metadata()
            except FormatError as error:
                info = replace(info, sound=False, problems=[*info.problems, str(error)])
    return info


def verify_file(
    source: str, *, device: str = "cpu", limits: Limits = DEFAULT_LIMITS, progress: Progress | None = None
) -> VerifyReport:
    """Check every checksum and decode every group.  Damage is reported, not raised; UnsupportedError and LimitError
    are raised, since nothing can then be said about the file."""
    began = time.perf_counter()
    bad: list[int] = []
    with named(source):
        file, _ = as_file(sys.stdin.buffer if source == "-" else source)
        with file:
            try:
                reader = FileReader(file, limits)
            except FormatError as error:
                return VerifyReport(False, 0, 0, [], [str(error)], False, time.perf_counter() - began)
            problems = _verify_groups(reader, device, limits, bad, progress)
            problems += [line for line in _strict(file, limits) if line not in problems]
    return VerifyReport(
        not problems,
        reader.frames,
        len(reader.entries),
        bad,
        problems,
        reader.truncated,
        time.perf_counter() - began,
    )


def _verify_groups(
    reader: FileReader, device: str, limits: Limits, bad: list[int], progress: Progress | None
) -> list[str]:
    """Decode every group; returns what is wrong and fills `bad`."""
    problems = list(reader.problems)
    family = load_family(reader.header, device)
    for number, entry in enumerate(reader.entries):
        try:
            paint_group(family, reader.header, reader.group(number), limits)
        except FormatError as error:
            bad.append(number)
            problems.append(str(error))
        if progress is not None:
            progress(entry.first + entry.frames, reader.frames)
    return problems


def _strict(file: BinaryIO, limits: Limits) -> list[str]:
    """What a reading from front to back finds: chunks out of order, bytes too many, damaged metadata."""
    file.seek(0)
    try:
        reader = PipeReader(file, limits)
        for _ in reader.groups():
            pass
        reader.metadata()
    except FormatError as error:
        return [str(error)]
    return reader.problems


__all__ = [
    "DecodeReport",
    "EncodeReport",
    "VerifyReport",
    "decode_file",
    "encode_file",
    "info_file",
    "verify_file",
]
