"""Tar archives as WebDataset keeps samples: files whose names are equal up to the first dot make one sample."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..codec.errors import FormatError

HEADER_LIMIT = 1 << 20  # bytes of a header that names a long file or holds attributes: they are read at once
_LONG_HEADERS = frozenset(
    (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
)
_REMEDY = "copy or make it again; shards are tar archives without compression"


@dataclass(frozen=True)
class Member:
    """A file of a tar archive.

    Attributes:
        key: Its name up to the first dot after the last slash.
        suffix: What follows that dot.
        offset: Of its bytes in the archive.
        size: Of its bytes.
        problem: Why it cannot be used; empty: it can.
    """

    key: str
    suffix: str
    offset: int
    size: int
    problem: str = ""


class _CheckedInfo(tarfile.TarInfo):
    """A header that is checked before tarfile follows it: no size leads back, no long header fills the memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        if self.size < 0:
            raise tarfile.ReadError(f"member {self.name!r} has a negative size")
        if self.type in _LONG_HEADERS and self.size > HEADER_LIMIT:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes; at most {HEADER_LIMIT:,} are read")
        return super()._proc_member(tar)  # type: ignore[misc]  # the place that tarfile names for subclasses


def split_name(name: str) -> tuple[str, str]:
    """Key and suffix: `a/b.left.png` -> ("a/b", "left.png")."""
    folder, slash, base = name.rpartition("/")
    key, _, suffix = base.partition(".")
    return folder + slash + key, suffix


def samples(file: BinaryIO, name: str) -> Iterator[list[Member]]:
    """The samples of an archive that can seek: only headers are read.

    Folders are left out.  Links, devices, files with holes and a second file of one name have a `problem`.

    Raises:
        FormatError: The archive is damaged or breaks off.  The samples before that one are given first.
    """
    sample: list[Member] = []
    try:
        with tarfile.open(fileobj=file, mode="r:", tarinfo=_CheckedInfo) as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # the headers of a large archive would fill the memory
                if info.size < 0:  # an attribute of the member says so, its header did not
                    raise tarfile.ReadError(f"member {info.name!r} has a negative size")
                if info.isdir():
                    continue
                key, suffix = split_name(info.name)
                if sample and sample[0].key != key:
                    yield sample
                    sample = []
                twice = any(member.suffix.lower() == suffix.lower() for member in sample)
                sample.append(Member(key, suffix, info.offset_data, info.size, _problem(info, twice)))
            _check_end(file, tar.offset)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise FormatError(f"{name}: {error}; {_REMEDY}") from error
    if sample:
        yield sample


def _problem(info: tarfile.TarInfo, twice: bool) -> str:
    if info.issym() or info.islnk():
        return f"{info.name} is a link; shards hold files themselves"
    if not info.isfile():
        return f"{info.name} is no file; shards hold files alone"
    if info.issparse():
        return f"{info.name} is a file with holes; write it without them (tar without --sparse)"
    return f"{info.name} stands twice in its sample; name one of them differently" if twice else ""


def _check_end(file: BinaryIO, offset: int) -> None:
    """tarfile takes a damaged header or a missing one for the end of the archive; the true end is a block of zeros."""
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"it breaks off at byte {offset + len(block):,}")
    if any(block):
        raise tarfile.ReadError(f"the header at byte {offset:,} is damaged")


def add(tar: tarfile.TarFile, name: str, file: BinaryIO, size: int) -> None:
    """Append `size` bytes of `file`; equal contents make equal archives."""
    info = tarfile.TarInfo(name)
    info.size = size
    tar.addfile(info, file)
