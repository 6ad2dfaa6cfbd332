"""A binary file to write: every byte arrives, or an error names the file.  And the standard streams as binary files."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from .errors import ParameterError


class CheckedFile(io.RawIOBase):
    """Writes to `file`; a write that it does not take whole is an OSError with `name`.

    Libraries that write in C through a descriptor overlook short writes (Pillow on a full disk), and some swallow the
    errors of a Python file.  So there is no `fileno` here, and the first error is raised again by every later call.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__()
        self.name = name
        self._file = file
        self._error: OSError | None = None

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        with self._failing():
            while done < len(view):
                done += self._write(view[done:])
        return done

    def _write(self, view: memoryview) -> int:
        count: int | None = self._file.write(view)
        if count is None and not isinstance(self._file, io.RawIOBase):
            return len(view)  # a file object that counts nothing
        if not count:
            raise OSError(errno.ENOSPC, "it takes no more bytes")
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._failing():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        if not self.closed:
            with self._failing():
                self._file.flush()

    def finish(self, sync: bool = False) -> None:
        """Hand everything to the system, with `sync` to the disk."""
        with self._failing():
            self._file.flush()
            if sync:
                _sync(self._file.fileno())

    def close(self) -> None:
        """Closes nothing: `file` belongs to whoever opened it."""

    @contextmanager
    def _failing(self) -> Iterator[None]:
        if self._error is not None:
            raise self._error
        try:
            yield
        except (BrokenPipeError, io.UnsupportedOperation):
            raise
        except OSError as error:
            self._error = OSError(error.errno, error.strerror or str(error), self.name)
            raise self._error from error


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # a file system that knows no sync
            raise


@contextmanager
def checked(path: str, name: str | None = None, sync: bool = False) -> Iterator[BinaryIO]:
    """A new file at `path`, whole when the block ends well; `name` is what messages call it."""
    with open(path, "wb", buffering=0) as file:  # a buffer would fail once more when it is closed
        whole = CheckedFile(cast(BinaryIO, file), name or path)
        yield cast(BinaryIO, whole)
        whole.finish(sync)


def standard_input() -> BinaryIO:
    """Standard input.  ParameterError where it is closed."""
    if sys.stdin is None:
        raise ParameterError("standard input is closed; name a file, or pipe one in")
    return sys.stdin.buffer


def standard_output() -> CheckedFile:
    """Standard output, to be finished by the caller.  ParameterError where it is closed."""
    if sys.stdout is None:
        raise ParameterError("standard output is closed; name a file")
    return CheckedFile(sys.stdout.buffer, "standard output")
