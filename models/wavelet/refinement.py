"""Latents refined at encoding time: rounding that knows the decoder's network.

Plain rounding takes the error of a coefficient for the error of the picture.  The synthesis network makes the one from
its neighbours' rounding, too, so what is rounded is moved, step by step, towards where the gradient of the decoded
picture's squared error says: after each walk the target of a coefficient becomes its integer minus the gradient over
the curvature that an orthonormal transform has.  The stream's decoder is unchanged.  After Campos et al., "Content
Adaptive Optimization for Neural Image Compression" (2019), with true rounding in place of a relaxation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..prior.rounding import round_along
from ..transform.bands import CELL, GRAY_SLICES
from ..transform.gains import Bands, step_size
from .model import WaveletModel

ROUNDS = 4
DAMPING = 0.5  # of each move
REACH = 0.3  # steps that a target may leave the coefficient: beyond, neighbours answer each other's moves and diverge
TILE, MARGIN = 96, 8  # cells of a square that is refined at once, and around it


def refine(
    model: WaveletModel,
    pixels: Tensor,
    quality: int,
    weight: float,
    rounds: int = ROUNDS,
    start: Tensor | None = None,
) -> Tensor:
    """What to add to the packet bands of `pixels` (1, 3, H, W) before rounding, in steps: (125, h, w).

    start: moves to begin with.
    """
    h, w = (-(-side // CELL) for side in pixels.shape[2:])
    # the caller may be in inference mode, whose tensors no gradient passes
    with torch.inference_mode(False), torch.enable_grad():
        moved = torch.zeros(len(model.order), h, w, device=pixels.device)
        begin = moved if start is None else start.clone()
        for top in range(0, h, TILE):
            for left in range(0, w, TILE):
                y, x = max(0, top - MARGIN), max(0, left - MARGIN)
                bottom, right = min(h, top + TILE), min(w, left + TILE)
                cut = pixels[:, :, CELL * y : CELL * (bottom + MARGIN), CELL * x : CELL * (right + MARGIN)].clone()
                move = begin[None, :, y : bottom + MARGIN, x : right + MARGIN]
                found = _refine(model, cut, move, torch.tensor([quality], device=pixels.device), weight, rounds)
                moved[:, top:bottom, left:right] = found[:, top - y : bottom - y, left - x : right - x]
    return moved


def _refine(
    model: WaveletModel, pixels: Tensor, move: Tensor, quality: Tensor, weight: float, rounds: int
) -> Tensor:
    """The same for one tile."""
    step = step_size(quality)
    bands = model.analyse(pixels)
    for _ in range(rounds):
        with torch.no_grad():
            scaled = [bands.packet / step + move, *(detail / step for detail in bands.details)]
            found = round_along(
                model.prior,
                model.ladder.costs,
                scaled,
                bands.low / step,
                quality,
                weight=weight,
                gray_slices=GRAY_SLICES,
            )
        packet = found.levels[0].clone().requires_grad_()
        painted = model.paint(Bands(packet, found.levels[1:], found.low), found.rungs[0], quality)
        error = (painted[:, :, : pixels.shape[2], : pixels.shape[3]] - pixels).square().sum()
        (gradient,) = torch.autograd.grad(error, packet)
        wanted = packet.detach() - gradient / (2 * step.square()) - bands.packet / step
        move = torch.lerp(move, wanted, DAMPING).clamp(-REACH, REACH)
    return move[0]
