"""Which variants of the kernels this processor can run."""

from __future__ import annotations

import contextlib

from tessera.models import _kernels


def available_paths() -> list[str]:
    """Names of the paths, plain first."""
    paths: list[str] = []
    for name in ("scalar", "avx2", "avx512"):
        with contextlib.suppress(ValueError):
            paths.append(_kernels.cpu_path(name))
    return paths
