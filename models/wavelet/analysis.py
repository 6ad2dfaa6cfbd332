"""The encoder's network: where to round, so that the decoder's network makes most of it.

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

from ..transform.bands import RATE_WEIGHT
from ..transform.gains import Bands, step_size
from .model import WaveletModel

REACH = 0.5  # steps that a coefficient may be moved
MOVED_RATE_WEIGHT = 0.11  # as RATE_WEIGHT, of coefficients that were moved: 0.10 to 0.12 were best on held-out pictures
SHARPNESS = 2.0  # of the remainders that the network reads
FARTHEST = 4.0  # remainder that it can tell from larger ones, times SHARPNESS


def rate_weight(model: WaveletModel, effort: str) -> float:
    """What a bit is worth in rounding with this effort, see `native.NativeWavelet.bands_to_round`."""
    moved = effort == "slow" or (effort == "medium" and model.analysis is not None)
    return MOVED_RATE_WEIGHT if moved else RATE_WEIGHT


def remainders(packet: Tensor, integers: Tensor) -> Tensor:
    """The last 125 channels that the network reads: what a rounding of `packet`, in steps, took away."""
    return (packet - integers).mul_(SHARPNESS).clamp_(-FARTHEST, FARTHEST)


def moves(model: WaveletModel, packet: Tensor, trial: Bands, rungs: Tensor, quality: Tensor) -> Tensor:
    """Moves of `packet` (B, 125, h, w) in steps, from a trial rounding of it and its rungs."""
    assert model.analysis is not None
    step = step_size(quality)[:, None, None, None]
    details = [plane * step for plane in trial.details]
    low = model.low_plane(Bands(trial.packet, details, trial.low * step))
    words = torch.cat([model.describe(trial, rungs, low, step), remainders(packet, trial.packet)], 1)
    return model.correct(model.analysis, words, quality).clamp(-REACH, REACH)


def quantise(model: WaveletModel, bands: Bands, quality: Tensor) -> tuple[Bands, Tensor, Tensor]:
    """As effort medium codes pictures, by the model: integers, packet rungs (B, 125, h, w) and bits (B,)."""
    trial, rungs, bits = model.quantise(bands, quality)
    if model.analysis is None:
        return trial, rungs, bits
    step = step_size(quality)[:, None, None, None]
    moved = bands.packet + moves(model, bands.packet / step, trial, rungs, quality) * step
    return model.quantise(replace(bands, packet=moved), quality, MOVED_RATE_WEIGHT)
