"""Keeps freed memory in the process, for loops that free and allocate the same large tensors again and again.

The C library gives large blocks back to the system as soon as they are free and gets fresh pages for the next ones,
which are zeroed, one page fault each: a tenth of the time of fitting a network to frames of 640x360.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Parameters of mallopt(3), and their values while memory is kept and afterwards; glibc arrives at the latter by itself
# when large blocks are freed.
_TRIM, _PAD, _MMAP = -1, -2, -3
_KEPT = {_MMAP: 1 << 30, _TRIM: (1 << 31) - 1, _PAD: 1 << 26}
_USUAL = {_MMAP: 1 << 25, _TRIM: 1 << 26, _PAD: 1 << 17}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Memory freed within stays with the process until the end, for all its threads.  Only glibc can do that."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    mallopt: Callable[[int, int], int] | None = getattr(library, "mallopt", None)
    if library is None or mallopt is None:
        yield
        return
    for parameter, value in _KEPT.items():
        mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in _USUAL.items():
            mallopt(parameter, value)
        library.malloc_trim(0)
