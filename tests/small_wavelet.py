"""Weights of a small model of family `wavelet` whose networks are not trained, and pictures for it."""

from __future__ import annotations

import numpy as np
import torch

from tessera.data import procedural
from tessera.models.wavelet_training import WaveletTask

SIZES = {"width": 8, "blocks": 1, "hidden": 8, "fast_width": 8, "fast_blocks": 1}


def pictures(count: int, side: int = 192) -> torch.Tensor:
    """(count, 3, side, side) float in 0..255."""
    made = [procedural.picture(side, side, seed=seed) for seed in range(count)]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).float()


def small_weights(loud: float = 0.0) -> dict[str, torch.Tensor]:
    """loud: deviation of the last convolution of decoder standard, which is silent without."""
    torch.manual_seed(2)
    task = WaveletTask(**SIZES)
    torch.nn.init.normal_(task.model.synthesis.leave.weight, std=loud)
    task.initialise([picture.to(torch.uint8) for picture in pictures(2)])
    return task.export([pictures(1)[0].to(torch.uint8)])[0]
