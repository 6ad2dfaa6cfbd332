"""Writes tests/golden: files that must decode, and files that must be refused.  Run by hand, only when the format gains
something new: `python -m tests.golden.make_golden`.  A file that is there already must come out the same.

decode/expected.txt    name, shape, CRC-32C of the decoded pixels
reject/expected.txt    name, error class
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tessera
from tessera.codec.format import chunks
from tessera.codec.format.chunks import COPY, ByteReader, Chunk, chunk_bytes
from tessera.codec.format.fields import pack_uint
from tessera.codec.format.header import GroupHead, Header, read_header, write_group, write_header
from tessera.codec.limits import DEFAULT_LIMITS
from tessera.codec.media import Frame, MediaInfo, Source
from tessera.entropy import crc32c

from ..support import toy_family

FOLDER = Path(__file__).resolve().parent


def pixels(*shape: int) -> NDArray[np.uint8]:
    """Smooth but not simple, from integers alone."""
    place = np.indices(shape)
    values = sum((7 + 4 * axis) * index * (index + axis) // 5 for axis, index in enumerate(place))
    return np.asarray(values % 251, np.uint8)


def encode(source: Any, **options: Any) -> bytes:
    return tessera.encode(source, codec="toy", **{"quality": 100, **options})


def split(data: bytes) -> list[Chunk]:
    reader = ByteReader(io.BytesIO(data), DEFAULT_LIMITS)
    reader.seek(8)
    found = []
    while (chunk := reader.chunk()) is not None:
        found.append(chunk)
    return found


def join(parts: list[tuple[str, bytes]]) -> bytes:
    return chunks.SIGNATURE + b"".join(chunk_bytes(kind, payload) for kind, payload in parts)


def parts_of(data: bytes) -> list[tuple[str, bytes]]:
    return [(chunk.kind, chunk.payload) for chunk in split(data)]


def uneven() -> Source:
    ticks = [3, 36, 70, 170, 171, 400]
    info = MediaInfo("video", 11, 7, 3, time_base=Fraction(1, 1000), rate=Fraction(30))
    frames = pixels(6, 7, 11, 3)

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        return (Frame(frame, None, tick) for frame, tick in zip(frames[start:stop], ticks[start:stop], strict=True))

    return Source("uneven", info, read)


def described() -> Source:
    info = MediaInfo("picture", 12, 9, 3, icc=b"an ICC profile" * 9, exif=b"MM\0*an Exif block")
    return Source("described", info, lambda start, stop: iter([Frame(pixels(9, 12, 3))]), frame_count=1)


def good() -> Iterator[tuple[str, bytes]]:
    copied = encode(pixels(10, 13, 18, 3), gop=3, fps=Fraction(30000, 1001))
    clip = without_copy(copied)
    yield "still-rgb", encode(pixels(40, 50, 3))
    yield "still-gray", encode(pixels(19, 23))
    yield "still-alpha", encode(pixels(17, 9, 4))
    yield "still-constant-alpha", encode(np.concatenate([pixels(9, 9, 3), np.full((9, 9, 1), 128, np.uint8)], axis=2))
    yield "still-one-pixel", encode(pixels(1, 1, 3))
    yield "still-metadata", encode(described())
    yield "still-fast-decoder", encode(pixels(16, 24, 3), decoder="fast")
    yield "still-digest", encode(pixels(12, 17, 4), digest=True)
    yield "clip-digest", without_copy(encode(pixels(7, 9, 11, 3), gop=3, digest=True))
    yield "clip-one-group", encode(pixels(3, 16, 16, 3))
    yield "clip-index", clip
    yield "clip-gray-alpha", without_copy(encode(pixels(5, 9, 10, 2), gop=2))
    yield "clip-uneven-times", without_copy(encode(uneven(), gop=4))
    kept = [part for part in parts_of(clip) if part[0] != "INDX"]
    yield "clip-without-index", join([*kept[:-1], ("TEND", bytes(8))])
    first = parts_of(encode(pixels(3, 16, 16, 3)))
    yield "clip-unknown-chunks", join([first[0], ("note", b"hello"), first[1], ("more", b""), first[2]])
    yield "clip-copy", copied
    yield "clip-copy-without-index", join([*parts_of(copied)[:-3], *parts_of(copied)[-2:-1], ("TEND", bytes(8))])


def without_copy(data: bytes) -> bytes:
    """As files were before they had a copy of HEAD."""
    return join([part for part in parts_of(data) if part[0] != COPY])


def forge_header(data: bytes, **changes: Any) -> bytes:
    parts = parts_of(data)
    head = replace(read_header(parts[0][1], DEFAULT_LIMITS), **changes)
    return join([("HEAD", write_header(head)), *parts[1:]])


def forge_payload(data: bytes, place: int, payload: bytes) -> bytes:
    parts = parts_of(data)
    parts[place] = parts[place][0], payload
    return join(parts)


def bad() -> Iterator[tuple[str, bytes]]:
    still, copied = encode(pixels(9, 9, 3)), encode(pixels(6, 9, 9, 3), gop=2)
    clip = without_copy(copied)
    head, group = parts_of(still)
    yield "empty", b""
    yield "png", b"\x89PNG\r\n\x1a\n" + bytes(30)
    yield "text-mode", still.replace(b"\r\n", b"\n")
    yield "signature-only", still[:8]
    yield "still-truncated", still[:-1]
    yield "still-bytes-after-end", still + b"\0"
    yield "still-two-groups", join([head, group, group])
    yield "still-without-group", join([head])
    yield "head-checksum", still[:20] + bytes([still[20] ^ 1]) + still[21:]
    yield "group-checksum", still[:-9] + bytes([still[-9] ^ 1]) + still[-8:]
    yield "head-too-long", join([(head[0], head[1] + b"\0"), group])
    yield "head-too-short", join([(head[0], head[1][:-1]), group])
    yield "head-twice", join([head, head, group])
    yield "head-missing", join([group])
    yield "head-version-2", forge_payload(still, 0, b"\x02" + head[1][1:])
    yield "head-unknown-flag", forge_payload(still, 0, head[1][:2] + b"\x21" + head[1][3:])
    yield "head-codec-0", forge_payload(still, 0, b"\x01\x00" + head[1][2:])
    yield "head-codec-126", forge_header(still, codec=126)
    yield "head-weights", forge_header(still, weights=b"toy-0002")
    yield "head-width-0", forge_payload(still, 0, head[1][:11] + b"\0" + head[1][12:])
    yield "head-long-number", forge_payload(still, 0, head[1][:11] + b"\x89\0" + head[1][12:])
    yield "head-too-many-pixels", forge_header(still, width=1 << 20, height=1 << 20)
    flat = encode(np.full((1, 1), 128, np.uint8))
    yield "head-too-many-for-payload", forge_header(flat, width=1 << 14, height=1 << 14)
    yield "head-other-size", forge_header(still, width=90)
    yield "required-chunk", join([head, ("NEED", b""), group])
    yield from bad_digests(head, group, clip)
    yield "alpha-without-flag", join([head, ("ALPH", b"\0\0"), group])
    yield "alpha-missing", forge_header(still, alpha=True)
    yield "alpha-method", join([parts_of(forge_header(still, alpha=True))[0], ("ALPH", b"\x09\0"), group])
    yield "group-symbols-cut", join([head, (group[0], group[1][:-3])])
    yield "group-symbols-long", join([head, (group[0], group[1] + b"\0")])
    yield "group-unknown-flag", join([head, (group[0], b"\x04" + group[1][1:])])
    yield "clip-truncated", clip[: len(clip) // 2]
    yield "clip-without-end", clip[:-17]
    yield "clip-bytes-after-end", clip + b"\n"
    yield from bad_clips(clip)
    yield from bad_copies(copied, still)


def bad_digests(head: tuple[str, bytes], group: tuple[str, bytes], clip: bytes) -> Iterator[tuple[str, bytes]]:
    digest = ("dgst", bytes(8))
    parts = [*parts_of(clip)[:2], ("TEND", bytes(8))]
    yield "digest-after-still", join([head, group, digest])
    yield "digest-twice-in-still", join([head, digest, digest, group])
    yield "digest-short", join([head, ("dgst", bytes(7)), group])
    yield "digest-long", join([*parts[:2], ("dgst", bytes(9)), parts[2]])
    yield "digest-before-group", join([parts[0], digest, *parts[1:]])
    yield "digest-twice", join([*parts[:2], digest, digest, parts[2]])


def bad_clips(clip: bytes) -> Iterator[tuple[str, bytes]]:
    parts = parts_of(clip)
    header = read_header(parts[0][1], DEFAULT_LIMITS)
    symbols = parts[1][1][3:]
    yield "clip-without-groups", join([parts[0], ("TEND", bytes(8))])
    yield "clip-groups-swapped", join([parts[0], parts[2], parts[1], ("TEND", bytes(8))])
    yield "clip-gap", join([parts[0], parts[1], parts[3], ("TEND", bytes(8))])
    yield "clip-metadata-late", join([*parts[:2], ("exif", b"x"), *parts[2:]])
    yield "index-sum", forge_payload(clip, 4, parts[4][1][:-1] + b"\x01")
    yield "index-huge-count", forge_payload(clip, 4, pack_uint(1 << 40) + parts[4][1][1:])
    yield "index-checksum", clip[:-22] + bytes([clip[-22] ^ 1]) + clip[-21:]
    yield "end-elsewhere", join([*parts[:-1], ("TEND", b"\x01" + bytes(7))])
    timed = replace(header)
    head = write_group(GroupHead(0, 2, header.quality, [5, 9]), timed)
    backwards = head[:-1] + bytes([head[-1] + 201 & 0x7F | 1])
    yield "times-backwards", join([parts[0], ("GRUP", backwards + symbols), *parts[2:]])
    many = write_group(GroupHead(0, 65536, header.quality), Header(still=False, quality=header.quality))
    yield "group-too-many-frames", join([parts[0], ("GRUP", many + symbols), ("TEND", bytes(8))])


def bad_copies(clip: bytes, still: bytes) -> Iterator[tuple[str, bytes]]:
    parts = parts_of(clip)
    yield "copy-differs", forge_payload(clip, len(parts) - 2, parts[0][1][:-1] + b"\x01")
    yield "copy-checksum", clip[:-20] + bytes([clip[-20] ^ 1]) + clip[-19:]
    yield "copy-before-group", join([parts[0], parts[-2], *parts[1:-3], ("TEND", bytes(8))])
    yield "copy-in-still", still + chunk_bytes(COPY, parts_of(still)[0][1])
    yield "head-damaged-beside-copy", clip[:20] + bytes([clip[20] ^ 1]) + clip[21:]


def error_of(data: bytes) -> str:
    try:
        tessera.decode(data)
    except tessera.CodecError as error:
        kinds = ("FormatError", "UnsupportedError", "LimitError")
        return next(kind for kind in kinds if isinstance(error, getattr(tessera, kind)))
    raise AssertionError("decoded")


def keep(path: Path, data: bytes) -> None:
    if path.exists() and path.read_bytes() != data:
        raise SystemExit(f"{path} would change: a golden file is for ever")
    path.write_bytes(data)


def main() -> None:
    toy_family.install(pytest.MonkeyPatch())
    lines = {"decode": [], "reject": []}  # type: dict[str, list[str]]
    for name, data in good():
        out = tessera.decode(data)
        shape = "x".join(map(str, out.shape))
        keep(FOLDER / "decode" / f"{name}.tsr", data)
        lines["decode"].append(f"{name} {shape} {crc32c(np.ascontiguousarray(out).tobytes()):08x}")
    for name, data in bad():
        keep(FOLDER / "reject" / f"{name}.tsr", data)
        lines["reject"].append(f"{name} {error_of(data)}")
    for folder, text in lines.items():
        (FOLDER / folder / "expected.txt").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
