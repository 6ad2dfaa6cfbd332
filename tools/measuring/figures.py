"""The figures of one measurement, gathered frame by frame: a picture is a clip of one frame."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from tessera.codec.media.types import Pixels
from tessera.tools.measuring import metrics
from tessera.tools.measuring.job import Job, setting_text, version_text
from tessera.tools.measuring.mean import mean_of_all
from tessera.tools.measuring.rows import Row
from tessera.tools.peers.peer import Peer


class Figures:
    """Every frame's PSNR; MS-SSIM and LPIPS of every n-th frame, the first one included.

    `matrix` ("bt601" or "bt709") is that of YUV 6:1:1.
    """

    def __init__(self, every: int = 1, matrix: str = "bt601") -> None:
        self._every, self._matrix = every, matrix
        self._size = (0, 0)  # height, width
        self.frames = 0
        self.psnr: list[float] = []
        self.psnr_yuv: list[float] = []
        self.msssim: list[float | None] = []
        self.lpips: list[float | None] = []

    def add(self, source: Pixels, decoded: Pixels) -> None:
        """Compare one frame, uint8 (H, W, 1 or 3), with what was decoded."""
        height, width, channels = source.shape
        self._size = height, width
        self.psnr.append(metrics.psnr(source, decoded))
        if channels == 3:
            self.psnr_yuv.append(metrics.psnr_yuv(source, decoded, self._matrix))
        if self.frames % self._every == 0:
            self.msssim.append(metrics.ms_ssim(source, decoded))
            self.lpips.append(metrics.lpips(source, decoded) if channels == 3 else None)
        self.frames += 1

    def row(self, job: Job, codec: Peer[Any, Any], size: int, encode_s: float, decode_s: float) -> Row:
        """The row of a file of `size` bytes."""
        height, width = self._size
        return Row(
            codec=codec.name,
            version=version_text(codec),
            setting=setting_text(codec, job.setting),
            source=job.path.name,
            sha256=job.digest,
            frames=self.frames,
            width=width,
            height=height,
            bytes=size,
            bpp=round(8 * size / (width * height * self.frames), 6),
            psnr=round(fmean(self.psnr), 5),
            psnr_yuv=round(fmean(self.psnr_yuv), 5) if self.psnr_yuv else None,
            msssim=mean_of_all(self.msssim, 6),
            lpips=mean_of_all(self.lpips, 6),
            encode_s=round(encode_s, 4),
            decode_s=round(decode_s, 4),
        )
