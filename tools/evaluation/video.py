"""Measures clip codecs: from the bytes of the file and the frames it decodes to, streamed, one frame at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tessera.codec.errors import CodecError
from tessera.tools.evaluation.figures import Figures
from tessera.tools.evaluation.jobs import Job
from tessera.tools.evaluation.metrics import Pixels
from tessera.tools.evaluation.rows import Row
from tessera.tools.peers.video import ClipPeer

SUFFIXES = {".mkv", ".mp4", ".mov", ".webm", ".avi", ".y4m"}
_BT709 = 1  # of H.273


def measure_clip(job: Job, codec: ClipPeer) -> Row:
    """Encode a clip, decode the file and compare every frame.  CodecError where frames are lost."""
    from tessera.codec.media import open_source

    start = time.process_time()
    data = codec.encode(job.path, job.setting)
    encode_s = time.process_time() - start
    with open_source(str(job.path)) as source:
        media = source.media
        figures = Figures(job.context.msssim_every, "bt709" if media.colour.matrix == _BT709 else "bt601")
        decoded = _Timed(codec.decode(data))
        for frame in source.frames():
            result = next(decoded, None)
            if result is None:
                raise CodecError(f"the file of {codec.name} has only {figures.frames} frames")
            figures.add(frame.pixels, result)
        if next(decoded, None) is not None:
            raise CodecError(f"the file of {codec.name} has more than {figures.frames} frames")
    return figures.row(job, codec, len(data), encode_s, decoded.seconds)


class _Timed:
    """An iterator that adds up the CPU seconds it takes to get its items."""

    def __init__(self, frames: Iterator[Pixels]) -> None:
        self._frames = frames
        self.seconds = 0.0

    def __iter__(self) -> _Timed:
        return self

    def __next__(self) -> Pixels:
        start = time.process_time()
        try:
            return next(self._frames)
        finally:
            self.seconds += time.process_time() - start


def still(path: Path, index: int) -> Pixels:
    """Frame `index` of a clip, uint8 (H, W, 1 or 3)."""
    from tessera.codec.media import open_source

    with open_source(str(path)) as source:
        return next(iter(source.frames(index, index + 1))).pixels
