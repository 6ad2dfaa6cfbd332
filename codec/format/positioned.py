"""A file that is read by places, from several threads and after a fork alike.

A file object has one position, which threads share, and processes too after a fork: between a seek and its read another
may move it, and a sound file then looks damaged.  Where the system can read at a place without moving the position
(`os.pread`), plain files are read like that, bytes in memory by slices; other file objects are read under a lock.
"""

from __future__ import annotations

import io
import os
import threading
import weakref
from typing import BinaryIO

PIECE = 1 << 20  # bytes of one read: a false length takes no memory
_locked: weakref.WeakSet[PositionedFile] = weakref.WeakSet()


class PositionedFile:
    """`file`, which can seek, from where it stands; `size` counts from there.  The file itself stays the caller's."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.origin = file.tell()
        self.size = file.seek(0, io.SEEK_END) - self.origin
        file.seek(self.origin)
        self._descriptor = _descriptor(file)
        self._memory = file if type(file) is io.BytesIO else None
        self._lock = threading.Lock()
        self.bytes_read = 0  # by all threads, about
        if self._descriptor is None and self._memory is None:
            _locked.add(self)

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from byte `at` on, fewer only at the end of the file."""
        pieces: list[bytes] = []
        end = min(at + count, self.size)
        while at < end:
            piece = self._read(self.origin + at, min(end - at, PIECE))
            if not piece:
                break
            pieces.append(piece)
            at += len(piece)
            self.bytes_read += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, at: int, count: int) -> bytes:
        if self._descriptor is not None and not self.file.closed:
            return os.pread(self._descriptor, count, at)
        if self._memory is not None:
            return bytes(self._memory.getbuffer()[at : at + count])
        with self._lock:
            self.file.seek(at)
            return self.file.read(count)


def _descriptor(file: BinaryIO) -> int | None:
    """The descriptor of a plain file.  Others may have one whose bytes are not theirs, as gzip's have."""
    raw = file.raw if type(file) is io.BufferedReader else file
    return raw.fileno() if type(raw) is io.FileIO and hasattr(os, "pread") else None


def _unlock() -> None:
    """In the child of a fork: a lock that another thread held would be held for ever."""
    for file in _locked:
        file._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
