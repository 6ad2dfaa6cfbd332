"""Family `wavelet` on the processor: the walk, the transform and the network's input in C++ (`_kernels`).

Twin of the torch path in `wavelet.walk`, which runs on other devices: the integers, and so the streams that it reads
and the tables that it names, are the same; floats (scaled bands, pixels) may differ in their last bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import Tables
from .. import _kernels
from ..base.configure import changed
from ..base.family import GroupSpec, SymbolPort
from ..base.ports import Nowhere
from ..networks.folded import Painter
from ..prior.native import Coded, NativePrior, pass_order
from ..transform import packet as wp
from ..transform.bands import PYRAMID, RATE_WEIGHT
from ..transform.gains import step_size
from .analysis import REACH, remainders
from .model import WaveletModel
from .refinement import refine

LOWS = 6  # channels that describe the low bands


class NativeWavelet:
    """Transform, prior and networks of a model, packed for the kernels.  Stateless between calls."""

    def __init__(self, model: WaveletModel, rate_weight: float, path: str | None = None) -> None:
        self.model, self.rate_weight, self.path = model, rate_weight, path
        self.prior = NativePrior(model.prior, model.ladder.costs, rate_weight, path)
        self.trial = self.prior.weighing(RATE_WEIGHT)
        self.order = model.order.numpy().astype(np.int32)
        self.painters = {name: Painter(network) for name, network in model.networks().items()}
        self.analysis = None if model.analysis is None else Painter(model.analysis)
        self.at = lru_cache(maxsize=32)(self._at)

    def weighing(self, rate_weight: float) -> NativeWavelet:
        """The same with another price of a bit in rounding."""
        return changed(self, rate_weight=rate_weight, prior=self.prior.weighing(rate_weight))

    def _at(self, quality: int) -> Settings:
        """What depends on the quality alone."""
        step = float(step_size(torch.tensor([quality])))
        gain = torch.ones(192)
        gain[self.model.order] = self.model.packet_gain.flatten()
        inverse = gain / step
        inverse[::64] = 1.0
        details = [(step / gain.flatten()).numpy() for gain in self.model.detail_gain]
        backward = (step / self.model.every_gain.flatten()).numpy()
        return Settings(step, inverse.numpy(), backward, details, step / self.model.low_gain[0])

    # -- encoding ----------------------------------------------------------------------------------------------------

    def bands_to_round(
        self, frame: Tensor, spec: GroupSpec, effort: str
    ) -> tuple[list[NDArray[np.float32]], Tensor]:
        """Bands of uint8 `frame` (H, W, channels) as `NativePrior.code` takes them.

        Effort medium moves packet coefficients by the analysis network, where there is one, slow by `refinement`.
        """
        scaled, low = self.scaled_bands(frame, spec.quality)
        move = None
        if effort != "fast" and self.analysis is not None:
            move = self.moves(self.analysis, scaled, low, spec)
        if effort == "slow":
            pixels = frame.permute(2, 0, 1)[None].float().expand(-1, 3, -1, -1)
            move = refine(self.model, pixels, spec.quality, self.rate_weight, start=move)
        if move is not None:
            scaled[0] += move.flatten(1)[:, pass_order(*move.shape[1:])].numpy()
        return scaled, low

    def moves(self, network: Painter, scaled: list[NDArray[np.float32]], low: Tensor, spec: GroupSpec) -> Tensor:
        """Moves of the packet coefficients (125, h, w) in steps, see `analysis`."""
        at, trial = self.at(spec.quality), self.trial.code_kept(scaled, low, spec, Nowhere())
        bands = len(trial.packet)
        words = self.describe(trial, self.low_plane(trial, spec.quality), at.step, LOWS + bands)
        packet = torch.empty(trial.packet.shape)
        packet.flatten(1)[:, pass_order(*packet.shape[1:])] = torch.from_numpy(scaled[0])
        words[-bands:] = remainders(packet, torch.from_numpy(trial.packet))
        return network(words, spec.quality).float().clamp_(-REACH, REACH)

    def scaled_bands(self, frame: Tensor, quality: int) -> tuple[list[NDArray[np.float32]], Tensor]:
        """Bands in quantisation steps, as `NativePrior.code` takes them."""
        at, pixels = self.at(quality), np.ascontiguousarray(frame.cpu().numpy())
        packet, plane = _kernels.analyse(pixels, self.order, at.forward, torch.get_num_threads(), self.path)
        details, low = wp.pyramid(torch.from_numpy(plane)[None], PYRAMID)
        scaled = [
            d[0].flatten(1)[:, pass_order(*d.shape[2:])] * (g.view(-1, 1) / at.step)
            for d, g in zip(details, self.model.detail_gain, strict=True)
        ]
        return [packet, *(d.numpy() for d in scaled)], low * (self.model.low_gain / at.step)

    # -- decoding ----------------------------------------------------------------------------------------------------

    def read(self, spec: GroupSpec, port: SymbolPort, most: int | None = None) -> Coded:
        """Get the integers of one frame, see `NativePrior.read`."""
        return self.prior.read(spec, port, most=most)

    def paint(self, coded: Coded, spec: GroupSpec, decoder: str) -> Tensor:
        """uint8 (H, W, channels); a decoder without a network is the inverse transform alone."""
        at, threads = self.at(spec.quality), torch.get_num_threads()
        low = self.low_plane(coded, spec.quality)
        correction: NDArray[np.int16] | None = None
        if decoder in self.painters:
            words = self.describe(coded, low, at.step, LOWS)
            correction = self.painters[decoder](words, spec.quality).view(torch.int16).numpy()
        size = (spec.height, spec.width, spec.channels)
        planes = (coded.packet, low[0].contiguous().numpy())
        pixels = _kernels.synthesise(*planes, self.order, at.backward, correction, *size, threads, self.path)
        return torch.from_numpy(pixels)

    def describe(self, coded: Coded, low: Tensor, step: float, more: int) -> Tensor:
        """What networks read of a frame, bfloat16: `WaveletModel.describe`, its end the first of `more` channels."""
        words = _kernels.describe(coded.packet, coded.rungs, more, torch.get_num_threads(), self.path)
        described = torch.from_numpy(words).view(torch.bfloat16)
        first = 2 * len(coded.packet)
        described[first : first + LOWS] = self.model.describe_low(low, torch.tensor(step))[0]
        return described

    # -- latents -----------------------------------------------------------------------------------------------------

    def low_plane(self, coded: Coded, quality: int) -> Tensor:
        """The low packet band of each axis (1, 3, h, w), from the pyramid."""
        at, details = self.at(quality), [walk.values for walk in coded.pyramid]
        low = (coded.low[0] * at.low).numpy()
        return torch.from_numpy(_kernels.unpyramid(details, at.details, low, *coded.packet.shape[1:]))[None]

    def bits(self, coded: Coded, spec: GroupSpec, tables: Tables) -> Tensor:
        """Bits of every cell (h, w), coarse coefficients shared by the cells below them."""
        return self.prior.bits(coded, spec, tables)


@dataclass(frozen=True)
class Settings:
    step: float
    forward: NDArray[np.float32]  # (192,) factor of each packet band when encoding
    backward: NDArray[np.float32]  # and when decoding
    details: list[NDArray[np.float32]]  # (9,) of each level of the pyramid, when decoding
    low: Tensor  # (3, 1, 1) and of its low band
