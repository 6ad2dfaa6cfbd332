"""The training task of the analysis network, see `wavelet.analysis`: priors and tables stay as they are.

No gradient passes a rounding.  Each step rounds by the network's moves, decodes, and computes from the gradient of the
squared error where each coefficient should have been: its integer minus the gradient over the curvature that an
orthonormal transform has, as `refinement` does.  The network learns this by regression.  Each picture's error is taken
relative to the error of rounding, so that every quality counts alike.  Option `decoders` also trains the synthesis
networks, by the error of the same decoded pictures: then the run makes new weights, and the network belongs to these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..base.family import GroupSpec
from ..base.kernels import Kernels
from ..base.ports import Nowhere
from ..base.quality import MAX_FINE
from ..base.task import TrainingTask, arrays_of
from ..networks.synthesis import round_weights
from ..prior.native import CodedFrame, NativePrior, pass_order
from ..transform.bands import CELL, RATE_WEIGHT
from ..transform.gains import Bands, step_size
from ..wavelet.analysis import moves, quantise
from ..wavelet.model import WaveletModel
from ..wavelet.words import CORRECTION_BITS, WORD_BITS
from .exporting import (
    ROUNDED_FROM,
    Tensors,
    network_tensors,
    part_of,
    pictures_of,
    prefixed,
    prior_tensors,
    restore_network,
)
from .wavelet import calibration, still_model

FARTHEST = 0.4  # largest wanted move in steps: gradients say nothing about more
LEAST_NOISE = 0.003  # added to the squared error of rounding, in steps, that a picture's loss is divided by


class AnalysisTraining(TrainingTask):
    """See `base.task.TrainingTask`.

    tensors: a weights file of family `wavelet` or `spatiotemporal`; with decoders = 1 decoders are trained, too;
    quantise: see `WaveletTask`.
    """

    def __init__(
        self, tensors: Tensors, width: int = 128, blocks: int = 4, decoders: int = 0, quantise: int = 1
    ) -> None:
        super().__init__()
        self.model, self.owner = still_model(tensors, analysis_width=width, analysis_blocks=blocks)
        assert self.model.analysis is not None
        self.network = self.model.analysis.requires_grad_(True)
        self.decoders = self.model.networks() if decoders else {}
        for decoder in self.decoders.values():
            decoder.requires_grad_(True)
        self.round = Rounding(self.model)
        self.rounding = bool(quantise)

    def begin_step(self, progress: float) -> None:
        round_weights(self.model, self.rounding and progress >= ROUNDED_FROM)

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing: it starts from weights."""

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255."""
        pixels: Tensor = batch
        quality = torch.randint(0, MAX_FINE + 1, (len(pixels),), generator=generator).to(pixels.device)
        step = step_size(quality)[:, None, None, None]
        with torch.no_grad():
            bands = self.model.analyse(pixels)
            scaled = Bands(bands.packet / step, [d / step for d in bands.details], bands.low / step)
            trial, rungs = self.round(scaled, quality)
        found = moves(self.model, scaled.packet, trial, rungs, quality)
        integers, rungs = self.round(replace(scaled, packet=scaled.packet + found.detach()), quality)
        rounded = integers.packet.clone()
        errors = self.errors(pixels, replace(integers, packet=integers.packet.requires_grad_()), rungs, quality)
        (gradient,) = torch.autograd.grad(errors[0].sum(), integers.packet, retain_graph=bool(self.decoders))
        wanted = rounded - gradient / (2 * step.square()) - scaled.packet
        wanted = wanted.clamp(-FARTHEST, FARTHEST)
        size = (rounded - scaled.packet).square().mean((1, 2, 3)) + LEAST_NOISE
        loss = ((found - wanted).square().mean((1, 2, 3)) / size).mean()
        unmoved = (wanted.square().mean((1, 2, 3)) / size).mean()
        scalars = {"left": float(loss.detach() / unmoved)}
        means = [error / pixels[0].numel() for error in errors]
        scalars["psnr"] = (10 * (255**2 / means[0].detach()).log10()).mean().item()
        for mean in means if self.decoders else ():
            loss = loss + (mean / (mean.detach() + 0.3)).mean()
        return loss, scalars

    def errors(self, pixels: Tensor, integers: Bands, rungs: Tensor, quality: Tensor) -> list[Tensor]:
        """Summed squared errors (B,) of the decoders that are trained, of standard alone where none is."""
        networks = self.decoders.values() or [self.model.standard]
        painted = self.model.paint_with(networks, integers, rungs, quality)
        return [(p[:, :, : pixels.shape[2], : pixels.shape[3]] - pixels).square().sum((1, 2, 3)) for p in painted]

    @torch.no_grad()
    def rate_distortion(self, pixels: Tensor, quality: int) -> tuple[float, Tensor]:
        """One whole picture (1, 3, H, W): bits per pixel by table costs, and the 8-bit reconstruction."""
        at = torch.tensor([quality], device=pixels.device)
        integers, rungs, bits = quantise(self.model, self.model.analyse(pixels), at)
        painted = self.model.paint(integers, rungs, at)[:, :, : pixels.shape[2], : pixels.shape[3]]
        return float(bits / pixels[0, 0].numel()), painted.round().clamp(0, 255)

    def groups(self) -> list[dict[str, Any]]:
        found = []
        for network, matrix_rate, vector_rate in (
            (self.network, 1.5e-3, 1e-3),
            *((decoder, 8e-4, 8e-4) for decoder in self.decoders.values()),
        ):
            matrices = [p for p in network.parameters() if p.ndim == 4]
            found.append({"params": matrices, "optimiser": "muon", "lr": matrix_rate})
            vectors = [p for p in network.parameters() if p.ndim != 4]
            found.append({"params": vectors, "optimiser": "adam", "lr": vector_rate})
        return found

    def after_step(self, step: int) -> None:
        """Nothing to keep in bounds."""

    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """The trained networks in integers, calibrated on the samples of `calibrate`, or on these."""
        words = calibration(self.model, pictures_of(self.held_out or samples), encoder=True)
        tensors = prefixed(f"{self.owner}analysis", network_tensors(self.network, words, WORD_BITS))
        for name, decoder in self.decoders.items():
            words = calibration(self.model, pictures_of(self.held_out or samples))
            tensors |= prefixed(f"{self.owner}{name}", network_tensors(decoder, words, CORRECTION_BITS))
        return tensors, {}

    def restore(self, tensors: Tensors) -> None:
        """Go on from a network that `export` gave."""
        restore_network(self.network, part_of(tensors, f"{self.owner}analysis"), WORD_BITS)


class Rounding:
    """Rate-distortion rounding of batches by the kernels: six times as fast as `rounding.round_along`."""

    def __init__(self, model: WaveletModel) -> None:
        arrays = arrays_of(prior_tensors(model.prior))
        self.prior = NativePrior(arrays, model.ladder.costs.numpy(), RATE_WEIGHT, Kernels())

    def __call__(self, scaled: Bands, quality: Tensor) -> tuple[Bands, Tensor]:
        """Bands in steps -> their integers and the rungs of the packet."""
        coded = [self._one(scaled, i, int(at)) for i, at in enumerate(quality)]
        device = scaled.packet.device
        packet = torch.stack([torch.from_numpy(one.packet) for one in coded]).float().to(device)
        rungs = torch.stack([torch.from_numpy(one.rungs) for one in coded]).float().to(device)
        details = [
            torch.stack([torch.from_numpy(one.pyramid[level].values) for one in coded]).float().to(device)
            for level in range(len(scaled.details))
        ]
        low = torch.stack([torch.from_numpy(one.low) for one in coded]).float().to(device)
        return Bands(packet, details, low), rungs

    def _one(self, scaled: Bands, i: int, quality: int) -> CodedFrame:
        planes = [plane[i].cpu().numpy() for plane in (scaled.packet, *scaled.details)]
        ordered = [plane.reshape(len(plane), -1).take(pass_order(*plane.shape[1:]), 1) for plane in planes]
        h, w = planes[0].shape[1:]
        spec = GroupSpec(frames=1, height=CELL * h, width=CELL * w, channels=3, quality=quality)
        low = torch.floor(scaled.low[i].cpu() + 0.5).int().numpy()
        coded = self.prior.code(ordered, low, spec, Nowhere())
        assert coded is not None
        return coded
