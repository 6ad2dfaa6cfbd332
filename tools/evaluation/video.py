"""Measures clip codecs: from the bytes of the file and the frames it decodes to, streamed, one frame at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from tessera.codec.errors import CodecError
from tessera.tools.evaluation import metrics
from tessera.tools.evaluation.images import rounded
from tessera.tools.evaluation.jobs import Job, setting_text, version_text
from tessera.tools.evaluation.rows import Row
from tessera.tools.peers.video import ClipPeer

SUFFIXES = {".mkv", ".mp4", ".mov", ".webm", ".avi", ".y4m"}
_BT709 = 1  # of H.273


class _Means:
    """Figures of quality, gathered frame by frame."""

    def __init__(self, every: int, matrix: str) -> None:
        self._every, self._matrix = every, matrix
        self.frames = 0
        self.psnr: list[float] = []
        self.psnr_yuv: list[float] = []
        self.msssim: list[float | None] = []
        self.lpips: list[float | None] = []

    def add(self, source: metrics.Pixels, decoded: metrics.Pixels) -> None:
        self.psnr.append(metrics.psnr(source, decoded))
        if source.shape[2] == 3:
            self.psnr_yuv.append(metrics.psnr_yuv(source, decoded, self._matrix))
        if self.frames % self._every == 0:
            self.msssim.append(metrics.ms_ssim(source, decoded))
            self.lpips.append(metrics.lpips(source, decoded) if source.shape[2] == 3 else None)
        self.frames += 1


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(fmean(known)) if known and len(known) == len(values) else None


def measure_clip(job: Job, codec: ClipPeer) -> Row:
    """Encode a clip, decode the file and compare every frame.  CodecError where frames are lost."""
    from tessera.codec.media import open_source

    start = time.process_time()
    data = codec.encode(job.path, job.setting)
    encode_s = time.process_time() - start
    with open_source(str(job.path)) as source:
        media = source.media
        means = _Means(job.context.msssim_every, "bt709" if media.colour.matrix == _BT709 else "bt601")
        decoded = _Timed(codec.decode(data))
        for frame in source.frames():
            result = next(decoded, None)
            if result is None:
                raise CodecError(f"the file of {codec.name} has only {means.frames} frames")
            means.add(frame.pixels, result)
        if next(decoded, None) is not None:
            raise CodecError(f"the file of {codec.name} has more than {means.frames} frames")
    return Row(
        codec=codec.name,
        version=version_text(codec),
        setting=setting_text(codec, job.setting),
        source=job.path.name,
        sha256=job.digest,
        frames=means.frames,
        width=media.width,
        height=media.height,
        bytes=len(data),
        bpp=round(8 * len(data) / (media.width * media.height * means.frames), 6),
        psnr=round(fmean(means.psnr), 5),
        psnr_yuv=round(fmean(means.psnr_yuv), 5) if means.psnr_yuv else None,
        msssim=_mean(means.msssim),
        lpips=_mean(means.lpips),
        encode_s=round(encode_s, 4),
        decode_s=round(decoded.seconds, 4),
    )


class _Timed:
    """An iterator that adds up the CPU seconds it takes to get its items."""

    def __init__(self, frames: Iterator[metrics.Pixels]) -> None:
        self._frames = frames
        self.seconds = 0.0

    def __iter__(self) -> _Timed:
        return self

    def __next__(self) -> metrics.Pixels:
        start = time.process_time()
        try:
            return next(self._frames)
        finally:
            self.seconds += time.process_time() - start


def still(path: Path, index: int) -> metrics.Pixels:
    """Frame `index` of a clip, uint8 (H, W, 1 or 3)."""
    from tessera.codec.media import open_source

    with open_source(str(path)) as source:
        return next(iter(source.frames(index, index + 1))).pixels
