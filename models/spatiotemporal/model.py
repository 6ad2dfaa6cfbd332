"""Model of family `spatiotemporal`: the wavelet model for frames on their own, priors and a network for predicted ones.

After Sun et al., "Spatiotemporal Entropy Model is All You Need for Learned Video Compression" (2021): every frame has
latents of its own and the entropy model carries time.  What it expects of a frame is a prediction of its latents, not a
scale alone, so that the symbols are latents minus prediction.

Pixels of a predicted frame come from its latents and a small synthesis network beside those of frames on their own: its
latents lie on no grid of steps, and carry the noise of the frames that they were predicted from.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..networks.synthesis import SynthesisNetwork
from ..prior.bands import BandPrior
from ..prior.rounding import Ladder, Rounded, round_along
from ..transform.bands import GRAY_SLICES, PYRAMID, RATE_WEIGHT, REACHES, slice_bands
from ..wavelet.model import WaveletModel

HINTS = 2  # sources: the predicted latents, and their doubt
FIRST_TABLE = 78  # of the ladder of predicted frames: behind the wavelet model's ladder and the uniform tables
FIRST_MOTION_TABLE = 150
BANDS, LOWS, PLACE = 125, 6, 2  # channels that describe kept packet bands, low bands, the place of a frame
INPUTS = 3 * BANDS + LOWS + PLACE  # of the network of predicted frames, see `painting.FramePainter.describe`
OUTPUTS = 192


class SpatiotemporalModel(nn.Module):
    """still: frames on their own; priors: of frames with one and two references; inter: the network that paints those.

    One serves both decoders: a network of five times its size gained no more on held-out clips.
    """

    def __init__(
        self, temporal_hidden: int = 128, inter_width: int = 80, inter_blocks: int = 4, **still: int
    ) -> None:
        """still: options of its model, wider by default than family `wavelet`; a width of 0 makes no network."""
        super().__init__()
        self.still = WaveletModel(**{"blocks": 8, "hidden": 256, "fast_width": 80, **still})
        self.options = {
            **self.still.options,
            "temporal_hidden": temporal_hidden,
            "inter_width": inter_width,
            "inter_blocks": inter_blocks,
        }
        counts = [len(s) for s in slice_bands()]
        self.priors = nn.ModuleDict(
            {name: BandPrior(PYRAMID, counts, REACHES, temporal_hidden, hints=HINTS) for name in PRIORS}
        )
        self.ladder = Ladder()
        self.inter = SynthesisNetwork(INPUTS, OUTPUTS, inter_width, inter_blocks) if inter_width else None

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


def inter_sizes(tensors: dict[str, Tensor]) -> dict[str, int]:
    """The options of the network of predicted frames in a weights file, read off the shapes of its tensors."""
    enter = tensors.get("inter.enter.weight")
    blocks = {key.split(".")[2] for key in tensors if key.startswith("inter.blocks.")}
    return {"inter_width": 0 if enter is None else enter.shape[0], "inter_blocks": len(blocks)}


PRIORS = ("unidirectional", "bidirectional")  # by the number of references less one
