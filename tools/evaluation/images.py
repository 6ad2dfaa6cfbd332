"""Measures picture codecs: from the bytes of the file and the pixels it decodes to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from tessera.codec.errors import FormatError, ParameterError
from tessera.tools.evaluation.figures import Figures
from tessera.tools.evaluation.jobs import Job
from tessera.tools.evaluation.metrics import Pixels
from tessera.tools.evaluation.rows import Row
from tessera.tools.peers.peer import PicturePeer

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


def measure_picture(job: Job, codec: PicturePeer) -> Row:
    """Encode, decode and compare one picture."""
    pixels = _held(job.path, job.digest)
    start = time.process_time()
    data = codec.encode(pixels, job.setting)
    middle = time.process_time()
    decoded = codec.decode(data)
    end = time.process_time()
    figures = Figures()
    figures.add(pixels, decoded)
    return figures.row(job, codec, len(data), middle - start, end - middle)


@lru_cache(maxsize=2)
def _held(path: Path, digest: str) -> Pixels:
    """The picture, read once for all its measurements; `digest` tells what the file held then."""
    return read(path)


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
