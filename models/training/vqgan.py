"""The training task of family `vqgan`: pictures, and pairs of frames for the prior over time.

Pixels are compared by their mean squared error, and in the wavelet domain relative to the local energy, which weighs
structure and texture as SSIM does.  Both are relative to their present size (the gradient of a logarithm).  Words
follow running means.  The prior minimises the bits of the chosen indices, under the two patterns that coding uses and
under random ones, which teach it to fill in lost indices.  A second run with `adversarial` trains the synthesis network
alone, against a discriminator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base.quality import MAX_FINE
from ..base.task import TrainingTask
from ..vqgan.model import CodedNodes, VqganModel
from ..vqgan.prior import bits_of, path
from ..vqgan.stages import DEAD, DEPTH, STAGES, depths, full_quality
from .adversary import Discriminator, adversarial_losses, balance, texture_loss
from .exporting import Tensors, pictures_of
from .vqgan_weights import exported, restore

CROP = 256  # side of the training squares, in pixels: eight cells of the coarsest grid
REVIVE_EVERY = 200  # steps after which dead words are moved to where words are used
PAIRS = 4  # one in so many samples of a batch is a pair of frames
COMMITMENT = 0.25  # weight of the distance from vectors to their words, as in van den Oord et al. (2017)
STRUCTURE_FLOOR = 30.0  # squared gray levels added to a cell's energy, so that flat cells do not outweigh others
TEXTURE, VERDICT, MATCHING = 0.5, 0.5, 0.5  # weights of the losses of texture, verdict and features
EXAMINED = 16  # most held-out pictures in validation
Batch = tuple[Tensor, Tensor]  # float (B, 3, CROP, CROP) in 0..255; the frames before its last samples


class VqganTask(TrainingTask):
    """See `base.task.TrainingTask`."""

    def __init__(self, adversarial: int = 0, **options: Any) -> None:
        """adversarial 1: train the synthesis network alone, against a discriminator."""
        super().__init__()
        self.model = VqganModel(**options)
        self.model.bf16 = True
        self.revived = 0
        self.judge = Discriminator() if adversarial else None
        if adversarial:
            self.model.requires_grad_(False)
            self.model.synthesis.requires_grad_(True)

    @torch.no_grad()
    def initialise(self, images: list[Tensor]) -> None:
        """Grow the codebooks on pictures (3, H, W) uint8, and measure what a bit more would save."""
        packets = [self.model.packet(image[None].float()) for image in images if image.dim() == 3]
        quality = torch.tensor([MAX_FINE])
        for stage in range(len(STAGES)):
            vectors = torch.cat([self.left(packet, stage, quality) for packet in packets])
            book = self.model.codebook(stage)
            order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(stage))
            book.grow(vectors[order[: 1 << 17]])
            # squared error falls by 2**(-2 / size) with every bit
            self.model.slopes[stage] = self.least(stage, vectors).mean() * 2 * math.log(2) / book.size

    def left(self, packet: Tensor, stage: int, quality: Tensor) -> Tensor:
        """What earlier stages left of one picture for a stage: (n, size)."""
        deep = torch.tensor([[DEPTH] * stage + [0] * (len(STAGES) - stage)])
        coded, _ = self.model.quantise(packet, quality, deep, weight=0.0)
        return coded.vectors[stage].permute(0, 2, 3, 1).flatten(0, 2)

    def least(self, stage: int, vectors: Tensor) -> Tensor:
        """Squared distance of each vector to its nearest word."""
        book = self.model.codebook(stage)
        far = torch.cat([book.distances(part, DEPTH).amin(1) for part in vectors.split(8192)])
        return (far + vectors.square().sum(1)).clamp(min=0.0)

    # -- the loss ----------------------------------------------------------------------------------------------------

    def batches(self, samples: list[Tensor], batch: int, generator: torch.Generator) -> Iterator[Batch]:
        """Pictures, then frames, one in PAIRS; and the frames before these."""
        pictures = [sample for sample in samples if sample.dim() == 3]
        clips = [sample for sample in samples if sample.dim() == 4]

        def number(limit: int) -> int:
            return int(torch.randint(limit, (1,), generator=generator))

        def square(frames: Tensor) -> Tensor:
            y, x = number(frames.shape[2] - CROP + 1), number(frames.shape[3] - CROP + 1)
            cut = frames[:, :, y : y + CROP, x : x + CROP].float()
            cut = cut.flip(3) if number(2) else cut
            return cut.transpose(2, 3) if number(4) == 0 else cut

        pairs = batch // PAIRS if clips else 0
        while True:
            stills = [square(pictures[number(len(pictures))][None])[0] for _ in range(batch - pairs)]
            moving = []
            for _ in range(pairs):
                clip = clips[number(len(clips))]
                at = number(len(clip) - 1)
                moving.append(square(clip[at : at + 2].permute(0, 3, 1, 2)))
            frames = torch.stack([*stills, *(pair[1] for pair in moving)])
            yield frames, torch.stack([pair[0] for pair in moving]) if moving else frames[:0]

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        pixels, past = batch
        quality = self.qualities(len(pixels), generator)
        deep = torch.tensor([depths(q) for q in quality.tolist()])
        before: list[Tensor] = []
        with torch.no_grad():
            packet = self.model.packet(pixels)
            if pairs := len(past):
                found, _ = self.model.quantise(self.model.packet(past), quality[-pairs:], deep[-pairs:])
                before = [F.pad(nodes, (0, 0, 0, 0, len(quality) - pairs, 0)) for nodes in found.nodes]
        coded, sums = self.model.quantise(packet, quality, deep, before or None)
        if self.judge is not None:
            return self.adversarial_loss(self.judge, sums, pixels, packet, quality)
        self.learn(coded, deep)
        painted = self.model.synthesise(sums, quality)
        error = (painted - pixels).square().mean((1, 2, 3))
        structure = self.structure(self.model.packet(painted), packet)
        strayed = coded.commitment / (3 * pixels[0, 0].numel())
        lost = self.lost_bits(coded.nodes, quality, deep, before, generator)
        rate = coded.bits / pixels[0, 0].numel()
        scale = error.detach() + 1.0
        loss = (error / scale + structure / (structure.detach() + 0.01) + COMMITMENT * strayed / scale).mean()
        loss = loss + ((coded.bits + lost) / (coded.bits.detach() + 50.0)).mean()
        value = (error + 1.0).log().mean() + (structure + 0.01).log().mean() + (rate + 0.002).log().mean()
        raw = (deep * torch.tensor([CROP * CROP / s.stride**2 for s in STAGES])).sum(1)
        scalars = {
            "bpp": rate.mean().item(),
            "of_raw": (coded.bits / raw).mean().item(),
            "psnr": (10 * (255**2 / error).log10()).mean().item(),
            "structure": structure.mean().item(),
            "revived": float(self.revived),
        }
        return loss + (value - loss).detach(), scalars

    def adversarial_loss(
        self, judge: Discriminator, sums: list[Tensor], pixels: Tensor, packet: Tensor, quality: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """The losses of synthesis network and discriminator in one."""
        painted = self.model.synthesise([part.detach() for part in sums], quality)
        error = (painted - pixels).square().mean((1, 2, 3))
        bands = self.model.packet(painted)
        structure, texture = self.structure(bands, packet), texture_loss(bands, packet)
        planes = [torch.einsum("ij,bjhw->bihw", self.model.axes, x - 128.0) for x in (painted, pixels)]
        judging, verdict, matching = adversarial_losses(judge, *planes)
        exact = (error / (error.detach() + 1.0) + structure / (structure.detach() + 0.01)).mean()
        exact = exact + TEXTURE * texture
        loss = exact + VERDICT * balance(exact, verdict, painted) * verdict
        loss = loss + MATCHING * balance(exact, matching, painted) * matching + judging
        scalars = {
            "psnr": (10 * (255**2 / error).log10()).mean().item(),
            "structure": structure.mean().item(),
            "texture": texture.item(),
            "judging": judging.item(),
            "verdict": verdict.item(),
            "matching": matching.item(),
        }
        return loss, scalars

    def qualities(self, count: int, generator: torch.Generator) -> Tensor:
        """Random qualities: half of them fill the stages up to a random one, the others are any."""
        anywhere = torch.randint(0, MAX_FINE + 1, (count,), generator=generator)
        stage = torch.randint(len(STAGES), (count,), generator=generator)
        full = torch.tensor([full_quality(int(s)) for s in stage])
        return torch.where(torch.rand(count, generator=generator) < 0.5, full, anywhere)

    def structure(self, painted: Tensor, packet: Tensor) -> Tensor:
        """(B,): error of packet bands relative to the energy of each cell, low bands aside, at two scales."""
        keep = [band for band in range(192) if band % 64]
        wrong = (painted - packet)[:, keep].square().mean(1, keepdim=True)
        there = packet[:, keep].square().mean(1, keepdim=True)
        ratio = (wrong / (there + STRUCTURE_FLOOR)).mean((1, 2, 3))
        low = packet[:, ::64]
        there = (low - F.avg_pool2d(low, 5, 1, 2, count_include_pad=False)).square().mean(1, keepdim=True)
        wrong = (painted[:, ::64] - low).square().mean(1, keepdim=True)
        return ratio + (wrong / (F.avg_pool2d(there, 3, 1, 1) + 64 * STRUCTURE_FLOOR)).mean((1, 2, 3))

    @torch.no_grad()
    def learn(self, coded: CodedNodes, deep: Tensor) -> None:
        """Move the words of stages that were coded in full."""
        for stage in range(len(STAGES)):
            rows = (deep[:, stage] == DEPTH).nonzero().squeeze(1)
            if len(rows):
                vectors = coded.vectors[stage][rows].permute(0, 2, 3, 1).flatten(0, 2)
                self.model.codebook(stage).learn(vectors, coded.nodes[stage][rows].flatten() - (1 << DEPTH))

    def lost_bits(
        self,
        nodes: list[Tensor],
        quality: Tensor,
        deep: Tensor,
        before: list[Tensor],
        generator: torch.Generator,
    ) -> Tensor:
        """Bits (B,) of one random stage's indices that are hidden from the prior, at a random rate of loss."""
        stage = int(torch.randint(len(STAGES), (1,), generator=generator))
        rows = (deep[:, stage] == DEPTH).nonzero().squeeze(1)
        bits = torch.zeros(len(quality))
        if len(rows) == 0:
            return bits
        whole = nodes[stage][rows]
        hidden_share = torch.rand(1, generator=generator)
        hide = torch.rand(whole.shape, generator=generator) < hidden_share
        prior = self.model.prior(stage)
        grid = whole.shape[1], whole.shape[2]
        earlier = self.model.earlier_embeddings(stage, [at[rows] for at in nodes[:stage]], grid)
        past = before[stage][rows] if before else torch.zeros_like(whole)
        features = prior.hidden(earlier, whole.masked_fill(hide, 0), past, quality[rows]).permute(0, 2, 3, 1)
        passed, turns = path(whole.flatten(), DEPTH)
        spent = bits_of(prior.logits(features.flatten(0, 2), passed), turns).sum(1).view(len(rows), -1)
        return bits.index_add(0, rows, (spent * hide.flatten(1)).sum(1))

    # -- training ----------------------------------------------------------------------------------------------------

    def groups(self) -> list[dict[str, Any]]:
        """Network matrices by Muon; vectors, the prior's convolutions, its tables and the judge by Adam."""
        networks = [*self.model.analysis.parameters(), *self.model.synthesis.parameters()]
        prior = list(self.model.priors.parameters())
        judge = [] if self.judge is None else list(self.judge.parameters())
        return [
            {"params": [p for p in networks if p.ndim == 4], "optimiser": "muon", "lr": 1e-3},
            {"params": [p for p in networks if p.ndim != 4], "optimiser": "adam", "lr": 1e-3},
            {"params": prior, "optimiser": "adam", "lr": 4e-3},
            {"params": judge, "optimiser": "adam", "lr": 5e-4},
        ]

    def after_step(self, step: int) -> None:
        for stage in range(len(STAGES)) if self.judge is None else ():
            self.model.prior(stage).project()
            if step % REVIVE_EVERY == 0:
                self.revived = self.model.codebook(stage).revive() + (self.revived if stage else 0)

    @torch.no_grad()
    def examine(self, samples: list[Tensor]) -> dict[str, float]:
        """Whole held-out pictures with the stages filled one after the other; and the words in use."""
        scalars: dict[str, float] = {}
        pictures = [sample[None].float() for sample in samples if sample.dim() == 3][:: len(samples) // EXAMINED + 1]
        for stage in range(len(STAGES)):
            quality = full_quality(stage)
            found = [self.reconstruct(pixels, quality) for pixels in pictures]
            scalars[f"bpp_{stage}"] = sum(rate for rate, *_ in found) / len(found)
            scalars[f"psnr_{stage}"] = sum(10 * math.log10(255**2 / error) for _, error, *_ in found) / len(found)
            scalars[f"structure_{stage}"] = sum(structure for _, _, structure, _ in found) / len(found)
            scalars[f"texture_{stage}"] = sum(texture for _, _, _, texture in found) / len(found)
            use = self.model.codebook(stage).use
            scalars[f"used_{stage}"] = float((use > DEAD * use.mean()).float().mean())
        return scalars

    def reconstruct(self, pixels: Tensor, quality: int) -> tuple[float, float, float, float]:
        """Bits per pixel, mean square error, structure and texture losses of one whole picture (1, 3, H, W)."""
        at = torch.tensor([quality])
        packet = self.model.packet(pixels)
        coded, sums = self.model.quantise(packet, at, torch.tensor([depths(quality)]))
        painted = self.model.synthesise(sums, at)
        error = (painted[:, :, : pixels.shape[2], : pixels.shape[3]] - pixels).square().mean()
        bands = self.model.packet(painted)
        structure, texture = self.structure(bands, packet), texture_loss(bands, packet)
        return float(coded.bits / pixels[0, 0].numel()), float(error), float(structure), float(texture)

    # -- weights -----------------------------------------------------------------------------------------------------

    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """See `vqgan_weights.exported`."""
        return exported(self.model, pictures_of(self.held_out) or pictures_of(samples))

    def restore(self, tensors: Tensors) -> None:
        """See `vqgan_weights.restore`."""
        restore(self.model, tensors)
