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
    from tessera.codec.files import DecodeReport as DecodeReport
    from tessera.codec.files import EncodeReport as EncodeReport
    from tessera.codec.files import decode_file as decode_file
    from tessera.codec.files import encode_file as encode_file
    from tessera.codec.limits import Limits as Limits
    from tessera.codec.options import CodecName as CodecName
    from tessera.codec.options import DecodeOptions as DecodeOptions
    from tessera.codec.options import DecoderName as DecoderName
    from tessera.codec.options import Effort as Effort
    from tessera.codec.options import EncodeOptions as EncodeOptions
    from tessera.codec.options import FileSource as FileSource
    from tessera.codec.options import FrameSource as FrameSource
    from tessera.codec.options import Progress as Progress
    from tessera.codec.ranges import FrameRange as FrameRange
    from tessera.codec.reading.clip import Clip as Clip
    from tessera.codec.reading.ids import encode_ids as encode_ids
    from tessera.codec.reading.ids import file_of_bytes as file_of_bytes
    from tessera.codec.reading.info import GroupInfo as GroupInfo
    from tessera.codec.reading.info import Info as Info
    from tessera.codec.reading.prefix import Preview as Preview
    from tessera.codec.reading.prefix import preview as preview
    from tessera.codec.reading.processor import TokenProcessor as TokenProcessor
    from tessera.codec.reading.repair import RepairReport as RepairReport
    from tessera.codec.reading.repair import repair as repair
    from tessera.codec.reading.verify import VerifyReport as VerifyReport
    from tessera.codec.reading.verify import verify as verify
    from tessera.models.base.fitted import FitStatus as FitStatus
    from tessera.models.tokens import TokenSet as TokenSet
    from tessera.models.tokens.grid import TokenGrid as TokenGrid
    from tessera.models.tokens.ids import IdTokens as IdTokens

_HOMES = {  # public name -> the module that defines it
    "encode": "codec.api",
    "decode": "codec.api",
    "open": "codec.api",
    "encode_file": "codec.files",
    "decode_file": "codec.files",
    "verify": "codec.reading.verify",
    "repair": "codec.reading.repair",
    "preview": "codec.reading.prefix",
    "encode_ids": "codec.reading.ids",
    "file_of_bytes": "codec.reading.ids",
    "Clip": "codec.reading.clip",
    "Info": "codec.reading.info",
    "GroupInfo": "codec.reading.info",
    "Preview": "codec.reading.prefix",
    "TokenProcessor": "codec.reading.processor",
    "TokenGrid": "models.tokens.grid",
    "TokenSet": "models.tokens",
    "IdTokens": "models.tokens.ids",
    "FitStatus": "models.base.fitted",
    "EncodeOptions": "codec.options",
    "DecodeOptions": "codec.options",
    "Limits": "codec.limits",
    "EncodeReport": "codec.files",
    "DecodeReport": "codec.files",
    "VerifyReport": "codec.reading.verify",
    "RepairReport": "codec.reading.repair",
    "CodecError": "codec.errors",
    "FormatError": "codec.errors",
    "UnsupportedError": "codec.errors",
    "LimitError": "codec.errors",
    "ParameterError": "codec.errors",
    "CodecName": "codec.options",
    "DecoderName": "codec.options",
    "Effort": "codec.options",
    "FileSource": "codec.options",
    "FrameSource": "codec.options",
    "Progress": "codec.options",
    "FrameRange": "codec.ranges",
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
    try:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name == "torch":
            import_module(".codec.errors", __name__).need_torch(f"tessera.{name}")
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
