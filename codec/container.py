"""The container: groups of symbols and metadata <-> bytes.  FORMAT.md says what the bytes mean.

    ContainerWriter    writes forward only, a chunk as soon as its group is coded
    PipeReader         reads forward only: stdin, sockets
    FileReader         finds groups by the index, or without it, and reads only those asked for

Both readers offer `header`, `metadata()`, `problems` and `groups(start, stop)`.  A group that cannot be read comes as a
`GroupData` with its `error`; the caller chooses between refusing the file and going on without the group.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Protocol

from .chunks import KNOWN, SIGNATURE, ByteReader, Chunk, Damage, check_signature, chunk_bytes
from .errors import FormatError, ParameterError, UnsupportedError
from .fields import pack_uint
from .header import (
    GroupHead,
    Header,
    Index,
    IndexEntry,
    read_group,
    read_header,
    read_index,
    write_group,
    write_header,
    write_index,
)
from .limits import DEFAULT_LIMITS, METADATA_BYTES, Limits

METADATA = ("iccp", "exif", "audi")


@dataclass
class Metadata:
    """What travels beside the pixels, each as its own format has it."""

    icc: bytes | None = None
    exif: bytes | None = None
    audio: bytes | None = None


@dataclass
class GroupData:
    """One group as it stands in the file.  With `error` the group is lost and only `number` is sure."""

    number: int
    head: GroupHead = field(default_factory=GroupHead)
    symbols: bytes | memoryview = b""
    alpha: bytes | None = None
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of each chunk
    error: FormatError | None = None


class Reader(Protocol):
    header: Header
    problems: list[str]

    @property
    def frames(self) -> int:
        """Of the file; a reader of a pipe knows it when `groups` has ended."""

    @property
    def bytes_read(self) -> int: ...

    def metadata(self) -> Metadata: ...

    def groups(self, start: int = 0, stop: int | None = None) -> Iterator[GroupData]:
        """Every group that shows a frame of start..stop-1, in order."""


class ContainerWriter:
    """Writes a file front to back to `sink`; `written` counts its bytes."""

    def __init__(self, sink: BinaryIO, header: Header, limits: Limits = DEFAULT_LIMITS) -> None:
        limits.check_frame(header.width, header.height)
        self.sink = sink
        self.header = header
        self.limits = limits
        self.written = 0
        self.frames = 0
        self.sizes: dict[str, int] = {}
        self._index = Index()
        self._write(SIGNATURE)
        self._chunk("HEAD", write_header(header))

    def _write(self, data: bytes) -> None:
        self.sink.write(data)
        self.written += len(data)

    def _chunk(self, kind: str, payload: bytes) -> None:
        self.limits.check_chunk(kind, len(payload))
        data = chunk_bytes(kind, payload)
        self._write(data)
        self.sizes[kind] = self.sizes.get(kind, 0) + len(data)

    def metadata(self, metadata: Metadata) -> None:
        """Write what is there; to be called before the first group."""
        if self.frames:
            raise ParameterError("metadata stands before the first group")
        for kind, block in (("iccp", metadata.icc), ("exif", metadata.exif)):
            if block and len(block) > METADATA_BYTES:
                raise ParameterError(f"{kind} has {len(block)} bytes, the format allows {METADATA_BYTES}")
            if block:
                self._chunk(kind, zlib.compress(block, 9))
        if metadata.audio:
            self._chunk("audi", metadata.audio)

    def group(self, head: GroupHead, symbols: bytes, alpha: bytes | None = None) -> None:
        """Write one group.  `alpha`: payload of its ALPH after the frame number, exactly when the header says so."""
        if head.first != self.frames or (alpha is not None) != self.header.alpha:
            raise ParameterError(f"group at frame {head.first} does not follow frame {self.frames} of this file")
        if self.header.still and self.frames:
            raise ParameterError("a still has one group")
        self.limits.check_frames(head.first + head.frames)
        self.limits.check_group(head.frames, self.header.width, self.header.height, len(symbols))
        place = self.written
        if alpha is not None:
            self._chunk("ALPH", alpha_prefix(self.header, head.first) + alpha)
        self._chunk("GRUP", write_group(head, self.header) + symbols)
        if not self._index.groups:
            self._index.offset = place
        self._index.groups.append((head.frames, self.written - place))
        self.frames += head.frames

    def finish(self) -> None:
        """Write the index and the end.  ParameterError when no frame was written."""
        if not self.frames:
            raise ParameterError("there are no frames to encode")
        if self.header.still:
            return
        place = 0
        if len(self._index.groups) > 1:
            place = self.written
            self._chunk("INDX", write_index(self._index))
        self._chunk("TEND", place.to_bytes(8, "little"))


def alpha_prefix(header: Header, first: int) -> bytes:
    """The frame number that an ALPH payload begins with."""
    return b"" if header.still else pack_uint(first)


class Assembler:
    """Joins the chunks after the metadata to groups and holds them to the format's order."""

    def __init__(self, header: Header, number: int = 0, first: int | None = 0) -> None:
        self.header = header
        self.number = number
        self.first = first  # frame that the next group must begin with, None after damage
        self._alpha: bytes | None = None
        self._sizes: dict[str, int] = {}
        self._error: FormatError | None = None

    def feed(self, chunk: Chunk) -> GroupData | None:
        """The group that `chunk` completes, if it does.  `error` is set in the group when a part is damaged."""
        if chunk.kind not in ("ALPH", "GRUP"):
            refuse_unknown(chunk)
            if chunk.kind in KNOWN:
                raise FormatError(f"chunk {chunk.kind} at byte {chunk.offset} is out of place")
            return None
        self._sizes[chunk.kind] = self._sizes.get(chunk.kind, 0) + chunk.size
        try:
            if not chunk.sound:
                raise FormatError(f"the checksum of chunk {chunk.kind} at byte {chunk.offset} does not match")
            if chunk.kind == "ALPH":
                self._take_alpha(chunk)
                return None
        except FormatError as error:
            self._error = self._error or error
        return self._complete(chunk) if chunk.kind == "GRUP" else None

    def _take_alpha(self, chunk: Chunk) -> None:
        if not self.header.alpha or self._alpha is not None:
            raise FormatError(f"chunk ALPH at byte {chunk.offset} is out of place")
        self._alpha = chunk.payload

    def _complete(self, chunk: Chunk) -> GroupData:
        group = GroupData(self.number, alpha=self._alpha, sizes=self._sizes, error=self._error)
        if group.error is None:
            try:
                group.head, group.symbols = read_group(memoryview(chunk.payload), self.header)
                self._check(group)
            except FormatError as error:
                group.error = error
        self.first = group.head.first + group.head.frames if group.error is None else None
        self.number += 1
        self._alpha, self._sizes, self._error = None, {}, None
        if group.error is not None:
            group.error = FormatError(f"group {group.number}: {group.error}")
        return group

    def _check(self, group: GroupData) -> None:
        head = group.head
        if self.first is not None and head.first != self.first:
            raise FormatError(f"begins with frame {head.first}, not {self.first}")
        if not self.header.alpha:
            return
        prefix = alpha_prefix(self.header, head.first)
        if group.alpha is None or not group.alpha.startswith(prefix):
            raise FormatError("its alpha is missing")
        group.alpha = group.alpha[len(prefix) :]


