"""HEIC and HEIF pictures through pillow-heif, an optional package: grids of tiles, alpha, profiles, turns.

FFmpeg reads the first tile of a grid as a video, so these files never go there.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from PIL import Image

from ..errors import UnsupportedError

# Brands of pictures (ISO/IEC 23008-12): HEVC in two profiles, layered and multiview HEVC, JPEG, AVC, VVC, and `mif1`,
# whatever codec.  `msf1`, `hevc` and `hevx` are sequences, which are videos.
HEIF_SUFFIXES = frozenset({".heic", ".heif"})
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"mif3", b"jpeg", b"avci", b"vvic", b"miaf"}


def is_heif(head: bytes) -> bool:
    """True for the first bytes of a HEIF file that is a picture."""
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS and b"avif" not in head[16:]  # AVIF is Pillow's own


def open_heif(handle: BinaryIO, name: str) -> Image.Image:
    """The undecoded picture.  UnsupportedError where pillow-heif is missing."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnsupportedError(
            f"{name}: HEIC is read by pillow-heif, which is not installed; pip install 'tessera-codec[heif]'"
        ) from error
    reader: Any = HeifImageFile  # it has no types
    image: Image.Image = reader(handle)
    return image
