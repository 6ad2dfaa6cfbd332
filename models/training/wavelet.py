"""The training task of family `wavelet`: real rounded symbols, real table costs, real reconstructions.

Transform and step sizes are fixed, so no gradient has to pass the rounding.  The prior minimises the bits of the
symbols that would be written, the decoder the error of the pixels that would be shown.  Both are taken relative to
their present size (the gradient of a logarithm), which weighs every rate alike, as a BD-rate does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..base.quality import MAX_FINE
from ..base.task import TrainingTask
from ..networks.synthesis import round_weights
from ..prior.fitted import integer_tables, magnitude_counts
from ..prior.fixed_point import ACCUMULATOR_LIMIT
from ..prior.ladder import FIRST_SCALE, PER_OCTAVE, TABLE_NAMES
from ..prior.quantisers import ODD_TABLE_NAMES
from ..prior.signs import SIGN_TABLE_NAMES
from ..transform.gains import step_size
from ..wavelet.analysis import remainders
from ..wavelet.model import WaveletModel
from ..wavelet.words import CORRECTION_BITS, WORD_BITS
from .exporting import (
    ROUNDED_FROM,
    CalibrationSample,
    Tensors,
    network_sizes,
    network_tensors,
    part_of,
    pictures_of,
    prefixed,
    prior_tensors,
    restore_network,
    restore_parameters,
)
from .steps import step_tensors

REFIT_EVERY = 50
CALIBRATED, CROP = 16, 256  # most pictures that networks are calibrated on, and the largest side of each
SPACING = 400  # fine quality between two pictures of the calibration


class WaveletTask(TrainingTask):
    """See `base.task.TrainingTask`.

    quantise: 1 to train the networks with rounded weights in the last part of the schedule, 0 to round at export alone.
    """

    def __init__(self, quantise: int = 1, **options: Any) -> None:
        super().__init__()
        self.model = WaveletModel(**options)
        self.model.bf16 = True
        self.rounding = bool(quantise)

    def begin_step(self, progress: float) -> None:
        round_weights(self.model, self.rounding and progress >= ROUNDED_FROM)

    @torch.no_grad()
    def initialise(self, images: list[Tensor]) -> None:
        """Set the rungs that the prior answers without context from the mean magnitudes of `images` (3, H, W) uint8."""
        device = self.model.axes.device
        means: list[list[Tensor]] = []
        for image in images:
            bands = self.model.analyse(image[None].float().to(device))
            means.append([plane.abs().mean((0, 2, 3)) for plane in (bands.packet, *bands.details, bands.low)])
        totals = [torch.stack(planes).mean(0) for planes in zip(*means, strict=True)]
        prior = self.model.prior
        anchors = torch.arange(prior.low.ANCHORS, device=device) * prior.low.SPACING
        steps = step_size(anchors)[:, None]

        def rungs(scale: Tensor) -> Tensor:
            return (scale[None] / steps / FIRST_SCALE).log2().clamp(min=0.0) * PER_OCTAVE

        prior.low.weight.copy_(rungs(totals[-1]))
        for level, (owner, source) in enumerate([(prior.packet, totals[0]), (prior.pyramid, totals[2])]):
            for part in owner.parts():
                for bias in part.bias_tables():
                    bias.weight.copy_(
                        rungs(source[part.start : part.start + part.count]) - (4.0 if level == 0 else 0.0)
                    )

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255 -> loss and scalars to log."""
        pixels: Tensor = batch
        quality = torch.randint(0, MAX_FINE + 1, (len(pixels),), generator=generator).to(pixels.device)
        with torch.no_grad():
            bands = self.model.analyse(pixels)
        integers, rungs, bits = self.model.quantise(bands, quality)
        painted = self.model.paint_with(self.model.networks().values(), integers, rungs.detach(), quality)
        errors = [(p[:, :, : pixels.shape[2], : pixels.shape[3]] - pixels).square().mean((1, 2, 3)) for p in painted]
        rate, error = bits / pixels[0, 0].numel(), errors[0]
        loss = (rate / (rate.detach() + 0.03)).mean() + sum((e / (e.detach() + 0.3)).mean() for e in errors)
        scalars = {
            "bpp": rate.mean().item(),
            "log_rate": rate.log().mean().item(),
            "psnr": (10 * (255**2 / error).log10()).mean().item(),
        }
        # The value reported is the logarithm whose gradient is used.
        value = (rate + 0.03).log().mean() + (error + 0.3).log().mean()
        return loss + (value - loss).detach(), scalars

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by optimiser: network matrices by Muon, the prior's convolutions and all vectors by Adam."""
        muon: list[Tensor] = []
        vectors: list[Tensor] = []
        convs: list[Tensor] = []
        tables: list[Tensor] = []
        for name, parameter in self.named_parameters():
            if name.startswith("model.prior"):
                (tables if parameter.ndim == 2 else convs).append(parameter)
            else:
                (muon if parameter.ndim == 4 else vectors).append(parameter)
        return [
            {"params": muon, "optimiser": "muon", "lr": 1e-3},
            {"params": vectors, "optimiser": "adam", "lr": 1e-3},
            {"params": convs, "optimiser": "adam", "lr": 5e-3},
            {"params": tables, "optimiser": "adam", "lr": 3e-2},
        ]

    def after_step(self, step: int) -> None:
        self.model.prior.project()
        if step % REFIT_EVERY == 0:
            self.model.ladder.refit()

    @torch.no_grad()
    def rate_distortion(self, pixels: Tensor, quality: int) -> tuple[float, Tensor]:
        """One whole picture (1, 3, H, W): bits per pixel by table costs, and the 8-bit reconstruction."""
        q = torch.tensor([quality], device=pixels.device)
        integers, rungs, bits = self.model.quantise(self.model.analyse(pixels), q)
        painted = self.model.paint(integers, rungs, q)[:, :, : pixels.shape[2], : pixels.shape[3]]
        return float(bits / pixels[0, 0].numel()), painted.round().clamp(0, 255)

    @torch.no_grad()
    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """Tensors and options of the weights file, its tables fitted on pictures; the prior is frozen by it.

        ValueError where the bound of an accumulator does not hold.
        """
        pictures = pictures_of(samples)
        bound = fit_tables(self.model, pictures)
        tensors = prefixed("prior", prior_tensors(self.model.prior)) | integer_tables(self.model.ladder.pmf)
        words = calibration(self.model, pictures_of(self.held_out) or pictures)
        for name, network in self.model.networks().items():
            tensors |= prefixed(name, network_tensors(network, words, CORRECTION_BITS))
        options = {**self.model.options, "largest_accumulator": bound}
        return tensors | step_tensors(), {key: str(value) for key, value in options.items()}

    def restore(self, tensors: Tensors) -> None:
        """See `restore_wavelet`."""
        restore_wavelet(self.model, tensors)


