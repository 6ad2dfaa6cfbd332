"""Tessera: a learned image and video codec whose files serve people (pixels) and machines (tokens).

    import tessera
    data = tessera.encode(frames, quality=50)
    frames = tessera.decode(data)
    with tessera.open("clip.tsr") as clip:
        clip[10:20]

Names are loaded when they are first used: importing this package loads neither torch nor numpy.  It registers the
format with Pillow, so that `Image.open("x.tsr")` works.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from tessera import data as data
    from tessera.codec.api import decode as decode
    from tessera.codec.api import encode as encode
    from tessera.codec.api import open as open
    from tessera.codec.errors import CodecError as CodecError
    from tessera.codec.errors import FormatError as FormatError
    from tessera.codec.errors import LimitError as LimitError
    from tessera.codec.errors import ParameterError as ParameterError
    from tessera.codec.errors import UnsupportedError as UnsupportedError
    from tessera.codec.limits import Limits as Limits
    from tessera.codec.reading.clip import Clip as Clip
    from tessera.codec.reading.info import Info as Info

_HOMES = {
    "encode": "codec.api",
    "decode": "codec.api",
    "open": "codec.api",
    "Clip": "codec.reading.clip",
    "Info": "codec.reading.info",
    "Limits": "codec.limits",
    "CodecError": "codec.errors",
    "FormatError": "codec.errors",
    "UnsupportedError": "codec.errors",
    "LimitError": "codec.errors",
    "ParameterError": "codec.errors",
}

__all__ = [*_HOMES, "data"]

import_module(".codec.pillow_plugin", __name__).register()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tessera-codec")
    except PackageNotFoundError:  # imported from a source tree that is not installed
        return "0+unknown"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name == "data":
        return import_module(".data", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