def refuse_unknown(chunk: Chunk) -> None:
    """Damage when a chunk of no known kind is damaged, UnsupportedError when it is sound and required."""
    if chunk.kind in KNOWN:
        return
    if not chunk.sound:
        raise Damage(f"the checksum of chunk {chunk.kind} at byte {chunk.offset} does not match")
    if chunk.required:
        raise UnsupportedError(f"the file needs chunk {chunk.kind}, which this install does not know")


def read_start(reader: ByteReader) -> Header:
    """Signature and HEAD."""
    check_signature(reader.read(len(SIGNATURE)))
    chunk = reader.chunk()
    if chunk is None:
        raise Damage("the file ends after the signature", truncated=True)
    if chunk.kind != "HEAD":
        raise FormatError(f"the first chunk is {chunk.kind}, not HEAD")
    if not chunk.sound:
        raise FormatError("the checksum of HEAD does not match")
    return read_header(chunk.payload, reader.limits)


def unpack_metadata(chunks: dict[str, Chunk]) -> Metadata:
    """The metadata of whole chunks by kind.  FormatError names a damaged one."""
    for kind, chunk in chunks.items():
        if not chunk.sound:
            raise FormatError(f"the checksum of chunk {kind} at byte {chunk.offset} does not match")
    blocks = {kind: inflate(chunks[kind].payload, METADATA_BYTES, kind) for kind in ("iccp", "exif") if kind in chunks}
    audio = chunks["audi"].payload if "audi" in chunks else None
    return Metadata(blocks.get("iccp"), blocks.get("exif"), audio)


def inflate(data: bytes | memoryview, most: int, where: str) -> bytes:
    """A whole zlib stream of at most `most` bytes, or FormatError."""
    machine = zlib.decompressobj()
    try:
        out = machine.decompress(data, most + 1)
    except zlib.error as error:
        raise FormatError(f"{where}: {error}") from error
    if len(out) > most or not machine.eof or machine.unused_data:
        raise FormatError(f"{where}: the deflated data is too long, too short or unfinished")
    return out


