"""The training task of dyadic frames: their prior, and the networks that paint them.

The prior learns from crops that are rounded along its walk in floats.  The networks learn from the same crops as the
kernels code them with the prior's integers, which are renewed every CODER_EVERY steps where the prior learns, too.
Both losses are relative to their present size, see `wavelet`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...entropy import Tables
from ..base.kernels import Kernels
from ..base.quality import MAX_FINE
from ..base.task import TrainingTask, arrays_of
from ..networks.synthesis import SynthesisNetwork, round_weights
from ..prior.fitted import counts_of, magnitude_counts, table_tensors
from ..prior.ladder import TABLE_NAMES, TABLES
from ..prior.quantisers import ODD_TABLE_NAMES
from ..prior.signs import SIGN_TABLE_NAMES
from ..spatiotemporal.family import rows_of
from ..spatiotemporal.wire import FIRST_TABLE
from ..transform.gains import synthesis_gains
from ..wavelet.dyadic_still import DyadicStill
from ..wavelet.words import CORRECTION_BITS
from .dyadic import DyadicModel
from .dyadic_coding import (
    COLUMNS,
    INPUTS,
    OUTPUTS,
    Counted,
    Written,
    calibration,
    coded,
    coded_batch,
    coded_pyramids,
    dyadic_coder,
    painted,
    pixels_of,
    tables_of,
)
from .exporting import (
    ROUNDED_FROM,
    Tensors,
    network_tensors,
    part_of,
    pictures_of,
    prefixed,
    restore_network,
    restore_parameters,
)
from .recording import painted_error
from .steps import step_tensors
from .wavelet import REFIT_EVERY, still_part

CODER_EVERY = 500
TABLE_ROUNDS = 3  # of fitting tables
EFFORT = "fast"  # of the pictures that networks learn from: rounding alone


class DyadicStillTask(TrainingTask):
    """See `base.task.TrainingTask`.

    priors, decoders: 1 to train the prior, and the networks that paint, 0 to keep them.
    width, blocks, fast_width, fast_blocks: sizes of the networks of decoders standard and fast.
    quantise: see `WaveletTask`.
    """

    gains: Tensor

    def __init__(
        self,
        priors: int = 1,
        decoders: int = 1,
        quantise: int = 1,
        width: int = 128,
        blocks: int = 8,
        fast_width: int = 64,
        fast_blocks: int = 4,
    ) -> None:
        super().__init__()
        self.model = DyadicModel()
        self.standard = SynthesisNetwork(INPUTS, OUTPUTS, width, blocks)
        self.fast = SynthesisNetwork(INPUTS, OUTPUTS, fast_width, fast_blocks)
        self.register_buffer("gains", synthesis_gains()[0], persistent=False)
        self.priors, self.decoders, self.rounding = bool(priors), bool(decoders), bool(quantise)
        self.model.requires_grad_(self.priors)
        for network in self.networks().values():
            network.requires_grad_(self.decoders)
        self.made: tuple[DyadicStill, Tables] | None = None
        self.measured = -1  # the prior's version that `rate_distortion` was last asked of
        self.kept: Tensors = {}  # adopted for export

    def networks(self) -> dict[str, SynthesisNetwork]:
        return {"standard": self.standard, "fast": self.fast}

    def begin_step(self, progress: float) -> None:
        round_weights(self, self.rounding and progress >= ROUNDED_FROM)

    def initialise(self, images: list[Tensor]) -> None:
        """See `DyadicModel.initialise`."""
        self.model.initialise(images)

    # -- what the networks learn from ----------------------------------------------------------------------------------

    def coder(self) -> tuple[DyadicStill, Tables]:
        """The prior as the kernels code with it, and its tables; without networks."""
        if self.made is None:
            arrays = arrays_of(self.model.tensors() | step_tensors())
            self.made = dyadic_coder(arrays, Kernels()), tables_of(arrays)
        return self.made

    # -- the loss ----------------------------------------------------------------------------------------------------

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255 -> loss and scalars to log."""
        parts = [*([self.prior_loss] if self.priors else []), *([self.decoder_loss] if self.decoders else [])]
        found = [part(batch, generator) for part in parts]
        scalars = {name: value for _, scalars in found for name, value in scalars.items()}
        return torch.stack([loss for loss, _ in found]).sum(), scalars

    def prior_loss(self, pixels: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Its gradient weighs every rate alike."""
        quality = torch.randint(0, MAX_FINE + 1, (len(pixels),), generator=generator)
        coded = coded_pyramids(self.coder()[0], pixels, quality)
        rate = self.model.bits(coded, quality, (pixels.shape[2], pixels.shape[3])) / pixels[0, 0].numel()
        loss = (rate / (rate.detach() + 0.03)).mean()
        return loss, {"bpp": rate.mean().item(), "log_rate": rate.log().mean().item()}

    def decoder_loss(self, pixels: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        quality = torch.randint(0, MAX_FINE + 1, (len(pixels),), generator=generator)
        words, lacking = coded_batch(self.coder()[0], pixels, quality, EFFORT)
        plain = painted_error(None, words, lacking, quality, self.gains)
        errors = [painted_error(one, words, lacking, quality, self.gains) for one in self.networks().values()]
        loss = torch.stack([(e / (e.detach() + 0.3)).mean() for e in errors]).sum()
        value = (errors[0] + 0.3).log().mean()
        gains = {name: _decibels(plain, e).mean().item() for name, e in zip(self.networks(), errors, strict=True)}
        return loss + (value - loss).detach(), {f"gain_{name}": gain for name, gain in gains.items()}

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by optimiser: network matrices by Muon, all else by Adam."""
        networks = [p for network in self.networks().values() for p in network.parameters()] if self.decoders else []
        groups: list[dict[str, Any]] = [
            *(self.model.groups() if self.priors else []),
            {"params": [p for p in networks if p.ndim == 4], "optimiser": "muon", "lr": 1e-3},
            {"params": [p for p in networks if p.ndim != 4], "optimiser": "adam", "lr": 1e-3},
        ]
        return [group for group in groups if group["params"]]

    def after_step(self, step: int) -> None:
        if self.priors:
            self.model.prior.project()
            if step % REFIT_EVERY == 0:
                self.model.ladder.refit()
                self.model.odd.refit()
            if step % CODER_EVERY == 0:
                self.made = None

    @torch.no_grad()
    def rate_distortion(self, pixels: Tensor, quality: int) -> tuple[float, Tensor]:
        """One whole picture (1, 3, H, W): bits per pixel, and the 8-bit reconstruction of `standard`."""
        version = sum(parameter._version for parameter in self.model.parameters())
        if version != self.measured:  # an averaged copy changes without steps of its own
            self.made, self.measured = None, version
        still, tables = self.coder()
        port, at = Written(tables), torch.tensor([quality])
        words, lacking = coded(still, pixels_of(pixels[0]), quality, port, EFFORT)
        shown = painted(self.standard, pixels, words[None], lacking[None], at).round().clamp(0, 255)
        return 8 * len(port.encoder.finish()) / pixels[0, 0].numel(), shown

    # -- weights -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """Tensors and options of the weights file; a prior that was trained is frozen, its tables fitted on pictures.

        After `adopt` it is one of family `spatiotemporal`.  ValueError where the bound of an accumulator does not hold.
        """
        pictures, notes = pictures_of(samples), {}
        if self.priors:
            notes["largest_accumulator"] = str(self.model.freeze())
            self.fit_tables(pictures)
        self.made = None
        tensors = self.model.tensors() | step_tensors()
        held_out = pictures_of(self.held_out) or pictures
        words = calibration(self.coder()[0], held_out, EFFORT)
        for name, network in self.networks().items():
            tensors |= prefixed(name, network_tensors(network, words, CORRECTION_BITS))
        if not self.kept:
            return tensors, notes
        return self.with_predicted(tensors), {**notes, "family": "spatiotemporal"}

    def fit_tables(self, pictures: list[Tensor]) -> None:
        """Fit the tables to what the kernels code of `pictures` (3, H, W), more than once: values follow the tables."""
        model = self.model
        for _ in range(TABLE_ROUNDS):
            self.made = None
            still, tables = self.coder()
            first_sign, first_odd = still.prior.coder.first_sign, still.prior.coder.first_odd
            counts = torch.zeros(len(tables), COLUMNS, dtype=torch.float64)
            for i, picture in enumerate(pictures):
                for quality in range(200 + 137 * i % 400, MAX_FINE, 800):
                    port = Counted()
                    coded(still, pixels_of(picture), quality, port, EFFORT)
                    counts += port.counts(len(tables))
            for ladder, found in ((model.ladder, counts[:TABLES]), (model.odd, counts[first_odd:])):
                ladder.counts.copy_(found)
                ladder.refit()
            model.signs.counts.copy_(counts[first_sign:first_odd, :2])

    def with_predicted(self, tensors: Tensors) -> Tensors:
        """Weights of family `spatiotemporal`: what this task made, and what predicted frames had before."""
        ladder, rest = (rows_of(arrays_of(part), TABLE_NAMES) for part in (tensors, self.kept))
        shared = (*TABLE_NAMES, *SIGN_TABLE_NAMES, *ODD_TABLE_NAMES)
        own = {name: t for name, t in tensors.items() if name not in shared and not name.startswith("steps.")}
        others = {name: tensors[name] for name in (*SIGN_TABLE_NAMES, *ODD_TABLE_NAMES)}
        return self.kept | table_tensors([*ladder, *rest[FIRST_TABLE:]]) | others | prefixed("still", own)

    def adopt(self, tensors: Tensors) -> None:
        """Take what predicted frames need from a file of family `spatiotemporal`; then `export` writes such a file.

        ValueError for another.
        """
        if not part_of(tensors, "priors"):
            raise ValueError("there are no priors of predicted frames: adopt weights of family spatiotemporal")
        self.kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("still.")}

    @torch.no_grad()
    def restore(self, tensors: Tensors) -> None:
        """Go on from exported weights, of this task or of family `spatiotemporal`.

        ValueError for others.
        """
        still, _ = still_part(tensors)
        prior = part_of(still, "dyadic")
        if not prior:
            raise ValueError("these weights have no prior of dyadic frames")
        del prior["steps"]
        restore_parameters(self.model.prior, prior)
        self.model.ladder.counts.copy_(magnitude_counts(still))
        self.model.ladder.refit()
        self.model.signs.counts.copy_(still[SIGN_TABLE_NAMES[0]][:, :2].double())
        frequencies, lows, sizes = (still[name] for name in ODD_TABLE_NAMES)
        self.model.odd.counts.copy_(counts_of(frequencies, lows, sizes))
        self.model.odd.refit()
        for name, network in self.networks().items():
            restore_network(network, part_of(still, name), CORRECTION_BITS)
        self.made = None


def _decibels(before: Tensor, after: Tensor) -> Tensor:
    return 10 * (before / after).log10()
