"""Where bytes come from: a path, a file object or a pipe, all read through independent positions.

Every pass over the input opens its own handle, so two iterations never disturb each other.  A pipe is kept in a
spool while it is read, unless it is to be read only once.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Protocol

from ..errors import ParameterError
from ..spool import open_spool

HEAD = 1 << 12  # bytes at the start of a pipe that can always be read again
BLOCK = 1 << 20


class Input(Protocol):
    """Bytes with a name for messages."""

    name: str

    def handle(self) -> BinaryIO:
        """A new reader at byte 0; closing it leaves the input open."""

    def size(self) -> int | None:
        """Bytes in total, or None where only reading to the end would tell."""

    def close(self) -> None:
        """Release what the input itself opened."""


class FileInput:
    """A file on disk, opened anew for every handle."""

    def __init__(self, path: str) -> None:
        self.name = path
        self._path = path

    def handle(self) -> BinaryIO:
        try:
            return open(self._path, "rb")
        except OSError as error:
            raise ParameterError(f"{self.name}: cannot be read ({error.strerror}); check the path") from error

    def size(self) -> int | None:
        return os.path.getsize(self._path)

    def close(self) -> None:
        pass


class SharedInput:
    """A file object of the caller: one position, so that each handle keeps its own and seeks before it reads."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        self._start = file.tell()

    def read_at(self, offset: int, count: int) -> bytes:
        self._file.seek(self._start + offset)
        return self._file.read(count)

    def handle(self) -> BinaryIO:
        return io.BufferedReader(_View(self))

    def size(self) -> int | None:
        return self._file.seek(0, os.SEEK_END) - self._start

    def close(self) -> None:
        pass


class PipeInput:
    """A stream that cannot seek.  With `replay` what was read is spooled; without it, only one pass is possible."""

    def __init__(self, file: BinaryIO, name: str, replay: bool = True) -> None:
        self.name = name
        self._file = file
        self._spool: BinaryIO | None = open_spool() if replay else None
        self._head = b""
        self._read = 0  # bytes taken from the pipe
        self._ended = False

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes at `offset`; none only at the end of the stream."""
        if self._spool is None:
            return self._read_once(offset, count)
        while self._read < offset + count and not self._ended:
            self._pull(min(BLOCK, offset + count - self._read))
        self._spool.seek(offset)
        return self._spool.read(count)

    def _read_once(self, offset: int, count: int) -> bytes:
        """As `read_at`, but short at the end of the head, which alone can be read again."""
        while self._read < min(HEAD, offset + count) and not self._ended:
            self._head += self._pull(HEAD - self._read)
        if offset < len(self._head) or self._ended and offset == self._read:
            return self._head[offset : offset + count]
        if offset != self._read:
            raise ParameterError(f"{self.name}: a stream read without replay was asked for twice; write it to a file")
        return self._pull(count)

    def _pull(self, count: int) -> bytes:
        data = self._file.read(count)
        self._ended = not data
        self._read += len(data)
        if self._spool is not None:
            self._spool.seek(0, os.SEEK_END)
            self._spool.write(data)
        return data

    def handle(self) -> BinaryIO:
        return io.BufferedReader(_View(self))

    def size(self) -> int | None:
        return self._read if self._ended else None

    def drain(self) -> int:
        """Spool to the end and return the number of bytes: for formats that cannot be read as a stream."""
        if self._spool is None:
            if self._read > len(self._head):
                raise ParameterError(f"{self.name}: a stream read without replay cannot seek; write it to a file")
            self._spool = open_spool()
            self._spool.write(self._head)
        while not self._ended:
            self._pull(BLOCK)
        return self._read

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()


class _View(io.RawIOBase):
    """A seekable reader over `read_at`."""

    name = ""  # PyAV asks; a path here would let it guess the format from a suffix

    def __init__(self, source: SharedInput | PipeInput) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            source = self._source
            offset += source.drain() if isinstance(source, PipeInput) else source.size() or 0
        elif whence == os.SEEK_CUR:
            offset += self._position
        self._position = max(0, offset)
        return self._position

    def tell(self) -> int:
        return self._position
