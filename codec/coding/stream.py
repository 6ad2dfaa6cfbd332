"""Frames -> file and file -> frames, group by group, in memory that does not grow with the clip.

Every public function that encodes or decodes ends here; paths, arrays and rate targets are wrapped around it.
"""

from __future__ import annotations

import warnings as warnings_of_python
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...models.base.fitted import Fits, PaintsFrames
from ...models.base.quality import MAX_FINE, fine, shown
from .. import defaults
from ..errors import FormatError, ParameterError
from ..format.chunks import DIGEST_BYTES
from ..format.container import ContainerReader, GroupData, Metadata, Showing
from ..format.header import DECODERS, MAX_RATIO, MAX_SIDE, Header
from ..format.seekable import FileReader
from ..format.writer import ContainerWriter
from ..options import DecodeOptions, EncodeOptions
from ..ranges import bounds, range_text
from . import weights
from .conceal import Concealer
from .fits import split_fit_options, with_frame_count
from .groups import (
    Group,
    PortMaker,
    choose_decoder,
    code_group,
    group_digest,
    group_length,
    group_times,
    join_frames,
    lacking_decoder,
    open_group,
    paint_part,
)
from .ports import EncoderPort

if TYPE_CHECKING:
    from ...models.base.family import Family
    from ..media.types import Frame, MediaInfo, Source


@dataclass(frozen=True)
class EncoderSettings:
    """Options with their family loaded and configured, and what the searches for a target vary."""

    options: EncodeOptions
    family: Family
    codec: int  # wire id
    weights_id: bytes
    quality: int  # fine quality
    make_port: PortMaker = EncoderPort

    def at(self, quality: int) -> EncoderSettings:
        """The same at another fine quality."""
        return replace(self, quality=quality)

    def choosing(self, **options: Any) -> EncoderSettings:
        """The same with some of the options changed; the family stays as it is."""
        return replace(self, options=replace(self.options, **options))


@dataclass
class Encoded:
    """The result of `encode_stream`.  `sizes`: bytes of each kind of chunk."""

    bytes: int
    frames: int
    header: Header
    warnings: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)


def settings_for(options: EncodeOptions) -> EncoderSettings:
    """The settings with the family loaded and its options applied.

    ParameterError names an option or a decoder that the family does not have.
    """
    codec, decoder = options.family, options.decoder
    family, weights_id = weights.load(codec, None, options.device)
    if decoder is not None and (decoder not in family.decoders or decoder not in DECODERS):
        raise ParameterError(f"codec {codec} has no decoder {decoder!r}; there are {', '.join(family.decoders)}")
    if options.digest and not family.exact:
        raise ParameterError(f"codec {codec} keeps no digest: its pixels may differ between machines")
    own, fit = split_fit_options(family, options.family_options)
    if "task" in own and "task" in family.options:
        own["task"] = weights.read_task(Path(str(own["task"])))
    try:
        family = family.configure(options.effort, **own)
    except ValueError as error:
        raise ParameterError(str(error)) from None
    if isinstance(family, Fits):
        family = family.fitting(**fit)
    quality = defaults.QUALITY if options.quality is None else options.quality
    return EncoderSettings(options, family, weights.wire_id(codec), weights_id, fine(quality))


def make_header(source: Source, settings: EncoderSettings, start: int, announced: int) -> Header:
    """HEAD for a source whose first frame shows at tick `start`."""
    settings.options.limits.check_frame(source.width, source.height)
    if max(source.width, source.height) > MAX_SIDE:
        raise ParameterError(f"{source.width}x{source.height}: the format ends at {MAX_SIDE} pixels per side")
    if not 0 <= settings.quality <= MAX_FINE:
        raise ParameterError(f"quality {shown(settings.quality):g} is not in 0..100")
    colour = source.colour
    return Header(
        codec=settings.codec,
        weights=settings.weights_id,
        width=source.width,
        height=source.height,
        still=source.kind == "picture",
        channels=source.channels,
        alpha=source.alpha,
        quality=settings.quality,
        colour=(colour.primaries, colour.transfer, colour.matrix, colour.full_range),
        decoder=DECODERS.get(settings.options.decoder or "", 0),
        announced=announced,
        time_base=_ratio(source.time_base),
        rate=_ratio(source.rate),
        start=start,
    )


