"""Frames on their own of a weights file, that one more network is trained beside: how they are coded and painted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..base.kernels import Kernels
from ..base.task import arrays_of
from ..networks.synthesis import SynthesisNetwork
from ..wavelet import analysis
from ..wavelet.words import CORRECTION_BITS
from . import dyadic_coding, wavelet
from .exporting import CalibrationSample, Tensors, part_of, real_network


class PacketStills(nn.Module):
    """Those of family `wavelet`, with the analysis network where the file has one."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.model, self.owner = wavelet.still_model(tensors)
        self.standard = self.model.standard

    def painted(self, network: SynthesisNetwork, pixels: Tensor, quality: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) as they are decoded, before they are rounded."""
        with torch.no_grad():
            integers, rungs, _ = analysis.quantise(self.model, self.model.analyse(pixels), quality)
        (found,) = self.model.paint_with([network], integers, rungs, quality)
        return found[:, :, : pixels.shape[2], : pixels.shape[3]]

    def calibration(self, pictures: list[Tensor]) -> list[CalibrationSample]:
        """What decoders' networks read of pictures (3, H, W)."""
        return wavelet.calibration(self.model, pictures)


class DyadicStills(nn.Module):
    """Dyadic frames, coded by the kernels."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        still, self.owner = wavelet.still_part(tensors)
        coder = dyadic_coding.dyadic_coder(arrays_of(still), Kernels())
        self.still = coder.weighing(coder.usual_rate_weight("medium"))
        self.standard = real_network(part_of(still, "standard"), CORRECTION_BITS).requires_grad_(False)

    def painted(self, network: SynthesisNetwork, pixels: Tensor, quality: Tensor) -> Tensor:
        """See `PacketStills.painted`."""
        words, lacking = dyadic_coding.coded_batch(self.still, pixels, quality, "medium")
        return dyadic_coding.painted(network, pixels, words, lacking, quality)

    def calibration(self, pictures: list[Tensor]) -> list[CalibrationSample]:
        """See `PacketStills.calibration`."""
        return dyadic_coding.calibration(self.still, pictures, "medium")


def stills_of(tensors: Tensors) -> PacketStills | DyadicStills:
    """Frames on their own of a file of family `wavelet` or `spatiotemporal`, frozen."""
    still, _ = wavelet.still_part(tensors)
    return DyadicStills(tensors) if part_of(still, "dyadic") else PacketStills(tensors)
