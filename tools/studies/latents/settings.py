"""Settings of the study of learning from latents."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.tools.measuring.settings import check_least, check_range, check_some

SOURCES = (
    "latents:wavelet",
    "latents:wavelet:12",
    "latents:spatiotemporal",
    "latents:spatiotemporal:12",
    "latents:vqgan:108@100",
    "ids:vqgan@100",
    "rgb",
    "rgb:78",
    "rgb:36",
    "rgb:24",
)


@dataclass(frozen=True, kw_only=True)
class LatentsSettings:
    """Settings; the study trains models on a tar file of labelled pictures.

    sources   what the model learns from, see `latents.measure`
    quality   quality of the files, 0..100, where a source names none
    epochs    epochs of each training
    side      side x side tokens per picture
    seeds     trainings per source
    """

    sources: tuple[str, ...] = SOURCES
    quality: float = 50.0
    epochs: int = 14
    side: int = 6
    seeds: int = 3

    def __post_init__(self) -> None:
        check_some(self, "sources")
        check_range(self, 0, 100, "quality")
        check_least(self, 1, "epochs", "side", "seeds")
