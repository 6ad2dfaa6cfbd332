"""Families whose encoder fits a network to each group, and families that paint single frames of one.

Fitting takes minutes, so a size cannot be found by encoding again and again: the family gets the bytes per frame and
meets them itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .family import Family, GroupSpec, Pixels, SymbolPort
from .quality import MAX_FINE, fine, shown

MIDDLE_RATE = 0.0625  # bits per pixel at quality 50: HNeRV's 1.5 M parameters on 132 frames of 1280x720
DOUBLING = 12.5  # the rate doubles with every so many units of quality


@dataclass(frozen=True)
class FitStatus:
    """How far a fit is; families `nerv` and `overfitted` call the option `watch` with it.

    Attributes:
        part: Share of the fitting of this group that is done, 0..1.
        epoch: Times that every frame has been seen.
        psnr: dB, mean over the frames fitted last.
        bits: Bits that weights and embeddings take now; 0 before they are rounded.
        seconds: Time since this segment began.
        earlier: CPU seconds that earlier, interrupted runs spent on the group; given once, when the fit goes on.
    """

    part: float
    epoch: int
    psnr: float
    bits: float
    seconds: float
    earlier: float = 0.0


Watch = Callable[[FitStatus], None]


class FitFailed(ValueError):
    """A fit found nothing that is worth a file."""


class Store(Protocol):
    """Keeps the state of fits between runs, by a key that names frames and settings."""

    def load(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What was saved last under `key`."""

    def save(self, key: str, state: dict[str, NDArray[Any]]) -> None:
        """Replace what is kept under `key`."""


@runtime_checkable
class Fits(Family, Protocol):
    """A family that fits; see the module."""

    meets_psnr: ClassVar[bool]

    def fitting(
        self,
        *,
        frame_bytes: float | None = None,
        psnr: float | None = None,
        frames: int | None = None,
        watch: Watch | None = None,
        store: Store | None = None,
    ) -> Fits:
        """The same family with what is given set anew.

        frame_bytes   of symbols, at most, on average over each group; without it the quality says the rate
        psnr          dB of each frame, at least, where the family `meets_psnr`
        frames        of the whole clip, over which time limits are spread
        """


class TimePainter(Protocol):
    """A group whose symbols are read."""

    def paint(self, times: NDArray[np.float64], decoder: str) -> Pixels:
        """float64 positions (n,) in 0..frames-1 -> uint8 (n, H, W, channels); each costs the same.

        Between two frames their embeddings are mixed.
        """


@runtime_checkable
class PaintsFrames(Family, Protocol):
    """A family that paints any frame of a group by itself."""

    def open_group(self, spec: GroupSpec, port: SymbolPort) -> TimePainter:
        """Get a group's symbols."""


def rate_of(quality: int) -> float:
    """Bits a pixel that a fitting family aims at for a fine quality."""
    return float(MIDDLE_RATE * 2.0 ** ((shown(quality) - 50) / DOUBLING))


def quality_of(rate: float) -> int:
    """The fine quality whose rate is nearest."""
    from math import log2

    quality = fine(50 + DOUBLING * log2(max(rate, 1e-9) / MIDDLE_RATE))
    return min(max(quality, 0), MAX_FINE)
