"""The training task of family `spatiotemporal`: what predicted frames need, on clips.

What frames on their own need is trained before, on pictures, as a model of family `wavelet`, and taken over by
`restore`.  This task codes clips in closed loop, keeps residuals and hints, and minimises the bits of their
rounding; every RECORD_EVERY steps it codes other clips with the priors that it has then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..exact_transform import FACTORS
from ..fixed_point import ACCUMULATOR_LIMIT
from ..interface import TrainingTask
from ..motion_tables import fit
from ..native import NativeWavelet
from ..native_prior import NativePrior
from ..scale_tables import FIRST_SCALE, PER_OCTAVE, TABLE_NAMES, integer_tables, magnitude_counts
from ..wavelet import RATE_WEIGHT, WaveletModel
from ..wavelet_family import model_sizes
from ..wavelet_training import REFIT_EVERY, prior_tensors, restore_parameters, restore_wavelet, wavelet_tensors
from .group import Prior
from .model import FIRST_TABLE, PRIORS, SpatiotemporalModel
from .recording import Example, NoMotion, cropped, record
from .steps import Steps, step_tensors
from .transform import ExactTransform

RECORD_EVERY = 2500  # steps
CLIPS = 72  # that a recording takes
CELLS = 32  # side of the squares that are trained on, in cells
Batch = tuple[str, list[Tensor], Tensor, list[Tensor], Tensor]  # prior, levels, low, hints, quality


class SpatiotemporalTask(TrainingTask):
    """See `interface.TrainingTask`."""

    trained: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.model = SpatiotemporalModel(**options)
        self.model.still.requires_grad_(False)
        self.register_buffer("trained", torch.zeros((), dtype=torch.bool))  # far enough to code with

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing: rungs are set from the first recording."""

    # -- examples ----------------------------------------------------------------------------------------------------

    def coder(self) -> tuple[Prior, NativeWavelet]:
        """The priors as they are now, for coding in closed loop; motion costs nothing and goes nowhere."""
        native = NativeWavelet(self.model.still, RATE_WEIGHT)
        one, two = (NativePrior(self.model.prior(name), self.model.ladder.costs, RATE_WEIGHT) for name in PRIORS)
        transform = ExactTransform(self.model.still.order.numpy().astype(np.int32))
        return Prior(native.prior, one, two, NoMotion(), Steps(step_tensors(FACTORS)), transform), native

    def batches(self, samples: list[Tensor], batch: int, generator: torch.Generator) -> Iterator[Batch]:
        """Endless batches of one prior's examples, from uint8 clips (T, H, W, 3)."""
        clips = clips_of(samples)
        while True:
            chosen = torch.randperm(len(clips), generator=generator)[:CLIPS].tolist()
            examples = record(*self.coder(), [clips[i] for i in chosen], bool(self.trained), generator)
            if not self.trained:
                self.set_rungs(examples)
            pools = [[e for e in examples if e.references == count + 1] for count in range(len(PRIORS))]
            self.trained.fill_(True)
            for _ in range(RECORD_EVERY):
                which = int(torch.randint(3, (1,), generator=generator) > 0)
                drawn = torch.randint(len(pools[which]), (batch,), generator=generator).tolist()
                yield collate(PRIORS[which], [pools[which][i] for i in drawn], generator)

    @torch.no_grad()
    def set_rungs(self, examples: list[Example]) -> None:
        """Set the rungs that the priors answer without context from the mean magnitudes of `examples`."""
        for count, name in enumerate(PRIORS):
            chosen = [e for e in examples if e.references == count + 1]
            prior = self.model.prior(name)
            means = [torch.stack([e.levels[level].float().abs().mean((1, 2)) for e in chosen]) for level in (0, 2)]
            for owner, mean in zip((prior.packet, prior.pyramid), means, strict=True):
                rungs = (mean.mean(0) / FIRST_SCALE).log2().clamp(min=0.0) * PER_OCTAVE
                for part in owner.parts():
                    for bias in part.bias_tables():
                        bias.weight.copy_(rungs[part.start : part.start + part.count].expand_as(bias.weight))
            low = torch.stack([e.low.float().abs().mean((1, 2)) for e in chosen]).mean(0)
            prior.low.weight.copy_(((low / FIRST_SCALE).log2().clamp(min=0.0) * PER_OCTAVE).expand_as(prior.low.weight))

    # -- the loss ----------------------------------------------------------------------------------------------------

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        name, levels, low, hints, quality = batch
        found = self.model.quantise(name, levels, low, hints, quality)
        rate = found.bits / (64 * levels[0][0, 0].numel())
        loss = (rate / (rate.detach() + 0.003)).mean()
        value = (rate + 0.003).log().mean()
        return loss + (value - loss).detach(), {f"bpp_{name}": rate.mean().item(), f"log_{name}": value.item()}

    def groups(self) -> list[dict[str, Any]]:
        parameters = [p for p in self.model.priors.parameters()]
        return [
            {"params": [p for p in parameters if p.ndim == 4], "optimiser": "adam", "lr": 5e-3},
            {"params": [p for p in parameters if p.ndim == 2], "optimiser": "adam", "lr": 3e-2},
        ]

    def after_step(self, step: int) -> None:
        for name in PRIORS:
            self.model.prior(name).project()
        if step % REFIT_EVERY == 0:
            self.model.ladder.refit()

    @torch.no_grad()
    def examine(self, samples: list[Tensor]) -> dict[str, float]:
        """Bits per pixel of each kind of predicted frame, mean logarithm over held-out clips at fixed qualities."""
        examples = record(*self.coder(), clips_of(samples), True, torch.Generator().manual_seed(1))
        scalars = {}
        for count, name in enumerate(PRIORS):
            rates = []
            for example in (e for e in examples if e.references == count + 1):
                _, levels, low, hints, quality = collate(name, [example])
                bits = self.model.quantise(name, levels, low, hints, quality).bits
                rates.append(float(bits / (64 * levels[0][0, 0].numel())))
            scalars[f"bpp_{name}"] = float(np.mean(rates))
            scalars[f"log_{name}"] = float(np.log(np.array(rates) + 0.003).mean())
        return scalars

    # -- weights -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def export(self, samples: list[Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and options of the weights file from pictures (3, H, W) and clips (T, H, W, 3); freezes the priors.

        ValueError when an accumulator's bound does not hold.
        """
        model = self.model
        pictures, clips = [s for s in samples if s.dim() == 3], clips_of(samples)
        for name in PRIORS:
            model.prior(name).freeze()
        bound = max(model.prior(name).largest_accumulator() for name in PRIORS)
        if bound >= ACCUMULATOR_LIMIT:
            raise ValueError(f"an accumulator of the priors can reach {bound:.0f}, the limit is {ACCUMULATOR_LIMIT}")
        still = {f"still.{name}": tensor for name, tensor in wavelet_tensors(model.still, pictures).items()}
        coder, native = self.coder()
        examples = record(coder, native, clips, True, torch.Generator().manual_seed(0))
        assert isinstance(coder.motion, NoMotion)
        for _ in range(2):
            model.ladder.counts.zero_()
            for example in examples:
                name, levels, low, hints, quality = collate(PRIORS[example.references - 1], [example])
                model.quantise(name, levels, low, hints, quality)
            model.ladder.refit()
        priors = {
            f"priors.{name}.{key.removeprefix('prior.')}": tensor
            for name in PRIORS
            for key, tensor in prior_tensors(model.prior(name)).items()
        }
        tables = integer_tables(model.still.ladder.pmf, [model.ladder.pmf])
        options = {**model.options, "largest_accumulator": int(bound)}
        tensors = {**tables, **still, **priors, **fit(coder.motion.recorded), **step_tensors(FACTORS)}
        return tensors, {key: str(value) for key, value in options.items()}

    def adopt(self, tensors: dict[str, Tensor]) -> None:
        """Take what frames on their own need from a weights file of family `wavelet`, whatever its sizes."""
        still = WaveletModel(**model_sizes(tensors))
        restore_wavelet(still, tensors)
        self.model.still = still.requires_grad_(False)
        self.model.options.update(still.options)

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from a weights file of this family, or of family `wavelet` for frames on their own."""
        whole = any(name.startswith("still.") for name in tensors)
        tables = {name: tensors[name] for name in TABLE_NAMES}
        restore_wavelet(self.model.still, {**tables, **(part(tensors, "still.") if whole else tensors)})
        if whole:
            for name in PRIORS:
                restore_parameters(self.model.prior(name), part(tensors, f"priors.{name}."))
            self.model.ladder.counts.copy_(magnitude_counts(tensors, FIRST_TABLE))
            self.model.ladder.refit()
            self.trained.fill_(True)


def clips_of(samples: list[Tensor]) -> list[Tensor]:
    return [sample for sample in samples if sample.dim() == 4]


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def collate(name: str, examples: list[Example], generator: torch.Generator | None = None) -> Batch:
    """Whole frames of one size, or with a generator random squares of CELLS cells, as a batch."""
    parts = [example if generator is None else cropped(example, CELLS, generator) for example in examples]

    def stacked(planes: list[Tensor]) -> Tensor:
        return torch.stack(planes).float()

    depth = range(len(parts[0].levels))
    return (
        name,
        [stacked([part.levels[level] for part in parts]) for level in depth],
        stacked([part.low for part in parts]),
        [stacked([part.hints[level] for part in parts]) for level in depth],
        torch.tensor([part.quality for part in parts]),
    )
