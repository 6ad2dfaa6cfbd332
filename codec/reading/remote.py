"""Files of the stores that fsspec knows (https://, s3://, gs://, memory://), read by ranges of bytes.

A reader of .tsr files asks for a few short pieces at the beginning and the end of a file, then for whole groups.  Short
pieces come out of blocks that are kept; what is longer is fetched as it is asked for, not a byte more.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import CodecError, ParameterError, UnsupportedError

BLOCK = 4096  # bytes that are fetched for a shorter piece
KEPT = 16  # blocks


def is_url(name: str) -> bool:
    """Whether a name is a URL and no path."""
    return "://" in name


def local_path(name: str) -> Path | None:
    """The path that a name stands for; None for a URL of another machine or store."""
    if not is_url(name):
        return Path(name)
    return Path(unquote(name.removeprefix("file://"))) if name.startswith("file://") else None


def store_of(name: str) -> tuple[Any, str]:
    """The file system of fsspec for a name, and the name in it.

    ParameterError for a URL of an unknown kind, UnsupportedError where a package lacks.
    """
    try:
        import fsspec
    except ImportError as error:
        raise UnsupportedError(f"{name}: needs fsspec; pip install 'tessera-codec[bulk]' brings it") from error
    path = local_path(name)
    try:
        fs, inner = fsspec.core.url_to_fs(os.path.abspath(path) if path is not None else name)
    except ImportError as error:
        raise UnsupportedError(f"{name}: {error}") from error
    except ValueError as error:
        raise ParameterError(f"{name}: {error}") from error
    return fs, str(inner)


class RemoteFile(io.RawIOBase):
    """A file behind a URL, read by ranges.

    Processes that were forked later may read it: each connects by itself.

    Raises:
        ParameterError: There is no such file.
        UnsupportedError: The store does not tell the file's size, or a package lacks.
    """

    def __init__(self, url: str) -> None:
        self.url, self._at = url, 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._connect()
        try:
            size = self._fs.info(self._inner).get("size")
        except Exception as error:  # every store has errors of its own
            raise ParameterError(f"{url}: {_said(error)}") from error
        if size is None:
            raise UnsupportedError(f"{url}: the store does not tell its size; download the file first")
        self._size = int(size)

    def _connect(self) -> None:
        self._fs, self._inner = store_of(self.url)
        self._process = os.getpid()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def read(self, count: int | None = -1) -> bytes:
        end = self._size if count is None or count < 0 else min(self._at + count, self._size)
        if end <= self._at:
            return b""
        found = self._fetch(self._at, end) if end - self._at >= BLOCK else self._piece(self._at, end)
        self._at = end
        return found

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _piece(self, start: int, stop: int) -> bytes:
        """A piece shorter than a block, which lies in one or two of them."""
        blocks = range(start // BLOCK, (stop - 1) // BLOCK + 1)
        joined = b"".join(map(self._block, blocks))
        return joined[start - blocks[0] * BLOCK : stop - blocks[0] * BLOCK]

    def _block(self, number: int) -> bytes:
        found = self._blocks.pop(number, None)
        if found is None:
            found = self._fetch(number * BLOCK, min((number + 1) * BLOCK, self._size))
        self._blocks[number] = found
        if len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)
        return found

    def _fetch(self, start: int, stop: int) -> bytes:
        if os.getpid() != self._process:
            self._connect()
        try:
            found = bytes(self._fs.cat_file(self._inner, start=start, end=stop))
        except Exception as error:
            raise CodecError(f"{self.url}: bytes {start:,} to {stop:,} cannot be read: {_said(error)}") from error
        if len(found) > stop - start:
            raise UnsupportedError(f"{self.url}: the server sends no part of a file; download it first")
        if len(found) < stop - start:
            raise CodecError(f"{self.url}: bytes {start:,} to {stop:,} are not all there; it has become shorter")
        return found


def _said(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
