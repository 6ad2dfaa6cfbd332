"""The analysis network in training: it moves coefficients before they are rounded, so that decoded pixels improve.

The transform is linear, and plain rounding takes the error of a coefficient for the error of the picture.  `refinement`
does better with gradients of the decoder, at many times the decoder's cost.  The analysis network has learnt to predict
these gradients.  It reads a trial rounding, described as for the decoder, and the remainders of that rounding, and
answers with a move of every packet coefficient.  Decoders do not depend on it, so an encoder may leave it out.  The
trial always weighs bits with RATE_WEIGHT, as in training.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..transform.gains import Bands, step_size
from .base_still import FARTHEST, MOVE_REACH, MOVED_RATE_WEIGHT, SHARPNESS
from .model import WORD_UNIT, WaveletModel


def remainders(packet: Tensor, integers: Tensor) -> Tensor:
    """The last 125 channels that the network reads: the remainders of a rounding of `packet`, in steps."""
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
