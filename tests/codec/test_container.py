"""The container without any codec: chunks, fields, index, both readers, metadata, versions."""

from __future__ import annotations

import io
import random
from fractions import Fraction

import numpy as np
import pytest

from tessera.codec.errors import FormatError, LimitError, ParameterError, UnsupportedError
from tessera.codec.format import chunks, fields
from tessera.codec.format.alpha import pack_alpha, unpack_alpha
from tessera.codec.format.container import Metadata, Showing, read_showing
from tessera.codec.format.header import GroupHead, Header, read_group, read_header, write_group, write_header
from tessera.codec.format.pipe import PipeReader
from tessera.codec.format.seekable import FileReader
from tessera.codec.format.writer import ContainerWriter
from tessera.codec.limits import DEFAULT_LIMITS, Limits
from tessera.entropy import crc32c

STILL = Header(codec=127, weights=b"12345678", width=768, height=512, quality=3200)


def clip_header(**changes: object) -> Header:
    base = {"codec": 127, "weights": b"12345678", "width": 64, "height": 48, "still": False, "quality": 3200}
    base |= {"colour": (1, 1, 1, False), "time_base": Fraction(1, 90000), "rate": Fraction(30000, 1001)}
    return Header(**(base | changes))  # type: ignore[arg-type]


def write(header: Header, groups: list[tuple[int, bytes]], metadata: Metadata | None = None) -> bytes:
    """A file whose groups are (frames, symbols)."""
    sink = io.BytesIO()
    writer = ContainerWriter(sink, header)
    writer.metadata(metadata or Metadata())
    first = 0
    for frames, symbols in groups:
        alpha = b"\0\x80" if header.alpha else None
        writer.group(GroupHead(first, frames, header.quality), symbols, alpha)
        first += frames
    writer.finish()
    assert writer.written == len(sink.getvalue())
    return sink.getvalue()


def symbols_of(reader: FileReader | PipeReader, start: int = 0, stop: int | None = None) -> list[bytes]:
    return [bytes(group.symbols) for group in reader.groups(start, stop)]


# Numbers and fields


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16383, 16384, 2**32, fields.MAX_UINT])
def test_uint_round_trip(value: int) -> None:
    data = fields.pack_uint(value)
    assert fields.unpack_uint(data, 0, "x") == (value, len(data))
    assert fields.unzigzag(fields.zigzag(-value)) == -value and fields.unzigzag(fields.zigzag(value)) == value


def test_uint_is_leb128() -> None:
    assert fields.pack_uint(624485) == bytes.fromhex("e58e26")


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xff" * 10, b"\xff\x80\x00"])
def test_uint_refuses(data: bytes) -> None:
    with pytest.raises(FormatError):
        fields.unpack_uint(data, 0, "x")


def test_crc_is_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_headers_round_trip() -> None:
    rng = random.Random(1)
    for _ in range(300):
        still = rng.random() < 0.5
        header = Header(
            codec=rng.randint(1, 127),
            weights=rng.randbytes(8),
            width=rng.randint(1, 5000),
            height=rng.randint(1, 5000),
            still=still,
            channels=rng.choice((1, 3)),
            alpha=rng.random() < 0.5,
            quality=rng.randint(0, 6400),
            colour=(rng.randint(0, 255), 1, 1, rng.random() < 0.5),
            decoder=rng.randint(0, 4),
        )
        if not still:
            header.announced, header.start = rng.randint(0, 9999), rng.randint(-(10**9), 10**9)
            header.time_base, header.rate = Fraction(1, rng.randint(1, 90000)), Fraction(rng.randint(1, 99999), 1001)
        assert read_header(write_header(header), DEFAULT_LIMITS) == header


