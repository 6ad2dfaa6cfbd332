"""`tessera train wavelet --objective task`: gains of bands that keep a classifier's answers at fewer bits.

    loss = bits / plain bits + weight * slope * KL(teacher(picture) || teacher(decoded picture)) / plain KL

"Plain" are the figures of the untuned encoder at that quality, and slope is its -d log bits / d log KL there.  With
weight 1, every gain must save more bits than a lower quality would at the same divergence.  Only the gains are trained,
in front of the family's exported weights, so the stream is an ordinary one.  They serve the network that they were
trained with: the teacher is the one that will read the stream, as in Entropic Student (Matsubara et al., 2022).

Rounding has no gradient, and most coefficients of these pictures lie in the dead zone, where the usual stand-ins
(uniform noise, or the identity) promise savings that do not exist.  So the real rounding is repeated with slightly
larger and smaller gains: the secants of integers and bits are the derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.codec.coding import weights
from tessera.codec.errors import ParameterError
from tessera.models.base.task import TrainingTask, arrays_of, tensors_of
from tessera.models.prior.bands import hard
from tessera.models.prior.fitted import lookup
from tessera.models.prior.rounding import Rounded, round_along, round_cheaply
from tessera.models.training.gains import TrainedGains
from tessera.models.training.wavelet import still_model
from tessera.models.transform.bands import GRAY_SLICES, RATE_WEIGHT
from tessera.models.transform.gains import Bands, step_size
from tessera.models.wavelet.model import WaveletModel
from tessera.models.wavelet.task_gains import NAME, TaskGains
from tessera.tools.measuring import bdrate, perception
from tessera.tools.training.settings import TrainingSettings

RESULT = "task.safetensors"  # in the run's folder
HELD_OUT = 30  # one in so many training pictures is for validation
SECANT = 0.1  # relative change of a gain, up and down, for the secants
LEAST_GAIN = 0.02  # least gain: nothing is left of the band
QUALITIES = (400, 1000, 1600, 2400, 3200)  # validation, integer qualities of 1/64
TRAINED = (200, 3800)  # fine qualities that are trained: above, the classifier's answers do not change
AT_ONCE = 50  # validation pictures that are coded at a time


class TaskTuning(TrainingTask):
    """See `base.task.TrainingTask`; `model` and `teacher` stay as they are."""

    def __init__(self, model: WaveletModel, teacher: nn.Module, weight: float = 1.0) -> None:
        super().__init__()
        self.gains = TrainedGains()
        self.model, self.teacher, self.weight = model, teacher, weight
        self.plain: list[bdrate.Point] = []  # `curve` of held-out pictures without gains, which `loss` weighs by

    def initialise(self, images: list[Tensor]) -> None:
        """Gains start at one."""

    def batches(self, samples: list[Tensor], batch: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Random whole pictures, half of the batches mirrored: (batch, 3, H, W) float in 0..255."""
        while True:
            chosen = torch.randint(len(samples), (batch,), generator=generator).tolist()
            pixels = torch.stack([samples[i] for i in chosen]).float()
            yield pixels.flip(3) if int(torch.randint(2, (), generator=generator)) else pixels

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """One quality for the whole batch, so that a mean is one point of the curve."""
        at = int(torch.randint(*TRAINED, (), generator=generator))
        quality = torch.full((len(batch),), at, device=batch.device)
        scaled, found = self._code(batch, quality)
        levels, bits = self._secants(scaled, found, quality)
        divergence = self._divergence(batch, self._paint(levels, found, quality))
        rate = bits / batch[:, 0].numel()
        plain_rate, plain_divergence, slope = self._plain_at(at)
        loss = rate / plain_rate + self.weight * slope * divergence / plain_divergence
        scalars = {"bpp": rate.item(), "divergence": divergence.item(), "gain": self.gains.weight.mean().item()}
        return loss, scalars

    def examine(self, samples: list[Tensor]) -> dict[str, Any]:
        """Bits per pixel and divergence at `QUALITIES`, and bits against no gains at equal divergence, in percent."""
        tuned = self.curve(samples)
        found = bdrate.compare("tuned", tuned, "plain", self.plain, "divergence")
        curve = [(round(rate, 4), round(10 ** (-quality / 10), 5)) for rate, quality in tuned]
        return {"curve": curve} | ({} if found.akima is None else {"bdrate_plain": round(found.akima, 2)})

    @torch.no_grad()
    def curve(self, samples: list[Tensor]) -> list[bdrate.Point]:
        """(bits per pixel, -10 log10 of the divergence) at `QUALITIES`, over all samples."""
        device = self.gains.weight.device
        points = []
        for at in QUALITIES:
            bits = divergence = 0.0
            for chosen in torch.stack(samples).split(AT_ONCE):
                pixels, quality = chosen.float().to(device), torch.full((len(chosen),), at, device=device)
                _, found = self._code(pixels, quality)
                painted = self._paint(found.levels, found, quality).round()
                bits += float(found.bits.sum())
                divergence += float(self._divergence(pixels, painted)) * len(chosen)
            rate = bits / (len(samples) * samples[0][0].numel())
            points.append((rate, -10 * math.log10(max(divergence / len(samples), 1e-9))))
        return points

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.gains.weight], "optimiser": "adam", "lr": 0.025}]

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        self.gains.weight.clamp_(LEAST_GAIN, 1.0)

    def export(self, pictures: list[Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
        return {NAME: self.gains.weight.detach().half()}, {"weight": str(self.weight)}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.gains.weight.copy_(torch.from_numpy(TaskGains.of(arrays_of(tensors)).weight))

    # -- parts -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _code(self, pixels: Tensor, quality: Tensor) -> tuple[list[Tensor], Rounded]:
        """Scaled bands in steps, and what the encoder makes of them."""
        step = step_size(quality)[:, None, None, None]
        bands = self.gains.scale(self.model.analyse(pixels), quality)
        scaled = [plane / step for plane in (bands.packet, *bands.details)]
        found = round_along(
            self.model.prior,
            self.model.ladder.costs,
            scaled,
            bands.low / step,
            quality,
            weight=RATE_WEIGHT,
            gray_slices=GRAY_SLICES,
        )
        return scaled, found

    def _secants(self, scaled: list[Tensor], found: Rounded, quality: Tensor) -> tuple[list[Tensor], Tensor]:
        """The integers and the bits of all pictures, with gradients to the gains."""
        costs = self.model.ladder.costs
        levels, bits = [], found.bits.sum()
        for y, real, values, gain in zip(scaled, found.rungs, found.levels, self.gains.at(quality), strict=True):
            rung = hard(real)
            up, down = (round_cheaply(y * (1 + part), rung, costs, RATE_WEIGHT) for part in (SECANT, -SECANT))
            saved = lookup(costs, rung, up.abs()) - lookup(costs, rung, down.abs())
            change = gain / gain.detach() - 1  # zero; its gradient is that of the logarithm
            levels.append(values + (up - down) / (2 * SECANT) * change)
            bits = bits + (saved / (2 * SECANT) * change).sum()
        return levels, bits

    def _plain_at(self, quality: int) -> tuple[float, float, float]:
        """Bits per pixel and divergence without gains, and -d log bits / d log divergence, between `QUALITIES`."""
        rates, decibels = np.array(self.plain).T
        logs = np.log(rates), decibels * (-math.log(10) / 10)
        slopes = -np.gradient(logs[0], QUALITIES) / np.gradient(logs[1], QUALITIES)
        rate, divergence, slope = (float(np.interp(quality, QUALITIES, line)) for line in (*logs, slopes))
        return math.exp(rate), math.exp(divergence), slope

    def _paint(self, levels: list[Tensor], found: Rounded, quality: Tensor) -> Tensor:
        return self.model.paint(Bands(levels[0], levels[1:], found.low), found.rungs[0], quality)

    def _divergence(self, pixels: Tensor, painted: Tensor) -> Tensor:
        """Mean KL divergence of the teacher's answers, in nats."""
        with torch.no_grad():
            wanted = self._answers(pixels)
        return F.kl_div(self._answers(painted), wanted, reduction="batchmean", log_target=True)

    def _answers(self, pixels: Tensor) -> Tensor:
        return F.log_softmax(self.teacher(perception.scaled(pixels.clamp(0, 255))), 1)


def prepare(settings: TrainingSettings) -> tuple[list[TrainingTask], list[Tensor], list[Tensor]]:
    """The task and its averaged copy, pictures to train on and held-out ones; trains the teacher if there is none."""
    if settings.name != "wavelet" or len(settings.data) != 1:
        raise ParameterError("--objective task is for the family wavelet, with one tar file train/CLASS/NAME as --data")
    if settings.options.keys() - {"weight"}:
        raise ParameterError("--objective task has one option, -o weight=X of the divergence")
    shown = perception.read_set(Path(settings.data[0]), "train")
    pixels = torch.from_numpy(shown.pixels).permute(0, 3, 1, 2).contiguous()
    training = [picture for i, picture in enumerate(pixels) if i % HELD_OUT]
    validation = list(pixels[::HELD_OUT])
    settings.folder.mkdir(parents=True, exist_ok=True)
    teacher = _teacher(shown, settings.folder / "teacher.safetensors", settings.epochs)
    model, _ = still_model(tensors_of(weights.read(weights.files("wavelet")[0])[0]))
    tasks = [TaskTuning(model, teacher, **settings.options).to(settings.device) for _ in range(2)]
    plain = tasks[0].curve(validation)
    for task in tasks:
        task.plain = plain
    return [*tasks], training, validation


def _teacher(shown: perception.LabelledSet, file: Path, epochs: int) -> nn.Module:
    """The classifier in `file`; where there is none, that of `evaluate machine` is trained and kept there."""
    from safetensors.torch import load_file, save_file

    if not file.exists():
        labels = torch.from_numpy(shown.labels)
        made = perception.train(perception.as_input(shown.pixels), labels, len(shown.classes), epochs=epochs)
        save_file({name: value.contiguous() for name, value in made.state_dict().items()}, file)
    model = perception.classifier(3, shown.pixels.shape[1], len(shown.classes))
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)


def write(trained: TrainingTask, folder: Path, notes: dict[str, str]) -> Path:
    """Write what `-o task=` takes to the run's folder."""
    tensors, metadata = trained.export([])
    weights.write(folder / RESULT, arrays_of(tensors), {**metadata, **notes})
    return folder / RESULT
