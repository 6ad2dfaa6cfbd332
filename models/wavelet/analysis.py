"""The encoder's network while it is trained: where to round, so that the decoder's network makes most of it.

The transform is linear, and plain rounding takes the error of a coefficient for the error of the picture.  `refinement`
learns better from gradients of the decoder, at many times the decoder's cost; here one network has learnt what those
gradients say.  It reads a trial rounding as the decoder would, and beside it what the trial took away, and answers with
a move of every packet coefficient before it is rounded in earnest.  No decoder knows of it: an encoder may do without.
The trial weighs bits with RATE_WEIGHT, whatever the rounding does, as it did when the network learnt.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..transform.gains import Bands, step_size
from .model import WORD_UNIT, WaveletModel
from .still import FARTHEST, MOVE_REACH, MOVED_RATE_WEIGHT, SHARPNESS


def remainders(packet: Tensor, integers: Tensor) -> Tensor:
    """The last 125 channels that the network reads: what a rounding of `packet`, in steps, took away."""
    words = ((packet - integers) * SHARPNESS).clamp(-FARTHEST, FARTHEST) * WORD_UNIT
    return torch.floor(words + 0.5) / WORD_UNIT


def moves(model: WaveletModel, packet: Tensor, trial: Bands, rungs: Tensor, quality: Tensor) -> Tensor:
    """Moves of `packet` (B, 125, h, w) in steps, from a trial rounding of it and its rungs."""
    assert model.analysis is not None
    step = step_size(quality)[:, None, None, None]
    details = [plane * step for plane in trial.details]
    low = model.low_plane(Bands(trial.packet, details, trial.low * step))
    words = torch.cat([model.describe(trial, rungs, low, step), remainders(packet, trial.packet)], 1)
    return model.correct(model.analysis, words, quality).clamp(-MOVE_REACH, MOVE_REACH)


def quantise(model: WaveletModel, bands: Bands, quality: Tensor) -> tuple[Bands, Tensor, Tensor]:
    """As effort medium codes pictures, by the model: integers, packet rungs (B, 125, h, w) and bits (B,)."""
    trial, rungs, bits = model.quantise(bands, quality)
    if model.analysis is None:
        return trial, rungs, bits
    step = step_size(quality)[:, None, None, None]
    moved = bands.packet + moves(model, bands.packet / step, trial, rungs, quality) * step
    return model.quantise(replace(bands, packet=moved), quality, MOVED_RATE_WEIGHT)
