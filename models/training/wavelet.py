"""The training task of family `wavelet`: real rounded symbols, real table costs, real reconstructions.

Transform and step sizes are fixed, so nothing has to be learned through the rounding: the prior minimises the bits of
the symbols that would be written, the decoder the error of the pixels that would be shown.  Both are taken relative to
their present size (the gradient of a logarithm), which weighs every rate alike, as a BD-rate does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..base.family import MAX_QUALITY
from ..base.task import TrainingTask
from ..prior.bands import BandPrior
from ..prior.fitted import integer_tables, magnitude_counts
from ..prior.fixed_point import ACCUMULATOR_LIMIT, FixedConv2d, QualityTable
from ..prior.ladder import FIRST_SCALE, PER_OCTAVE, TABLE_NAMES
from ..transform.gains import step_size
from ..wavelet.family import model_sizes
from ..wavelet.model import WaveletModel

REFIT_EVERY = 50


class WaveletTask(TrainingTask):
    """See `base.task.TrainingTask`."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.model = WaveletModel(**options)
        self.model.bf16 = True

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
        quality = torch.randint(0, MAX_QUALITY + 1, (len(pixels),), generator=generator).to(pixels.device)
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
    def export(self, samples: list[Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and options of the weights file, its tables fitted on pictures; the prior is frozen by it."""
        tensors = wavelet_tensors(self.model, [sample for sample in samples if sample.dim() == 3])
        bound = int(self.model.prior.largest_accumulator())
        options = {**self.model.options, "largest_accumulator": bound}
        tables = integer_tables(self.model.ladder.pmf)
        return {**tables, **tensors}, {key: str(value) for key, value in options.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """See `restore_wavelet`."""
        restore_wavelet(self.model, tensors)


@torch.no_grad()
def wavelet_tensors(model: WaveletModel, pictures: list[Tensor]) -> dict[str, Tensor]:
    """Prior and networks of a weights file; freezes the prior and fits the ladder.

    Prior: integers, with every accumulator's bound proven, ValueError where it does not hold.  Ladder: fitted on whole
    `pictures` (3, H, W) under the frozen prior, twice, since the encoder's rounding follows the tables.  Networks: half
    precision.
    """
    model.prior.freeze()
    bound = model.prior.largest_accumulator()
    if bound >= ACCUMULATOR_LIMIT:
        raise ValueError(f"an accumulator of the prior can reach {bound:.0f}, the limit is {ACCUMULATOR_LIMIT}")
    for _ in range(2):
        model.ladder.counts.zero_()
        for i, picture in enumerate(pictures):
            for quality in range(200 + 137 * i % 400, MAX_QUALITY, 800):
                model.quantise(model.analyse(picture[None].float()), torch.tensor([quality]))
        model.ladder.refit()
    networks = halved("synthesis.", model.synthesis) | halved("fast.", model.fast)
    return {**prior_tensors(model.prior), **networks}


def halved(owner: str, network: nn.Module | None) -> dict[str, Tensor]:
    """Tensors of a network as weights files hold them, in half precision, names behind `owner`; of None none."""
    return {f"{owner}{name}": tensor.half() for name, tensor in network.state_dict().items()} if network else {}


def prior_tensors(prior: BandPrior) -> dict[str, Tensor]:
    """The integers of a frozen prior, each tensor in the smallest type that holds it."""
    return {f"prior.{name}": narrowed(tensor) for name, tensor in prior.state_dict().items()}


@torch.no_grad()
def restore_wavelet(model: WaveletModel, tensors: dict[str, Tensor]) -> None:
    """Go on from exported weights: the prior's integers become real again, the tables become counts.

    A model with more hidden channels or blocks than the file starts with the same function: what is new is not yet
    listened to.
    """
    restore_parameters(model, {name: t for name, t in tensors.items() if name not in TABLE_NAMES})
    model.ladder.counts.copy_(magnitude_counts(tensors))
    model.ladder.refit()


def still_model(tensors: dict[str, Tensor], **more: int) -> tuple[WaveletModel, str]:
    """The model of frames on their own of a weights file, to train beside, and what its tensors' names begin with.

    more: options of the model in place of the file's.
    """
    owner = "still." if any(name.startswith("still.") for name in tensors) else ""
    if owner:
        tables = {name: tensors[name] for name in TABLE_NAMES}
        tensors = tables | {n.removeprefix(owner): t for n, t in tensors.items() if n.startswith(owner)}
    model = WaveletModel(**model_sizes(tensors) | more)
    restore_wavelet(model, tensors)
    model.prior.freeze()
    model.bf16 = True
    return model.requires_grad_(False), owner


def restore_parameters(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy exported tensors into a module's parameters, integers of fixed-point layers as the reals they stand for."""
    for name, tensor in tensors.items():
        owner = module.get_submodule(name.rpartition(".")[0])
        scale = 2.0**-owner.bits if isinstance(owner, FixedConv2d | QualityTable) else 1.0
        take_over(module.get_parameter(name), tensor.float() * scale, name)


def take_over(parameter: Tensor, saved: Tensor, name: str) -> None:
    """Copy `saved` into a parameter of equal or larger shape; heads ignore the inputs that `saved` does not have."""
    if parameter.shape == saved.shape:
        parameter.copy_(saved)
    elif name.endswith(("first.weight", "second.weight")) and parameter.dim() == 4:
        near = saved.shape[0] if "second" in name else 0  # the last inputs are the slice's own
        hidden = saved.shape[1] - near
        parameter.zero_()
        parameter[:, :hidden] = saved[:, :hidden]
        if near:
            parameter[:, -near:] = saved[:, hidden:]
    else:
        parameter[tuple(slice(n) for n in saved.shape)] = saved


def narrowed(integers: Tensor) -> Tensor:
    """The smallest of int8, int16 and int32 that holds the integers."""
    peak = int(integers.abs().max())
    return integers.to(torch.int8 if peak < 128 else torch.int16 if peak < 32768 else torch.int32).contiguous()
