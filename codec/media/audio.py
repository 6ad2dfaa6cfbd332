"""Audio packets carried through untouched, inside a Matroska file of their own.

Matroska counts in milliseconds, which would move most packets; so the exact time stamps, durations and their unit
travel beside them in a stream tag, as runs:

    TESSERA_TIMES = "1/44100 -1024 1024:1024*430 0:512*1"

is the time base, the first time stamp, and then (distance to the next packet : duration of this one * how many).
A player sees an ordinary Matroska file and ignores the tag.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from ..errors import FormatError, ParameterError
from .demux import failure, open_container
from .inputs import Input, SharedInput
from .recode import is_pcm, kept_as, lossless_for, recode

if TYPE_CHECKING:
    AnyPacket: TypeAlias = Packet[Any]  # generic for type checkers only
    Track: TypeAlias = tuple[AudioStream, list[AnyPacket]]

TIMES_TAG = "TESSERA_TIMES"
_KEPT_TAGS = ("language", "title")
_RUN = re.compile(r"(-?\d{1,18}):(\d{1,18})\*(\d{1,9})")
_HEAD = re.compile(r"(\d{1,10})/(\d{1,10}) (-?\d{1,18})")


@dataclass
class Times:
    """Time stamps and durations of the packets of one stream, in units of `base` seconds."""

    base: Fraction
    pts: list[int]
    durations: list[int]

    def format(self) -> str:
        """The text of the tag."""
        steps = [after - before for before, after in zip(self.pts, self.pts[1:], strict=False)] + [0]
        runs: list[list[int]] = []
        for step, duration in zip(steps, self.durations, strict=True):
            if runs and runs[-1][:2] == [step, duration]:
                runs[-1][2] += 1
            else:
                runs.append([step, duration, 1])
        head = f"{self.base.numerator}/{self.base.denominator} {self.pts[0]}"
        return " ".join([head, *(f"{step}:{duration}*{count}" for step, duration, count in runs)])

    @classmethod
    def parse(cls, text: str, packets: int) -> Times:
        """Read the tag back; ValueError unless it describes exactly `packets` packets."""
        head = _HEAD.match(text)
        if head is None or int(head[2]) == 0:
            raise ValueError("the time tag is damaged")
        runs = [(int(a), int(b), int(c)) for a, b, c in _RUN.findall(text[head.end() :])]
        if sum(run[2] for run in runs) != packets:
            raise ValueError(f"the time tag does not describe {packets} packets")
        times, now = cls(Fraction(int(head[1]), int(head[2])), [], []), int(head[3])
        for step, duration, count in runs:
            times.pts += range(now, now + step * count, step) if step else [now] * count
            times.durations += [duration] * count
            now += step * count
        return times


def read_audio(data: Input, origin: Fraction, warnings: list[str]) -> bytes | None:
    """Every audio packet of the file, or None where it has none.  `origin` seconds are taken off the time stamps.

    Packets are carried untouched; what Matroska has no place for is coded again without loss.
    """
    with ExitStack() as stack:
        container = open_container(stack.enter_context(data.handle()), data.name)
        if container is None:
            return None
        stack.callback(container.close)
        try:
            tracks: list[Track] = []
            streams = list(container.streams.audio)
            storable = [stream for stream in streams if _fits(stream, "matroska")]
            found = _by_stream(container, storable)
            for stream in streams:
                if stream in storable:
                    tracks.append((stream, found[stream.index]))
                else:
                    tracks += _recoded(data, stream, stack, warnings)
            tracks = [track for track in tracks if track[1]]
            return _write_matroska(tracks, origin) if tracks else None
        except (av.error.FFmpegError, ValueError) as error:
            raise failure(data.name, error, "audio") from error


def _by_stream(container: InputContainer, streams: list[AudioStream]) -> dict[int, list[AnyPacket]]:
    """The packets of each of `streams`, by its index."""
    packets: dict[int, list[AnyPacket]] = {stream.index: [] for stream in streams}
    for packet in container.demux(streams) if streams else ():
        if packet.size and packet.pts is not None:
            packets[packet.stream_index].append(packet)
    return packets


def _recoded(data: Input, stream: AudioStream, stack: ExitStack, warnings: list[str]) -> list[Track]:
    """The track in a codec that Matroska holds; none, with a warning, where nobody can decode it."""
    context: Any = stream.codec_context  # None for a codec that FFmpeg does not know, whatever the type says
    if context is None:
        warnings.append(f"{data.name}: audio stream {stream.index} is not kept: its codec is unknown here")
        return []
    source = open_container(stack.enter_context(data.handle()), data.name)
    assert source is not None, "it was opened before"
    stack.callback(source.close)
    index = [each.index for each in source.streams.audio].index(stream.index)
    codec, sample_format = kept_as(stream)
    try:
        made = recode(source, source.streams.audio[index], codec, sample_format)
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        warnings.append(f"{data.name}: audio stream {stream.index} ({context.name}) is not kept: {reason}")
        return []
    stack.callback(made.close)
    if not is_pcm(stream):
        warnings.append(f"{data.name}: audio stream {stream.index} ({context.name}) is kept as {codec.upper()}")
    target = made.streams.audio[0]
    target.metadata.update(_kept_tags(stream))
    return [(target, _by_stream(made, [target])[target.index])]


def _kept_tags(stream: AudioStream) -> dict[str, str]:
    return {key: stream.metadata[key] for key in _KEPT_TAGS if key in stream.metadata}


def _fits(stream: AudioStream, container: str) -> bool:
    """Whether the container holds the packets of the stream: some refuse only when they write their header."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as probe:
            probe.add_stream_from_template(stream)
            probe.start_encoding()
        return True
    except (av.error.FFmpegError, ValueError):
        return False


