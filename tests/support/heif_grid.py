"""A HEIC file as phones write it: a grid of HEVC tiles, made by hand around tiles that pillow-heif encodes."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image

from .media_samples import Pixels


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _tile(pixels: Pixels) -> tuple[bytes, bytes]:
    """The configuration box and the coded bytes of one tile."""
    import pillow_heif

    file = io.BytesIO()
    encode: Any = pillow_heif.from_pillow
    encode(Image.fromarray(pixels)).save(file, quality=95)
    data = file.getvalue()
    places = [data.index(name) - 4 for name in (b"hvcC", b"mdat")]
    boxes = [data[at : at + int(struct.unpack(">I", data[at : at + 4])[0])] for at in places]
    return boxes[0], boxes[1][8:]


def heic_grid(pixels: Pixels, tile: int) -> bytes:
    """`pixels`, whose sides are multiples of `tile`, as rows of square tiles."""
    rows, columns = pixels.shape[0] // tile, pixels.shape[1] // tile
    parts = [pixels[tile * r :, tile * c :][:tile, :tile] for r in range(rows) for c in range(columns)]
    coded = [_tile(part) for part in parts]
    count = len(coded)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, tile * columns, tile * rows)
    items = [_full(b"infe", 2, 1, struct.pack(">HH4s", i + 1, 0, b"hvc1"), b"\0") for i in range(count)]
    items.append(_full(b"infe", 2, 0, struct.pack(">HH4s", count + 1, 0, b"grid"), b"\0"))
    tiles = b"".join(struct.pack(">H", i + 1) for i in range(count))
    sides = ((tile, tile), (tile * columns, tile * rows))
    sizes = [_full(b"ispe", 0, 0, struct.pack(">II", width, height)) for width, height in sides]
    links = b"".join(struct.pack(">HBBB", i + 1, 2, 0x81, 2) for i in range(count))
    properties = _box(
        b"iprp",
        _box(b"ipco", coded[0][0], *sizes),
        _full(b"ipma", 0, 0, struct.pack(">I", count + 1), links, struct.pack(">HBB", count + 1, 1, 3)),
    )

    def meta(start: int) -> bytes:
        places = b""
        for i, (_, data) in enumerate(coded):
            places += struct.pack(">HHHHII", i + 1, 0, 0, 1, start, len(data))
            start += len(data)
        places += struct.pack(">HHHHII", count + 1, 1, 0, 1, 0, len(grid))  # in idat
        return _full(
            b"meta", 0, 0,
            _full(b"hdlr", 0, 0, struct.pack(">I4sIII", 0, b"pict", 0, 0, 0), b"\0"),
            _full(b"pitm", 0, 0, struct.pack(">H", count + 1)),
            _full(b"iloc", 1, 0, struct.pack(">BBH", 0x44, 0, count + 1), places),
            _full(b"iinf", 0, 0, struct.pack(">H", count + 1), *items),
            _full(b"iref", 0, 0, _box(b"dimg", struct.pack(">HH", count + 1, count), tiles)),
            properties,
            _box(b"idat", grid),
        )  # fmt: skip

    kind = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    head = len(kind) + len(meta(0)) + 8
    return kind + meta(head) + _box(b"mdat", *(data for _, data in coded))
