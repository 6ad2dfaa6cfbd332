"""Animated PNG, written frame by frame: memory does not grow with its length.

Pillow packs each frame as a PNG of its own; its pixel data goes into the chunks of the animation.  A frame holds the
part that differs from the one before.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, ImageChops

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LONGEST = 0xFFFF  # of a delay, in its unit
_ACTL = 8 + 8 + 4  # bytes of the chunk: head, payload, checksum


def write_apng(file: BinaryIO, first: bytes, frames: Iterator[tuple[Image.Image, int]], plays: int) -> None:
    """Write an animation into a seekable `file`.

    first   the first frame as a PNG, with whatever chunks the file is to have
    frames  every frame, the first among them, with its milliseconds
    plays   how often it plays, 0 for ever
    """
    chunks = list(_chunks(first))
    start = [chunk for chunk in chunks if chunk[0] not in (b"IDAT", b"IEND")]
    file.write(_SIGNATURE + b"".join(_chunk(*chunk) for chunk in start))
    place = file.tell()
    file.write(bytes(_ACTL))  # the count of frames is known at the end
    number, count = 0, 0
    before: Image.Image | None = None
    for image, milliseconds in frames:
        if before is None:
            box, data = (0, 0, *image.size), first
        else:
            box = ImageChops.difference(image, before).getbbox(alpha_only=False) or (0, 0, 1, 1)
            data = _png(image.crop(box))
        file.write(_chunk(b"fcTL", _control(number, box, milliseconds)))
        number += 1
        for kind, payload in _chunks(data):
            if kind == b"IDAT" and before is None:
                file.write(_chunk(kind, payload))
            elif kind == b"IDAT":
                file.write(_chunk(b"fdAT", struct.pack(">I", number) + payload))
                number += 1
        before, count = image, count + 1
    file.write(_chunk(b"IEND", b""))
    end = file.tell()
    file.seek(place)
    file.write(_chunk(b"acTL", struct.pack(">II", count, plays)))
    file.seek(end)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=6)
    return file.getvalue()


def _control(number: int, box: tuple[int, ...], milliseconds: int) -> bytes:
    """fcTL: the frame stays until the next one, and replaces what is under it."""
    unit = next(unit for unit in (1000, 100, 10, 1) if milliseconds * unit // 1000 <= _LONGEST or unit == 1)
    delay = min(_LONGEST, milliseconds * unit // 1000)
    width, height = box[2] - box[0], box[3] - box[1]
    return struct.pack(">5I2H2B", number, width, height, box[0], box[1], delay, unit, 0, 0)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(data):
        length = int(struct.unpack(">I", data[at : at + 4])[0])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