def _ratio(value: Fraction) -> Fraction:
    """`value` as near as two integers of the format bring it."""
    limited = Fraction(value).limit_denominator(MAX_RATIO)
    if not 0 < limited.numerator <= MAX_RATIO:
        raise ParameterError(f"{value} is not a rate that the format can hold")
    return limited


def encode_stream(source: Source, sink: BinaryIO, settings: EncoderSettings) -> Encoded:
    """Encode the source's frames to `sink`, which is only written to, in order."""
    options = settings.options
    start, stop = bounds(options.frames)
    frames = source.frames(start, stop)
    head_frame = next(frames, None)
    if options.effort == "best" and source.kind != "picture":
        raise ParameterError(f"{source.name}: effort best is for pictures; slow is the most for a clip")
    if head_frame is None:
        raise ParameterError(f"{source.name}: has no frames in {range_text(start, stop)}")
    total = _count(source, start, stop)
    # A part of a clip begins at tick 0; the whole of it keeps its first tick, so that it stays beside its audio.
    shift = head_frame.pts if start else 0
    header = make_header(source, settings, head_frame.pts - shift, total or 0)
    writer = ContainerWriter(sink, header, options.limits)
    _write_metadata(writer, source, options, head_frame.pts)
    length = group_length(options.gop, settings.family, header, options.limits)
    family = with_frame_count(settings.family, total)
    for group in join_frames(_shifted(chain([head_frame], frames), shift), length, header):
        coded = code_group(family, header, group, settings.quality, settings.make_port)
        if isinstance(family, PaintsFrames) and settings.make_port is EncoderPort:
            # Whether its bytes justify the network is known only now: a file that no reader takes is not written.
            made = GroupData(0, coded.head, coded.symbols, coded.alpha)
            open_group(family, header, made, options.limits, family.decoders[0])
        digest = None
        if options.digest:  # where nothing is range coded, only its size counts
            real = settings.make_port is EncoderPort
            digest = group_digest(family, header, coded, options.limits) if real else bytes(DIGEST_BYTES)
        writer.group(coded.head, coded.symbols, coded.alpha, digest)
        if options.progress is not None:
            options.progress(writer.frames, total)
    writer.finish()
    return Encoded(writer.written, writer.frames, header, sizes=writer.sizes)


def _count(source: Source, start: int, stop: int | None) -> int | None:
    """Frames that will be encoded, as far as the source knows."""
    if source.frame_count is None:
        return None
    return max(0, min(source.frame_count, source.frame_count if stop is None else stop) - start)


def _shifted(frames: Iterator[Frame], shift: int) -> Iterator[Frame]:
    for frame in frames:
        frame.pts -= shift
        yield frame


def _write_metadata(writer: ContainerWriter, source: Source, options: EncodeOptions, first_tick: int) -> None:
    info = source.media
    audio = info.audio if options.metadata else None
    start, stop = bounds(options.frames)
    if audio is not None and (start or stop is not None):
        audio = _cut(info, audio, first_tick, start, stop)
    details = replace(info.details, chapters=()) if start or stop is not None else info.details
    showing = Showing(info.aspect, info.plays, 0 if stop is not None else info.last)
    if options.metadata:
        writer.metadata(Metadata(info.icc, info.exif, audio, showing, details))
    else:
        writer.metadata(Metadata(showing=showing))


def _cut(info: MediaInfo, audio: bytes, first_tick: int, start: int, stop: int | None) -> bytes | None:
    """The sound of the frames start..stop-1, the first of which shows at `first_tick`, at the nominal rate."""
    from ..media import cut_audio

    begin = first_tick * info.time_base
    end = None if stop is None else begin + (stop - start) / info.rate
    return cut_audio(audio, begin if start else None, end)