def _write_matroska(tracks: list[Track], origin: Fraction) -> bytes:
    """A Matroska file of streams with their packets; `origin` seconds are taken off their times."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as output:
        for stream, packets in tracks:
            target = output.add_stream_from_template(stream)
            times = _shift(packets, origin)
            target.metadata.update({**_kept_tags(stream), TIMES_TAG: times.format()})
            for packet in packets:
                packet.stream = target
        merged = [packet for _, packets in tracks for packet in packets]
        for packet in sorted(merged, key=_seconds):
            output.mux(packet)
    return file.getvalue()


def _seconds(packet: AnyPacket) -> Fraction:
    return (packet.pts or 0) * (packet.time_base or Fraction(1))


def _shift(packets: list[AnyPacket], origin: Fraction) -> Times:
    """Take `origin` seconds off every packet, and return the exact times that remain."""
    base = packets[0].time_base or Fraction(1, 1000)
    shift = round(origin / base)
    for packet in packets:
        packet.pts = packet.dts = (packet.pts or 0) - shift
    return Times(base, [packet.pts or 0 for packet in packets], [packet.duration or 0 for packet in packets])


def cut_audio(
    audio: bytes, start: Fraction | None, stop: Fraction | None, origin: Fraction | None = None
) -> bytes | None:
    """The packets of `Source.audio` that sound between `start` and `stop` seconds, None if there are none.

    Their times become relative to `origin` (`start` without it).  The first may begin before it: packets stay whole.
    Without `start` every packet before `stop` is kept, at its own time.
    """
    container = open_audio(audio)
    try:
        streams = list(container.streams.audio)
        packets: dict[int, list[AnyPacket]] = {stream.index: [] for stream in streams}
        for packet in _timed_packets(container, streams):
            begin = _seconds(packet)
            end = begin + (packet.duration or 0) * (packet.time_base or Fraction(1))
            if (start is None or end > start) and (stop is None or begin < stop):
                packets[packet.stream_index].append(packet)
        kept = [(stream, packets[stream.index]) for stream in streams if packets[stream.index]]
        return _write_matroska(kept, (start or Fraction(0)) if origin is None else origin) if kept else None
    finally:
        container.close()


class AudioWriter:
    """Feeds the packets of a Matroska audio file into another container, in step with the video."""

    def __init__(self, audio: bytes, output: OutputContainer, suffix: str) -> None:
        """Add one stream of `output` for each stream of `audio`; ParameterError where `suffix` cannot hold it."""
        self._input = open_audio(audio)
        self._output = output
        self._recoded: list[InputContainer] = []
        self._pending: list[tuple[AnyPacket, AudioStream]] = []
        streams = list(self._input.streams.audio)
        packets: dict[int, list[AnyPacket]] = {stream.index: [] for stream in streams}
        for packet in _timed_packets(self._input, streams):
            packets[packet.stream_index].append(packet)
        for stream in streams:
            self._pending += self._add(audio, stream, packets[stream.index], suffix)
        self._pending.sort(key=lambda pair: _seconds(pair[0]), reverse=True)

    def _add(
        self, audio: bytes, stream: AudioStream, packets: list[AnyPacket], suffix: str
    ) -> Iterator[tuple[AnyPacket, AudioStream]]:
        """Add a stream to the output; its packets, with that stream."""
        codec, source, container = stream.codec_context.name, stream, self._output.format.name
        lossless = lossless_for(stream, container) if packets else None
        if lossless is not None:
            first = _seconds(packets[0])
            source = self._recode(audio, stream, *lossless)
            packets = _by_stream(self._recoded[-1], [source])[source.index]
            _start_at(packets, first)
        if not _fits(source, container):
            raise ParameterError(f".{suffix} cannot hold {codec} audio; write .mkv, or encode with --no-metadata")
        target = self._output.add_stream_from_template(source)
        target.metadata.update(_kept_tags(stream))
        for packet in packets:
            yield packet, target

    def _recode(self, audio: bytes, stream: AudioStream, codec: str, sample_format: str) -> AudioStream:
        again = open_audio(audio)  # the packets of the other one are in use
        try:
            self._recoded.append(recode(again, again.streams.audio[stream.index], codec, sample_format))
        finally:
            again.close()
        return self._recoded[-1].streams.audio[0]

    def write_until(self, seconds: Fraction | None) -> None:
        """Write the packets that start at or before `seconds`, all that are left without it."""
        while self._pending and (seconds is None or _seconds(self._pending[-1][0]) <= seconds):
            packet, target = self._pending.pop()
            packet.stream = target
            self._output.mux(packet)

    def close(self) -> None:
        """Release the audio file."""
        for container in (self._input, *self._recoded):
            container.close()


def _start_at(packets: list[AnyPacket], first: Fraction) -> None:
    """Move packets so that they begin at the exact second, which Matroska had rounded to a millisecond."""
    if not packets:
        return
    base = packets[0].time_base or Fraction(1)
    shift = round(first / base) - (packets[0].pts or 0)
    for packet in packets:
        packet.pts = packet.dts = (packet.pts or 0) + shift


def open_audio(audio: bytes) -> av.container.InputContainer:
    """The Matroska file that `Source.audio` is; FormatError if the bytes are something else."""
    container = open_container(SharedInput(io.BytesIO(audio), "audio").handle(), "audio")
    if container is None:
        raise FormatError("audio: the carried audio is no Matroska file; the file that holds it is damaged")
    return container


def _timed_packets(container: av.container.InputContainer, streams: list[AudioStream]) -> Iterator[AnyPacket]:
    """The packets with the times of the tag, where there is one."""
    packets: dict[int, list[AnyPacket]] = {stream.index: [] for stream in streams}
    for packet in container.demux(streams):
        if packet.size:
            packets[packet.stream_index].append(packet)
    for stream in streams:
        tag = stream.metadata.get(TIMES_TAG)
        if tag is not None:
            _apply(tag, packets[stream.index])
        yield from packets[stream.index]


def _apply(tag: str, packets: list[AnyPacket]) -> None:
    try:
        times = Times.parse(tag, len(packets))
    except ValueError as error:
        raise FormatError(f"audio: {error}; the file that holds it is damaged") from error
    for packet, pts, duration in zip(packets, times.pts, times.durations, strict=True):
        packet.time_base = times.base
        packet.pts = packet.dts = pts
        packet.duration = duration


def audio_packets(audio: bytes) -> list[tuple[bytes, Fraction, Fraction]]:
    """Bytes, start and duration in seconds of every packet: what a caller needs to look at carried audio."""
    container = open_audio(audio)
    try:
        found = _timed_packets(container, list(container.streams.audio))
        return [(bytes(p), _seconds(p), (p.duration or 0) * (p.time_base or Fraction(1))) for p in found]
    finally:
        container.close()
