"""Settings of the study of token reduction."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.tools.measuring.settings import check_least, check_range, check_some


@dataclass(frozen=True, kw_only=True)
class TokensSettings:
    """Settings; the study makes its clips.

    codec, quality   codec and quality, 0..100, of the clips' files
    training_clips   number of training clips;  epochs  passes over them
    clips            number of clips that questions are asked about
    budgets          shares of the tokens that each method keeps, above 0 and up to 1
    """

    codec: str = "wavelet"
    quality: float = 50.0
    training_clips: int = 3000
    epochs: int = 14
    clips: int = 100
    budgets: tuple[float, ...] = (1.0, 0.5, 0.25, 0.1, 0.05)

    def __post_init__(self) -> None:
        check_range(self, 0, 100, "quality")
        check_least(self, 1, "training_clips", "epochs", "clips")
        check_some(self, "budgets")
        check_range(self, 0.001, 1, "budgets")

    @property
    def training(self) -> str:
        return f"{self.training_clips} clips x {self.epochs}"
