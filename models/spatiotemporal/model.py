"""Model of family `spatiotemporal`: the wavelet model for frames on their own, two priors for predicted ones.

After Sun et al., "Spatiotemporal Entropy Model is All You Need for Learned Video Compression" (2021): every frame has
latents of its own and the entropy model carries time.  What it expects of a frame is a prediction of its latents, not a
scale alone, so that the symbols are latents minus prediction.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..band_prior import BandPrior
from ..rounding import Ladder, Rounded, round_along
from ..wavelet import GRAY_SLICES, PYRAMID, RATE_WEIGHT, REACHES, WaveletModel, slice_bands

HINTS = 2  # sources: the predicted latents, and their doubt
FIRST_TABLE = 78  # of the ladder of predicted frames: behind the wavelet model's ladder and the uniform tables
FIRST_MOTION_TABLE = 150


class SpatiotemporalModel(nn.Module):
    """still: frames on their own; unidirectional, bidirectional: the priors of frames with one and two references."""

    def __init__(
        self,
        width: int = 128,
        blocks: int = 8,
        hidden: int = 256,
        fast_width: int = 80,
        fast_blocks: int = 4,
        temporal_hidden: int = 128,
    ) -> None:
        super().__init__()
        self.still = WaveletModel(width, blocks, hidden, fast_width, fast_blocks)
        self.options = {**self.still.options, "temporal_hidden": temporal_hidden}
        counts = [len(s) for s in slice_bands()]
        self.priors = nn.ModuleDict(
            {name: BandPrior(PYRAMID, counts, REACHES, temporal_hidden, hints=HINTS) for name in PRIORS}
        )
        self.ladder = Ladder()

    def prior(self, name: str) -> BandPrior:
        found = self.priors[name]
        assert isinstance(found, BandPrior)
        return found

    def quantise(self, name: str, scaled: list[Tensor], low: Tensor, hints: list[Tensor], quality: Tensor) -> Rounded:
        """Rounding of what a prediction left, by the named prior; see `rounding.round_along`."""
        found = round_along(
            self.prior(name),
            self.ladder.costs,
            scaled,
            low,
            quality,
            weight=RATE_WEIGHT,
            gray_slices=GRAY_SLICES,
            hints=hints,
        )
        for values, rung in zip(found.levels, found.rungs, strict=True):
            self.ladder.count(values, rung)
        return found


PRIORS = ("unidirectional", "bidirectional")  # by the number of references less one
