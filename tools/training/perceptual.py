"""`tessera train NAME --objective perceptual`: decoder `perceptual` for the family's exported weights.

The run ends with RUN/NAME.perceptual.safetensors, which names the weights that it belongs to; beside them in
`models/weights` it gives their streams one more decoder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import Tensor

from tessera.codec import weights
from tessera.codec.errors import ParameterError
from tessera.data import packs
from tessera.models.interface import TrainingTask
from tessera.models.perceptual_training import PerceptualTuning


def prepare(args: argparse.Namespace) -> tuple[list[TrainingTask], list[Tensor], list[Tensor]]:
    """The task and its averaged copy, pictures to train on and held-out ones."""
    if args.name not in ("wavelet", "spatiotemporal"):
        raise ParameterError("--objective perceptual is for the families wavelet and spatiotemporal")
    if args.options:
        raise ParameterError("--objective perceptual takes no -o: the network has the shape of decoder standard")
    tensors = weights.read(weights.files(args.name)[0])[0]
    tasks: list[TrainingTask] = [PerceptualTuning(tensors) for _ in range(2)]
    return tasks, *packs.hold_out(packs.load(args.data))


def write(trained: TrainingTask, name: str, folder: Path, notes: dict[str, str]) -> Path:
    """Write the network to the run's folder."""
    tensors, metadata = trained.export([])
    target = folder / weights.perceptual_file(name).name
    base = weights.identify(weights.read(weights.files(name)[0])[0]).hex()
    weights.write(target, tensors, {**metadata, **notes, "of": base})
    return target
