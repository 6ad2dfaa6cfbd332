"""Which variants of the kernels this processor can run, and with how many threads."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from tessera.models import _kernels
from tessera.models.base import kernels


def available_paths() -> list[str]:
    """Names of the paths, plain first."""
    return _kernels.cpu_paths()


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of the kernels, for a while, and of PyTorch where it is loaded."""
    torch, before = sys.modules.get("torch"), kernels._threads
    torch_before = torch.get_num_threads() if torch else 0
    kernels.set_threads(count)
    if torch and count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        kernels.set_threads(before)
        if torch:
            torch.set_num_threads(torch_before)
