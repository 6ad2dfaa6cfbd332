"""A task with two layers, one of which some pictures alone use, and its trainer: what processes share is seen exactly.

    python -m tests.support.toy_training FOLDER        with RANK and the like: the other process of a test
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tessera.models.base.task import TrainingTask
from tessera.tools.training import trainer as training
from tessera.tools.training.settings import TrainingSettings
from tessera.tools.training.together import join_group

STEPS = 4


class ToyTask(TrainingTask):
    """A loss that is a mean over pictures; only bright ones use the second layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.bright, self.idle = nn.Linear(12, 4), nn.Linear(12, 4), nn.Linear(1, 1)

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing comes from data."""

    def batches(self, samples: list[Tensor], batch: int, generator: torch.Generator) -> Iterator[Tensor]:
        """All samples of this process, each time."""
        while True:
            yield torch.stack(samples).float()

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        rows = batch.flatten(1) / 255
        loss = self.layer(rows).square().mean()
        bright = rows[rows.mean(1) > 0.5]
        return (loss + self.bright(bright).square().sum() / len(rows) if len(bright) else loss), {}

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "optimiser": "adam", "lr": 1e-2}]

    def after_step(self, step: int) -> None:
        """Nothing must hold."""


def samples() -> list[Tensor]:
    """Four dark and bright pictures in turn, so that one of two processes has all bright ones."""
    return [torch.full((3, 2, 2), 10 + 150 * (k % 2) + k, dtype=torch.uint8) for k in range(4)]


def trainer(out: Path | str, rank: int, world: int, *, resume: bool = False) -> training.Trainer:
    torch.manual_seed(rank)  # what differs before the start must be alike after it
    tasks: list[TrainingTask] = [ToyTask(), ToyTask()]
    settings = TrainingSettings(name="toy", data=("none",), out=out, resume=resume)
    with mock.patch.object(training, "_prepare", lambda _: (tasks, samples(), [])):
        return training.Trainer(settings, rank, world)


if __name__ == "__main__":
    one = trainer(Path(sys.argv[1]) / "run", *join_group())
    torch.save(one.training, Path(sys.argv[1]) / "share.pt")
    for _ in range(STEPS):
        one.one_step(0.0)
    torch.distributed.destroy_process_group()
