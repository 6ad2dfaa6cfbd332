"""How many threads the subjects of a benchmark may use."""

from __future__ import annotations

import os
import sys


def use(count: int | None) -> int:
    """Let the kernels and PyTorch use so many threads from now on, whether it is loaded or not; None changes nothing.

    Returns the number in use.
    """
    from tessera.models.base import kernels

    if count is not None:
        kernels.set_threads(count)
        os.environ["OMP_NUM_THREADS"] = str(count)  # PyTorch reads it when it is imported
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(count)
    return kernels.threads()
