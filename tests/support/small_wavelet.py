"""Weights of a small model of family `wavelet` whose networks are not trained, and pictures for it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tessera.data import procedural
from tessera.models.base.task import TrainingTask, arrays_of
from tessera.models.networks.optim import MuonAdam
from tessera.models.training.exporting import Tensors
from tessera.models.training.wavelet import WaveletTask

SIZES = {"width": 8, "blocks": 1, "hidden": 8, "fast_width": 8, "fast_blocks": 1}


def pictures(count: int, side: int = 192) -> torch.Tensor:
    """(count, 3, side, side) float in 0..255."""
    made = [procedural.picture(side, side, seed=seed) for seed in range(count)]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).float()


def small_weights(loud: float = 0.0) -> Tensors:
    """loud: deviation of the last convolution of decoder standard, which is silent without."""
    made = {name: tensor.clone() for name, tensor in _made(loud).items()}
    torch.manual_seed(2)  # what comes after finds the same state whether the weights were made now or before
    return made


def small_arrays(loud: float = 0.0) -> dict[str, NDArray[Any]]:
    """The same as a weights file holds it."""
    return arrays_of(small_weights(loud))


@cache
def _made(loud: float) -> Tensors:
    torch.manual_seed(2)
    task = WaveletTask(**SIZES)
    torch.nn.init.normal_(task.model.standard.leave.weight, std=loud)
    task.initialise([picture.to(torch.uint8) for picture in pictures(2)])
    return task.export([pictures(1)[0].to(torch.uint8)])[0]


def train(task: TrainingTask, batch: torch.Tensor, steps: int) -> tuple[list[dict[str, float]], set[str]]:
    """What the task logs in so many steps on one batch, at qualities that stay, and its tensors that change."""
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    optimiser, logged = MuonAdam(task.groups()), []
    for _ in range(steps):
        loss, scalars = task.loss(batch, torch.Generator().manual_seed(3))
        optimiser.zero_grad()
        loss.backward()
        optimiser.schedule(8.0)
        optimiser.step()
        logged.append(scalars)
    after = task.state_dict()
    return logged, {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
