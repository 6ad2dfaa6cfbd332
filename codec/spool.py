"""Bytes that are written now and read again later: in memory while they are few, on disk beyond that."""

from __future__ import annotations

import shutil
import tempfile
from typing import BinaryIO

IN_MEMORY = 64 << 20  # bytes that stay in memory; what is more goes to a temporary file
BLOCK = 1 << 20


def open_spool() -> BinaryIO:
    """An empty file to write, seek and read; what it holds is gone when it is closed."""
    return tempfile.SpooledTemporaryFile(IN_MEMORY)  # type: ignore[return-value]  # it has what BinaryIO asks for


def spool(source: BinaryIO) -> BinaryIO:
    """All of a stream that cannot seek, as a file at byte 0."""
    file = open_spool()
    shutil.copyfileobj(source, file, BLOCK)
    file.seek(0)
    return file
