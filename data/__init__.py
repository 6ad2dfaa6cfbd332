"""Training input and procedural samples.

Of .tsr files, `CompressedDataset`, `CompressedStream` (tar shards), `TsrDecoder` (samples of WebDataset), `Tsr` and
`tsr_folder` (the library `datasets`) and `collate` read tokens, `MaskedIds` and `mask_ids` codebook indices some of
which are hidden.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..codec.errors import need_torch

if TYPE_CHECKING:
    from .compressed import CompressedDataset as CompressedDataset
    from .compressed import collate as collate
    from .huggingface import Tsr as Tsr
    from .huggingface import tsr_folder as tsr_folder
    from .items import TsrDecoder as TsrDecoder
    from .masked import MaskedIds as MaskedIds
    from .masked import mask_ids as mask_ids
    from .streams import CompressedStream as CompressedStream

_HOMES = {
    "CompressedDataset": "compressed",
    "collate": "compressed",
    "CompressedStream": "streams",
    "TsrDecoder": "items",
    "Tsr": "huggingface",
    "tsr_folder": "huggingface",
    "MaskedIds": "masked",
    "mask_ids": "masked",
}


def __getattr__(name: str) -> Any:
    """Loaded when first used: the package itself imports no torch."""
    if name in _HOMES:
        need_torch(f"tessera.data.{name}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