class PipeReader:
    """Reads a file front to back, once.  `problems` is complete when `groups` has ended."""

    def __init__(self, file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.problems: list[str] = []
        self._reader = ByteReader(file, limits)
        self.header = read_start(self._reader)
        self._metadata: dict[str, Chunk] = {}
        self._ahead: Chunk | None = None
        self.frames = 0  # as far as groups and the index have told
        try:
            self._ahead = self._read_metadata()
        except Damage as error:
            self.problems.append(str(error))

    @property
    def bytes_read(self) -> int:
        return self._reader.bytes_read

    def _read_metadata(self) -> Chunk | None:
        while (chunk := self._reader.chunk()) is not None:
            if chunk.kind in METADATA:
                if chunk.kind in self._metadata:
                    raise FormatError(f"chunk {chunk.kind} stands twice")
                self._metadata[chunk.kind] = chunk
            elif chunk.kind in KNOWN:
                return chunk
            else:
                refuse_unknown(chunk)
        return None

    def metadata(self) -> Metadata:
        return unpack_metadata(self._metadata)

    def groups(self, start: int = 0, stop: int | None = None) -> Iterator[GroupData]:
        """See `Reader`.  Ends with the file's last chunk whatever `stop` is, so that damage is seen."""
        for group in self._all_groups():
            if group.error is None:
                self.frames = group.head.first + group.head.frames
            else:
                self.problems.append(str(group.error))
            self.limits.check_frames(self.frames)
            if group.error is not None or (self.frames > start and (stop is None or group.head.first < stop)):
                yield group

    def _all_groups(self) -> Iterator[GroupData]:
        assembler = Assembler(self.header)
        entries: list[IndexEntry] = []
        index_at = 0
        chunk, self._ahead = self._ahead, None
        begin = chunk.offset if chunk is not None else 0
        try:
            while chunk is not None and chunk.kind != "TEND":
                if chunk.kind == "INDX":
                    index_at = chunk.offset
                    self._check_index(chunk, entries)
                elif (group := assembler.feed(chunk)) is not None:
                    end = chunk.offset + chunk.size
                    entries.append(IndexEntry(group.head.first, group.head.frames, begin, end - begin))
                    begin = end
                    yield group
                chunk = self._reader.chunk()
            self._check_end(chunk, index_at, assembler.number)
        except Damage as error:
            self.problems.append(str(error))

    def _check_index(self, chunk: Chunk, entries: list[IndexEntry]) -> None:
        """INDX must name the groups that were read; after damage to one, only its checksum can be checked."""
        try:
            if not chunk.sound:
                raise FormatError("the checksum of INDX does not match")
            listed = read_index(chunk.payload, chunk.offset, self.limits)
            self.frames = max(self.frames, listed[-1].first + listed[-1].frames)
            if not self.problems and [e.offset for e in listed] != [e.offset for e in entries]:
                raise FormatError("INDX does not name the places of the groups")
            if not self.problems and [e.frames for e in listed] != [e.frames for e in entries]:
                raise FormatError("INDX does not count the frames of the groups")
        except FormatError as error:
            self.problems.append(str(error))

    def _check_end(self, end: Chunk | None, index_at: int, groups: int) -> None:
        if not groups:
            raise Damage("the file holds no frames", truncated=end is None)
        if self.header.still:
            if end is not None or groups != 1:
                raise Damage("a still ends with its only group")
            return
        if end is None:
            raise Damage("the file ends without TEND", truncated=True)
        if not end.sound or end.payload != index_at.to_bytes(8, "little"):
            raise Damage("TEND is damaged")
        if self._reader.read(1):
            raise Damage("there are bytes after the end")


def parse_block(block: bytes, header: Header, number: int, entry: IndexEntry, limits: Limits) -> GroupData:
    """The group in `block`, the bytes of its chunks, which stand where `entry` says.  FormatError names the group."""
    reader = ByteReader(io.BytesIO(block), limits)
    assembler = Assembler(header, number, entry.first)
    group: GroupData | None = None
    try:
        while (chunk := reader.chunk()) is not None:
            if group is not None and chunk.kind in KNOWN:
                raise FormatError(f"chunk {chunk.kind} is out of place")
            group = assembler.feed(replace(chunk, offset=chunk.offset + (entry.offset or 0))) or group
    except FormatError as error:
        raise FormatError(f"group {number}: {error}") from error
    if group is None:
        raise FormatError(f"group {number}: has no GRUP chunk")
    return group
