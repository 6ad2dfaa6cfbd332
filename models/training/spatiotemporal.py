"""The training task of family `spatiotemporal`: what predicted frames need, on clips.

What frames on their own need is trained before, on pictures, as a model of family `wavelet`, and taken over by
`restore` as it is, in integers.  This task codes clips in closed loop and records examples.  Every RECORD_EVERY steps
it codes other clips with the priors that it has then; for the network alone, a few others every ROLL_EVERY steps, which
replace the oldest.  The priors minimise the bits of the rounded residuals, the network the error of the pixels that it
paints, both relative to their present size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import Tables
from ..base.kernels import Kernels
from ..base.task import TrainingTask, arrays_of, tensors_of
from ..networks.synthesis import SynthesisNetwork, round_weights
from ..prior.fitted import ladder_rows, magnitude_counts, table_tensors
from ..prior.fixed_point import ACCUMULATOR_LIMIT
from ..prior.ladder import FIRST_SCALE, PER_OCTAVE, TABLE_NAMES
from ..prior.native import NativePrior
from ..prior.signs import SIGN_TABLE_NAMES
from ..spatiotemporal.family import rows_of
from ..spatiotemporal.group import Prior
from ..spatiotemporal.model import BANDS, SpatiotemporalModel
from ..spatiotemporal.painting import PLACE, FramePainter
from ..spatiotemporal.wire import FIRST_TABLE, PRIORS
from ..transform.bands import RATE_WEIGHT
from ..transform.gains import synthesis_gains
from ..wavelet.dyadic_still import DyadicStill
from ..wavelet.still import StillCoder
from ..wavelet.words import CORRECTION_BITS, LOWS
from .clip_batches import ClipBatch, DecoderBatch, PriorBatch, collate, collate_paintings, drawn_from
from .dyadic_coding import dyadic_coder
from .exporting import (
    ROUNDED_FROM,
    Tensors,
    clips_of,
    network_tensors,
    part_of,
    prefixed,
    prior_tensors,
    real_network,
    restore_network,
    restore_parameters,
)
from .motion_tables import Recorded, fit
from .recording import ClipRecording, Example, NoMotion, painted_error, record
from .wavelet import REFIT_EVERY, still_part

RECORD_EVERY, ROLL_EVERY = 2500, 40  # steps between recordings, and between those for the network alone
CLIPS, ROLLED = 72, 4  # clips of a recording, and of one for the network alone
CELLS = 32  # side of the squares that are trained on, in cells
CALIBRATED = 6  # clips that the network is calibrated on, at most
SHARED = ("signs.", "odd.", "steps.")  # tensors of frames on their own that keep their names


class SpatiotemporalTask(TrainingTask):
    """See `base.task.TrainingTask`.

    priors, decoders: 1 to train what chooses tables, and the network that paints predicted frames, 0 to keep it.
    quantise: see `WaveletTask`.
    """

    trained: Tensor
    gains: Tensor

    def __init__(self, priors: int = 1, decoders: int = 1, quantise: int = 1, **options: Any) -> None:
        super().__init__()
        self.model = SpatiotemporalModel(**options)
        self.priors, self.decoders = bool(priors), bool(decoders)
        self.model.priors.requires_grad_(self.priors)
        if self.model.inter is not None:
            self.model.inter.requires_grad_(self.decoders)
        self.register_buffer("trained", torch.zeros((), dtype=torch.bool))  # far enough to code with
        self.register_buffer("gains", synthesis_gains()[0], persistent=False)
        self.rounding = bool(quantise)
        self.still: Tensors = {}  # what frames on their own need, as `still_part` has it
        self.kept: Tensors = {}  # adopted for export, in place of the priors

    def get_extra_state(self) -> dict[str, Tensors]:
        """What a checkpoint holds beside the parameters."""
        return {"still": self.still}

    def set_extra_state(self, state: dict[str, Tensors]) -> None:
        self.still = state["still"]

    def begin_step(self, progress: float) -> None:
        round_weights(self.model, self.rounding and progress >= ROUNDED_FROM)

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing: rungs are set from the first recording."""

    # -- examples ----------------------------------------------------------------------------------------------------

    def coder(self) -> tuple[Prior, StillCoder | DyadicStill]:
        """The priors as they are now, for coding in closed loop; motion costs nothing and goes nowhere.

        ValueError where there are no weights yet for frames on their own.
        """
        if not self.still:
            raise ValueError(
                "frames on their own need weights: start with --init from a file of wavelet or spatiotemporal"
            )
        arrays, kernels = arrays_of(self.still), Kernels()
        still = dyadic_coder(arrays, kernels) if SIGN_TABLE_NAMES[0] in arrays else packet_coder(arrays, kernels)
        costs = self.model.ladder.costs.cpu().numpy()
        one, two = (
            NativePrior(arrays_of(prior_tensors(self.model.prior(name))), costs, RATE_WEIGHT, kernels)
            for name in PRIORS
        )
        return Prior(still.prior, one, two, NoMotion(), still.steps, still.transform), still

    def recording(self, clips: list[Tensor], generator: torch.Generator, cells: int | None) -> ClipRecording:
        """Record the examples in `clips` that the trained parts learn from."""
        prior, still = self.coder()
        paints = self.decoders and bool(self.trained)
        painter = FramePainter(still, None) if paints else None
        return record(prior, still, clips, bool(self.trained), ClipRecording(generator, self.priors, painter, cells))

    def batches(self, samples: list[Tensor], batch: int, generator: torch.Generator) -> Iterator[ClipBatch]:
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
            met = ClipRecording(generator, paintings=[painting for one in pool for painting in one.paintings])
            for _ in range(ROLL_EVERY):
                yield self.drawn(met, batch, generator)
            fresh = [self.recording([clip], generator, CELLS) for clip in drawn_from(clips, ROLLED, generator)]
            pool = [*pool, *fresh][-CLIPS:]

    def drawn(self, met: ClipRecording, batch: int, generator: torch.Generator) -> ClipBatch:
        """A random batch of a recording."""

        def some(count: int) -> list[int]:
            chosen: list[int] = torch.randint(count, (batch,), generator=generator).tolist()
            return chosen

        priors = decoders = None
        if self.priors:
            references = 1 + int(torch.randint(3, (1,), generator=generator) > 0)
            pool = [e for e in met.examples if e.references == references]
            priors = collate([pool[i] for i in some(len(pool))], CELLS, generator)
        if met.paintings:
            decoders = collate_paintings([met.paintings[i] for i in some(len(met.paintings))])
        return ClipBatch(priors, decoders)

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

    def loss(self, batch: ClipBatch, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
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
        """See `painted_error`."""
        return painted_error(network, batch.words, batch.lacking, batch.quality, self.gains)

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
    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """Tensors and options of the weights file from clips (T, H, W, 3); freezes the priors.

        What frames on their own need stays as it was restored or adopted.  After `adopt` of a file of this family only
        the network of predicted frames is this task's, and where there are clips the tables of motion, which follow the
        encoder's search.  ValueError when an accumulator's bound does not hold.
        """
        model, clips = self.model, clips_of(samples)
        options = {key: str(value) for key, value in model.options.items()}
        network = self.network_tensors(clips_of(self.held_out) or clips)
        if self.kept:
            refitted = tensors_of(fit(self.recorded(clips)[1])) if clips else {}
            return {**self.kept, **refitted, **network}, options
        for name in PRIORS:
            model.prior(name).freeze()
        bound = max(model.prior(name).largest_accumulator() for name in PRIORS)
        if bound >= ACCUMULATOR_LIMIT:
            raise ValueError(f"an accumulator of the priors can reach {bound:.0f}, the limit is {ACCUMULATOR_LIMIT}")
        examples, motion = self.recorded(clips)
        for _ in range(2):
            model.ladder.counts.zero_()
            for example in examples:
                self.quantised(collate([example]))
            model.ladder.refit()
        tensors = self.still_tensors() | network | tensors_of(fit(motion))
        for name in PRIORS:
            tensors |= prefixed(f"priors.{name}", prior_tensors(model.prior(name)))
        return tensors, {**options, "largest_accumulator": str(int(bound))}

    def still_tensors(self) -> Tensors:
        """What frames on their own need, by names of this family, with the tables of predicted frames behind theirs."""
        own = {name: t for name, t in self.still.items() if not name.startswith(("tables.", *SHARED))}
        rows = rows_of(arrays_of(self.still), TABLE_NAMES)[:FIRST_TABLE]
        tables = table_tensors([*rows, *ladder_rows(self.model.ladder.pmf)])
        shared = {name: t for name, t in self.still.items() if name.startswith(SHARED)}
        return tables | shared | prefixed("still", own)

    def recorded(self, clips: list[Tensor]) -> tuple[list[Example], list[Recorded]]:
        """Predicted frames of clips, unless priors are adopted, and their motion, as the priors code them."""
        coder, still = self.coder()
        met = record(coder, still, clips, True, ClipRecording(torch.Generator().manual_seed(0), not self.kept))
        assert isinstance(coder.motion, NoMotion)
        return met.examples, coder.motion.recorded

    def network_tensors(self, clips: list[Tensor]) -> Tensors:
        """The network of predicted frames in integers that suit clips; nothing while it is silent."""
        network = self.model.inter
        if network is None or not bool(network.leave.weight.any()):
            return {}
        coder, still = self.coder()
        chosen = clips[:: max(1, len(clips) // CALIBRATED)][:CALIBRATED]
        met = ClipRecording(torch.Generator().manual_seed(2), False, FramePainter(still, None), CELLS)
        batches = [collate_paintings([painting]) for painting in record(coder, still, chosen, True, met).paintings]
        words = [(batch.words, batch.quality) for batch in batches]
        return prefixed("inter", network_tensors(network, words, CORRECTION_BITS))

    def adopt(self, tensors: Tensors) -> None:
        """Take what this task does not train from a weights file.

        Of family `wavelet`: what frames on their own need, whatever its sizes.  Of this family: all but the network of
        predicted frames, for a task that trained nothing else.  ValueError for another.
        """
        still, owner = still_part(tensors)
        if not owner:
            self.still = still
            return
        if self.priors:
            raise ValueError("priors that were trained are not replaced: adopt weights of family wavelet")
        self.kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("inter.")}

    @torch.no_grad()
    def restore(self, tensors: Tensors) -> None:
        """Go on from a weights file of this family, or of family `wavelet` for frames on their own.

        The network for predicted frames starts as the fast one of frames on their own where the file has none.
        """
        self.still, owner = still_part(tensors)
        fast = part_of(self.still, "fast")
        if self.model.inter is not None and fast:
            start_from(self.model.inter, real_network(fast, CORRECTION_BITS))
        if owner:
            for name in PRIORS:
                restore_parameters(self.model.prior(name), part_of(tensors, f"priors.{name}"))
            restore_network(self.model.inter, part_of(tensors, "inter"), CORRECTION_BITS)
            self.model.ladder.counts.copy_(magnitude_counts(tensors, FIRST_TABLE))
            self.model.ladder.refit()
            self.trained.fill_(True)


def packet_coder(arrays: Mapping[str, NDArray[Any]], kernels: Kernels) -> StillCoder:
    """Frames on their own by weights that `WaveletTask` made."""
    return StillCoder(arrays, Tables.stack(rows_of(arrays, TABLE_NAMES)), kernels)


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
