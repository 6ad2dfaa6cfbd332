"""Tar shards that are damaged, forged or odd."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest

from tessera.codec.errors import FormatError
from tessera.data import shards


def info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, "a.png"
    return made


def archive(*members: tarfile.TarInfo) -> bytes:
    """Members of zeros."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return file.getvalue()


def found(data: bytes) -> list[list[tuple[str, str, str]]]:
    return [
        [(member.key, member.suffix, member.problem) for member in sample]
        for sample in shards.samples(io.BytesIO(data), "x.tar")
    ]


THREE = archive(info("a.png", 600), info("b.png", 600), info("c.png", 600))


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is no file"),
        (tarfile.FIFOTYPE, "is no file"),
    ],
)
def test_what_is_no_file_has_a_problem(kind: bytes, problem: str) -> None:
    (sample,) = found(archive(info("x/a.cls", 3), info("x/a.png", 0, kind), info("x", 0, tarfile.DIRTYPE)))
    assert [(key, suffix) for key, suffix, _ in sample] == [("x/a", "cls"), ("x/a", "png")]
    assert sample[0][2] == "" and problem in sample[1][2]


def test_the_second_file_of_a_name_has_a_problem() -> None:
    (sample,) = found(archive(info("a.png", 1), info("a.PNG", 2)))
    assert sample[0][2] == "" and "stands twice" in sample[1][2]


@pytest.mark.parametrize(
    ("damage", "message", "before"),
    [
        (lambda data: data[:2500], "unexpected end of data", 1),  # in a file
        (lambda data: data[: 2 * 1536], "breaks off at byte 3,072", 1),  # after a file
        (lambda data: data[: 2 * 1536 + 100], "breaks off at byte 3,172", 1),  # in a header
        (lambda data: data[:3100] + b"?" + data[3101:], "header at byte 3,072 is damaged", 1),
        (lambda data: data[: 3 * 1536], "breaks off at byte 4,608", 2),  # the end is missing
        (lambda data: b"", "empty file", 0),
        (lambda data: bytes(range(256)) * 8, "x.tar", 0),
    ],
)
def test_damage_is_told_after_the_samples_before_it(
    damage: Callable[[bytes], bytes], message: str, before: int
) -> None:
    keys = []
    with pytest.raises(FormatError, match=message) as error:
        for sample in shards.samples(io.BytesIO(damage(THREE)), "x.tar"):
            keys.append(sample[0].key)
    assert keys == ["a", "b", "c"][:before] and "copy or make it again" in str(error.value)
    assert len(found(THREE)) == 3


def with_size(data: bytes, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The first header with another size, in base 256, and another type; its checksum is right."""
    header = bytearray(data[:512])
    header[124:136] = (size & ((1 << 96) - 1)).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


@pytest.mark.parametrize(
    ("size", "kind", "message"),
    [
        (-512, tarfile.REGTYPE, "negative size"),
        (-512, tarfile.GNUTYPE_LONGNAME, "negative size"),
        (-512, tarfile.XHDTYPE, "negative size"),
        (1 << 40, tarfile.GNUTYPE_LONGNAME, "a header of 1,099,511,627,776 bytes"),
        (1 << 40, tarfile.XHDTYPE, "a header of 1,099,511,627,776 bytes"),
        (1 << 40, tarfile.REGTYPE, "unexpected end of data"),
    ],
)
def test_forged_sizes_lead_nowhere(size: int, kind: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        found(with_size(THREE, size, kind))


def test_attributes_that_forge_a_size() -> None:
    member = info("a.png", 0)
    member.pax_headers = {"size": "-1024"}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member)
    with pytest.raises(FormatError, match="negative size"):
        found(file.getvalue())
