"""A discriminator of small patches, for the last part of training: it favours textures that look right.

It reads wavelet packet bands at 1/4 resolution, which show a texture's energy in every band, and classifies every patch
as original or reconstruction (hinge loss; patches after Isola et al., 2017).  The difference of its inner features
between original and reconstruction is a loss of its own (Wang et al., "pix2pixHD", 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ..transform import packet as wp

LEVELS = 2
WIDTHS = (64, 96, 128, 128)


class Discriminator(nn.Module):
    """Pixels along colour axes (B, 3, H, W) -> one verdict a patch, and the features on the way."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (3 << 2 * LEVELS, *WIDTHS[:-1])
        strides = (1, 2, 2, 1)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(i, o, 3, stride, 1)) for i, o, stride in zip(inputs, WIDTHS, strides, strict=True)
        )
        self.verdict = spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, list[Tensor]]:
        bands = wp.packet(planes, LEVELS).flatten(1, 2)
        x = (bands.sign() * torch.log1p(bands.abs() / 4.0)).contiguous(memory_format=torch.channels_last)
        features = []
        with torch.autocast(x.device.type, torch.bfloat16):
            for layer in self.layers:
                x = F.leaky_relu(layer(x), 0.2)
                features.append(x)
            verdict = self.verdict(x)
        return verdict.float(), features


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through the module, but not into its parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def adversarial_losses(judge: Discriminator, painted: Tensor, original: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scalar losses: of the discriminator, and of the synthesis network by verdict and by features."""
    real, wanted = judge(original)
    fake, _ = judge(painted.detach())
    judging = F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()
    with held(judge):
        verdict, found = judge(painted)
    matching = torch.stack(
        [F.l1_loss(f, w.detach()) / w.detach().abs().mean() for f, w in zip(found, wanted, strict=True)]
    )
    return judging, -verdict.mean(), matching.float().mean()


def balance(exact: Tensor, verdict: Tensor, painted: Tensor) -> Tensor:
    """The factor that makes the verdict's gradient at the pixels as large as the error's (Esser et al., 2021)."""
    pulls = [torch.autograd.grad(loss, painted, retain_graph=True)[0].norm() for loss in (exact, verdict)]
    ratio: Tensor = pulls[0] / pulls[1].clamp(min=1e-12)
    return ratio.detach()


def texture_loss(painted: Tensor, packet: Tensor) -> Tensor:
    """Mean difference in nats of the energies of packet bands (B, 192, h, w) around each cell."""
    keep = [band for band in range(192) if band % 64]

    def energy(bands: Tensor) -> Tensor:
        return torch.log(F.avg_pool2d(bands[:, keep].square(), 3, 1, 1, count_include_pad=False) + 4.0)

    return (energy(painted) - energy(packet)).abs().mean()
