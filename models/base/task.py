"""The interface between the trainer and the families."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class TrainingTask(nn.Module):
    """A module that holds a family's model and computes its loss."""

    held_out: list[Tensor] = []

    def initialise(self, images: list[Tensor]) -> None:
        """Set what should come from data before training; images uint8 (3, H, W) of any sizes."""
        raise NotImplementedError

    def begin_step(self, progress: float) -> None:
        """Called before a step, and before an examination, with the part of the schedule that is done, 0..1."""

    def batches(self, samples: list[Tensor], batch: int, generator: torch.Generator) -> Iterator[Any] | None:
        """Batches for `loss`, where a task makes them of the training samples itself; None: crops of pictures.

        The first one raises ValueError where the task needs weights to start from (`restore`) and has none.
        """
        return None

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255, or what `batches` makes -> the loss and scalars to log.

        Random choices come from `generator`.
        """
        raise NotImplementedError

    def examine(self, samples: list[Tensor]) -> dict[str, float] | None:
        """Scalars of held-out samples, for a task that `rate_distortion` does not fit."""
        return None

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups: params, optimiser ("muon" or "adam") and lr at the schedule's peak."""
        raise NotImplementedError

    def after_step(self, step: int) -> None:
        """Restore what must hold after each optimiser step (projections, tables)."""
        raise NotImplementedError

    def rate_distortion(self, pixels: Tensor, quality: int) -> tuple[float, Tensor]:
        """One whole picture (1, 3, H, W): bits per pixel, and the reconstruction rounded to 0..255."""
        raise NotImplementedError

    def calibrate(self, samples: list[Tensor]) -> None:
        """Take held-out samples, on which `export` measures the ranges of networks in integers."""
        self.held_out = samples

    def export(self, pictures: list[Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and metadata of the weights file; may freeze this task.  ValueError when a bound does not hold."""
        raise NotImplementedError

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors of an exported weights file as the start of further training."""
        raise NotImplementedError

    def adopt(self, tensors: dict[str, Tensor]) -> None:
        """Take a part that this task does not train from another weights file, before export."""
        raise NotImplementedError


def tensors_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """What a weights file holds, for a task."""
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def arrays_of(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """What a task exports, for a weights file."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
