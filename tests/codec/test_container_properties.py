"""Properties of the container for any header, groups, times and metadata, and of any damage to it."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import tessera
from tessera.codec.format.chunks import SIGNATURE
from tessera.codec.format.container import GroupData, Metadata
from tessera.codec.format.fields import MAX_SINT, MAX_UINT, FieldReader, FieldWriter
from tessera.codec.format.header import (
    CLIP_COLOUR,
    MAX_RATIO,
    STILL_COLOUR,
    GroupHead,
    Header,
    read_header,
    write_header,
)
from tessera.codec.format.pipe import PipeReader
from tessera.codec.format.seekable import FileReader
from tessera.codec.format.writer import ContainerWriter
from tessera.codec.limits import DEFAULT_LIMITS, GROUP_FRAMES

READERS = (FileReader, PipeReader)
often = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@dataclass
class Written:
    """What went into a file, and the file."""

    head: Header
    groups: list[tuple[GroupHead, bytes, bytes | None, bytes | None]]
    metadata: Metadata
    data: bytes


def ratios() -> some.SearchStrategy[Fraction]:
    side = some.one_of(some.integers(1, 1000), some.integers(1, MAX_RATIO))
    return some.builds(Fraction, side, side)


@some.composite
def headers(draw: some.DrawFn) -> Header:
    still = draw(some.booleans())
    plain = STILL_COLOUR if still else CLIP_COLOUR
    byte = some.integers(0, 255)
    return Header(
        codec=draw(some.integers(1, 127)),
        weights=draw(some.binary(min_size=8, max_size=8)),
        width=draw(some.integers(1, 5000)),
        height=draw(some.integers(1, 5000)),
        still=still,
        channels=draw(some.sampled_from((1, 3))),
        alpha=draw(some.booleans()),
        quality=draw(some.integers(0, 6400)),
        colour=draw(some.one_of(some.just(plain), some.tuples(byte, byte, byte, some.booleans()))),
        decoder=draw(some.integers(0, 255)),
        announced=0 if still else draw(some.integers(0, 1 << 40)),
        time_base=Header.time_base if still else draw(ratios()),
        rate=Header.rate if still else draw(ratios()),
        start=0 if still else draw(some.integers(-(1 << 61), 1 << 61)),
    )


@some.composite
def files(draw: some.DrawFn) -> Written:
    head = draw(headers())
    head.width, head.height = head.width % 64 + 1, head.height % 64 + 1
    if not head.still:
        head.rate, head.time_base = Fraction(25), Fraction(1, draw(some.sampled_from((25, 90000))))
    counts = [1] if head.still else draw(some.lists(some.integers(1, 4), min_size=1, max_size=4))
    steps = draw(some.lists(some.integers(1, 1 << 40), min_size=sum(counts), max_size=sum(counts)))
    ticks = list(accumulate(steps, initial=head.start % 1000))
    head.start = head.start % 1000
    timed = not head.still and draw(some.booleans())
    digests = draw(some.booleans())
    icc, exif, audio = (draw(some.one_of(some.none(), some.binary(min_size=1, max_size=40))) for _ in range(3))
    metadata = Metadata(icc, exif, audio)
    sink, groups = io.BytesIO(), []
    writer = ContainerWriter(sink, head)
    writer.metadata(metadata)
    for count in counts:
        first = writer.frames
        times = ticks[first : first + count] if timed else None
        group = GroupHead(first, count, draw(some.integers(0, 6400)), times)
        symbols = draw(some.binary(max_size=30))
        alpha = draw(some.binary(max_size=12)) if head.alpha else None
        digest = draw(some.binary(min_size=8, max_size=8)) if digests else None
        writer.group(group, symbols, alpha, digest)
        groups.append((group, symbols, alpha, digest))
    writer.finish()
    return Written(head, groups, metadata, sink.getvalue())


def same(found: GroupData, written: tuple[GroupHead, bytes, bytes | None, bytes | None]) -> bool:
    head, symbols, alpha, digest = written
    got = found.alpha if found.alpha is None else bytes(found.alpha)
    return (found.head, bytes(found.symbols), got, found.digest) == (head, symbols, alpha, digest)


@often
@given(headers())
def test_a_header_comes_back(head: Header) -> None:
    data = write_header(head)
    assert read_header(data, DEFAULT_LIMITS) == head
    assert write_header(read_header(data, DEFAULT_LIMITS)) == data


@often
@given(some.lists(some.one_of(some.integers(0, MAX_UINT), some.integers(-MAX_SINT, -1)), max_size=8))
def test_numbers_come_back_in_their_shortest_form(values: list[int]) -> None:
    writer = FieldWriter("test")
    for value in values:
        writer.uint("x", value) if value >= 0 else writer.sint("x", value)
    assert len(writer.data) == sum(_length(value) for value in values)
    reader = FieldReader(bytes(writer.data), "test")
    assert [reader.uint("x", 0) if value >= 0 else reader.sint("x", 0) for value in values] == values
    reader.end()


def _length(value: int) -> int:
    bits = value.bit_length() if value >= 0 else (-value - 1 << 1 | 1).bit_length()
    return max(1, math.ceil(bits / 7))


@often
@given(files())
def test_a_file_comes_back_whichever_way_it_is_read(file: Written) -> None:
    for kind in READERS:
        reader = kind(io.BytesIO(file.data))
        assert reader.header == file.head
        found = list(reader.groups())
        assert [group.error for group in found] == [None] * len(file.groups)
        assert all(same(*pair) for pair in zip(found, file.groups, strict=True))
        read = reader.metadata()
        assert (read.icc, read.exif, read.audio) == (file.metadata.icc, file.metadata.exif, file.metadata.audio)
        assert reader.problems == [] and reader.frames == sum(group[0].frames for group in file.groups)


@often
@given(files(), some.data())
def test_every_group_can_be_read_alone(file: Written, data: some.DataObject) -> None:
    reader = FileReader(io.BytesIO(file.data))
    frame = data.draw(some.integers(0, reader.frames - 1))
    (number,) = reader.numbers(frame, frame + 1)
    assert same(reader.group(number), file.groups[number])
    assert file.groups[number][0].first <= frame < file.groups[number][0].first + file.groups[number][0].frames


def problems_of(data: bytes) -> list[str]:
    """What is wrong with a file, by whichever reader says most."""
    found: list[str] = []
    for kind in READERS:
        try:
            reader = kind(io.BytesIO(data))
            found += [str(group.error) for group in reader.groups() if group.error is not None]
            reader.metadata()
            found += reader.problems
        except tessera.CodecError as error:
            found.append(str(error))
    return found


@often
@given(files(), some.data())
def test_any_damage_is_found(file: Written, data: some.DataObject) -> None:
    """A byte changed, removed or put in, or an end cut off: no reader takes the file for sound, or for another one."""
    at = data.draw(some.integers(0, len(file.data) - 1))
    change = data.draw(some.sampled_from(("flip", "remove", "insert", "cut")))
    byte = data.draw(some.integers(1, 255))
    middle = {"flip": bytes([file.data[at] ^ byte]), "remove": b"", "cut": b"", "insert": bytes([byte, file.data[at]])}
    damaged = file.data[:at] + middle[change] + (b"" if change == "cut" else file.data[at + 1 :])
    if damaged != file.data:
        assert problems_of(damaged)


@often
@given(files(), some.data())
def test_a_cut_file_has_its_whole_groups(file: Written, data: some.DataObject) -> None:
    with_end = FileReader(io.BytesIO(file.data))
    ends = [entry.offset + entry.size for entry in with_end.entries if entry.offset is not None]
    cut = data.draw(some.integers(with_end.body, len(file.data) - 1))
    whole = [k for k, end in enumerate(ends) if end <= cut]
    reader = FileReader(io.BytesIO(file.data[:cut]))
    found = list(reader.groups())
    assert reader.truncated and len([group for group in found if group.error is None]) >= len(whole)
    # a digest that was cut off its group leaves the group sound
    assert all(found[k].head == file.groups[k][0] for k in whole)


@often
@given(some.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert problems_of(data) and problems_of(SIGNATURE + data)


def test_frames_of_a_group_are_bounded() -> None:
    head = Header(still=False, width=1, height=1, colour=CLIP_COLOUR)
    writer = ContainerWriter(io.BytesIO(), head)
    with pytest.raises(tessera.ParameterError, match="frames"):
        writer.group(GroupHead(0, GROUP_FRAMES + 1), b"x")
