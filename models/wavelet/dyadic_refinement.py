"""Effort slow for frames on their own as pyramids: see `refinement`, whose rounds these are.

The gradient passes the decoder's network and the inverse pyramid.  Only the details within a cell move, which are
MOVED_LEVELS levels: with four the gain was the same, with all seven a third of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.family import GroupSpec
from ..base.kernels import Integers, Planes, Words
from ..base.ports import Nowhere
from ..base.torch_defaults import float32_on_cpu
from ..engine.network import Arrays
from ..networks.quantising import restored
from ..transform import packet as wp
from ..transform.bands import CELL, LEVELS, pyramid_sizes
from ..transform.gains import dyadic_gains, synthesis_gains
from ..transform.levels import EVERY
from ..transform.lifted import UNITS
from ..transform.steps import WORD_GAIN
from .dyadic_intra import coded_frame
from .model import WORD_UNIT, companded
from .refinement import DAMPING, ROUNDS, TARGET_REACH, Cut, tiles
from .words import CORRECTION_BITS, WORD_BITS

if TYPE_CHECKING:
    from ..prior.dyadic import Pyramid
    from .dyadic_still import DyadicStill

MOVED_LEVELS = LEVELS

Floats = NDArray[np.float32]


class DyadicRefinement:
    """A float copy of decoder standard that gradients pass.  Stateless between calls.

    arrays: of its network.
    """

    @float32_on_cpu()
    def __init__(self, arrays: Arrays) -> None:
        self.network = restored(arrays, WORD_BITS, CORRECTION_BITS).eval().requires_grad_(False)
        self.gains = synthesis_gains()[0].view(-1, 1, 1)
        self.detail_gains = dyadic_gains()[0][:MOVED_LEVELS].float().repeat(1, 3).view(-1, 1, 9, 1, 1)
        self.every = torch.from_numpy(EVERY).long()

    @float32_on_cpu()
    def moves(self, still: DyadicStill, planes: Planes, pyramid: Pyramid, spec: GroupSpec) -> list[Floats]:
        """What to add to the finest details of `pyramid` before they are rounded, in steps: (9, h, w) of each level.

        planes, pyramid: of the picture.
        """
        levels = still.prior.coder.steps.at(spec.quality).levels
        known = [d * step.inverse[:, None, None] for d, step in zip(pyramid[0][:MOVED_LEVELS], levels, strict=False)]
        found = [np.zeros(d.shape, np.float32) for d in known]
        for _ in range(ROUNDS):
            moved = still.prior.moved(pyramid, found, spec.quality)
            frame = still.prior.coder.code_pyramid(moved, spec, Nowhere(), keep=True)
            slopes = self.ascent(still, frame.planes, planes, spec)
            for move, exact, symbols, slope in zip(found, known, frame.details, slopes, strict=False):
                wanted = (symbols - slope - exact).astype(np.float32)
                move += np.float32(DAMPING) * (wanted - move)
                np.clip(move, -TARGET_REACH, TARGET_REACH, out=move)
        return found

    def ascent(self, still: DyadicStill, decoded: Integers, planes: Planes, spec: GroupSpec) -> list[Floats]:
        """The gradient of the squared error by the finest symbols, over twice the squared step: (9, ., .) each.

        decoded: lifted planes (3, height, width).
        """
        shown = coded_frame(decoded, None).planes
        assert shown is not None
        steps = still.steps.at(spec.quality)
        packet, low = still.kernels.analyse(shown, EVERY)
        words = still.describe(packet, low, spec.quality, steps)
        height, width = shown.shape[1:]
        result = [np.empty((9, *size), np.float32) for size in pyramid_sizes(height, width, MOVED_LEVELS)[1:]]
        # the caller may be in inference mode, whose tensors no gradient passes
        with torch.inference_mode(False), torch.enable_grad():
            for tile in tiles(*packet.shape[1:]):
                part = shown[scaled(tile.cells, CELL)]
                details, painted = self.paint(part, words[tile.cells[1:]], spec.quality, steps.size)
                given = planes[tile.pixels(spec)]
                rest = painted[tuple(map(slice, given.shape))] - torch.from_numpy(given / np.float32(UNITS))
                slopes = torch.autograd.grad(rest.square().sum(), details)
                for level, (whole, slope) in enumerate(zip(result, slopes, strict=True), 1):
                    side = CELL >> level
                    whole[scaled(tile.inner, side)] = slope[0].numpy()[scaled(tile.within, side)] / (2 * steps.size**2)
        sizes = pyramid_sizes(spec.height, spec.width, MOVED_LEVELS)[1:]
        return [part[:, :h, :w] for part, (h, w) in zip(result, sizes, strict=True)]

    def paint(self, shown: Planes, words: Words, quality: int, step: float) -> tuple[list[Tensor], Tensor]:
        """Planes (3, 8h, 8w) in gray levels, as the decoder's integers make them but for roundings.

        They depend on what is added to the finest symbols, zeros that come first: (1, 9, ., .) of each level.
        shown: decoded planes without a network; words: (h, w, .) of them.
        """
        height, width = shown.shape[1:]
        (_, *sizes) = pyramid_sizes(height, width, MOVED_LEVELS)
        added = [torch.zeros(1, 9, *side, requires_grad=True) for side in sizes]
        scaled = [part * (step / gain) for part, gain in zip(added, self.detail_gains, strict=True)]
        planes = wp.unpyramid(scaled, torch.zeros(1, 3, *sizes[-1]), height, width)
        planes = planes + torch.from_numpy(shown.astype(np.float32) / np.float32(UNITS))
        bands = wp.packet(planes, LEVELS).flatten(1, 2)[0] * (self.gains / step)
        rest = torch.from_numpy(words[..., len(EVERY) :].astype(np.float32)).permute(2, 0, 1) / WORD_UNIT
        described = torch.cat([companded(bands[self.every], WORD_GAIN), rest])
        correction = self.network(described[None], torch.tensor([quality])) * (step / self.gains)
        return added, (planes + wp.unpacket(correction.unflatten(1, (3, 64))))[0]


def scaled(cells: Cut, factor: int) -> Cut:
    """What lies in some cells, where each has `factor` places a side."""
    bands, rows, columns = cells
    down, across = (slice(side.start * factor, side.stop * factor) for side in (rows, columns))
    return bands, down, across
