"""Family `wavelet` on the processor: the walk, the transform and the network's input in C++ (`_kernels`).

Twin of the torch path in `wavelet_family`, which runs on other devices: the integers, and so the streams that it reads
and the tables that it names, are the same; floats (scaled bands, pixels) may differ in their last bits.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..entropy import Tables
from . import _kernels
from . import wavelet_packet as wp
from .interface import GroupSpec, SymbolPort
from .native_prior import Coded, NativePrior, pass_order
from .painter import Painter
from .wavelet import PYRAMID, Bands, WaveletModel, step_size


class NativeWavelet:
    """Transform, prior and networks of a model, packed for the kernels.  Stateless between calls."""

    def __init__(self, model: WaveletModel, rate_weight: float, path: str | None = None) -> None:
        self.model, self.path = model, path
        self.prior = NativePrior(model.prior, model.ladder.costs, rate_weight, path)
        self.order = model.order.numpy().astype(np.int32)
        self.painters = {name: Painter(network) for name, network in model.networks().items()}
        self.at = lru_cache(maxsize=32)(self._at)

    def weighing(self, rate_weight: float) -> NativeWavelet:
        """The same with another price of a bit in rounding."""
        other = copy.copy(self)
        other.prior = self.prior.weighing(rate_weight)
        return other

    def _at(self, quality: int) -> Settings:
        """What depends on the quality alone."""
        step = float(step_size(torch.tensor([quality])))
        gain = torch.ones(192)
        gain[self.model.order] = self.model.packet_gain.flatten()
        inverse = gain / step
        inverse[::64] = 1.0
        return Settings(step, inverse.numpy(), (step / self.model.every_gain.flatten()).numpy())

    # -- encoding ----------------------------------------------------------------------------------------------------

    def encode(self, frame: Tensor, spec: GroupSpec, port: SymbolPort, move: Tensor | None = None) -> None:
        """Put the symbols of uint8 `frame` (H, W, channels)."""
        self.prior.code(*self.scaled_bands(frame, spec.quality, move), spec, port)

    def scaled_bands(
        self, frame: Tensor, quality: int, move: Tensor | None = None
    ) -> tuple[list[NDArray[np.float32]], Tensor]:
        """Bands in quantisation steps, as `NativePrior.code` takes them; `move` (125, h, w) is added to the packet."""
        at, pixels = self.at(quality), np.ascontiguousarray(frame.cpu().numpy())
        packet, plane = _kernels.analyse(pixels, self.order, at.forward, torch.get_num_threads(), self.path)
        if move is not None:
            packet += move.flatten(1)[:, pass_order(*move.shape[1:])].numpy()
        details, low = wp.pyramid(torch.from_numpy(plane)[None], PYRAMID)
        scaled = [
            d[0].flatten(1)[:, pass_order(*d.shape[2:])] * (g.view(-1, 1) / at.step)
            for d, g in zip(details, self.model.detail_gain, strict=True)
        ]
        return [packet, *(d.numpy() for d in scaled)], low * (self.model.low_gain / at.step)

    # -- decoding ----------------------------------------------------------------------------------------------------

    def read(self, spec: GroupSpec, port: SymbolPort) -> Coded:
        """Get the integers of one frame."""
        return self.prior.read(spec, port)

    def paint(self, coded: Coded, spec: GroupSpec, decoder: str) -> Tensor:
        """uint8 (H, W, channels); a decoder without a network is the inverse transform alone."""
        at, threads = self.at(spec.quality), torch.get_num_threads()
        low = self.low_plane(coded, spec.quality)
        correction: NDArray[np.int16] | None = None
        if decoder in self.painters:
            words = _kernels.describe(coded.packet, coded.rungs, 6, threads, self.path)
            described = torch.from_numpy(words).view(torch.bfloat16)
            described[-6:] = self.model.describe_low(low, torch.tensor(at.step))[0].to(torch.bfloat16)
            correction = self.painters[decoder](described, spec.quality).view(torch.int16).numpy()
        size = (spec.height, spec.width, spec.channels)
        planes = (coded.packet, low[0].contiguous().numpy())
        pixels = _kernels.synthesise(*planes, self.order, at.backward, correction, *size, threads, self.path)
        return torch.from_numpy(pixels)

    # -- latents -----------------------------------------------------------------------------------------------------

    def low_plane(self, coded: Coded, quality: int) -> Tensor:
        """The low packet band of each axis (1, 3, h, w), from the pyramid."""
        step = self.at(quality).step
        details = [torch.from_numpy(walk.values)[None] * step for walk in coded.pyramid]
        h, w = coded.packet.shape[1:]
        return self.model.low_plane(Bands(torch.empty(1, 0, h, w), details, coded.low * step))

    def bits(self, coded: Coded, spec: GroupSpec, tables: Tables) -> Tensor:
        """Bits of every cell (h, w), coarse coefficients shared by the cells below them."""
        return self.prior.bits(coded, spec, tables)


@dataclass(frozen=True)
class Settings:
    step: float
    forward: NDArray[np.float32]  # (192,) factor of each packet band when encoding
    backward: NDArray[np.float32]  # and when decoding