@torch.no_grad()
def fit_tables(model: WaveletModel, pictures: list[Tensor]) -> int:
    """Freeze the prior and fit the ladder; the proven bound of the prior's accumulators, ValueError where it is passed.

    The ladder is fitted on whole `pictures` (3, H, W), twice, since the encoder's rounding follows the tables.
    """
    model.prior.freeze()
    bound = model.prior.largest_accumulator()
    if bound >= ACCUMULATOR_LIMIT:
        raise ValueError(f"an accumulator of the prior can reach {bound:.0f}, the limit is {ACCUMULATOR_LIMIT}")
    for _ in range(2):
        model.ladder.counts.zero_()
        for i, picture in enumerate(pictures):
            for quality in range(200 + 137 * i % 400, MAX_FINE, 800):
                model.quantise(model.analyse(picture[None].float()), torch.tensor([quality]))
        model.ladder.refit()
    return int(bound)


@torch.no_grad()
def calibration(model: WaveletModel, pictures: list[Tensor], encoder: bool = False) -> list[CalibrationSample]:
    """What the decoders' networks read of pictures (3, H, W) at qualities of all kinds, or what the encoder's reads."""
    samples: list[CalibrationSample] = []
    qualities = range(0, MAX_FINE + 1, SPACING)
    pictures = pictures[:CALIBRATED]
    for k in range(max(len(qualities), 2 * len(pictures)) if pictures else 0):
        quality = torch.tensor([qualities[5 * k % len(qualities)]])  # five steps on: a picture has unlike qualities
        step = step_size(quality)[:, None, None, None]
        bands = model.analyse(pictures[k % len(pictures)][None, :, :CROP, :CROP].float())
        integers, rungs, _ = model.quantise(bands, quality)
        words = model.describe(integers, rungs, model.dequantise(integers, step)[:, ::64], step)
        if encoder:
            words = torch.cat([words, remainders(bands.packet / step, integers.packet)], 1)
        samples.append((words, quality))
    return samples


@torch.no_grad()
def restore_wavelet(model: WaveletModel, tensors: Tensors) -> None:
    """Go on from exported weights: integers become real again, the tables become counts.

    A model with more hidden channels than the file starts with the same function: the weights of new channels are 0.
    """
    restore_parameters(model.prior, part_of(tensors, "prior"))
    for name, network in model.networks().items():
        restore_network(network, part_of(tensors, name), CORRECTION_BITS)
    restore_network(model.analysis, part_of(tensors, "analysis"), WORD_BITS)
    model.ladder.counts.copy_(magnitude_counts(tensors))
    model.ladder.refit()


def model_sizes(tensors: Tensors) -> dict[str, int]:
    """The options of the model of exported weights, read off the shapes of their tensors."""
    sizes = {"hidden": tensors["prior.packet.coarse.weight"].shape[0]}
    for name, owner in (("", "standard"), ("fast_", "fast"), ("analysis_", "analysis")):
        sizes[f"{name}width"], sizes[f"{name}blocks"] = network_sizes(part_of(tensors, owner))
    return sizes


def still_part(tensors: Tensors) -> tuple[Tensors, str]:
    """What frames on their own need of a weights file, by the names of their training, and what its names begin with.

    That is "" or "still.".
    """
    still = part_of(tensors, "still")
    if not still:
        return tensors, ""
    names = (*TABLE_NAMES, *SIGN_TABLE_NAMES, *ODD_TABLE_NAMES)
    shared = {name: t for name, t in tensors.items() if name in names or name.startswith("steps.")}
    return shared | still, "still."


def still_model(tensors: Tensors, **more: int) -> tuple[WaveletModel, str]:
    """The model of frames on their own of a weights file, to train beside, and what its tensors' names begin with.

    more: options of the model in place of the file's.  ValueError where these frames are dyadic.
    """
    still, owner = still_part(tensors)
    if part_of(still, "dyadic"):
        raise ValueError("the frames alone of these weights are dyadic: there is no packet prior to train beside")
    model = WaveletModel(**model_sizes(still) | more)
    restore_wavelet(model, still)
    model.prior.freeze()
    model.bf16 = True
    return model.requires_grad_(False), owner
