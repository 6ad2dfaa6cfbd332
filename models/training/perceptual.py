"""The training task of decoder `perceptual`: one more synthesis network for the streams that there are.

The rest of the weights file stays as it is.  It codes the pictures, and the network, which starts as decoder
`standard`, learns to paint them.  The loss is 1 - MS-SSIM, and a little squared error that keeps colours and flat
places, both relative to their present size.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..base.quality import MAX_FINE
from ..base.task import TrainingTask
from ..networks.synthesis import round_weights
from ..wavelet.words import CORRECTION_BITS
from .exporting import ROUNDED_FROM, Tensors, network_tensors, part_of, pictures_of, prefixed, restore_network
from .similarity import SMALLEST, ms_ssim
from .stills import stills_of

ERROR_WEIGHT = 0.2  # weight of the squared error, which keeps colours and flat places
EXAMINED = (600, 1600, 2600, 3600, 4600)  # fine qualities of validation
PICTURES = 12  # most held-out pictures in validation


class PerceptualTuning(TrainingTask):
    """See `base.task.TrainingTask`.

    tensors: a weights file of family `wavelet` or `spatiotemporal`, and its analysis network where there is one;
    quantise: see `WaveletTask`.
    """

    def __init__(self, tensors: Tensors, quantise: int = 1) -> None:
        super().__init__()
        self.stills = stills_of(tensors)
        self.network = copy.deepcopy(self.stills.standard).requires_grad_(True)
        self.rounding = bool(quantise)

    def begin_step(self, progress: float) -> None:
        round_weights(self.network, self.rounding and progress >= ROUNDED_FROM)

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing: it starts from weights."""

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255, at least 161 pixels per side."""
        pixels: Tensor = batch
        quality = torch.randint(0, MAX_FINE + 1, (len(pixels),), generator=generator).to(pixels.device)
        painted = self.stills.painted(self.network, pixels, quality)
        unlike = 1 - ms_ssim(painted, pixels)
        error = (painted - pixels).square().mean((1, 2, 3))
        loss = (unlike / (unlike.detach() + 1e-3)).mean() + ERROR_WEIGHT * (error / (error.detach() + 0.3)).mean()
        return loss, {
            "msssim_db": (-10 * unlike.log10()).mean().item(),
            "psnr": (10 * (255**2 / error).log10()).mean().item(),
        }

    @torch.no_grad()
    def examine(self, samples: list[Tensor]) -> dict[str, float]:
        """MS-SSIM in dB and PSNR of held-out pictures, as means over qualities, beside decoder standard.

        Nothing where all are too small for MS-SSIM.
        """
        large = [sample for sample in samples if sample.dim() == 3 and min(sample.shape[1:]) >= SMALLEST]
        pictures = [sample[None].float() for sample in large[:PICTURES]]
        scalars: dict[str, float] = {}
        if not pictures:
            return scalars
        for name, network in (("", self.network), ("_standard", self.stills.standard)):
            unlike, error = [], []
            for picture in pictures:
                for at in EXAMINED:
                    shown = self.stills.painted(network, picture, torch.tensor([at])).round().clamp(0, 255)
                    unlike.append(1 - ms_ssim(shown, picture))
                    error.append((shown - picture).square().mean())
            scalars[f"msssim_db{name}"] = float((-10 * torch.cat(unlike).log10()).mean())
            scalars[f"psnr{name}"] = float((10 * (255**2 / torch.stack(error)).log10()).mean())
        return scalars

    def groups(self) -> list[dict[str, Any]]:
        parameters = list(self.network.parameters())
        return [
            {"params": [p for p in parameters if p.ndim == 4], "optimiser": "muon", "lr": 1e-3},
            {"params": [p for p in parameters if p.ndim != 4], "optimiser": "adam", "lr": 1e-3},
        ]

    def after_step(self, step: int) -> None:
        """Nothing to keep in bounds."""

    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """The network alone in integers, calibrated on the samples of `calibrate`, or on these."""
        words = self.stills.calibration(pictures_of(self.held_out or samples))
        return prefixed(f"{self.stills.owner}perceptual", network_tensors(self.network, words, CORRECTION_BITS)), {}

    def restore(self, tensors: Tensors) -> None:
        """Go on from what `export` gave."""
        restore_network(self.network, part_of(tensors, f"{self.stills.owner}perceptual"), CORRECTION_BITS)
