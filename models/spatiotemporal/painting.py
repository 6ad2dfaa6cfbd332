"""Latents to pixels: a frame on its own by the wavelet model's decoders, a predicted one from its exact planes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .. import _kernels
from ..exact_transform import FACTORS, LOW_FACTOR
from ..interface import GroupSpec
from ..native import NativeWavelet
from .group import INTRA, FrameRead
from .transform import ExactTransform


class FramePainter:
    """Stateless between calls."""

    def __init__(self, native: NativeWavelet, transform: ExactTransform) -> None:
        self.native, self.transform = native, transform

    def paint(self, frame: FrameRead, spec: GroupSpec, decoder: str) -> Tensor:
        """uint8 (H, W, channels)."""
        at_spec = replace(spec, frames=1, quality=frame.quality)
        if frame.kind == INTRA:
            return self.native.paint(frame.coded, at_spec, decoder)
        planes = frame.planes if frame.planes is not None else self.transform.synthesise(frame.latents)
        return torch.from_numpy(self.transform.pixels(planes, spec.height, spec.width, spec.channels))

    def latents(self, frame: FrameRead) -> Tensor:
        """(h, w, C): the low packet bands, then the others at unit synthesis gain, as family `wavelet` has them."""
        packet, details, low = frame.latents[0], frame.latents[1:-1], frame.latents[-1]
        plane = _kernels.exact_unpyramid(details, low, packet.shape[1], packet.shape[2])
        parts = [torch.from_numpy(plane) * LOW_FACTOR, torch.from_numpy(packet) * FACTORS[0][:, None, None]]
        return torch.cat(parts).permute(1, 2, 0)
