"""A .tsr file read from a pipe, from front to back; see `container`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ..errors import FormatError
from ..limits import DEFAULT_LIMITS, Limits
from .chunks import COPY, DIGEST, KNOWN, ByteReader, Chunk, Damage
from .container import (
    Assembler,
    GroupData,
    Metadata,
    check_copy,
    is_prefix,
    missing_tail,
    read_digest,
    read_start,
    refuse_unknown,
    unpack_metadata,
)
from .header import (
    IndexEntry,
    read_index,
)


class PipeReader:
    """Reads a file front to back, once.  `problems` is complete when `groups` has ended."""

    def __init__(self, file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.problems: list[str] = []
        self._reader = ByteReader(file, limits)
        self.header, self._head = read_start(self._reader)
        self.truncated = False
        self._metadata: dict[str, Chunk] = {}
        self._ahead: Chunk | None = None
        self.frames = 0  # frames that the groups read so far, or the index, hold
        try:
            self._ahead = self._read_metadata()
        except Damage as error:
            self._note(error)

    def _note(self, damage: Damage) -> None:
        self.truncated = self.truncated or damage.truncated
        self.problems.append(str(damage))

    @property
    def bytes_read(self) -> int:
        return self._reader.bytes_read

    def _read_metadata(self) -> Chunk | None:
        while (chunk := self._reader.chunk()) is not None:
            if is_prefix(chunk, self.header):
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
        """See `ContainerReader`.  Ends with the file's last chunk whatever `stop` is, so that damage is seen."""
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
        begin: int | None = None  # where the next group's first chunk begins
        copied = False
        try:
            digest = read_digest(self._metadata[DIGEST]) if DIGEST in self._metadata else None
            while chunk is not None and chunk.kind != "TEND":
                if begin is None and chunk.kind in ("ALPH", "GRUP"):
                    begin = chunk.offset
                if copied:
                    raise Damage(f"chunk {chunk.kind} at byte {chunk.offset} is out of place")
                copied = chunk.kind == COPY and not self.header.still
                if copied:
                    check_copy(chunk, self._head)
                elif chunk.kind == "INDX":
                    index_at = chunk.offset
                    self._check_index(chunk, entries)
                elif (group := assembler.feed(chunk)) is not None:
                    size = chunk.offset + chunk.size - (begin or 0)
                    entries.append(IndexEntry(group.head.first, group.head.frames, begin, size))
                    begin, group.digest = None, digest
                    yield group
                chunk = self._reader.chunk()
            self._check_end(chunk, index_at, assembler.number)
        except Damage as error:
            self._note(error)
        if self.truncated:
            self.problems += missing_tail(self.header, self.frames)

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
