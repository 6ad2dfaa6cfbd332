"""Which variants of the kernels this processor can run, and with how many threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from tessera.models import _kernels
from tessera.models.base.kernels import set_threads


def available_paths() -> list[str]:
    """Names of the paths, plain first."""
    return _kernels.cpu_paths()


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of torch and of the kernels, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def kernel_threads(count: int) -> Iterator[None]:
    """So many threads of the kernels, for a while."""
    set_threads(count)
    try:
        yield
    finally:
        set_threads(0)
