"""Tar archives as WebDataset keeps samples: files whose names are equal up to the first dot make one sample."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..codec.errors import FormatError


@dataclass(frozen=True)
class Member:
    """A file of a tar archive.

    Attributes:
        key: Its name up to the first dot after the last slash.
        suffix: What follows that dot.
        offset: Of its bytes in the archive.
        size: Of its bytes.
    """

    key: str
    suffix: str
    offset: int
    size: int


def split_name(name: str) -> tuple[str, str]:
    """Key and suffix: `a/b.left.png` -> ("a/b", "left.png")."""
    folder, slash, base = name.rpartition("/")
    key, _, suffix = base.partition(".")
    return folder + slash + key, suffix


def samples(file: BinaryIO, name: str) -> Iterator[list[Member]]:
    """The samples of an archive that can seek: only headers are read.  FormatError names a damaged one."""
    sample: list[Member] = []
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # the headers of a large archive would fill the memory
                if not info.isfile():
                    continue
                key, suffix = split_name(info.name)
                if sample and sample[0].key != key:
                    yield sample
                    sample = []
                sample.append(Member(key, suffix, info.offset_data, info.size))
    except tarfile.TarError as error:
        raise FormatError(f"{name}: {error}; shards are tar archives without compression") from error
    if sample:
        yield sample


def add(tar: tarfile.TarFile, name: str, file: BinaryIO, size: int) -> None:
    """Append `size` bytes of `file`; equal contents make equal archives."""
    info = tarfile.TarInfo(name)
    info.size = size
    tar.addfile(info, file)
