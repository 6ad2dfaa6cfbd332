"""Measures picture codecs: from the bytes of the file and the pixels it decodes to."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tessera.codec.media.types import Pixels
from tessera.tools.measuring.clock import cpu_seconds
from tessera.tools.measuring.figures import Figures
from tessera.tools.measuring.job import Job
from tessera.tools.measuring.pictures import read
from tessera.tools.measuring.rows import Row
from tessera.tools.peers.peer import PicturePeer


def measure_picture(job: Job, codec: PicturePeer) -> Row:
    """Encode, decode and compare one picture."""
    pixels = _held(job.path, job.digest)
    start = cpu_seconds()
    data = codec.encode(pixels, job.setting)
    middle = cpu_seconds()
    decoded = codec.decode(data)
    end = cpu_seconds()
    figures = Figures()
    figures.add(pixels, decoded)
    return figures.row(job, codec, len(data), middle - start, end - middle)


@lru_cache(maxsize=2)
def _held(path: Path, digest: str) -> Pixels:
    """The picture, read once for all its measurements; `digest` tells what the file held then."""
    return read(path)
