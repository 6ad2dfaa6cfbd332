"""Effort slow for dyadic frames: see `refinement`, whose rounds these are, more of them and smaller ones.

The gradient passes the decoder's network and the inverse pyramid.  A chain of values answers a small move with other
values from there on, so that large moves do not converge.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.family import GroupSpec
from ..base.kernels import Integers, Planes
from ..base.ports import Nowhere
from ..base.torch_defaults import float32_on_cpu
from ..engine.network import Arrays
from ..networks.quantising import restored
from ..networks.synthesis import SynthesisNetwork
from ..transform import packet as wp
from ..transform.bands import CELL, LEVELS, pyramid_sizes
from ..transform.gains import dyadic_gains, step_size, synthesis_gains
from ..transform.levels import EVERY
from ..transform.lifted import UNITS
from ..transform.steps import WORD_GAIN
from .dyadic_intra import MOVED_LEVELS
from .model import WORD_UNIT, companded
from .refinement import Cut, tiles
from .words import CORRECTION_BITS, LOWS, WORD_BITS

if TYPE_CHECKING:
    from ..prior.dyadic import Pyramid
    from .dyadic_still import DyadicStill

# by rounds and damping, fewer bits than effort fast, seven crops of held-out pictures: 4 x 0.5 -3.25 %, 8 x 0.5 -3.58,
# 6 x 0.4 -3.71, 8 x 0.3 -3.88, 12 x 0.25 -3.98; effort medium -1.72
ROUNDS = 8
DAMPING = 0.3  # part of each move that is made
TARGET_REACH = 0.4  # steps that a target may lie from the coefficient

Floats = NDArray[np.float32]


class DyadicRefinement:
    """A float copy of decoder standard that gradients pass.  Stateless between calls.

    arrays: of its network.
    """

    @float32_on_cpu()
    def __init__(self, arrays: Arrays) -> None:
        self.network = restored(arrays, WORD_BITS, CORRECTION_BITS).eval().requires_grad_(False)

    @float32_on_cpu()
    def moves(
        self, still: DyadicStill, planes: Planes, pyramid: Pyramid, spec: GroupSpec, start: list[Floats] | None
    ) -> list[Floats]:
        """What to add to the finest details of `pyramid` before they are rounded, in steps: (9, h, w) of each level.

        planes, pyramid: of the picture; start: moves to begin with.
        """
        known = still.prior.in_steps(pyramid, spec.quality)
        found = [np.zeros(d.shape, np.float32) for d in known] if start is None else start
        for _ in range(ROUNDS):
            moved = still.prior.moved(pyramid, found, spec.quality)
            frame = still.prior.coder.code_pyramid(moved, spec, Nowhere(), keep=True)
            slopes = self.ascent(still, frame.planes, planes, spec)
            for move, exact, halves, slope in zip(found, known, frame.details, slopes, strict=False):
                wanted = (halves * np.float32(0.5) - slope - exact).astype(np.float32)
                move += np.float32(DAMPING) * (wanted - move)
                np.clip(move, -TARGET_REACH, TARGET_REACH, out=move)
        return found

    def ascent(self, still: DyadicStill, decoded: Integers, planes: Planes, spec: GroupSpec) -> list[Floats]:
        """The gradient of the squared error by the finest symbols, over twice the squared step: (9, ., .) each.

        decoded: lifted planes (3, height, width).
        """
        shown = still.kernels.padded(decoded)
        words = still.words(shown, spec.quality)
        height, width = shown.shape[1:]
        quality = torch.tensor([spec.quality])
        result = [np.empty((9, *size), np.float32) for size in pyramid_sizes(height, width, MOVED_LEVELS)[1:]]
        # the caller may be in inference mode, whose tensors no gradient passes
        with torch.inference_mode(False), torch.enable_grad():
            for tile in tiles(*words.shape[:2]):
                part = torch.from_numpy(shown[scaled(tile.cells, CELL)].astype(np.float32))[None] / UNITS
                lows = torch.from_numpy(words[tile.cells[1:]][..., -LOWS:].astype(np.float32)).permute(2, 0, 1)[None]
                added, painted = paint_with(self.network, part, lows / WORD_UNIT, quality, bf16=False)
                given = planes[tile.pixels(spec)]
                rest = painted[0][tuple(map(slice, given.shape))] - torch.from_numpy(given / np.float32(UNITS))
                slopes = torch.autograd.grad(rest.square().sum(), added)
                for level, (whole, slope) in enumerate(zip(result, slopes, strict=True), 1):
                    side = CELL >> level
                    whole[scaled(tile.inner, side)] = slope[0].numpy()[scaled(tile.within, side)]
        twice = np.float32(2 * still.steps.at(spec.quality).size ** 2)
        sizes = pyramid_sizes(spec.height, spec.width, MOVED_LEVELS)[1:]
        return [part[:, :h, :w] / twice for part, (h, w) in zip(result, sizes, strict=True)]


def paint_with(
    network: SynthesisNetwork, shown: Tensor, lows: Tensor, quality: Tensor, bf16: bool
) -> tuple[list[Tensor], Tensor]:
    """Planes (B, 3, 8h, 8w) in gray levels, as the decoder's integers make them but for roundings.

    They depend on what is added to the finest symbols, zeros that come first: (B, 9, ., .) of each level.
    shown: decoded planes without a network; lows: the words of their low bands (B, LOWS, h, w).
    """
    height, width = shown.shape[2:]
    (_, *sizes) = pyramid_sizes(height, width, MOVED_LEVELS)
    step = step_size(quality)[:, None, None, None]
    added = [torch.zeros(len(shown), 9, *side, requires_grad=True) for side in sizes]
    scaled = [part * (step / gain) for part, gain in zip(added, detail_gains(), strict=True)]
    planes = shown + wp.unpyramid(scaled, torch.zeros(len(shown), 3, *sizes[-1]), height, width)
    gains = synthesis_gains()[0].view(1, -1, 1, 1)
    bands = wp.packet(planes, LEVELS).flatten(1, 2) * (gains / step)
    described = torch.cat([companded(bands[:, torch.from_numpy(EVERY).long()], WORD_GAIN), lows], 1)
    correction = network.corrections(described, quality, bf16) * (step / gains)
    return added, planes + wp.unpacket(correction.unflatten(1, (3, 64)))


@cache
def detail_gains() -> Tensor:
    """Of the levels that move: (MOVED_LEVELS, 1, 9, 1, 1)."""
    return dyadic_gains()[0][:MOVED_LEVELS].float().repeat(1, 3).view(-1, 1, 9, 1, 1)


def scaled(cells: Cut, factor: int) -> Cut:
    """What lies in some cells, where each has `factor` places a side."""
    bands, rows, columns = cells
    down, across = (slice(side.start * factor, side.stop * factor) for side in (rows, columns))
    return bands, down, across
