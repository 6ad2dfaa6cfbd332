"""The training task of the encoder's network, see `analysis`: weights stay as they are, and so do streams' decoders.

Nothing is learnt through a rounding.  Each step rounds by the network's moves, decodes, and takes from the gradient of
the squared error where each coefficient should have been: its integer minus the gradient over the curvature that an
orthonormal transform has, as `refinement` does.  The network learns that by regression, each picture's error relative
to what rounding takes from it, so that every quality counts alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .analysis import moves
from .interface import MAX_QUALITY, GroupSpec, TrainingTask
from .native_prior import Coded, NativePrior, pass_order
from .ports import Nowhere
from .synthesis import SynthesisNetwork
from .wavelet import CELL, RATE_WEIGHT, Bands, WaveletModel, step_size
from .wavelet_training import still_model

FARTHEST = 0.4  # steps that a coefficient is wanted to move: gradients know no more
LEAST_NOISE = 0.003  # squared error of rounding, in steps


class AnalysisTraining(TrainingTask):
    """See `interface.TrainingTask`.  tensors: a weights file of family `wavelet` or `spatiotemporal`."""

    def __init__(self, tensors: dict[str, Tensor], width: int = 128, blocks: int = 4) -> None:
        super().__init__()
        self.model, self.owner = still_model(tensors)
        kept = len(self.model.order)
        self.network = SynthesisNetwork(3 * kept + 6, kept, width, blocks)
        self.model.analysis = self.network
        self.rounding = Rounding(self.model)

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing: it starts from weights."""

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255."""
        pixels: Tensor = batch
        quality = torch.randint(0, MAX_QUALITY + 1, (len(pixels),), generator=generator).to(pixels.device)
        step = step_size(quality)[:, None, None, None]
        with torch.no_grad():
            bands = self.model.analyse(pixels)
            scaled = Bands(bands.packet / step, [d / step for d in bands.details], bands.low / step)
            trial, rungs = self.rounding(scaled, quality)
        found = moves(self.model, scaled.packet, trial, rungs, quality)
        wanted, noise = self.wanted(pixels, scaled, found.detach(), quality)
        size = noise + LEAST_NOISE
        loss = ((found - wanted).square().mean((1, 2, 3)) / size).mean()
        unmoved = (wanted.square().mean((1, 2, 3)) / size).mean()
        return loss, {"left": float(loss.detach() / unmoved)}

    def wanted(self, pixels: Tensor, scaled: Bands, move: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Where coefficients rounded after `move` should have gone, and the squared error of the rounding (B,)."""
        integers, rungs = self.rounding(replace(scaled, packet=scaled.packet + move), quality)
        packet = integers.packet.requires_grad_()
        painted = self.model.paint(integers, rungs, quality)
        error = (painted[:, :, : pixels.shape[2], : pixels.shape[3]] - pixels).square().sum()
        (gradient,) = torch.autograd.grad(error, packet)
        rounded, step = packet.detach(), step_size(quality)[:, None, None, None]
        wanted = rounded - gradient / (2 * step.square()) - scaled.packet
        return wanted.clamp(-FARTHEST, FARTHEST), (rounded - scaled.packet).square().mean((1, 2, 3))

    @torch.no_grad()
    def rate_distortion(self, pixels: Tensor, quality: int) -> tuple[float, Tensor]:
        """One whole picture (1, 3, H, W): bits per pixel by table costs, and the 8-bit reconstruction."""
        model, at = self.model, torch.tensor([quality], device=pixels.device)
        step, bands = step_size(at), model.analyse(pixels)
        trial, rungs, _ = model.quantise(bands, at)
        move = moves(model, bands.packet / step, trial, rungs, at)
        integers, rungs, bits = model.quantise(replace(bands, packet=bands.packet + move * step), at)
        painted = model.paint(integers, rungs, at)[:, :, : pixels.shape[2], : pixels.shape[3]]
        return float(bits / pixels[0, 0].numel()), painted.round().clamp(0, 255)

    def groups(self) -> list[dict[str, Any]]:
        parameters = list(self.network.parameters())
        return [
            {"params": [p for p in parameters if p.ndim == 4], "optimiser": "muon", "lr": 1.5e-3},
            {"params": [p for p in parameters if p.ndim != 4], "optimiser": "adam", "lr": 1e-3},
        ]

    def after_step(self, step: int) -> None:
        """Nothing to keep in bounds."""

    def export(self, pictures: list[Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The network alone, in half precision."""
        tensors = self.network.state_dict()
        return {f"{self.owner}analysis.{name}": tensor.half() for name, tensor in tensors.items()}, {}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `export` gave."""
        start = f"{self.owner}analysis."
        self.network.load_state_dict({name.removeprefix(start): t.float() for name, t in tensors.items()})


class Rounding:
    """Rate-distortion rounding of batches by the kernels: six times as fast as `rounding.round_along`."""

    def __init__(self, model: WaveletModel) -> None:
        self.prior = NativePrior(model.prior, model.ladder.costs, RATE_WEIGHT)

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
        return Bands(packet, details, torch.cat([one.low for one in coded]).float().to(device)), rungs

    def _one(self, scaled: Bands, i: int, quality: int) -> Coded:
        planes = [plane[i].cpu() for plane in (scaled.packet, *scaled.details)]
        ordered = [plane.flatten(1)[:, pass_order(*plane.shape[1:])].contiguous().numpy() for plane in planes]
        h, w = planes[0].shape[1:]
        spec = GroupSpec(frames=1, height=CELL * h, width=CELL * w, channels=3, quality=quality)
        return self.prior.code_kept(ordered, scaled.low[i : i + 1].cpu(), spec, Nowhere())
