"""Files by name: paths of this machine, and URLs of the stores that fsspec knows (s3://, gs://, https://, memory://).

A `file://` URL is the path behind it.  What is written takes the place of its target when it is complete: on a disk by
a rename, in a store by the commit of a transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from ..codec.atomic import output
from ..codec.errors import ParameterError
from ..codec.reading.remote import is_url as is_url
from ..codec.reading.remote import local_path as local_path
from ..codec.reading.remote import store_of

BLOCK = 1 << 20
_STAMPS = ("ETag", "etag", "md5", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True)
class Found:
    """A file of a listing.

    Attributes:
        name: Path or URL.
        size: In bytes; -1 where the store does not say.
        version: What changes with the contents: size and time, or what the store has for that; empty where it has none.
    """

    name: str
    size: int
    version: str


def joined(folder: str, name: str) -> str:
    """The name of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if folder.rstrip("/") else f"/{name}"


def open_to_read(name: str) -> BinaryIO:
    """A binary file that can seek.  ParameterError where there is none."""
    path = local_path(name)
    try:
        if path is not None:
            return open(path, "rb")
        fs, inner = store_of(name)
        file: BinaryIO = fs.open(inner, "rb")
        return file
    except OSError as error:
        raise ParameterError(f"{name}: {error.strerror or error or 'cannot be read'}") from error


@contextmanager
def open_to_write(name: str) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `name` when the block ends well; folders on the way are made."""
    path = local_path(name)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with output(path, force=True) as made:
            yield made
        return
    fs, inner = store_of(name)
    fs.makedirs(fs._parent(inner), exist_ok=True)
    with fs.transaction, fs.open(inner, "wb") as file:
        yield file


def append(name: str, text: str) -> None:
    """Add text to a file, which is made if there is none."""
    path = local_path(name)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
        return
    fs, inner = store_of(name)
    before = fs.cat_file(inner) if fs.exists(inner) else b""  # few stores can append
    fs.pipe_file(inner, before + text.encode())


def remove(name: str) -> None:
    """Remove a file, if there is one."""
    path = local_path(name)
    if path is not None:
        path.unlink(missing_ok=True)
        return
    fs, inner = store_of(name)
    if fs.exists(inner):
        fs.rm_file(inner)


def remove_folder(name: str) -> None:
    """Remove an empty folder, where the store has folders."""
    fs, inner = store_of(name)
    with suppress(OSError, NotImplementedError):
        fs.rmdir(inner)


def look(name: str) -> Found | None:
    """Size and version of one file; None where there is none."""
    fs, inner = store_of(name)
    try:
        about = fs.info(inner)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ParameterError(f"{name}: {error.strerror or error}") from error
    return None if about.get("type") == "directory" else _found(name, about)


def is_folder(name: str) -> bool:
    fs, inner = store_of(name)
    return bool(fs.isdir(inner))


def listing(folder: str) -> Iterator[tuple[str, Found]]:
    """Every file below a folder, by name: its name in the folder, with "/" between the parts, and more."""
    fs, inner = store_of(folder)
    inner = inner.rstrip("/")
    for place, _, files in fs.walk(inner, detail=True, topdown=True):
        for about in sorted(files.values(), key=lambda about: str(about["name"])):
            name = str(about["name"])
            short = name[len(inner) :].lstrip("/") if name.startswith(inner) else f"{place}/{name}".lstrip("/")
            yield short, _found(joined(folder, short), about)


def matching(pattern: str) -> list[str]:
    """The names that a pattern with *, ? or [ stands for, sorted."""
    fs, inner = store_of(pattern)
    found = sorted(str(name) for name in fs.glob(inner))
    return found if local_path(pattern) is not None else [str(fs.unstrip_protocol(name)) for name in found]


def _found(name: str, about: dict[str, Any]) -> Found:
    size = about.get("size")
    stamp = next((str(about[key]) for key in _STAMPS if about.get(key)), "")
    return Found(name, -1 if size is None else int(size), f"{size}-{stamp}" if stamp else "")


def copy(source: IO[bytes], target: IO[bytes] | None, count: int | None = None) -> tuple[int, str]:
    """Copy bytes, all or the first `count`: how many they were, and their SHA-256.  target None: only read them."""
    digest, size = hashlib.sha256(), 0
    while block := source.read(BLOCK if count is None else min(BLOCK, count - size)):
        digest.update(block)
        if target is not None:
            target.write(block)
        size += len(block)
    return size, digest.hexdigest()
