"""Model of family `vqgan` in training: a wavelet transform and networks around five codebooks, coarse to fine.

    RGB -> colour axes, packet bands at 1/8 (as family `wavelet`) -> low band through two more dyadic levels
        -> vectors of each stage (`stages`), moved by the analysis network -> nearest words, weighed against their bits
    words -> bands -> moved by the synthesis network -> RGB

The words are sums over stages and scales as in McQuic (Zhu et al., CVPR 2022) and VAR (Tian et al., 2024).  Networks
are zero-initialised, so training starts from vector quantisation of wavelet coefficients, whose squared distance is
nearly the squared error of pixels.  `painting`, `choice` and `walk` do the same in integers, for coding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..networks.precision import multiplies_bf16
from ..networks.synthesis import SynthesisNetwork
from ..prior.bands import parity_mask
from ..transform import packet as wp
from ..transform.bands import CELL, LEVELS
from ..transform.gains import colour_matrix
from .codebook import TreeCodebook
from .prior import StagePrior, bits_of, path
from .stages import CORRECTION, FINE_BANDS, FINE_SIZE, LOW_SIZE, RATE_WEIGHT, STAGES
from .words import COMPANDED, LOW_UNIT

CANDIDATES = 24  # so many nearest words are weighed against their bits


@dataclass
class CodedNodes:
    """nodes: int64 (B, h, w) of every stage, 0 where it is absent."""

    nodes: list[Tensor]
    bits: Tensor  # (B,)
    vectors: list[Tensor]  # what each stage was given to code (B, size, h, w)
    commitment: Tensor  # (B,) squared distance of vectors to their words, over all cells


class VqganModel(nn.Module):
    """Transform, networks, codebooks and prior."""

    axes: Tensor
    fine: Tensor
    slopes: Tensor  # squared error that a further bit per vector of each stage would save

    def __init__(self, width: int = 128, blocks: int = 8, encoder_width: int = 96, hidden: int = 64) -> None:
        super().__init__()
        self.options = {"width": width, "blocks": blocks, "encoder_width": encoder_width, "hidden": hidden}
        self.bf16 = False
        self.register_buffer("axes", colour_matrix(), persistent=False)
        self.register_buffer("fine", torch.tensor(FINE_BANDS), persistent=False)
        self.register_buffer("slopes", torch.ones(len(STAGES)))
        self.analysis = SynthesisNetwork(192, FINE_SIZE + 2 * LOW_SIZE, encoder_width, 3)
        self.synthesis = SynthesisNetwork(6 + FINE_SIZE + 2 * LOW_SIZE, 192, width, blocks)
        self.codebooks = nn.ModuleList(TreeCodebook(stage.size) for stage in STAGES)
        self.priors = nn.ModuleList(StagePrior(at, hidden) for at in range(len(STAGES)))

    def codebook(self, stage: int) -> TreeCodebook:
        found = self.codebooks[stage]
        assert isinstance(found, TreeCodebook)
        return found

    def prior(self, stage: int) -> StagePrior:
        found = self.priors[stage]
        assert isinstance(found, StagePrior)
        return found

    # -- transform ---------------------------------------------------------------------------------------------------

    def packet(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in 0..255, any size -> packet bands (B, 192, h, w) at 1/8."""
        x = wp.pad_to(torch.einsum("ij,bjhw->bihw", self.axes, pixels - 128.0), CELL)
        return wp.packet(x, LEVELS).flatten(1, 2)

    def to_pixels(self, packet: Tensor) -> Tensor:
        """The inverse of `packet`: (B, 3, 8h, 8w)."""
        return torch.einsum("ij,bihw->bjhw", self.axes, wp.unpacket(packet.unflatten(1, (3, 64)))) + 128.0

    def run(self, network: SynthesisNetwork, x: Tensor, quality: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and multiplies_bf16(x.device.type)):
            answer: Tensor = network(x.contiguous(memory_format=torch.channels_last), quality).float()
        return answer * float(CORRECTION)

    def analyse(self, packet: Tensor, quality: Tensor) -> list[Tensor]:
        """Targets of the grids 1/32, 1/16 and 1/8: (B, 12, ., .), (B, 12, ., .), (B, 24, h, w)."""
        details, _ = wp.pyramid(packet[:, ::64], 2)
        low8 = packet[:, ::64]
        low16 = wp.analyse(wp.pad_even(low8))[:, :, 0]
        low32 = wp.analyse(wp.pad_even(low16))[:, :, 0]
        moved = self.run(self.analysis, compand(packet), quality)
        fine, middle, coarse = moved.split((FINE_SIZE, LOW_SIZE, LOW_SIZE), 1)
        middle = F.avg_pool2d(middle, 2, ceil_mode=True)
        coarse = F.avg_pool2d(coarse, 4, ceil_mode=True)
        return [
            torch.cat([low32, details[1]], 1) + coarse,
            torch.cat([low16, details[0]], 1) + middle,
            torch.cat([low8, packet[:, self.fine]], 1) + fine,
        ]

    def described(self, sums: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Sums of words on the three grids -> packet bands (B, 192, h, w), and what the synthesis network reads."""
        coarse, middle, fine = sums
        low16 = merged(coarse, middle.shape[2:])
        low8 = merged(added(middle, low16), fine.shape[2:])
        plain = fine.new_zeros(fine.shape[0], 192, *fine.shape[2:])
        plain[:, ::64] = low8 + fine[:, :3]
        plain[:, self.fine] = fine[:, 3:]
        h, w = fine.shape[2:]
        low = plain[:, ::64]
        smooth = F.avg_pool2d(low, 3, 1, 1, count_include_pad=False)
        words = [compand(low - smooth), low / LOW_UNIT, compand(fine)]
        words += [compand(enlarged(part, times)[:, :, :h, :w]) for part, times in ((middle, 2), (coarse, 4))]
        return plain, torch.cat(words, 1)

    def synthesise(self, sums: list[Tensor], quality: Tensor) -> Tensor:
        """Sums of words on the three grids -> pixels (B, 3, 8h, 8w), float, not clipped."""
        plain, words = self.described(sums)
        return self.to_pixels(plain + self.run(self.synthesis, words, quality))

    def words(self, stage: int, nodes: Tensor) -> Tensor:
        """Words (B, size, h, w) of nodes (B, h, w); no node counts as zero."""
        return F.embedding(nodes, self.codebook(stage).nodes).permute(0, 3, 1, 2)

    def sums(self, nodes: list[Tensor]) -> list[Tensor]:
        """Words of the nodes of every stage, see `summed`."""
        return summed([self.words(stage, at) for stage, at in enumerate(nodes)])

    # -- indices -----------------------------------------------------------------------------------------------------

    def earlier_embeddings(self, stage: int, nodes: list[Tensor], grid: tuple[int, int]) -> list[Tensor]:
        """Inputs of a stage's prior from the stages before it: their embeddings on its grid."""
        parts = []
        for at in range(stage):
            times = STAGES[at].stride // STAGES[stage].stride
            parts.append(enlarged(self.prior(at).embed(nodes[at]), times)[:, :, : grid[0], : grid[1]])
        return parts

    def quantise(
        self,
        packet: Tensor,
        quality: Tensor,
        deep: Tensor,
        before: list[Tensor] | None = None,
        weight: float = RATE_WEIGHT,
    ) -> tuple[CodedNodes, list[Tensor]]:
        """Words of packet bands (B, 192, h, w), weighed against their bits, and their sums, as `synthesise` takes them.

        deep      (B, stages) bits per vector of each stage
        before    nodes of the previous frame
        The gradient passes from the sums to the vectors; the bits' gradient reaches the prior.
        """
        targets = self.analyse(packet, quality)
        price = weight * (self.slopes * (deep > 0)).masked_fill(deep == 0, torch.inf).amin(1)
        coded = CodedNodes([], packet.new_zeros(len(packet)), [], packet.new_zeros(len(packet)))
        sums: list[Tensor] = []
        grid, rest = -1, targets[0]
        for stage, spec in enumerate(STAGES):
            if stage == 0 or STAGES[stage - 1].stride != spec.stride:
                grid += 1
                rest = targets[grid]
                if grid:
                    rest = reduced(rest, merged(self.carried(sums, grid - 1), rest.shape[2:]))
                sums.append(torch.zeros_like(rest))
            nodes, bits = self.choose(stage, rest, coded.nodes, quality, deep[:, stage], price, before)
            coded.vectors.append(rest.detach())
            words = self.words(stage, nodes)
            present = (deep[:, stage] > 0).view(-1, 1, 1, 1)
            coded.commitment = coded.commitment + ((rest - words) * present).square().sum((1, 2, 3))
            passed = (rest + (words - rest).detach()) * present
            sums[-1] = sums[-1] + passed
            rest = rest - passed
            coded.nodes.append(nodes)
            coded.bits = coded.bits + bits
        return coded, sums

    def carried(self, sums: list[Tensor], grid: int) -> Tensor:
        """The sum of a grid with what coarser grids say about its low band."""
        return sums[0] if grid == 0 else added(sums[1], merged(sums[0], sums[1].shape[2:]))

    def choose(
        self,
        stage: int,
        x: Tensor,
        coded: list[Tensor],
        quality: Tensor,
        deep: Tensor,
        price: Tensor,
        before: list[Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """Nodes (B, h, w) of vectors x (B, size, h, w), and bits (B,): two passes over a checkerboard."""
        batch, _, h, w = x.shape
        nodes = torch.zeros(batch, h, w, dtype=torch.int64)
        bits = x.new_zeros(batch)
        if not bool((deep > 0).any()):
            return nodes, bits
        vectors = x.detach().permute(0, 2, 3, 1)
        earlier = self.earlier_embeddings(stage, coded, (h, w))
        past = torch.zeros_like(nodes) if before is None else before[stage]
        prior, mask = self.prior(stage), parity_mask(h, w, x.device)
        for parity in (True, False):
            cells = (mask == parity).flatten().nonzero().squeeze(1)
            if len(cells) == 0:
                continue
            hidden = prior.hidden(earlier, nodes, past, quality).flatten(2)[:, :, cells].transpose(1, 2)
            for depth in deep[deep > 0].unique().tolist():
                rows = (deep == depth).nonzero().squeeze(1)
                at, features = vectors[rows].flatten(1, 2)[:, cells].flatten(0, 1), hidden[rows].flatten(0, 1)
                costs = price[rows].repeat_interleave(len(cells))[:, None]
                chosen = self.nearest(stage, at, features.detach(), depth, costs)
                passed, turns = path(chosen, depth)
                spent = bits_of(prior.logits(features, passed), turns).sum(1).view(len(rows), -1).sum(1)
                bits = bits.index_add(0, rows, spent)
                flat = nodes.flatten(1).clone()  # the graph keeps the old ones
                flat[rows[:, None], cells] = chosen.view(len(rows), -1)
                nodes = flat.view(batch, h, w)
        return nodes, bits

    @torch.no_grad()
    def nearest(self, stage: int, x: Tensor, hidden: Tensor, depth: int, price: Tensor) -> Tensor:
        """Nodes (n,) of a depth for vectors x (n, size): the least squared distance plus price (n, 1) times bits."""
        far = self.codebook(stage).distances(x, depth)
        near, ids = far.topk(min(CANDIDATES, far.shape[1]), dim=1, largest=False)
        nodes = ids + (1 << depth)
        passed, turns = path(nodes, depth)
        logits = self.prior(stage).all_logits(hidden)
        bits = bits_of(logits.gather(1, passed.flatten(1)).view(passed.shape), turns).sum(2)
        best = (near + price * bits).argmin(1, keepdim=True)
        return nodes.gather(1, best).squeeze(1)


def summed(words: list[Tensor]) -> list[Tensor]:
    """Words (B, size, h, w) of every stage, added up on each of the three grids: what `synthesise` takes."""
    sums: list[Tensor] = []
    for stage, part in enumerate(words):
        if stage and STAGES[stage - 1].stride == STAGES[stage].stride:
            sums[-1] = sums[-1] + part
        else:
            sums.append(part)
    return sums


def compand(x: Tensor) -> Tensor:
    return x.sign() * torch.log1p(x.abs() / COMPANDED)


def merged(bands: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Low band and details (B, 12, h, w) -> the finer low band (B, 3, *size)."""
    whole = torch.cat([bands[:, :3].unsqueeze(2), bands[:, 3:].unflatten(1, (3, 3))], 2)
    return wp.synthesise(whole)[:, :, : size[0], : size[1]]


def added(bands: Tensor, low: Tensor) -> Tensor:
    """Bands with `low` (B, 3, h, w) added to their first three."""
    return torch.cat([bands[:, :3] + low, bands[:, 3:]], 1)


def reduced(bands: Tensor, low: Tensor) -> Tensor:
    return added(bands, -low)


def enlarged(x: Tensor, times: int) -> Tensor:
    return x.repeat_interleave(times, 2).repeat_interleave(times, 3) if times > 1 else x
