"""The trainer of every family: a `TrainingTask`, its averaged copy, the schedule and the checkpoints."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tessera.codec.coding import weights
from tessera.codec.errors import ParameterError
from tessera.data import packs, storage
from tessera.models.base.task import TrainingTask, tensors_of
from tessera.models.networks.optim import MuonAdam
from tessera.models.registry import task
from tessera.tools.training import companions, distillation, starts
from tessera.tools.training.provenance import provenance
from tessera.tools.training.settings import TrainingSettings
from tessera.tools.training.together import agree, join_group, own_share, share_gradients, start_alike
from tessera.tools.training.validation import Validation

CHECKPOINT = "checkpoint.pt"  # in the run's folder
QUALITIES = (600, 1600, 2600, 3600, 4600, 5600)  # validation, integer qualities of 1/64


def train(settings: TrainingSettings) -> Path | None:
    """Train from end to end; in a process that torchrun started, one of several.

    The run's folder holds checkpoint.pt, validation.jsonl and TensorBoard's logs.

    Returns:
        The weights file that the run made beside them; None for objective "pixels", which `tessera export` makes a file
        of, and in every process but the first.

    Raises:
        ParameterError: the objective does not suit the family, the options or the data.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.objective == "start":
        return starts.train(settings)
    trainer = Trainer(settings, *join_group())
    trainer.train()
    if trainer.rank or settings.objective == "pixels":
        return None
    folder = settings.folder
    notes = provenance(trainer.state(), folder)
    if settings.objective == "task":
        notes = {**notes, "batch": f"{settings.batch} whole pictures"}
        return distillation.write(trainer.average, folder, notes)
    trainer.average.calibrate(trainer.validation)
    return companions.write(trainer.average, settings.name, settings.objective, folder, notes)


def _prepare(settings: TrainingSettings) -> tuple[list[TrainingTask], list[Tensor], list[Tensor]]:
    """The task twice, the second for the average, the samples to train on and the held-out ones."""
    if settings.objective == "task":
        return distillation.prepare(settings)
    if settings.objective in companions.KINDS:
        return companions.prepare(settings)
    try:
        tasks = [task(settings.name, **settings.options) for _ in range(2)]
    except TypeError as error:
        raise ParameterError(f"options of training family {settings.name}: {error}") from error
    return tasks, *packs.hold_out(packs.load(settings.data))


class Trainer:
    """Model, averaged copy, data and clock of one run."""

    def __init__(self, settings: TrainingSettings, rank: int, world: int) -> None:
        self.settings, self.rank, self.world = settings, rank, world
        self.out = str(settings.out)
        torch.manual_seed(settings.seed)
        tasks, self.training, self.validation = _prepare(settings)
        self.task, self.average = (one.to(settings.device) for one in tasks)
        self.task.initialise(self.training[::25])
        self.training = own_share(self.training, rank, world)
        self.generator = torch.Generator().manual_seed(settings.seed * world + rank)
        self.batches = self.task.batches(self.training, settings.batch, self.generator) or packs.crops(
            self.training, settings.batch, settings.crop, self.generator
        )
        self.optimiser = MuonAdam(self.task.groups())
        self.step, self.spent, self.skipped = 0, 0.0, 0
        self.checker: Any = None  # made at the first validation, with the peers' curves
        if settings.init:
            self.task.restore(tensors_of(weights.read(settings.init)[0]))
        if settings.resume and storage.look(self.place(CHECKPOINT)) is not None:
            self.load()
        else:
            start_alike(self.task, world)
            self.average.load_state_dict(self.task.state_dict())

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def save(self) -> None:
        if self.rank:
            return
        with storage.open_to_write(self.place(CHECKPOINT)) as file:
            torch.save(self.state(), file)

    def place(self, name: str) -> str:
        """Path or URL of a file of the run."""
        return storage.joined(self.out, name)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "name": self.settings.name,
            "objective": self.settings.objective,
            "options": dict(self.settings.options),
            "task": self.task.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "seed": self.settings.seed,
            "batch": self.settings.batch,
            "crop": self.settings.crop,
            "data": [Path(pack).name for pack in self.settings.data],
            "device": self.settings.device,
        }

    def load(self) -> None:
        with storage.open_to_read(self.place(CHECKPOINT)) as file:
            state = torch.load(file, map_location=self.settings.device, weights_only=True)
        self.task.load_state_dict(state["task"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent = state["step"], state["spent"]
        self.generator.manual_seed(self.settings.seed * self.world + self.rank + 7919 * self.step)

    # -- the loop ----------------------------------------------------------------------------------------------------

    def train(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        log = SummaryWriter(str(storage.local_path(self.out) or self.out)) if self.rank == 0 else None
        total, began = self.settings.minutes * 60.0, time.monotonic() - self.spent
        checked = saved = began
        progress = 0.0
        while progress < 1.0:
            scalars = self.one_step(progress)
            now = time.monotonic()
            self.spent = now - began
            progress = agree(self.spent / total, self.world)
            if log and self.step % 20 == 0:
                for key, value in scalars.items():
                    log.add_scalar(f"train/{key}", value, self.step)
                print(self.step, f"{self.spent / 60:.1f} min", {k: round(v, 4) for k, v in scalars.items()}, flush=True)
            if now - saved > 180:
                self.save()
                saved = now
            if log and now - checked > self.settings.validate * 60 and progress < 0.97:
                self.validate(log)
                checked = time.monotonic()
        self.save()
        if log:
            self.validate(log)
            log.close()

    def one_step(self, progress: float) -> dict[str, float]:
        warm = min(1.0, (self.step + 1) / 100)
        self.optimiser.schedule(self.settings.lr * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
        for one in (self.task, self.average):
            one.begin_step(progress)
        try:
            batch = next(self.batches)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        batch = batch.to(self.settings.device) if isinstance(batch, torch.Tensor) else batch
        self.optimiser.zero_grad(set_to_none=True)
        loss, scalars = self.task.loss(batch, self.generator)
        loss.backward()
        share_gradients(self.task.parameters(), self.world)
        parameters = [p for p in self.task.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.step += 1
        if not bool(torch.isfinite(norm)):
            self.skipped += 1
            return {**scalars, "skipped": float(self.skipped)}
        self.optimiser.step()
        self.task.after_step(self.step)
        self.update_average(min(0.999, (self.step + 1) / (self.step + 10)))
        return {**scalars, "loss": loss.item(), "norm": float(norm), "skipped": float(self.skipped)}

    def update_average(self, decay: float) -> None:
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.task.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
            for kept, fresh in zip(self.average.buffers(), self.task.buffers(), strict=True):
                kept.copy_(fresh)

    # -- validation --------------------------------------------------------------------------------------------------

    def validate(self, log: Any) -> None:
        """The averaged weights on held-out samples: what the task examines, or rate-distortion of whole pictures."""
        scalars: dict[str, Any] | None = self.average.examine(self.validation)
        if scalars is None:
            self.checker = self.checker or Validation(self.validation, QUALITIES)
            report = self.checker.measure(self.average.rate_distortion, self.settings.device)
            log.add_image("validation/reconstruction", report.sample, self.step)
            scalars = {**report.scalars, "curve": report.curve}
        for key, value in scalars.items():
            if key != "curve":
                log.add_scalar(f"validation/{key}", value, self.step)
        line = {"step": self.step, "minutes": round(self.spent / 60, 2), **scalars}
        storage.append(self.place("validation.jsonl"), json.dumps(line) + "\n")
        print("validation", json.dumps(line), flush=True)
