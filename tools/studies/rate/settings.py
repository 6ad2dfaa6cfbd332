"""Settings of the studies of rate and quality: of pictures, and of clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tessera.codec.defaults import CODEC
from tessera.codec.errors import ParameterError
from tessera.tools.measuring.settings import check_least, check_range, check_some

SMALLEST = 16  # least side in pixels of clips that are scaled down


@dataclass(frozen=True, kw_only=True)
class RateSettings:
    """Settings that both studies have.

    codecs      families and other codecs, with their options; the report's first line is about the first
    qualities   qualities of families, 0..100; other codecs have settings of their own
    references  codecs and curves that BD-rates are computed against; none: all codecs
    curves      CSV files of curves of the same sources; those that `references` names are drawn
    pictures    sources that the slider shows
    rates       rates at which it shows them, bits per pixel
    """

    codecs: tuple[str, ...]
    qualities: tuple[float, ...]
    references: tuple[str, ...] = ()
    curves: tuple[Path, ...] = ()
    pictures: int = 2
    rates: tuple[float, ...]
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_some(self, "codecs", "qualities", "rates")
        check_range(self, 0, 100, "qualities")
        check_range(self, 0.001, 100, "rates")
        check_least(self, 0, "pictures")


@dataclass(frozen=True, kw_only=True)
class ImagesSettings(RateSettings):
    """Settings for pictures."""

    codecs: tuple[str, ...] = (CODEC, "jpeg", "webp", "avif")
    qualities: tuple[float, ...] = (5, 15, 25, 35, 45, 55, 65, 75, 85, 95)
    rates: tuple[float, ...] = (0.2, 0.7)


@dataclass(frozen=True, kw_only=True)
class VideoSettings(RateSettings):
    """Settings for clips.

    resize        (width, height) that clips are scaled down to first; None: they are taken as they are
    checkpoint    folder for the states of families that fit networks to clips: an interrupted fit goes on from them
    msssim_every  MS-SSIM and LPIPS are measured on every n-th frame, the first one included
    """

    codecs: tuple[str, ...] = (CODEC, "x264", "x265", "svtav1")
    qualities: tuple[float, ...] = (10, 25, 40, 55, 70, 85)
    rates: tuple[float, ...] = (0.3,)
    resize: tuple[int, int] | None = None
    checkpoint: Path | None = None
    msssim_every: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 1, "msssim_every")
        if self.resize and (any(side % 2 for side in self.resize) or min(self.resize) < SMALLEST):
            raise ParameterError(
                f"resize {self.resize[0]}x{self.resize[1]}: sides are even numbers from {SMALLEST} on, because clips "
                "are stored as 4:2:0"
            )