def load_family(header: Header, device: str) -> Family:
    """The family that decodes a file.  UnsupportedError names a codec or weights this install lacks."""
    family, _ = weights.load(weights.name_of(header.codec), header.weights, device)
    return family


def decode_groups(
    reader: ContainerReader, options: DecodeOptions | None = None, warnings: list[str] | None = None
) -> Iterator[Group]:
    """Decode the groups that hold the frames asked for, cut to that range.

    A damaged file is refused with FormatError; with `partial` what is left of it is decoded, with `conceal` lost frames
    are filled in (`conceal`) as well, and `warnings` takes a line for each loss.
    """
    options = options or DecodeOptions()
    start, stop = bounds(options.frames)
    limits, partial = options.limits, options.lenient
    if not partial:
        report_problems(reader.problems, partial, warnings)
    family = load_family(reader.header, options.device)
    painter = choose_decoder(family, reader.header, options.decoder)
    tell(lacking_decoder(family, reader.header, options.decoder), warnings)
    filler = Concealer(family, reader, limits, painter, start, stop)
    lost: list[str] = []
    for data in reader.groups(start, stop):
        if data.error is None:
            try:
                group = paint_part(family, reader.header, data, limits, painter, start, stop)
            except FormatError as error:
                data.error = error
        if data.error is None:
            if options.conceal:
                yield from filler.add(data, group)
            yield cut(group, start, stop)
        elif partial:
            lost.append(str(data.error))
        else:
            raise data.error
    if options.conceal:
        yield from filler.end()
    lost += [line for line in reader.problems if line not in lost]
    report_problems(lost + filler.filled, partial, warnings)


def tell(lines: list[str], into: list[str] | None) -> None:
    """Hand lines over where somebody takes them; else they become Python's warnings."""
    if into is not None:
        into += lines
        return
    for line in lines:
        warnings_of_python.warn(line, stacklevel=3)


def report_problems(problems: list[str], partial: bool, warnings: list[str] | None) -> None:
    """Refuse the file for the first of its problems, or with `partial` hand them over as warnings."""
    if problems and not partial:
        raise FormatError(problems[0])
    if warnings is not None:
        warnings += problems


def cut(group: Group, start: int, stop: int | None) -> Group:
    """The part of a group that lies in start..stop-1."""
    a = max(0, start - group.first)
    b = len(group.times) if stop is None else min(len(group.times), stop - group.first)
    alpha = None if group.alpha is None else group.alpha[a:b]
    return Group(group.first + a, group.pixels[a:b], alpha, group.times[a:b])


def to_frames(groups: Iterator[Group], shift: int = 0) -> Iterator[Frame]:
    """Single frames for the media writer, `shift` ticks earlier."""
    from ..media.types import Frame

    for group in groups:
        for k, tick in enumerate(group.times):
            yield Frame(group.pixels[k], None if group.alpha is None else group.alpha[k], tick - shift)


def frame_tick(reader: FileReader, frame: int) -> int:
    """When a frame of the file shows, in ticks; its group is read."""
    group = reader.group(reader.numbers(frame, frame + 1)[0]).head
    return group_times(reader.header, group)[frame - group.first]


def media_info(header: Header, metadata: Metadata, part: bool = False) -> MediaInfo:
    """The description that the media writer needs, of the file or of a part of its frames."""
    from ..media.types import Colour, MediaInfo

    return MediaInfo(
        kind="picture" if header.still else "video",
        width=header.width,
        height=header.height,
        channels=header.channels,
        alpha=header.alpha,
        time_base=header.time_base,
        rate=header.rate,
        colour=Colour(*header.colour),
        icc=metadata.icc,
        exif=metadata.exif,
        audio=metadata.audio,
        aspect=metadata.showing.aspect,
        plays=metadata.showing.plays,
        last=0 if part else metadata.showing.last,
        details=replace(metadata.details, chapters=()) if part else metadata.details,
    )
