"""Training input and procedural samples.  `CompressedDataset` and `collate` read tokens from .tsr files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compressed import CompressedDataset as CompressedDataset
    from .compressed import collate as collate


def __getattr__(name: str) -> Any:
    """Loaded when first used: the package itself imports no torch."""
    if name in ("CompressedDataset", "collate"):
        return getattr(import_module(".compressed", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
