"""A small model of family `vqgan` that is made in a second: codebooks grown on a picture, a prior of few channels.

No test depends on the weights that are shipped.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec, Pixels
from tessera.models.base.quality import MAX_FINE
from tessera.models.base.task import arrays_of, tensors_of
from tessera.models.training.vqgan import VqganTask
from tessera.models.vqgan.family import VqganFamily
from tessera.models.vqgan.model import VqganModel
from tessera.models.vqgan.prior import bits_of, path
from tessera.models.vqgan.stages import DEPTH, STAGES

SIZES = {"width": 16, "blocks": 1, "encoder_width": 16, "hidden": 16}
Exported = tuple[dict[str, NDArray[Any]], dict[str, str]]


def chw(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(procedural.picture(height, width, seed=seed)).permute(2, 0, 1).contiguous()


def fresh() -> VqganTask:
    """A task whose codebooks are grown; its prior is random."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = VqganTask(**SIZES)
        for stage in range(len(STAGES)):
            made.model.prior(stage).heads.weight.data.mul_(4.0)  # logits of every size
        made.initialise([chw(128, 192)])
        for network in (made.model.analysis, made.model.synthesis):  # silent layers would hide what they are told
            for parameter in network.parameters():
                parameter.data.add_(torch.randn_like(parameter) * 0.02)
        made.model.slopes.copy_(torch.tensor([800.0, 600.0, 400.0, 240.0, 100.0]))  # so few samples tell nothing
    return made


@lru_cache(maxsize=1)
def exported() -> Exported:
    return in_arrays(fresh())


def in_arrays(task: VqganTask) -> Exported:
    tensors, metadata = task.export([chw(96, 128)])
    return arrays_of(tensors), metadata


@lru_cache(maxsize=1)
def trained() -> VqganFamily:
    """A prior that was trained for a moment on two frames, at the highest quality."""
    made = fresh()
    with torch.random.fork_rng():
        torch.manual_seed(6)
        learn_prior(made.model, torch.from_numpy(procedural.clip(2, 64, 96)).permute(0, 3, 1, 2).float())
    return VqganFamily(*in_arrays(made))


def learn_prior(model: VqganModel, pixels: Tensor, steps: int = 30) -> None:
    quality = torch.full((len(pixels),), MAX_FINE)
    with torch.no_grad():
        deep = torch.full((len(pixels), len(STAGES)), DEPTH)
        coded, _ = model.quantise(model.packet(pixels), quality, deep, weight=0.0)
    optimiser = torch.optim.Adam(model.priors.parameters(), 2e-2)
    for _ in range(steps):
        loss = torch.zeros(())
        for stage, nodes in enumerate(coded.nodes):
            prior = model.prior(stage)
            hide = torch.rand(nodes.shape) < torch.rand(()).clamp(min=0.2)
            told = model.earlier_embeddings(stage, coded.nodes[:stage], (nodes.shape[1], nodes.shape[2]))
            hidden = prior.hidden(told, nodes.masked_fill(hide, 0), torch.zeros_like(nodes), quality)
            passed, turns = path(nodes[hide], DEPTH)
            logits = prior.logits(hidden.permute(0, 2, 3, 1)[hide], passed)
            loss = loss + bits_of(logits, turns).sum() / max(int(hide.sum()), 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        for stage in range(len(STAGES)):
            model.prior(stage).project()


def restored() -> VqganTask:
    """A task that goes on from the exported file."""
    task = VqganTask(**SIZES)
    task.restore(tensors_of(exported()[0]))
    return task


def family() -> VqganFamily:
    return VqganFamily(*exported())


def install(patch: pytest.MonkeyPatch, folder: Path, made: Exported | None = None) -> None:
    """Make it the codec vqgan of this process; beside it there is codec wavelet."""
    (folder / "wavelet.safetensors").symlink_to(weights.FOLDER / "wavelet.safetensors")
    weights.write(folder / "vqgan.safetensors", *(made or exported()))
    patch.setattr(weights, "FOLDER", folder)


def encode(family: VqganFamily, frames: Pixels, quality: int) -> tuple[bytes, GroupSpec]:
    spec = GroupSpec(len(frames), frames.shape[1], frames.shape[2], frames.shape[3], quality)
    port = EncoderPort(family.tables)
    family.encode(frames, spec, port)
    return port.finish(), spec


def ids(family: VqganFamily, data: bytes, spec: GroupSpec) -> NDArray[np.int64]:
    port = DecoderPort(family.tables, data)
    found = family.ids(spec, port)
    port.finish()
    return found


def decode(family: VqganFamily, data: bytes, spec: GroupSpec) -> Pixels:
    port = DecoderPort(family.tables, data)
    frames = family.decode(spec, port, "standard")
    port.finish()
    return frames
