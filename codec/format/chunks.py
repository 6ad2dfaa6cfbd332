"""The signature and the chunks (FORMAT.md section 2), read from any binary file and written to any.

    type 4 letters | length LEB128 | payload | crc32c of all three

Reading distinguishes three outcomes: a chunk, the clean end of the file, and `Damage` with the reason, so that a
caller can isolate what is damaged.  A payload is read piece by piece: a false length costs no memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from ...entropy import crc32c
from ..errors import FormatError, LimitError
from ..limits import Limits
from .fields import pack_uint, unpack_uint
from .positioned import PIECE, PositionedFile

SIGNATURE = b"\x89TSR\r\n\x1a\n"
KNOWN = frozenset({"HEAD", "GRUP", "ALPH", "INDX", "TEND", "iccp", "exif", "info", "audi", "show", "dgst", "head"})
COPY = "head"  # HEAD once more, near the end of a clip
FOUND = ("ALPH", "GRUP", "INDX", "TEND")  # what is searched for in a damaged file
DIGEST = "dgst"
DIGEST_BYTES = 8
TEND_BYTES = 17  # type 4, length 1, payload 8, crc 4
_HEAD_BYTES = 13  # type 4, length at most 9


class Damage(FormatError):
    """A chunk that cannot be read; `truncated` when the file ends inside it."""

    def __init__(self, message: str, truncated: bool = False) -> None:
        super().__init__(message)
        self.truncated = truncated


@dataclass(frozen=True)
class Chunk:
    """One chunk.  `sound` is None, and `payload` the peeked part, when it was stepped over."""

    kind: str
    offset: int  # bytes from the start of the file
    length: int  # bytes of the payload
    size: int  # bytes of the whole chunk, with type, length and crc
    payload: bytes = b""
    sound: bool | None = None  # the checksum holds

    @property
    def required(self) -> bool:
        return self.kind[0].isupper()


def chunk_bytes(kind: str, payload: bytes) -> bytes:
    """A whole chunk."""
    body = kind.encode("ascii") + pack_uint(len(payload)) + payload
    return body + crc32c(body).to_bytes(4, "little")


def check_signature(data: bytes) -> None:
    """FormatError that says what is wrong with the first eight bytes."""
    if data == SIGNATURE:
        return
    if not data:
        raise FormatError("the file is empty")
    if SIGNATURE.startswith(data):
        raise FormatError("the file ends inside the signature")
    if data[:4] == SIGNATURE[:4] or data[1:4] == SIGNATURE[1:4]:
        raise FormatError("the signature is damaged, as by a transfer in text mode")
    raise FormatError("not a Tessera file")


class ByteReader:
    """A binary file that is read forward, or in place when it can seek."""

    def __init__(self, file: BinaryIO | PositionedFile, limits: Limits) -> None:
        self.limits = limits
        self.places: PositionedFile | None = None  # of a file that can seek
        self.at = 0
        if isinstance(file, PositionedFile):
            self.places = file
        elif file.seekable():
            self.places = PositionedFile(file)
        else:
            self._pipe = file

    @property
    def size(self) -> int | None:
        """Bytes of the file, counted from where it stood when it was handed in; None of a pipe."""
        return None if self.places is None else self.places.size

    @property
    def bytes_read(self) -> int:
        """Bytes read so far; of a file that can seek, by all its readers."""
        return self.at if self.places is None else self.places.bytes_read

    def seek(self, at: int) -> None:
        self.at = at

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, fewer only at the end of the file."""
        data = self._read_on(count) if self.places is None else self.places.read(self.at, count)
        self.at += len(data)
        return data

    def _read_on(self, count: int) -> bytes:
        pieces: list[bytes] = []
        while count:
            piece = self._pipe.read(min(count, PIECE))
            if not piece:
                break
            pieces.append(piece)
            count -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def chunk(self, peek: int | None = None) -> Chunk | None:
        """The next chunk, None at the end of the file.  With `peek` only that many bytes of the payload are read and
        the rest is stepped over unchecked, which needs a file that can seek.

        Damage when there is no whole chunk here; the place is then unspecified.  LimitError beyond the limits.
        """
        offset = self.at
        head = self._chunk_head()
        if not head:
            return None
        kind = _kind(head, offset)
        try:
            length, _ = unpack_uint(head, 4, f"chunk {kind} at byte {offset}")
        except FormatError as error:
            raise Damage(str(error)) from error
        size = len(head) + length + 4
        cut = Damage(f"the file ends inside chunk {kind} at byte {offset}", truncated=True)
        if self.size is not None and offset + size > self.size:
            raise cut
        self.limits.check_chunk(kind, length)
        if peek is not None:
            prefix = self.read(min(peek, length))
            self.seek(offset + size)
            return Chunk(kind, offset, length, size, prefix)
        tail = self.read(length + 4)
        if len(tail) < length + 4:
            raise cut
        payload = tail[:length]
        sound = crc32c(payload, crc32c(head)).to_bytes(4, "little") == tail[length:]
        return Chunk(kind, offset, length, size, payload, sound)

    def _chunk_head(self) -> bytes:
        """Type and length, exactly; empty at the end of the file."""
        offset = self.at
        head = self.read(5)
        while head and (len(head) < 5 or (head[-1] & 0x80 and len(head) < _HEAD_BYTES)):
            more = self.read(1) if len(head) >= 5 else b""
            if not more:
                raise Damage(f"the file ends inside a chunk head at byte {offset}", truncated=True)
            head += more
        return head


def _kind(head: bytes, offset: int) -> str:
    if not all(65 <= byte <= 90 or 97 <= byte <= 122 for byte in head[:4]):
        raise Damage(f"no chunk at byte {offset}")
    return head[:4].decode("ascii")


def find_chunks(reader: ByteReader, start: int, kinds: tuple[str, ...] = FOUND) -> Iterator[Chunk]:
    """Every sound chunk of these types from byte `start` on, whatever stands between them.

    The way to what is left of a file whose chunk lengths are damaged.  Reads the rest of the file into memory once.
    Work is bounded: at most eight times that many bytes are checksummed, then the search ends.
    """
    reader.seek(start)
    data = reader.read((reader.size or 0) - start)
    budget = 8 * len(data) + 4096
    after = 0
    for match in re.finditer("|".join(kinds).encode(), data):
        place = match.start()
        if place < after:
            continue
        inner = ByteReader(io.BytesIO(data), reader.limits)
        inner.seek(place)
        try:
            chunk = inner.chunk()
        except (FormatError, LimitError):
            chunk = None
        budget -= inner.bytes_read
        if budget < 0:
            return
        if chunk is not None and chunk.sound:
            after = place + chunk.size
            yield replace(chunk, offset=start + place)
