"""Several processes that train one model, as `torchrun` starts them: what each of them has, and what they share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from tessera.codec.errors import ParameterError

Sample = TypeVar("Sample")


def join_group() -> tuple[int, int]:
    """Rank and size of the process group when started by torchrun, else (0, 1)."""
    if "RANK" not in os.environ:
        return 0, 1
    dist.init_process_group()
    return dist.get_rank(), dist.get_world_size()


def own_share(samples: Sequence[Sample], rank: int, world: int) -> list[Sample]:
    """The samples of one process: no other has one of them.  ParameterError where there are not enough for all."""
    if len(samples) < world:
        raise ParameterError(f"{len(samples)} samples to train on for {world} processes: start fewer")
    return list(samples[rank::world])


def start_alike(task: nn.Module, world: int) -> None:
    """Give all processes the parameters and buffers of the first one."""
    if world > 1:
        for tensor in (*task.parameters(), *task.buffers()):
            dist.broadcast(tensor.data, 0)


def share_gradients(parameters: Iterable[nn.Parameter], world: int) -> None:
    """Give all processes the mean of their gradients: that of one process with all of their batches.

    A parameter that only some of them used has a gradient of zero in the others, one that none of them used has none.
    """
    if world == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    used = torch.tensor([float(parameter.grad is not None) for parameter in trained], device=trained[0].device)
    dist.all_reduce(used)
    for parameter, count in zip(trained, used.tolist(), strict=True):
        if count:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= world


def agree(progress: float, world: int) -> float:
    """The progress of the first process in all of them, so that all stop at the same step."""
    if world == 1:
        return progress
    shared = torch.tensor([progress])
    dist.broadcast(shared, 0)
    return float(shared)
