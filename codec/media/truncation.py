"""How many bytes a container says it has, to tell a cut file from a whole one before any frame is decoded.

FFmpeg reads a truncated Matroska, MP4 or AVI file without an error as far as it goes: half a clip would be encoded
as if it were the clip.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_NEEDED_BOXES = (b"ftyp", b"moov", b"mdat", b"moof")  # a cut 'free' or 'uuid' box loses nothing
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot")


def declared_size(file: BinaryIO) -> int | None:
    """The number of bytes that the container's own lengths ask for, None where it does not say."""
    head = file.read(12)
    file.seek(0)
    if head[:4] == _EBML:
        return _matroska_size(file)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return 8 + int(struct.unpack("<I", head[4:8])[0])
    if head[4:8] in _FIRST_BOXES:
        return _boxes_size(file)
    return None


def _matroska_size(file: BinaryIO) -> int | None:
    """End of the Segment; None for a live stream, whose Segment has no length."""
    file.seek(4)
    header = _vint(file)
    if header is None:
        return None
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return None
    length = _vint(file)
    return None if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """An EBML length: the leading zeros of the first byte tell its size; all ones means unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    size = 9 - first[0].bit_length()
    rest = file.read(size - 1)
    value = int.from_bytes(first + rest, "big") & ((1 << 7 * size) - 1)
    return None if len(rest) < size - 1 or value == (1 << 7 * size) - 1 else value


def has_index(file: BinaryIO, size: int) -> bool:
    """Whether a file of `size` bytes can be played as far as it goes: one of MP4 boxes needs a whole moov."""
    file.seek(0)
    if file.read(8)[4:8] not in _FIRST_BOXES:
        return True
    return any(kind == b"moov" and end <= size for kind, end in _boxes(file))


def _boxes_size(file: BinaryIO) -> int | None:
    """End of the last needed top-level box of an MP4 or QuickTime file that begins within the file."""
    needed = None
    for kind, end in _boxes(file):
        if kind in _NEEDED_BOXES:
            needed = end
    return needed


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Type and end of each top-level box that begins within the file."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        size, kind = int(struct.unpack(">I", head[:4])[0]), head[4:]
        if size == 1:
            large = file.read(8)
            size = int(struct.unpack(">Q", large)[0]) if len(large) == 8 else 0
        if size < 8:  # 0 means to the end of the file; other values are garbage behind the last box
            return
        position += size
        yield kind, position
