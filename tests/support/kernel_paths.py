"""Which variants of the kernels this processor can run, and with how many threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tessera.models import _kernels
from tessera.models.base import kernels


def available_paths() -> list[str]:
    """Names of the paths, plain first."""
    return _kernels.cpu_paths()


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of the kernels, for a while."""
    before = kernels._threads
    kernels.set_threads(count)
    try:
        yield
    finally:
        kernels.set_threads(before)
