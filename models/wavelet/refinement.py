"""Refines latents at encoding time: rounding that takes the decoder's network into account.

Plain rounding takes the error of a coefficient for the error of the picture.  But the synthesis network also makes
pixels from the rounded neighbours.  So coefficients are moved in rounds, along the gradient of the decoded picture's
squared error: after each walk, the target of a coefficient becomes its integer minus the gradient over the curvature
that an orthonormal transform has.  The decoder is unchanged.  After Campos et al., "Content Adaptive Optimization for
Neural Image Compression" (2019), with true rounding in place of a relaxation.

Gradients are those of a float copy of the decoder, so another machine may make another stream of the same picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from ..prior.native import CodedFrame, pass_order
from ..transform import packet as wp
from ..transform.bands import CELL
from ..transform.gains import synthesis_gains
from ..transform.levels import ORDER
from ..transform.lifted import LOW_FACTOR, UNITS
from .model import WORD_UNIT, companded
from .words import CORRECTION_BITS, WORD_BITS

if TYPE_CHECKING:
    from .still import Scaled, StillCoder

ROUNDS = 4  # against WebP, 1, 2 and 4 rounds gave 28.7, 29.1 and 29.4 % fewer bits (models/weights/README.md)
DAMPING = 0.5  # part of each move that is made
# steps that a target may lie from the coefficient; with more, the moves of neighbours do not converge
TARGET_REACH = 0.3
TILE, MARGIN = 96, 8  # cells of a square whose gradient is taken at once, and around it

Floats = NDArray[np.float32]
Cut = tuple[slice, slice, slice]  # bands or planes, rows, columns


class Refinement:
    """A float copy of decoder standard that gradients pass.  Stateless between calls.

    arrays: of its network.
    """

    @float32_on_cpu()
    def __init__(self, arrays: Arrays) -> None:
        self.network = restored(arrays, WORD_BITS, CORRECTION_BITS).eval().requires_grad_(False)
        self.gains = synthesis_gains()[0].view(-1, 1, 1)
        self.order = torch.from_numpy(ORDER).long()

    @float32_on_cpu()
    def moves(
        self, still: StillCoder, planes: Planes, scaled: Scaled, low: Integers, spec: GroupSpec, start: Floats | None
    ) -> Floats:
        """What to add to the packet bands in `scaled` before rounding, in steps, beginning with `start`.

        planes: of the picture.  Bands and moves are (125, cells), cells in the order of the passes.
        """
        found = np.zeros_like(scaled[0]) if start is None else start
        for _ in range(ROUNDS):
            coded = still.prior.code([scaled[0] + found, *scaled[1:]], low, spec, Nowhere())
            assert coded is not None
            aim = coded.packet.astype(np.float32) - self.ascent(still, coded, planes, spec)
            wanted = aim.reshape(len(aim), -1).take(pass_order(*aim.shape[1:]), 1) - scaled[0]
            found = np.clip(found + np.float32(DAMPING) * (wanted - found), -TARGET_REACH, TARGET_REACH)
        return found

    def ascent(self, still: StillCoder, coded: CodedFrame, planes: Planes, spec: GroupSpec) -> Floats:
        """The gradient of the squared error by the packet integers (125, h, w), over twice the squared step."""
        steps = still.steps.at(spec.quality)
        low = still.low_plane(coded, steps)
        words, lows = still.describe(coded, low, steps), low * np.float32(LOW_FACTOR)
        result = np.empty(coded.packet.shape, np.float32)
        # the caller may be in inference mode, whose tensors no gradient passes
        with torch.inference_mode(False), torch.enable_grad():
            for tile in tiles(*result.shape[1:]):
                packet = torch.from_numpy(coded.packet[tile.cells].astype(np.float32)).requires_grad_()
                painted = self.paint(packet, words[tile.cells[1:]], lows[tile.cells], spec.quality, steps.size)
                shown = planes[tile.pixels(spec)]
                rest = painted[tuple(map(slice, shown.shape))] - torch.from_numpy(shown / np.float32(UNITS))
                (gradient,) = torch.autograd.grad(rest.square().sum(), packet)
                result[tile.inner] = gradient.numpy()[tile.within] / (2 * steps.size**2)
        return result

    def paint(self, packet: Tensor, words: Words, low: Floats, quality: int, step: float) -> Tensor:
        """Planes (3, 8h, 8w) in gray levels, as the decoder's integers make them but for roundings.

        packet: integers (125, h, w); words: (h, w, .), whose first channels are of `packet`; low: bands (3, h, w).
        """
        first = companded(packet)
        rest = torch.from_numpy(words[..., len(packet) :].astype(np.float32)).permute(2, 0, 1) / WORD_UNIT
        correction = self.network(torch.cat([first, rest])[None], torch.tensor([quality]))[0]
        units = torch.zeros_like(correction)
        units[self.order] = packet
        bands = (units + correction) * (step / self.gains)
        bands[::64] += torch.from_numpy(low)
        return wp.unpacket(bands.unflatten(0, (3, 64))[None])[0]


@dataclass(frozen=True)
class Tile:
    """A square of cells, and the cells around it that its gradient depends on."""

    inner: Cut
    cells: Cut  # the square with its surroundings
    within: Cut  # inner, counted from the first of `cells`

    def pixels(self, spec: GroupSpec) -> Cut:
        """The pixels of a picture in `cells`."""
        _, rows, columns = self.cells
        bottom, right = min(CELL * rows.stop, spec.height), min(CELL * columns.stop, spec.width)
        return slice(spec.channels), slice(CELL * rows.start, bottom), slice(CELL * columns.start, right)


def tiles(height: int, width: int) -> Iterator[Tile]:
    every = slice(None)
    for y in _spans(height):
        for x in _spans(width):
            yield Tile(*((every, down, across) for down, across in zip(y, x, strict=True)))


def _spans(side: int) -> Iterator[tuple[slice, slice, slice]]:
    """One side of every tile: inner, cells, within."""
    for first in range(0, side, TILE):
        last, start = min(side, first + TILE), max(0, first - MARGIN)
        yield slice(first, last), slice(start, min(side, last + MARGIN)), slice(first - start, last - start)
