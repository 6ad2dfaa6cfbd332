"""Settings of the study of the lowest rates."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.codec.errors import ParameterError
from tessera.tools.measuring.settings import check_least, check_range, check_some


@dataclass(frozen=True, kw_only=True)
class ExtremeSettings:
    """Settings; the study measures pictures and a tar file of labelled pictures.

    codecs      families and other codecs, with their options
    targets     bits per pixel, rising; the contact sheet is of the first, lost indices are at the last
    qualities   the ladder of families, rising; none: see `measure.LADDERS`
    images      test pictures of the labelled set, spread evenly over it; 0 for all
    epochs      epochs of training the classifier
    """

    codecs: tuple[str, ...] = ("vqgan", "spatiotemporal", "wavelet", "jpeg", "webp", "avif", "jpegxl")
    targets: tuple[float, ...] = (0.04, 0.1)
    qualities: tuple[float, ...] = ()
    images: int = 0
    epochs: int = 14
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_some(self, "codecs", "targets")
        check_range(self, 0, 100, "qualities")
        check_range(self, 0.001, 100, "targets")
        check_least(self, 0, "images")
        check_least(self, 1, "epochs")
        for name in ("targets", "qualities"):
            values = getattr(self, name)
            if list(values) != sorted(values):
                raise ParameterError(f"{name} {', '.join(f'{value:g}' for value in values)}: not in rising order")
