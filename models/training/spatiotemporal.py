"""The training task of family `spatiotemporal`: what predicted frames need, on clips.

What frames on their own need is trained before, on pictures, as a model of family `wavelet`, and taken over by
`restore`.  This task codes clips in closed loop and keeps what it met; every RECORD_EVERY steps it codes other clips
with the priors that it has then, and for the network alone a few others every ROLL_EVERY steps, which replace the
oldest.  The priors minimise the bits of the rounded residuals, the network the error of the pixels that it paints, both
relative to their present size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base.task import TrainingTask
from ..networks.synthesis import SynthesisNetwork
from ..prior.fitted import integer_tables, magnitude_counts
from ..prior.fixed_point import ACCUMULATOR_LIMIT
from ..prior.ladder import FIRST_SCALE, PER_OCTAVE, TABLE_NAMES
from ..prior.native import NativePrior
from ..spatiotemporal.group import Prior
from ..spatiotemporal.model import BANDS, FIRST_TABLE, LOWS, PLACE, PRIORS, SpatiotemporalModel
from ..spatiotemporal.painting import FramePainter
from ..spatiotemporal.steps import Steps, step_tensors
from ..spatiotemporal.transform import ExactTransform
from ..transform import packet as wp
from ..transform.bands import RATE_WEIGHT
from ..transform.gains import factors, step_size
from ..wavelet.family import model_sizes
from ..wavelet.model import WaveletModel
from ..wavelet.native import NativeWavelet
from .motion_tables import Recorded, fit
from .recording import Example, NoMotion, Painting, Recording, cropped, record
from .wavelet import REFIT_EVERY, halved, prior_tensors, restore_parameters, restore_wavelet, wavelet_tensors

RECORD_EVERY, ROLL_EVERY = 2500, 40  # steps
CLIPS, ROLLED = 72, 4  # clips that a recording takes, and that are coded anew for the network alone
CELLS = 32  # side of the squares that are trained on, in cells


@dataclass(frozen=True)
class PriorBatch:
    """Inputs of `SpatiotemporalModel.quantise`."""

    name: str
    levels: list[Tensor]
    low: Tensor
    hints: list[Tensor]
    quality: Tensor


@dataclass(frozen=True)
class DecoderBatch:
    """See `recording.Painting`: words (B, INPUTS, h, w), lacking (B, 192, h, w)."""

    words: Tensor
    lacking: Tensor
    quality: Tensor


@dataclass(frozen=True)
class Batch:
    priors: PriorBatch | None
    decoders: DecoderBatch | None


class SpatiotemporalTask(TrainingTask):
    """See `base.task.TrainingTask`.

    priors, decoders: 1 to train what chooses tables, and the network that paints predicted frames, 0 to keep it.
    """

    trained: Tensor

    def __init__(self, priors: int = 1, decoders: int = 1, **options: Any) -> None:
        super().__init__()
        self.model = SpatiotemporalModel(**options)
        self.model.still.requires_grad_(False)
        self.model.still.bf16 = True
        self.priors, self.decoders = bool(priors), bool(decoders)
        self.model.priors.requires_grad_(self.priors)
        if self.model.inter is not None:
            self.model.inter.requires_grad_(self.decoders)
        self.register_buffer("trained", torch.zeros((), dtype=torch.bool))  # far enough to code with
        self.kept: dict[str, Tensor] = {}  # adopted for export, in place of the priors

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing: rungs are set from the first recording."""

    # -- examples ----------------------------------------------------------------------------------------------------

    def coder(self) -> tuple[Prior, NativeWavelet]:
        """The priors as they are now, for coding in closed loop; motion costs nothing and goes nowhere."""
        native = NativeWavelet(self.model.still, RATE_WEIGHT)
        one, two = (NativePrior(self.model.prior(name), self.model.ladder.costs, RATE_WEIGHT) for name in PRIORS)
        transform = ExactTransform(self.model.still.order.numpy().astype(np.int32))
        return Prior(native.prior, one, two, NoMotion(), Steps(step_tensors(factors())), transform), native

    def recording(self, clips: list[Tensor], generator: torch.Generator, cells: int | None) -> Recording:
        """What the parts that are trained learn from, met in `clips`."""
        prior, native = self.coder()
        paints = self.decoders and bool(self.trained)
        painter = FramePainter(native, prior.transform, None) if paints else None
        return record(prior, native, clips, bool(self.trained), Recording(generator, self.priors, painter, cells))

    def batches(self, samples: list[Tensor], batch: int, generator: torch.Generator) -> Iterator[Batch]:
        """Endless batches of one prior's examples, and of squares to paint, from uint8 clips (T, H, W, 3).

        ValueError when the network alone is to be trained, without priors to code with.
        """
        clips = clips_of(samples)
        if not (self.priors or bool(self.trained)):
            raise ValueError("the network alone is trained from a weights file with priors")
        while self.priors:
            met = self.recording(drawn_from(clips, CLIPS // (1 + self.decoders), generator), generator, CELLS)
            if not self.trained:
                self.set_rungs(met.examples)
            self.trained.fill_(True)
            for _ in range(RECORD_EVERY):
                yield self.drawn(met, batch, generator)
            del met  # before the next one is made
        pool = [self.recording([clip], generator, CELLS) for clip in drawn_from(clips, CLIPS // 3, generator)]
        while True:
            met = Recording(generator, paintings=[painting for one in pool for painting in one.paintings])
            for _ in range(ROLL_EVERY):
                yield self.drawn(met, batch, generator)
            fresh = [self.recording([clip], generator, CELLS) for clip in drawn_from(clips, ROLLED, generator)]
            pool = [*pool, *fresh][-CLIPS:]

    def drawn(self, met: Recording, batch: int, generator: torch.Generator) -> Batch:
        """A random batch of a recording."""

        def some(count: int) -> list[int]:
            chosen: list[int] = torch.randint(count, (batch,), generator=generator).tolist()
            return chosen

        priors = decoders = None
        if self.priors:
            references = 1 + int(torch.randint(3, (1,), generator=generator) > 0)
            pool = [e for e in met.examples if e.references == references]
            priors = collate([pool[i] for i in some(len(pool))], generator)
        if met.paintings:
            decoders = collate_paintings([met.paintings[i] for i in some(len(met.paintings))])
        return Batch(priors, decoders)

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
        losses, scalars = [], {}
        for part in (batch.priors, batch.decoders):
            if part is not None:
                loss, found = self.prior_loss(part) if isinstance(part, PriorBatch) else self.decoder_loss(part)
                losses.append(loss)
                scalars.update(found)
        return torch.stack(losses).sum(), scalars

    def prior_loss(self, batch: PriorBatch) -> tuple[Tensor, dict[str, float]]:
        found = self.quantised(batch)
        rate = found / (64 * batch.levels[0][0, 0].numel())
        loss = (rate / (rate.detach() + 0.003)).mean()
        value = (rate + 0.003).log().mean()
        name = batch.name
        return loss + (value - loss).detach(), {f"bpp_{name}": rate.mean().item(), f"log_{name}": value.item()}

    def quantised(self, batch: PriorBatch) -> Tensor:
        """Bits (B,)."""
        return self.model.quantise(batch.name, batch.levels, batch.low, batch.hints, batch.quality).bits

    def decoder_loss(self, batch: DecoderBatch) -> tuple[Tensor, dict[str, float]]:
        plain = self.error(None, batch)
        error = self.error(self.model.inter, batch)
        loss, value = (error / (error.detach() + 0.3)).mean(), (error + 0.3).log().mean()
        return loss + (value - loss).detach(), {"gain": decibels(plain, error).mean().item()}

    def error(self, network: SynthesisNetwork | None, batch: DecoderBatch) -> Tensor:
        """Squared error of a pixel (B,) after a network's correction, or before; not clipped to 0..255."""
        rest = -batch.lacking
        if network is not None:
            rest = rest + self.model.still.correct(network, batch.words, batch.quality)
        scale = step_size(batch.quality)[:, None, None, None] / self.model.still.every_gain
        # the colour axes are orthonormal: their error is that of red, green and blue
        error: Tensor = wp.unpacket((rest * scale).unflatten(1, (3, 64))).square().mean((1, 2, 3))
        return error

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by optimiser: network matrices by Muon, the priors' convolutions and all vectors by Adam."""
        priors = list(self.model.priors.parameters()) if self.priors else []
        network = list(self.model.inter.parameters()) if self.decoders and self.model.inter is not None else []
        groups: list[dict[str, Any]] = [
            {"params": [p for p in priors if p.ndim == 4], "optimiser": "adam", "lr": 5e-3},
            {"params": [p for p in priors if p.ndim == 2], "optimiser": "adam", "lr": 3e-2},
            {"params": [p for p in network if p.ndim == 4], "optimiser": "muon", "lr": 1e-3},
            {"params": [p for p in network if p.ndim != 4], "optimiser": "adam", "lr": 1e-3},
        ]
        return [group for group in groups if group["params"]]

    def after_step(self, step: int) -> None:
        if not self.priors:
            return
        for name in PRIORS:
            self.model.prior(name).project()
        if step % REFIT_EVERY == 0:
            self.model.ladder.refit()

    @torch.no_grad()
    def examine(self, samples: list[Tensor]) -> dict[str, float]:
        """Held-out clips at fixed qualities, of the parts that are trained.

        Bits per pixel of each kind of predicted frame and their mean logarithm; PSNR of plainly painted frames, and
        what the network adds to it, all as means over frames.
        """
        met = self.recording(clips_of(samples), torch.Generator().manual_seed(1), None)
        scalars = {}
        for count, name in enumerate(PRIORS if self.priors else ()):
            batches = [collate([e]) for e in met.examples if e.references == count + 1]
            rates = [float(self.quantised(b) / (64 * b.levels[0][0, 0].numel())) for b in batches]
            scalars[f"bpp_{name}"] = float(np.mean(rates))
            scalars[f"log_{name}"] = float(np.log(np.array(rates) + 0.003).mean())
        if met.paintings:
            squares = [collate_paintings([painting]) for painting in met.paintings]
            plain = torch.cat([self.error(None, square) for square in squares])
            scalars["psnr_plain"] = float((10 * (255**2 / plain).log10()).mean())
            painted = torch.cat([self.error(self.model.inter, square) for square in squares])
            scalars["gain"] = float(decibels(plain, painted).mean())
        return scalars

    # -- weights -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def export(self, samples: list[Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and options of the weights file from pictures (3, H, W) and clips (T, H, W, 3); freezes the priors.

        After `adopt` of a file of this family only the network of predicted frames is this task's, and where there are
        clips the tables of motion, which follow the encoder's search.  ValueError when an accumulator's bound does not
        hold.
        """
        model, network = self.model, self.network_tensors()
        pictures, clips = [s for s in samples if s.dim() == 3], clips_of(samples)
        if self.kept:
            refitted = fit(self.recorded(clips)[1]) if clips else {}
            return {**self.kept, **refitted, **network}, {key: str(value) for key, value in model.options.items()}
        for name in PRIORS:
            model.prior(name).freeze()
        bound = max(model.prior(name).largest_accumulator() for name in PRIORS)
        if bound >= ACCUMULATOR_LIMIT:
            raise ValueError(f"an accumulator of the priors can reach {bound:.0f}, the limit is {ACCUMULATOR_LIMIT}")
        still = {f"still.{name}": tensor for name, tensor in wavelet_tensors(model.still, pictures).items()}
        examples, motion = self.recorded(clips)
        for _ in range(2):
            model.ladder.counts.zero_()
            for example in examples:
                self.quantised(collate([example]))
            model.ladder.refit()
        priors = {
            f"priors.{name}.{key.removeprefix('prior.')}": tensor
            for name in PRIORS
            for key, tensor in prior_tensors(model.prior(name)).items()
        }
        tables = integer_tables(model.still.ladder.pmf, [model.ladder.pmf])
        options = {**model.options, "largest_accumulator": int(bound)}
        tensors = {**tables, **still, **priors, **network, **fit(motion), **step_tensors(factors())}
        return tensors, {key: str(value) for key, value in options.items()}

    def recorded(self, clips: list[Tensor]) -> tuple[list[Example], list[Recorded]]:
        """Predicted frames of clips, unless priors are adopted, and their motion, as the priors code them."""
        coder, native = self.coder()
        met = record(coder, native, clips, True, Recording(torch.Generator().manual_seed(0), not self.kept))
        assert isinstance(coder.motion, NoMotion)
        return met.examples, coder.motion.recorded

    def network_tensors(self) -> dict[str, Tensor]:
        """The network of predicted frames in half precision; nothing while it is silent."""
        network = self.model.inter
        if network is None or not bool(network.leave.weight.any()):
            return {}
        return halved("inter.", network)

    def adopt(self, tensors: dict[str, Tensor]) -> None:
        """Take what this task does not train from a weights file.

        Of family `wavelet`: what frames on their own need, whatever its sizes.  Of this family: all but the network of
        predicted frames, for a task that trained nothing else.  ValueError for another.
        """
        if any(name.startswith("still.") for name in tensors):
            if self.priors:
                raise ValueError("priors that were trained are not replaced: adopt weights of family wavelet")
            self.kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("inter.")}
            return
        still = WaveletModel(**model_sizes(tensors))
        restore_wavelet(still, tensors)
        self.model.still = still.requires_grad_(False)
        self.model.options.update(still.options)

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from a weights file of this family, or of family `wavelet` for frames on their own.

        The network for predicted frames starts as the fast one of frames on their own where the file has none.
        """
        whole = any(name.startswith("still.") for name in tensors)
        tables = {name: tensors[name] for name in TABLE_NAMES}
        restore_wavelet(self.model.still, {**tables, **(part(tensors, "still.") if whole else tensors)})
        if self.model.inter is not None and self.model.still.fast is not None:
            start_from(self.model.inter, self.model.still.fast)
        if whole:
            for name in PRIORS:
                restore_parameters(self.model.prior(name), part(tensors, f"priors.{name}."))
            if self.model.inter is not None:
                restore_parameters(self.model.inter, part(tensors, "inter."))
            self.model.ladder.counts.copy_(magnitude_counts(tensors, FIRST_TABLE))
            self.model.ladder.refit()
            self.trained.fill_(True)


def start_from(network: SynthesisNetwork, still: SynthesisNetwork) -> None:
    """Take over a network of frames on their own, silent: all but the last convolution, where the shapes agree."""
    if len(still.blocks) != len(network.blocks) or still.leave.weight.shape != network.leave.weight.shape:
        return
    taken = {name: t for name, t in still.state_dict().items() if not name.startswith(("leave.", "enter.weight"))}
    network.load_state_dict(taken, strict=False)
    into, known = network.enter.weight, still.enter.weight
    into.zero_()
    into[:, BANDS : 2 * BANDS + LOWS] = known[:, BANDS:]  # rungs and low bands
    into[:, 2 * BANDS + LOWS + PLACE :] = known[:, :BANDS]  # latents


def decibels(before: Tensor, after: Tensor) -> Tensor:
    return 10 * (before / after).log10()


def drawn_from(clips: list[Tensor], count: int, generator: torch.Generator) -> list[Tensor]:
    """Random clips, each at most once."""
    return [clips[i] for i in torch.randperm(len(clips), generator=generator)[:count].tolist()]


def clips_of(samples: list[Tensor]) -> list[Tensor]:
    return [sample for sample in samples if sample.dim() == 4]


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def collate(examples: list[Example], generator: torch.Generator | None = None) -> PriorBatch:
    """Whole frames of one size and kind, or with a generator random squares of CELLS cells, as a batch."""
    parts = [example if generator is None else cropped(example, CELLS, generator) for example in examples]

    def stacked(planes: list[Tensor]) -> Tensor:
        return torch.stack(planes).float()

    depth = range(len(parts[0].levels))
    return PriorBatch(
        PRIORS[parts[0].references - 1],
        [stacked([part.levels[level] for part in parts]) for level in depth],
        stacked([part.low for part in parts]),
        [stacked([part.hints[level] for part in parts]) for level in depth],
        torch.tensor([part.quality for part in parts]),
    )


def collate_paintings(paintings: list[Painting]) -> DecoderBatch:
    return DecoderBatch(
        torch.stack([painting.words for painting in paintings]).float(),
        torch.stack([painting.lacking for painting in paintings]).float(),
        torch.tensor([painting.quality for painting in paintings]),
    )
