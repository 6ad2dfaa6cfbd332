"""Settings of the study of classifiers."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.codec.defaults import CODEC
from tessera.tools.measuring.settings import check_least, check_range, check_some


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """Settings; the study measures codecs on a tar file of labelled pictures.

    codecs      families and other codecs, with their options
    qualities   qualities of families, 0..100; other codecs have settings of their own
    images      test pictures, spread evenly over the set; 0 for all
    epochs      epochs of training each classifier
    latents     also train on the latents of families
    retrain     also train on coded pictures, at every setting
    retrain_at  settings of each codec at which coded pictures are trained on instead; none: as `retrain` says
    """

    codecs: tuple[str, ...] = (CODEC, "jpeg", "webp")
    qualities: tuple[float, ...] = (5, 10, 20, 30, 40, 50, 70, 90)
    images: int = 0
    epochs: int = 14
    latents: bool = False
    retrain: bool = False
    retrain_at: tuple[float, ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_some(self, "codecs", "qualities")
        check_range(self, 0, 100, "qualities", "retrain_at")
        check_least(self, 0, "images")
        check_least(self, 1, "epochs")

    def retrains(self, setting: float) -> bool:
        """Whether a classifier is trained on pictures coded at this setting."""
        return setting in self.retrain_at if self.retrain_at else self.retrain
