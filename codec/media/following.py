"""Pictures that stand one after another in a file: raw MJPEG, and what `image2pipe` writes.

A picture reader takes the first and never looks at the rest, so the end of the first picture is found here.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
_PIPES = {b"P4": "pbm_pipe", b"P5": "pgm_pipe", b"P6": "ppm_pipe"}
_GAP = rb"(?:\s|#[^\n]*\n)+"
_BITMAP = re.compile(rb"P4" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})\s")
_PIXMAP = re.compile(rb"P[56]" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s")
# Within coded data FF 00 stands for FF, and FF D0 to FF D7 only restart.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG markers before the size of the picture
_BLOCK = 1 << 16


def stream_of_pictures(handle: BinaryIO) -> str | None:
    """FFmpeg's name of the stream where another picture of the same kind and size follows the first, else None."""
    head = handle.read(8)
    if head.startswith(b"\xff\xd8\xff"):
        end, size = _jpeg(handle, 0)
        return "mjpeg" if end and _jpeg(handle, end)[1] == size else None
    if head == _PNG:
        end = _png_end(handle)
        return "png_pipe" if _header(handle, 0) == _header(handle, end) else None
    if head.startswith(b"BM"):
        return "bmp_pipe" if _follows(handle, int(struct.unpack("<I", head[2:6])[0]), b"BM") else None
    if head[:2] in _PIPES:
        return _PIPES[head[:2]] if _follows(handle, _pnm_end(handle), head[:3]) else None
    return None


def _follows(handle: BinaryIO, place: int, magic: bytes) -> bool:
    handle.seek(place)
    return place > 0 and handle.read(len(magic)) == magic


def _jpeg(handle: BinaryIO, start: int) -> tuple[int, bytes]:
    """The place after the end marker, 0 where there is none, and the bytes that say the size.

    A file with an index of its pictures (MPF) has an end of 0 too: it is no stream.
    """
    handle.seek(start)
    if handle.read(2) != b"\xff\xd8":
        return 0, b"no picture"
    place, size = start + 2, b""
    while True:
        handle.seek(place)
        head = handle.read(9)
        if len(head) < 2 or head[0] != 0xFF or head[4:8] == b"MPF\0":
            return 0, size
        if head[1] == 0xD9:
            return place + 2, size
        if head[1] == 0xFF:  # fill bytes
            place = _scan_end(handle, place)
            continue
        if head[1] in _SIZES:
            size = head[5:9]
        place += 2 + int(struct.unpack(">H", head[2:4].ljust(2, b"\0"))[0])
        if head[1] == 0xDA:
            place = _scan_end(handle, place)


def _scan_end(handle: BinaryIO, place: int) -> int:
    """The next marker after coded data or fill bytes, or the end of the file."""
    handle.seek(place)
    block, size = b"", 1 << 8  # small at first: a file may have many short scans
    while more := handle.read(size):
        block, size = block + more, min(2 * size, _BLOCK)
        found = _MARKER.search(block)
        if found:
            return place + found.start()
        place += len(block) - 1
        block = block[-1:]  # may be the first half of a marker
    return place + len(block)


def _png_end(handle: BinaryIO) -> int:
    place = len(_PNG)
    while True:
        handle.seek(place)
        head = handle.read(8)
        if len(head) < 8:
            return place
        place += 12 + int(struct.unpack(">I", head[:4])[0])
        if head[4:] == b"IEND":
            return place


def _header(handle: BinaryIO, place: int) -> bytes:
    """Signature and size of a PNG; bytes that are none where it does not begin here."""
    handle.seek(place)
    head = handle.read(24)
    return head if head.startswith(_PNG) else b"no picture at %d" % place


def _pnm_end(handle: BinaryIO) -> int:
    """The place after the raster; 0 where the header is not read."""
    handle.seek(0)
    head = handle.read(4096)
    if bitmap := _BITMAP.match(head):
        return bitmap.end() + (int(bitmap[1]) + 7) // 8 * int(bitmap[2])
    found = _PIXMAP.match(head)
    if found is None:
        return 0
    samples = int(found[1]) * int(found[2]) * (3 if head.startswith(b"P6") else 1)
    return found.end() + samples * (2 if int(found[3]) > 255 else 1)