@pytest.mark.parametrize(
    "change",
    [{"width": 0}, {"height": 0}, {"quality": 6401}, {"codec": 0}, {"codec": 128}, {"weights": b"short"}],
)
def test_header_writer_checks_bounds(change: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        write_header(clip_header(**change))


def test_header_refuses_more_bytes_and_later_versions() -> None:
    data = write_header(STILL)
    with pytest.raises(FormatError, match="1 bytes too many"):
        read_header(data + b"\0", DEFAULT_LIMITS)
    with pytest.raises(UnsupportedError, match="version 2"):
        read_header(b"\x02" + data[1:], DEFAULT_LIMITS)
    with pytest.raises(UnsupportedError, match="flags"):
        read_header(data[:2] + b"\x41" + data[3:], DEFAULT_LIMITS)


def test_times() -> None:
    header = clip_header(start=100)
    assert [header.uniform(k) for k in (0, 1, 2)] == [100, 3103, 6106]
    uneven = GroupHead(5, 3, 3200, [header.uniform(5) + 7, header.uniform(6), header.uniform(7) - 2000])
    for group in (uneven, GroupHead(5, 3, 17)):
        data = write_group(group, header) + b"symbols"
        assert read_group(data, header) == (group, b"symbols")
    with pytest.raises(FormatError, match="does not show after"):
        write_group(GroupHead(0, 2, 0, [50, 50]), header)


def test_matroska_milliseconds_are_uniform() -> None:
    header = clip_header(time_base=Fraction(1, 1000), rate=Fraction(30))
    assert [header.uniform(k) for k in range(7)] == [0, 33, 67, 100, 133, 167, 200]


# Files


def test_a_still_costs_45_bytes() -> None:
    assert len(write(STILL, [(1, bytes(1000))])) - 1000 == 45


def test_a_one_group_clip_costs_at_most_80_bytes() -> None:
    assert len(write(clip_header(), [(8, bytes(1000))])) - 1000 <= 80


@pytest.mark.parametrize("reader", [FileReader, PipeReader])
@pytest.mark.parametrize("alpha", [False, True])
def test_groups_round_trip(reader: type[FileReader] | type[PipeReader], alpha: bool) -> None:
    groups = [(4, b"one"), (4, b""), (1, bytes(3000))]
    metadata = Metadata(b"icc" * 500, b"exif", b"\x1a\x45audio")
    opened = reader(io.BytesIO(write(clip_header(alpha=alpha), groups, metadata)))
    assert opened.metadata() == metadata
    read = list(opened.groups())
    assert [(group.head.first, group.head.frames, bytes(group.symbols)) for group in read] == [
        (0, 4, b"one"), (4, 4, b""), (8, 1, bytes(3000)),
    ]  # fmt: skip
    assert [group.alpha for group in read] == [b"\0\x80" if alpha else None] * 3
    assert not opened.problems


def test_random_access_reads_one_group() -> None:
    data = write(clip_header(), [(4, bytes([k]) * 5000) for k in range(50)])
    reader = FileReader(io.BytesIO(data))
    assert reader.indexed and reader.frames == 200
    assert reader.bytes_read < 600
    assert symbols_of(reader, 81, 82) == [bytes([20]) * 5000]
    assert reader.bytes_read < 6000
    assert len(symbols_of(reader, 79, 85)) == 3


@pytest.mark.parametrize("keep_end", [True, False])
def test_index_is_rebuilt_when_missing(keep_end: bool) -> None:
    data = write(clip_header(), [(4, bytes([k]) * 50) for k in range(9)])
    place = int.from_bytes(data[-12:-4], "little")
    end = chunks.chunk_bytes("TEND", bytes(8)) if keep_end else b""
    reader = FileReader(io.BytesIO(data[:place] + end))
    assert not reader.indexed and reader.frames == 36
    assert symbols_of(reader, 20, 24) == [bytes([5]) * 50]
    assert reader.truncated is not keep_end and bool(reader.problems) is not keep_end


def test_truncated_file_keeps_its_whole_groups() -> None:
    data = write(clip_header(), [(4, bytes([k]) * 50) for k in range(9)])
    for cut in range(150, len(data)):
        reader = FileReader(io.BytesIO(data[:cut]))
        assert reader.truncated
        pipe = PipeReader(io.BytesIO(data[:cut]))
        assert symbols_of(reader) == symbols_of(pipe) == [bytes([k]) * 50 for k in range(len(reader.entries))]
        assert pipe.problems


def test_groups_are_found_behind_a_damaged_length() -> None:
    data = bytearray(write(clip_header(), [(4, bytes([k]) * 50) for k in range(9)]))
    third = FileReader(io.BytesIO(bytes(data))).entries[2].offset
    assert third is not None
    data[third + 4] ^= 0x41
    assert [group.error is None for group in FileReader(io.BytesIO(bytes(data))).groups()] == [k != 2 for k in range(9)]
    place = int.from_bytes(data[-12:-4], "little")
    reader = FileReader(io.BytesIO(bytes(data[:place])))
    assert [(entry.first, entry.frames) for entry in reader.entries] == [(4 * k, 4) for k in range(9)]
    assert [group.error is None for group in reader.groups()] == [k != 2 for k in range(9)]
    with pytest.raises(FormatError, match="frames 8..11 are lost"):
        reader.group(2)


def test_unknown_chunks() -> None:
    data = write(clip_header(), [(4, b"one")])
    head = 8 + chunks.ByteReader(io.BytesIO(data[8:]), DEFAULT_LIMITS).chunk().size  # type: ignore[union-attr]
    optional = data[:head] + chunks.chunk_bytes("note", b"hello") + data[head:-17]
    optional += chunks.chunk_bytes("note", b"again") + data[-17:]
    for reader in (FileReader, PipeReader):
        assert symbols_of(reader(io.BytesIO(optional))) == [b"one"]
    required = data[:head] + chunks.chunk_bytes("NEED", b"hello") + data[head:]
    with pytest.raises(UnsupportedError, match="NEED"):
        FileReader(io.BytesIO(required))
    with pytest.raises(UnsupportedError, match="NEED"):
        symbols_of(PipeReader(io.BytesIO(required)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89TS", "ends inside the signature"),
        (b"\x89TSR\n\x1a\n" + bytes(20), "text mode"),
        (b"\x09TSR\r\n\x1a\n" + bytes(20), "text mode"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "not a Tessera file"),
        (chunks.SIGNATURE, "after the signature"),
    ],
)
def test_signature_messages(data: bytes, message: str) -> None:
    for reader in (FileReader, PipeReader):
        with pytest.raises(FormatError, match=message):
            reader(io.BytesIO(data))


def test_bytes_after_the_end_are_found() -> None:
    for header, groups in ((STILL, [(1, b"x")]), (clip_header(), [(2, b"x")]), (clip_header(), [(2, b"x"), (2, b"y")])):
        data = write(header, groups) + b"\n"
        assert FileReader(io.BytesIO(data)).problems
        pipe = PipeReader(io.BytesIO(data))
        list(pipe.groups())
        assert pipe.problems


def test_writer_refuses_what_it_could_not_read() -> None:
    writer = ContainerWriter(io.BytesIO(), clip_header())
    with pytest.raises(ParameterError, match="no frames"):
        writer.finish()
    with pytest.raises(ParameterError, match="does not follow"):
        writer.group(GroupHead(1, 1, 0), b"")
    with pytest.raises(LimitError):
        ContainerWriter(io.BytesIO(), clip_header(width=1 << 20, height=1 << 20))
    writer.group(GroupHead(0, 1, 0), b"")
    with pytest.raises(ParameterError, match="before the first group"):
        writer.metadata(Metadata())


def test_limits_are_settable() -> None:
    data = write(clip_header(), [(4, b"one"), (4, b"two")])
    FileReader(io.BytesIO(data), Limits(frames=8, chunk=400))
    with pytest.raises(LimitError, match="8 frames"):
        FileReader(io.BytesIO(data), Limits(frames=7))
    with pytest.raises(LimitError, match="pixels per frame"):
        FileReader(io.BytesIO(data), Limits(pixels=64 * 48 - 1))
    with pytest.raises(LimitError, match="chunk"):
        FileReader(io.BytesIO(write(clip_header(), [(4, bytes(500))])), Limits(chunk=400))


# Alpha


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 50), (5, 8, 9)])
def test_alpha_round_trip(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(2)
    ramp = np.broadcast_to(np.arange(shape[2], dtype=np.uint8) * 5, shape)
    for alpha in (rng.integers(0, 256, shape, dtype=np.uint8), ramp, np.full(shape, 7, np.uint8)):
        assert np.array_equal(unpack_alpha(pack_alpha(alpha), *shape), alpha)
    assert pack_alpha(np.full(shape, 255, np.uint8)) == b"\x00\xff"
    assert shape[2] == 1 or len(pack_alpha(np.ascontiguousarray(ramp))) < 40


def test_alpha_refuses() -> None:
    good = pack_alpha(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    for data in (b"", b"\0", b"\x09\0", b"\0\1\2", good[:-1], good + b"\0", good[:1] + b"junk"):
        with pytest.raises(FormatError):
            unpack_alpha(data, 1, 2, 3)
    with pytest.raises(FormatError):
        unpack_alpha(good, 1, 2, 2)


def test_a_shape_of_pixels_has_one_spelling() -> None:
    assert read_showing(bytes([32, 27, 4, 0])) == Showing(Fraction(32, 27), 4, 0)
    for wrong in ([2, 4, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0], [1, 1, 0, 0, 0]):
        with pytest.raises(FormatError, match="show"):
            read_showing(bytes(wrong))
