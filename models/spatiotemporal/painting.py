"""Latents to pixels: a frame on its own by the wavelet model's decoders, a predicted one by a network of its own.

What the network added to a frame on its own moves with the blocks into the frames that are predicted from it.  Weights
without a network for predicted frames add it to the exact planes of such a frame.  Later frames are predicted from the
exact planes, which hold none of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base.family import GroupSpec, Pixels
from ..base.kernels import Integers, Planes, Words
from ..engine.painter import Painter
from ..transform.bands import CELL
from ..transform.levels import ORDER
from ..transform.lifted import SAMPLE_LIMIT
from ..wavelet.base_still import BaseStill
from ..wavelet.words import COMPANDED_FINE, LOWS, WORD_BITS, describe
from .group import INTRA, FrameRead

PLACE = 2  # channels that describe the place of a frame


class FramePainter:
    """Stateless between calls."""

    def __init__(self, still: BaseStill, network: Painter | None) -> None:
        self.still, self.network = still, network
        self.kernels, self.transform = still.kernels, still.transform

    def planes(self, frame: FrameRead, decoder: str, moved: Planes) -> Planes:
        """int16 (3, 8h, 8w); moved: what is added to a predicted frame, of the same shape."""
        if frame.kind == INTRA:
            return self.still.planes(frame.coded, frame.quality, decoder, frame.latents)
        if self.network is None:
            exact = frame.planes if frame.planes is not None else self.transform.synthesise(frame.latents)
            return np.clip(exact + moved, -SAMPLE_LIMIT, SAMPLE_LIMIT)
        packet, low = self.bands(frame, moved)
        correction = self.network(self.describe(frame, packet, low), frame.quality)
        return self.transform.corrected(packet, low, correction, frame.steps.every)

    def pixels(self, planes: Planes, spec: GroupSpec) -> Pixels:
        """uint8 (H, W, channels)."""
        return self.kernels.pixels(planes, spec.height, spec.width, spec.channels)

    def bands(self, frame: FrameRead, moved: Planes) -> tuple[Integers, Integers]:
        """A predicted frame with `moved` added: lifted packet bands (125, h, w) and low packet bands (3, h, w)."""
        packet, low = self.kernels.analyse(moved, ORDER)
        return packet + frame.latents[0], low + self.transform.low_plane(frame.latents)

    def describe(self, frame: FrameRead, packet: Integers, low: Integers) -> Words:
        """What the network reads of a predicted frame: words (h, w, channels); packet, low: see `bands`.

        Companded symbols and their rungs, which show how much was left to code; the low bands, raw and high-passed;
        the place of the frame between its references, which shows how good they are; companded latents in steps.
        """
        bands = len(packet)
        words = describe(self.kernels, frame.coded.packet, frame.coded.kept_rungs, low, frame.steps, PLACE + bands)
        rest = 2 * bands + LOWS
        words[..., rest : rest + PLACE] = place_of(frame)
        self.kernels.describe_scaled(packet, frame.steps.words, COMPANDED_FINE, words, rest + PLACE)
        return words


class GroupPainter:
    """Paints the frames of one group, in coding order."""

    def __init__(self, painter: FramePainter, spec: GroupSpec, decoder: str) -> None:
        self.painter, self.spec, self.decoder = painter, spec, decoder
        self.added: dict[int, Planes] = {}  # what was added to the exact planes of frames that are still needed

    def paint(self, frame: FrameRead) -> Pixels:
        """uint8 (H, W, channels)."""
        moved = self.moved(frame)
        planes = self.painter.planes(frame, self.decoder, moved)
        self.keep(frame, moved, planes)
        return self.painter.pixels(planes, replace(self.spec, frames=1))

    def moved(self, frame: FrameRead) -> Planes:
        """What was added to a frame's references, where its blocks take it from: int16 (3, 8h, 8w)."""
        if frame.kind == INTRA:
            h, w = frame.latents[0].shape[1:]
            return np.zeros((3, CELL * h, CELL * w), np.int16)
        references = [self.added[number] for number in frame.place.references]
        fields = np.ascontiguousarray(np.stack(frame.fields))
        return self.painter.kernels.compensate(references, fields, frame.modes, frame.block)

    def keep(self, frame: FrameRead, moved: Planes, planes: Planes) -> None:
        """Keep what was added to a frame that later ones are predicted from, and drop what no frame needs."""
        if frame.planes is not None:
            if frame.kind == INTRA:
                added = planes.astype(np.int32) - frame.planes
                moved = np.clip(added, -SAMPLE_LIMIT, SAMPLE_LIMIT).astype(np.int16)
            self.added[frame.place.number] = moved
        for number in self.added.keys() - frame.needed:
            del self.added[number]


def place_of(frame: FrameRead) -> tuple[int, int]:
    """Words of whether a predicted frame has two references, and of the octaves of the distance to the first.

    The second is round(256 log2(distance)), as half the bit length of distance ** 512: no
    mathematics library decides a pixel.
    """
    place = frame.place
    distance = abs(place.number - place.references[0])
    return (len(place.references) - 1) << WORD_BITS, (distance**512).bit_length() // 2
