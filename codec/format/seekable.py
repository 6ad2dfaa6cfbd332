"""A reader that finds groups in a file that can seek: by the index, by walking the chunks, or by searching.

    index     TEND -> INDX -> entries          two short reads from the end
    walk      chunk heads from the first group on, payloads stepped over; for files without an index
    search    every chunk whose checksum holds, wherever it stands; for files whose chunk lengths are damaged
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from ..errors import FormatError
from ..limits import DEFAULT_LIMITS, GROUP_FRAMES, Limits
from .chunks import COPY, DIGEST, KNOWN, SIGNATURE, TEND_BYTES, ByteReader, Chunk, Damage, find_chunks
from .container import (
    METADATA,
    GroupData,
    Metadata,
    check_copy,
    is_prefix,
    missing_tail,
    parse_block,
    read_digest,
    read_start,
    refuse_unknown,
    unpack_metadata,
)
from .header import IndexEntry, check_later, read_group, read_header, read_index, read_place
from .positioned import PositionedFile

_COPY_AREA = 4096  # bytes at the end of a file that hold the copy of HEAD
_PLACE_BYTES = 32  # flags, first frame and frame count lie in the first so many bytes of a GRUP payload


class FileReader:
    """Opens `file`, reads its header and finds its groups; payloads are read when asked for.

    entries    one IndexEntry per group, in order; `offset` None where frames are known to be lost
    problems   what is wrong with the file as a whole, empty for a sound one
    truncated  the file stops before its end
    indexed    the entries come from the file's own index

    Several threads may read groups at once, and processes that were forked after it was opened.
    """

    def __init__(self, file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.problems: list[str] = []
        self.truncated = False
        self.indexed = False
        self.entries: list[IndexEntry] = []
        self._places = PositionedFile(file)
        self._reader = ByteReader(self._places, limits)  # for `__init__` alone: it has a position
        self.size = self._places.size
        self.body = len(SIGNATURE)  # where the first group begins
        self._recovered = False
        try:
            self.header, self._head = read_start(self._reader)
            self.body = self._reader.at
        except FormatError as error:
            self._read_copy(error)
        self._metadata: dict[str, Chunk] = {}
        self._locate()
        if self.truncated:
            self.problems += missing_tail(self.header, self.frames)
        limits.check_frames(self.frames)
        self._firsts = [entry.first for entry in self.entries]

    @property
    def frames(self) -> int:
        return self.entries[-1].first + self.entries[-1].frames if self.entries else 0

    @property
    def bytes_read(self) -> int:
        return self._places.bytes_read

    def raw(self) -> bytes:
        """All bytes of the file."""
        self.limits.check_chunk("of the whole file", self.size)
        return self._places.read(0, self.size)

    def metadata(self) -> Metadata:
        """Read now; FormatError names a damaged chunk."""
        return unpack_metadata({kind: self._whole(place) for kind, place in self._metadata.items()})

    def metadata_chunks(self) -> dict[str, Chunk]:
        """Every metadata chunk by kind, sound or not."""
        return {kind: self._whole(place) for kind, place in self._metadata.items() if kind in METADATA}

    def _whole(self, place: Chunk) -> Chunk:
        """A chunk before the first group that was stepped over."""
        reader = ByteReader(self._places, self.limits)
        reader.seek(place.offset)
        chunk = reader.chunk()
        if chunk is None:
            raise FormatError(f"chunk {place.kind} is gone")
        return chunk

    def metadata_sizes(self) -> dict[str, int]:
        """Bytes of each metadata chunk."""
        return {kind: chunk.size for kind, chunk in self._metadata.items()}

    def numbers(self, start: int = 0, stop: int | None = None) -> range:
        """The numbers of the groups that show a frame of start..stop-1."""
        stop = self.frames if stop is None else min(stop, self.frames)
        if start >= stop:
            return range(0)
        return range(max(0, bisect_right(self._firsts, start) - 1), bisect_right(self._firsts, stop - 1))

    def group(self, number: int) -> GroupData:
        """Read one group.  FormatError names it when it is damaged."""
        return self.parse(number, self.part(number, 0, self.entries[number].size))

    def part(self, number: int, start: int, stop: int) -> bytes:
        """Bytes start..stop-1 of a group's chunks, unchecked.  FormatError when its frames are lost."""
        entry = self.entries[number]
        if entry.offset is None:
            last = entry.first + entry.frames - 1
            raise FormatError(f"group {number}: frames {entry.first}..{last} are lost")
        if start >= stop:
            return b""
        return self._places.read(entry.offset + start, stop - start)

    def parse(self, number: int, block: bytes) -> GroupData:
        """The group in `block`, the bytes of all its chunks.  FormatError names it when it is damaged."""
        entry = self.entries[number]
        group = parse_block(block, self.header, number, entry, self.limits)
        if group.error is not None:
            raise group.error
        if group.head.frames != entry.frames:
            raise FormatError(f"group {number}: has {group.head.frames} frames, the index says {entry.frames}")
        if DIGEST in self._metadata:  # of a still
            group.digest = read_digest(self._whole(self._metadata[DIGEST]))
        return group

    def groups(self, start: int = 0, stop: int | None = None) -> Iterator[GroupData]:
        """See `container.ContainerReader`."""
        shown: int | None = None  # tick of the last frame, None after damage
        for number in self.numbers(start, stop):
            try:
                group = self.group(number)
                shown = self._check_later(group, shown)
                yield group
            except FormatError as error:
                shown = None
                yield GroupData(number, error=error)

    def _check_later(self, group: GroupData, shown: int | None) -> int:
        try:
            return check_later(group.head, self.header, shown)
        except FormatError as error:
            raise FormatError(f"group {group.number}: {error}") from error

    # How the groups are found

    def _read_copy(self, damage: FormatError) -> None:
        """The header from its copy near the end of a clip; the damage to HEAD where there is none."""
        found = list(find_chunks(self._reader, max(0, self.size - _COPY_AREA), (COPY,)))
        if not found:
            raise damage
        self._head = found[-1].payload
        self.header = read_header(self._head, self.limits)
        self._recovered = True
        self.problems.append(f"{damage}; its copy at the end of the file is read instead")

    def _locate_by_copy(self) -> None:
        """Groups and metadata of a file whose beginning is damaged."""
        if self._read_end():
            self.body = self.entries[0].offset or self.body
        else:
            self._search(Damage("the groups are searched for"))
            self.body = next((entry.offset for entry in self.entries if entry.offset), self.body)
        for chunk in find_chunks(self._reader, len(SIGNATURE), METADATA):
            if chunk.offset < self.body:
                self._metadata.setdefault(chunk.kind, chunk)

    def _locate(self) -> None:
        if self._recovered:
            return self._locate_by_copy()
        try:
            self._walk_metadata()
            if not self.header.still and self._read_end():
                return
            self._walk()
        except Damage as error:
            self._search(error)
        if not self.entries and not self.problems:
            self.problems.append("the file holds no frames")

    def _walk_metadata(self) -> None:
        while True:
            self.body = self._reader.at
            chunk = self._reader.chunk(peek=0)
            if chunk is None:
                raise Damage("the file ends before its first group", truncated=True)
            if chunk.kind not in KNOWN:
                self._check_unknown(chunk)
            elif not is_prefix(chunk, self.header):
                return
            elif chunk.kind in self._metadata:
                raise FormatError(f"chunk {chunk.kind} stands twice")
            else:
                self._metadata[chunk.kind] = chunk

    def _check_unknown(self, chunk: Chunk) -> None:
        """Read a chunk that was stepped over: its type may be unknown because it is damaged."""
        self._reader.seek(chunk.offset)
        whole = self._reader.chunk()
        if whole is not None:
            refuse_unknown(whole)

    def _read_end(self) -> bool:
        """Take the entries from INDX.  False when there is no TEND or it names no index."""
        self._reader.seek(max(self.size - TEND_BYTES, self.body))
        try:
            end = self._reader.chunk()
            if end is None or end.kind != "TEND" or not end.sound or len(end.payload) != 8:
                return False
            place = int.from_bytes(end.payload, "little")
            if not self.body < place < self.size:
                return False
            self._reader.seek(place)
            index = self._reader.chunk()
            if index is None or index.kind != "INDX" or not index.sound or not self._leads_to(end):
                return False
            entries = read_index(index.payload, place, self.limits)
        except FormatError:
            return False  # the walk finds and names what is wrong
        if entries[0].offset != self.body and not self._recovered:
            return False
        self.entries, self.indexed = entries, True
        return True

    def _leads_to(self, end: Chunk) -> bool:
        """Whether TEND or a sound copy of HEAD stands here, and nothing else before TEND."""
        if self._reader.at != end.offset:
            copy = self._reader.chunk()
            if copy is None or copy.kind != COPY:
                return False
            check_copy(copy, self._head)
        return self._reader.at == end.offset

    def _walk(self) -> None:
        """Entries from the chunk heads.  Damage where the chain of chunks breaks."""
        reader = self._reader
        reader.seek(self.body)
        begin = self.body
        index: Chunk | None = None
        copy: Chunk | None = None
        while (chunk := reader.chunk(peek=_PLACE_BYTES)) is not None:
            if chunk.kind == "GRUP":
                begin = self._walk_group(chunk, begin)
                if self.header.still:
                    break
            elif chunk.kind == DIGEST:
                begin = self._walk_digest(chunk)
            elif chunk.kind == "INDX":
                index = chunk
            elif chunk.kind == COPY and not self.header.still:
                copy = chunk
            elif chunk.kind == "TEND":
                return self._walk_end(chunk, index, copy)
            elif chunk.kind == "HEAD" or chunk.kind in METADATA:
                raise Damage(f"chunk {chunk.kind} at byte {chunk.offset} is out of place")
            elif chunk.kind not in KNOWN:
                self._check_unknown(chunk)
        if not self.header.still or not self.entries:
            raise Damage("the file ends without TEND", truncated=True)
        if reader.at != self.size:
            self.problems.append("there are bytes after the end")

    def _walk_group(self, chunk: Chunk, begin: int) -> int:
        try:
            first, frames = read_place(chunk.payload, self.header)
        except FormatError as error:
            raise Damage(str(error)) from error
        if first != self.frames:
            raise Damage(f"a group begins with frame {first}, not {self.frames}")
        self.limits.check_frames(first + frames)
        self.entries.append(IndexEntry(first, frames, begin, chunk.offset + chunk.size - begin))
        return chunk.offset + chunk.size

    def _walk_digest(self, chunk: Chunk) -> int:
        if not self.entries:
            raise Damage(f"chunk {chunk.kind} at byte {chunk.offset} is out of place")
        last, end = self.entries[-1], chunk.offset + chunk.size
        self.entries[-1] = replace(last, size=end - (last.offset or 0))
        return end

    def _walk_end(self, end: Chunk, index: Chunk | None, copy: Chunk | None) -> None:
        if copy is not None and copy.offset + copy.size != end.offset:
            raise Damage(f"chunk {COPY} at byte {copy.offset} is out of place")
        try:
            if copy is not None:
                check_copy(self._whole(copy), self._head)
        except Damage as error:
            self.problems.append(str(error))
        self._reader.seek(end.offset)
        checked = self._reader.chunk()
        place = index.offset if index is not None else 0
        if checked is None or not checked.sound or checked.payload != place.to_bytes(8, "little"):
            self.problems.append("TEND is damaged")
        elif index is not None and not self.problems:
            self.problems.append("INDX is damaged")
        if self._reader.at != self.size:
            self.problems.append("there are bytes after the end")

    def _search(self, damage: Damage) -> None:
        """Entries from all chunks whose checksum holds; gaps between them become lost entries."""
        self.problems.append(str(damage))
        self.truncated = damage.truncated
        if damage.truncated and self.entries:
            start = (self.entries[-1].offset or self.body) + self.entries[-1].size
        else:
            self.entries, start = [], self.body
        alpha: Chunk | None = None
        for chunk in find_chunks(self._reader, start):
            if chunk.kind == "ALPH":
                alpha = chunk
            elif chunk.kind == "GRUP":
                self._found_group(chunk, alpha)
                alpha = None
            elif chunk.kind == "TEND":
                self.truncated = False

    def _found_group(self, chunk: Chunk, alpha: Chunk | None) -> None:
        head, _ = read_group(chunk.payload, self.header)
        lost = head.first - self.frames
        if lost < 0:
            raise FormatError(f"the group at byte {chunk.offset} repeats frame {head.first}")
        self.limits.check_frames(head.first + head.frames)
        while lost > 0:
            part = min(lost, GROUP_FRAMES)
            self.entries.append(IndexEntry(self.frames, part, None, 0))
            lost -= part
        begin = alpha.offset if alpha is not None and alpha.offset + alpha.size == chunk.offset else chunk.offset
        self.entries.append(IndexEntry(head.first, head.frames, begin, chunk.offset + chunk.size - begin))
