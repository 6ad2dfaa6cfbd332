"""Picture files: found in folders, and read as they are measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessera.codec.errors import FormatError, ParameterError
from tessera.codec.media.types import Pixels

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm"}


def find_files(paths: Sequence[Path], suffixes: set[str] = SUFFIXES, noun: str = "picture") -> list[Path]:
    """The files that `paths` name; a folder stands for those of `suffixes` directly in it, by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(item for item in path.iterdir() if item.suffix.lower() in suffixes)
        elif path.exists():
            found.append(path)
        else:
            raise ParameterError(f"{path} does not exist")
    if not found:
        raise ParameterError(f"no {noun} in " + ", ".join(map(str, paths)))
    return list(dict.fromkeys(found))


def read(path: Path) -> Pixels:
    """uint8 (H, W, 3), not writable; alpha is dropped and EXIF orientation applied."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except OSError as error:
        raise FormatError(f"{path}: not a picture that Pillow reads ({error})") from error
    pixels.flags.writeable = False  # one array for all codecs
    return pixels
