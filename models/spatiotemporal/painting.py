"""Latents to pixels: a frame on its own by the wavelet model's decoders, a predicted one by a network of its own.

What the network added to a frame on its own moves with its blocks into the frames that are predicted from it.  Weights
without a network for predicted frames add it to their exact planes, those that later frames are predicted from; with
one the float inverse transform takes their place.  None of it reaches what a later frame is predicted from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import _kernels
from ..base.family import GroupSpec
from ..networks.folded import Painter
from ..networks.synthesis import SynthesisNetwork
from ..transform import packet as wp
from ..transform.bands import CELL, LEVELS
from ..transform.lifted import LOW_FACTOR, SAMPLE_LIMIT, UNITS
from ..transform.gains import factors
from ..wavelet.native import NativeWavelet
from .group import INTRA, FrameRead
from .model import BANDS, LOWS, OUTPUTS, PLACE
from .transform import ExactTransform, Levels, Planes

# A lifted unit of each packet band in the bands of `transform.packet`: a gain for each split into a low band, its
# inverse for each into a high one.
LIFTED = np.array(
    [LOW_GAIN ** (2 * (LEVELS - (band % 64).bit_count())) / UNITS for band in range(OUTPUTS)], np.float32
)


@dataclass(frozen=True)
class Scales:
    """What depends on the quality of a predicted frame alone."""

    units: NDArray[np.float32]  # (192,) packet coefficient of one unit: lifted where a band is kept, else of one step
    correction: Tensor  # bfloat16 (192, 1, 1): such units in one step


class FramePainter:
    """Stateless between calls, but for the scales of a few qualities."""

    def __init__(self, native: NativeWavelet, transform: ExactTransform, network: SynthesisNetwork | None) -> None:
        self.native, self.transform = native, transform
        self.network = None if network is None else Painter(network)
        self.at = lru_cache(maxsize=32)(self._at)

    def _at(self, quality: int) -> Scales:
        order, backward = self.native.order, self.native.at(quality).backward
        units = backward.copy()
        units[order] = LIFTED[order]
        return Scales(units, torch.from_numpy(backward / units).to(torch.bfloat16)[:, None, None])

    def paint(self, frame: FrameRead, spec: GroupSpec, decoder: str, moved: Planes) -> Tensor:
        """uint8 (H, W, channels); moved: what is added to a predicted frame, int16 (3, 8h, 8w)."""
        at_spec = replace(spec, frames=1, quality=frame.quality)
        if frame.kind == INTRA:
            return self.native.paint(frame.coded, at_spec, decoder)
        if self.network is not None:
            return self._corrected(frame, at_spec, self.network, moved)
        planes = frame.planes if frame.planes is not None else self.transform.synthesise(frame.latents)
        shown = np.clip(planes + moved, -SAMPLE_LIMIT, SAMPLE_LIMIT)
        return torch.from_numpy(self.transform.pixels(shown, spec.height, spec.width, spec.channels))

    def _corrected(self, frame: FrameRead, spec: GroupSpec, network: Painter, moved: Planes) -> Tensor:
        scales, (packet, low) = self.at(spec.quality), self.bands(frame, moved)
        correction = network(self.describe(frame, packet, low), spec.quality) * scales.correction
        pixels = _kernels.synthesise(
            packet,
            low.numpy(),
            self.native.order,
            scales.units,
            correction.view(torch.int16).numpy(),
            spec.height,
            spec.width,
            spec.channels,
            torch.get_num_threads(),
            self.native.path,
        )
        return torch.from_numpy(pixels)

    def bands(self, frame: FrameRead, moved: Planes) -> tuple[NDArray[np.int32], Tensor]:
        """A predicted frame with `moved` added: lifted packet bands (125, h, w) and low packet bands (3, h, w)."""
        packet, low = _kernels.exact_analyse(moved, self.transform.order, torch.get_num_threads(), self.transform.path)
        return packet + frame.latents[0], low_plane(frame.latents) + torch.from_numpy(low) * LOW_FACTOR

    def describe(self, frame: FrameRead, packet: NDArray[np.int32], low: Tensor) -> Tensor:
        """What the network reads of a predicted frame: bfloat16 (INPUTS, h, w); packet, low: see `bands`.

        Companded symbols and their rungs, which tell how much was left to code; the low bands, raw and high-passed;
        where the frame stands between its references, which tells how good they are; companded latents in steps.
        """
        words = _kernels.describe(
            frame.coded.packet,
            frame.coded.rungs,
            LOWS + PLACE + BANDS,
            torch.get_num_threads(),
            self.native.path,
        )
        described = torch.from_numpy(words).view(torch.bfloat16)
        step = torch.tensor(self.native.at(frame.quality).step)
        rest = described[2 * BANDS :]
        rest[:LOWS] = self.native.model.describe_low(low[None], step)[0]
        for channel, value in enumerate(place_of(frame), LOWS):
            rest[channel] = value
        inverse = torch.from_numpy(frame.steps.levels[0].inverse)[:, None, None]
        scaled = torch.from_numpy(packet) * inverse
        rest[LOWS + PLACE :] = scaled.abs().log1p_().copysign_(scaled)
        return described

    def latents(self, frame: FrameRead) -> Tensor:
        """(h, w, C): the low packet bands, then the others at unit synthesis gain, as family `wavelet` has them.

        Of a frame that was not read to its end the first of them.
        """
        packet = torch.from_numpy(frame.latents[0])
        packet = packet * factors()[0][: len(packet), None, None]
        return torch.cat([low_plane(frame.latents), packet]).permute(1, 2, 0)


class GroupPainter:
    """Paints the frames of one group, in coding order."""

    def __init__(self, painter: FramePainter, spec: GroupSpec, decoder: str) -> None:
        self.painter, self.spec, self.decoder = painter, spec, decoder
        self.added: dict[int, Planes] = {}  # to the exact planes of frames that are needed still

    def paint(self, frame: FrameRead) -> Tensor:
        """uint8 (H, W, channels)."""
        moved = self.moved(frame)
        pixels = self.painter.paint(frame, self.spec, self.decoder, moved)
        self.keep(frame, moved, pixels)
        return pixels

    def moved(self, frame: FrameRead) -> Planes:
        """What was added to a frame's references, where its blocks take it from: int16 (3, 8h, 8w)."""
        if frame.kind == INTRA:
            h, w = frame.latents[0].shape[1:]
            return np.zeros((3, CELL * h, CELL * w), np.int16)
        references = [self.added[number] for number in frame.place.references]
        fields, transform = np.ascontiguousarray(np.stack(frame.fields)), self.painter.transform
        threads = torch.get_num_threads()
        return _kernels.compensate(references, fields, frame.modes, frame.block, threads, transform.path)

    def keep(self, frame: FrameRead, moved: Planes, pixels: Tensor) -> None:
        """Keep what was added to a frame that later ones are predicted from, and forget what no frame needs."""
        if frame.planes is not None:
            if frame.kind == INTRA:
                painted = self.painter.transform.planes(pixels.numpy()).astype(np.int32)
                moved = np.clip(painted - frame.planes, -SAMPLE_LIMIT, SAMPLE_LIMIT).astype(np.int16)
            self.added[frame.place.number] = moved
        for number in self.added.keys() - frame.needed:
            del self.added[number]


def low_plane(latents: Levels) -> Tensor:
    """The low packet band of each axis, float32 (3, h, w)."""
    packet, details, low = latents[0], latents[1:-1], latents[-1]
    plane = _kernels.exact_unpyramid(details, low, packet.shape[1], packet.shape[2])
    return torch.from_numpy(plane) * LOW_FACTOR


def place_of(frame: FrameRead) -> tuple[float, float]:
    """Whether a predicted frame has two references, and octaves of the distance to the first."""
    place = frame.place
    return len(place.references) - 1.0, math.log2(abs(place.number - place.references[0])) / 4.0
