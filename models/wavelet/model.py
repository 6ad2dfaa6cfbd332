"""Family `wavelet` while it is trained: a wavelet packet in front of a learned prior and a learned decoder.

    RGB -> orthonormal colour axes, gray first -> bior4.4 packet, three levels: 64 bands per plane at 1/8 resolution
        -> the low band of each plane further through a dyadic pyramid; all 64 gray and COLOUR_BANDS of the bands of
           each colour axis are kept -> divided by one step size per quality -> integers
    integers -> tables chosen by `prior.bands`
    integers -> dequantised bands + step * synthesis network -> inverse packet -> RGB

After WaLLoC (Jacobellis and Yadwadkar, DCC 2025).  The encoder is linear: colour, packet and scaling take 65
multiplications per pixel.  The prior, which both sides run, takes 1.2 thousand and the decoder's network 24 thousand.
Bands are scaled so that a unit error in any of them costs the same squared error in pixels: one step is right for all.

Coding uses `still`, in integers.  The transform here is in floats; networks read the same words (`words`), up to the
last bit of a low band.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..networks.synthesis import SynthesisNetwork
from ..prior.bands import BandPrior
from ..prior.rounding import LadderFit, round_along
from ..transform import packet as wp
from ..transform.bands import CELL, GRAY_SLICES, LEVELS, PYRAMID, RATE_WEIGHT, REACHES, slice_bands
from ..transform.gains import Bands, colour_matrix, step_size, synthesis_gains
from ..transform.steps import WORD_GAIN
from .words import COMPANDED, COMPANDED_FINE, LOW_UNIT, LOWS, WORD_BITS, WORD_LIMIT

WORD_UNIT = float(1 << WORD_BITS)


class WaveletModel(nn.Module):
    """Transform, prior and decoder in training."""

    axes: Tensor  # colour axes x RGB
    order: Tensor  # kept packet bands in the order of coding, plane * 64 + band
    packet_gain: Tensor  # norms of the pixel patterns that unit coefficients make
    every_gain: Tensor
    detail_gain: Tensor
    low_gain: Tensor

    def __init__(
        self,
        width: int = 128,
        blocks: int = 5,
        hidden: int = 128,
        fast_width: int = 0,
        fast_blocks: int = 4,
        perceptual_width: int = 0,
        perceptual_blocks: int = 4,
        analysis_width: int = 0,
        analysis_blocks: int = 4,
    ) -> None:
        """A width of 0 makes no network."""
        super().__init__()
        self.options = {
            "width": width,
            "blocks": blocks,
            "hidden": hidden,
            "fast_width": fast_width,
            "fast_blocks": fast_blocks,
        }
        self.bf16 = False  # run the networks in bf16
        slices = slice_bands()
        self.register_buffer("axes", colour_matrix(), persistent=False)
        self.register_buffer("order", torch.tensor([b for s in slices for b in s]), persistent=False)
        packet_gain, detail_gain, low_gain = synthesis_gains()
        self.register_buffer("packet_gain", packet_gain[self.order].view(1, -1, 1, 1), persistent=False)
        self.register_buffer("every_gain", packet_gain.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("detail_gain", detail_gain, persistent=False)
        self.register_buffer("low_gain", low_gain, persistent=False)
        self.prior = BandPrior(PYRAMID, [len(s) for s in slices], REACHES, hidden)
        kept = len(self.order)
        inputs = 2 * kept + LOWS
        self.standard = SynthesisNetwork(inputs, 192, width, blocks)
        self.fast = SynthesisNetwork(inputs, 192, fast_width, fast_blocks) if fast_width else None
        self.perceptual = (
            SynthesisNetwork(inputs, 192, perceptual_width, perceptual_blocks) if perceptual_width else None
        )
        # the analysis network: it has the shape and the words of the others
        self.analysis = (
            SynthesisNetwork(inputs + kept, kept, analysis_width, analysis_blocks) if analysis_width else None
        )
        self.ladder = LadderFit()

    # -- transform ---------------------------------------------------------------------------------------------------

    def analyse(self, pixels: Tensor) -> Bands:
        """Pixels (B, 3, H, W) in 0..255, any size -> bands."""
        x = wp.pad_to(torch.einsum("ij,bjhw->bihw", self.axes, pixels - 128.0), CELL)
        packet = wp.packet(x, LEVELS)
        details, low = wp.pyramid(packet[:, :, 0], PYRAMID)
        details = [d * g for d, g in zip(details, self.detail_gain, strict=True)]
        return Bands(packet.flatten(1, 2)[:, self.order] * self.packet_gain, details, low * self.low_gain)

    def low_plane(self, bands: Bands) -> Tensor:
        """The low packet band of the three planes (B, 3, h, w) from the pyramid."""
        details = [d / g for d, g in zip(bands.details, self.detail_gain, strict=True)]
        return wp.unpyramid(details, bands.low / self.low_gain, *bands.packet.shape[2:])

    def dequantise(self, integers: Bands, step: Tensor) -> Tensor:
        """All 192 packet bands (B, 192, h, w), those that are not kept zero."""
        bands = Bands(integers.packet * step, [d * step for d in integers.details], integers.low * step)
        full = bands.packet.new_zeros(bands.packet.shape[0], 192, *bands.packet.shape[2:])
        full[:, self.order] = bands.packet / self.packet_gain
        full[:, ::64] = self.low_plane(bands)
        return full

    def to_pixels(self, packet: Tensor) -> Tensor:
        """(B, 192, h, w) packet bands -> pixels (B, 3, 8h, 8w), not clipped."""
        planes = wp.unpacket(packet.unflatten(1, (3, 64)))
        return torch.einsum("ij,bihw->bjhw", self.axes, planes) + 128.0

    # -- decoder -----------------------------------------------------------------------------------------------------

    def describe(self, integers: Bands, rungs: Tensor, low: Tensor, step: Tensor) -> Tensor:
        """What the synthesis network reads: companded integers, rungs, and the low plane, raw and high-passed."""
        rounded = torch.floor(rungs + 0.5) / 16.0
        return torch.cat([companded(integers.packet), rounded, self.describe_low(low, step)], 1)

    def describe_low(self, low: Tensor, step: Tensor) -> Tensor:
        """The last six channels of `describe`."""
        smooth = torch.nn.functional.avg_pool2d(low, 3, 1, 1, count_include_pad=False)
        raw = torch.floor(low * (WORD_UNIT / LOW_UNIT) + 0.5).clamp(-WORD_LIMIT - 1, WORD_LIMIT) / WORD_UNIT
        return torch.cat([companded((low - smooth) / step, WORD_GAIN), raw], 1)

    def networks(self) -> dict[str, SynthesisNetwork]:
        """The synthesis networks by the names of their decoders, best first."""
        named = {"standard": self.standard, "fast": self.fast, "perceptual": self.perceptual}
        return {name: network for name, network in named.items() if network is not None}

    def paint(self, integers: Bands, rungs: Tensor, quality: Tensor, decoder: str = "standard") -> Tensor:
        """Integers and their rungs -> pixels (B, 3, 8h, 8w), float."""
        return self.paint_with([self.networks()[decoder]], integers, rungs, quality)[0]

    def paint_with(
        self, networks: Iterable[SynthesisNetwork], integers: Bands, rungs: Tensor, quality: Tensor
    ) -> list[Tensor]:
        """The same by each of several networks."""
        step = step_size(quality)[:, None, None, None]
        plain = self.dequantise(integers, step)
        words = self.describe(integers, rungs, plain[:, ::64], step)
        scale = step / self.every_gain
        return [self.to_pixels(plain + self.correct(network, words, quality) * scale) for network in networks]

    def correct(self, network: SynthesisNetwork, words: Tensor, quality: Tensor) -> Tensor:
        """What a network adds to the 192 bands, in steps."""
        return network.corrections(words, quality, self.bf16)

    # -- training ----------------------------------------------------------------------------------------------------

    def quantise(self, bands: Bands, quality: Tensor, weight: float = RATE_WEIGHT) -> tuple[Bands, Tensor, Tensor]:
        """Rate-distortion rounding along the prior's walk: integers, packet rungs (B, 125, h, w) and bits (B,)."""
        inverse = 1.0 / step_size(quality)[:, None, None, None]
        scaled = [bands.packet * inverse, *(d * inverse for d in bands.details)]
        found = round_along(
            self.prior,
            self.ladder.costs,
            scaled,
            bands.low * inverse,
            quality,
            weight=weight,
            gray_slices=GRAY_SLICES,
        )
        for values, rung in zip(found.levels, found.rungs, strict=True):
            self.ladder.count(values, rung)
        return Bands(found.levels[0], found.levels[1:], found.low), found.rungs[0], found.bits


_TABLES = {
    gain: torch.from_numpy(table).float() / WORD_UNIT for gain, table in ((1, COMPANDED), (WORD_GAIN, COMPANDED_FINE))
}


def companded(x: Tensor, gain: int = 1) -> Tensor:
    """sign(x) log(1 + |x|) of `x` cut to whole numbers of 1 / gain, as words have it; gradients are the logarithm's."""
    table = _TABLES[gain].to(x.device)
    exact = table[(x.detach().abs() * gain).long().clamp(max=len(table) - 1)] * x.detach().sign()
    if not x.requires_grad:
        return exact
    smooth = x.sign() * torch.log1p(x.abs())
    return smooth + (exact - smooth).detach()
