"""Settings of the study of retrieval."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.tools.measuring.settings import check_least, check_range


@dataclass(frozen=True, kw_only=True)
class RetrievalSettings:
    """Settings; the study makes its clips.

    codec, quality   codec and quality, 0..100, of the clips' files
    training_clips   number of training clips;  epochs  passes over them
    clips            number of clips that are searched, each with another description
    """

    codec: str = "wavelet"
    quality: float = 50.0
    training_clips: int = 3000
    epochs: int = 14
    clips: int = 200

    def __post_init__(self) -> None:
        check_range(self, 0, 100, "quality")
        check_least(self, 1, "training_clips", "epochs", "clips")

    @property
    def training(self) -> str:
        return f"{self.training_clips} clips x {self.epochs}"
