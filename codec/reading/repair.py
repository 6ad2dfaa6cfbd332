"""What is left of a damaged file, as a sound one: single flipped bits set right, groups that are whole, a new index.

A sound file cannot leave out frames, so the frames after a loss move up by number.  Each still shows at its time, so
audio stays beside them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..atomic import output
from ..coding.groups import group_times
from ..errors import CodecError, FormatError, naming
from ..format.chunks import KNOWN, SIGNATURE, ByteReader, Chunk, chunk_bytes
from ..format.container import Metadata, missing_tail, unpack_metadata
from ..format.correct import corrected
from ..format.header import GroupHead, Header
from ..format.positioned import PositionedFile
from ..format.seekable import FileReader
from ..format.writer import ContainerWriter
from ..limits import DEFAULT_LIMITS, Limits
from ..options import FileSource
from .source import as_file, label, or_stdin
from .verify import verify

_HEAD_BITS = 8 * 6  # of a chunk, that are tried one by one: its type and the first bytes of its length
_TRY = 1 << 15  # bytes whose checksum takes as long as a try takes beside its own
_LEAST, _PASSES = 1 << 30, 64  # bytes that tries may check in all: so many, and the file so many times


@dataclass(frozen=True)
class RepairReport:
    """What `repair` found and wrote.

    Attributes:
        ok: The file that was written is sound: `verify` finds nothing.
        frames: Frames that were written.
        problems: One line for each thing that was wrong with the file.
        corrected: One line for each chunk in which a flipped bit was set right.
        lost: One line for each thing that could not be kept.
    """

    ok: bool
    frames: int
    problems: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def repair(data: FileSource, target: str, *, force: bool = False, limits: Limits = DEFAULT_LIMITS) -> RepairReport:
    """Write what can be rebuilt of a damaged file as a sound one.

    One flipped bit in a chunk is set right.  Header, index and end are written anew.  Groups and metadata that are
    damaged beyond that are left out.

    Args:
        data: A .tsr file: a path, its bytes or a binary file; "-" is standard input.
        target: Path of the file to write; "-" is standard output.
        force: Overwrite the target if it exists.
        limits: Upper bounds; a file beyond one of them is refused.

    Returns:
        What was wrong, what was set right, and what is lost.

    Raises:
        FormatError: Nothing can be rebuilt: header and its copy are damaged, or no group is whole.
        ParameterError: There is no such file, or the target exists.
        UnsupportedError: The file needs a newer version of the format, or weights that this install lacks.
        LimitError: The file is larger than the limits allow.
    """
    with naming(label(data)):
        file, ours = as_file(or_stdin(data))
        try:
            raw = FileBytes(file.read(limits.chunk + 1), limits)
        finally:
            if ours:
                file.close()
        before = verify(raw.file.getvalue(), limits=limits).problems
        fixed = list(raw.correct())
        reader = FileReader(raw.file, limits)
        found = _Found(reader, limits)
        written = found.write()
        with output(target, force) as sink:
            sink.write(written)
        report = verify(written, limits=limits)
    return RepairReport(report.ok, report.frames, before, fixed, found.lost + report.problems)


class FileBytes:
    """A whole file, in which bits can be set right.

    Tries are bounded: a file of false lengths would otherwise be checked once for each of its bytes.
    """

    def __init__(self, data: bytes, limits: Limits) -> None:
        limits.check_chunk("of the whole file", len(data))
        self.file, self.limits = io.BytesIO(data), limits
        self.data, self._places = self.file.getbuffer(), PositionedFile(self.file)
        self._left = _LEAST + _PASSES * len(data)

    def correct(self) -> Iterator[str]:
        """Set right one bit in each chunk that has one wrong, as far as chunks follow each other; a line for each."""
        begin, kind = bytes(self.data[: len(SIGNATURE)]), bytes(self.data[len(SIGNATURE) : len(SIGNATURE) + 4])
        if begin != SIGNATURE and kind == b"HEAD":
            self.data[: len(SIGNATURE)] = SIGNATURE
            yield "the signature is written anew"
        at = len(SIGNATURE)
        while at < len(self.data):
            chunk = self._chunk(at)
            if chunk is None or not chunk.sound:
                chunk, line = self._better(at, chunk)
                if chunk is None:
                    return
                if line:
                    yield line
            at += chunk.size

    def _chunk(self, at: int) -> Chunk | None:
        reader = ByteReader(self._places, self.limits)
        reader.seek(at)
        try:
            return reader.chunk()
        except CodecError:
            return None

    def _better(self, at: int, chunk: Chunk | None) -> tuple[Chunk | None, str]:
        """The chunk with a bit set right, and a line; the chunk as it is, or None, where that does not help."""
        for bit in range(min(_HEAD_BITS, 8 * (len(self.data) - at))):
            if self._left < 0:
                break
            self.data[at + bit // 8] ^= 1 << bit % 8
            other = self._chunk(at)
            self._left -= _TRY + (0 if other is None else other.size)
            if other is not None and other.sound and other.kind in KNOWN:
                return other, f"chunk {other.kind} at byte {at}: a flipped bit of its head is set right"
            self.data[at + bit // 8] ^= 1 << bit % 8
        if chunk is None:
            return None, ""
        end = at + chunk.size
        payload = corrected(chunk, bytes(self.data[end - 4 : end]))
        if payload is None:
            return chunk, ""
        self.data[at:end] = chunk_bytes(chunk.kind, payload)
        return self._chunk(at), f"chunk {chunk.kind} at byte {at}: a flipped bit is set right"


class _Found:
    """What a reader still gives, written anew; `lost` says what it does not."""

    def __init__(self, reader: FileReader, limits: Limits) -> None:
        self.reader, self.limits = reader, limits
        self.lost: list[str] = []

    def write(self) -> bytes:
        whole = [number for number in range(len(self.reader.entries)) if self._whole(number)]
        if not whole:
            raise FormatError("no group is whole: nothing can be rebuilt")
        before, sink = self.reader.header, io.BytesIO()
        entries = self.reader.entries
        head = self._header(sum(entries[number].frames for number in whole), self.reader.group(whole[0]).head)
        writer = ContainerWriter(sink, head, self.limits)
        writer.metadata(self._metadata())
        shown: int | None = None
        for number in whole:
            data = self.reader.group(number)
            given = self._later(group_times(before, data.head), shown, data.head)
            shown = given[-1]
            uniform = head.still or given == [head.uniform(writer.frames + k) for k in range(data.head.frames)]
            group = replace(data.head, first=writer.frames, times=None if uniform else given)
            alpha = bytes(data.alpha) if data.alpha is not None else None
            writer.group(group, bytes(data.symbols), alpha, data.digest)
        writer.finish()
        if self.reader.truncated:
            self.lost += missing_tail(before, self.reader.frames)
        return sink.getvalue()

    def _later(self, times: list[int], shown: int | None, group: GroupHead) -> list[int]:
        """The ticks of a group's frames, moved behind those of the frames before."""
        if shown is None or times[0] > shown:
            return times
        self.lost.append(f"the times of frames {group.first}..{group.first + group.frames - 1}: they run backwards")
        return [tick + shown + 1 - times[0] for tick in times]

    def _whole(self, number: int) -> bool:
        entry = self.reader.entries[number]
        try:
            self.reader.group(number)
        except FormatError as error:
            frames = f"frames {entry.first}..{entry.first + entry.frames - 1} are lost"
            self.lost.append(str(error) if entry.offset is None else f"{frames}: {error}")
            return False
        return True

    def _header(self, frames: int, first: GroupHead) -> Header:
        """The header of what is left: it begins where its first frame shows."""
        head = self.reader.header
        if head.still:
            return head
        start = first.times[0] if first.times else head.uniform(first.first)
        announced = head.announced if frames == self.reader.frames and not self.reader.truncated else frames
        return replace(head, announced=announced, start=start if first.first else head.start)

    def _metadata(self) -> Metadata:
        """Every block that is sound."""
        sound: dict[str, Chunk] = {}
        for kind, chunk in self.reader.metadata_chunks().items():
            try:
                unpack_metadata({kind: chunk})
                sound[kind] = chunk
            except FormatError as error:
                self.lost.append(str(error))
        return unpack_metadata(sound)
