"""A .tsr file as callers give it: a path, bytes, a binary file, a pipe."""

from __future__ import annotations

import io
import os
from typing import BinaryIO, cast

from ..checked import standard_input
from ..errors import ParameterError
from ..options import FileSource
from ..spool import spool
from .remote import RemoteFile, is_url, local_path


def open_path(path: str | os.PathLike[str]) -> BinaryIO:
    """A file to read; of a URL, only the parts that are asked for are fetched.  ParameterError when there is none."""
    if isinstance(path, str) and is_url(path):
        local = local_path(path)
        if local is None:
            return cast(BinaryIO, RemoteFile(path))
        path = local
    try:
        return open(path, "rb")
    except OSError as error:
        raise ParameterError(f"{os.fspath(path)}: {error.strerror}") from error


def as_file(data: FileSource) -> tuple[BinaryIO, bool]:
    """A binary file that can seek, over a path, bytes or a file object, and whether we opened it."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return io.BytesIO(data), True
    if isinstance(data, (str, os.PathLike)):
        file = open_path(data)
        return (file, True) if file.seekable() else as_file(file)
    if not hasattr(data, "read"):
        raise ParameterError(f"expected a path, bytes or a binary file, got {type(data).__name__}")
    if data.seekable():
        return data, False
    return spool(data), True


def picklable(source: FileSource) -> FileSource:
    """The same file for another process.  TypeError for an open file, which cannot go there."""
    if isinstance(source, str) and is_url(source):
        return source
    if isinstance(source, (str, os.PathLike)):
        return os.path.abspath(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    raise TypeError("what reads an open file cannot be pickled: open it by its path")


def label(source: FileSource) -> str:
    """What messages call a file: its path, or nothing where it has none."""
    if isinstance(source, (str, os.PathLike)):
        return "standard input" if source == "-" else os.fspath(source)
    return ""


def or_stdin(source: FileSource) -> FileSource:
    """The source; standard input for "-"."""
    return standard_input() if isinstance(source, str) and source == "-" else source
