"""Model of family `spatiotemporal` while it is trained: priors and a network for predicted frames.

After Sun et al., "Spatiotemporal Entropy Model is All You Need for Learned Video Compression" (2021): every frame has
latents of its own, and only the entropy model uses other frames.  It predicts the latents of a frame, not only their
scale, so the symbols are latents minus prediction.

A predicted frame has a small synthesis network of its own, because its latents differ from those of frames on their
own: they lie on no grid of steps, and carry the noise of the frames that they were predicted from.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..networks.synthesis import SynthesisNetwork
from ..prior.bands import BandPrior
from ..prior.rounding import LadderFit, Rounded, round_along
from ..transform.bands import GRAY_SLICES, PYRAMID, RATE_WEIGHT, REACHES, slice_bands
from ..wavelet.words import LOWS
from .painting import PLACE
from .wire import PRIORS

HINTS = 2  # sources: the predicted latents, and their doubt
BANDS, OUTPUTS = 125, 192  # packet bands that are kept, and all of them
INPUTS = 3 * BANDS + LOWS + PLACE  # what the network of predicted frames reads, see `FramePainter.describe`


class SpatiotemporalModel(nn.Module):
    """priors: of frames with one and two references; inter: the network that paints those, None with a width of 0.

    One serves both decoders: a network of five times its size gained no more on held-out clips.
    """

    def __init__(self, temporal_hidden: int = 128, inter_width: int = 80, inter_blocks: int = 4) -> None:
        super().__init__()
        self.options = {
            "temporal_hidden": temporal_hidden,
            "inter_width": inter_width,
            "inter_blocks": inter_blocks,
        }
        counts = [len(s) for s in slice_bands()]
        self.priors = nn.ModuleDict(
            {name: BandPrior(PYRAMID, counts, REACHES, temporal_hidden, hints=HINTS) for name in PRIORS}
        )
        self.ladder = LadderFit()
        self.inter = SynthesisNetwork(INPUTS, OUTPUTS, inter_width, inter_blocks) if inter_width else None

    def prior(self, name: str) -> BandPrior:
        found = self.priors[name]
        assert isinstance(found, BandPrior)
        return found

    def quantise(self, name: str, scaled: list[Tensor], low: Tensor, hints: list[Tensor], quality: Tensor) -> Rounded:
        """Round latents minus prediction along the walk of the named prior; see `rounding.round_along`."""
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
