"""The dyadic pyramid with its prior in training: transform in floats, bits of coded values, export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..prior.bands import hard, interpolated_bits
from ..prior.dyadic_bands import OWN, DyadicPrior, DyadicSlice, parted
from ..prior.fitted import initial_odd_pmf, magnitude_tables
from ..prior.fixed_point import ACCUMULATOR_LIMIT
from ..prior.ladder import FIRST_SCALE, PER_OCTAVE, RUNGS
from ..prior.quantisers import ODD_TABLE_OF
from ..prior.rounding import LadderFit, histogram
from ..prior.signs import LOGITS_PER_ANSWER, SIGN_TABLES
from ..transform import packet as wp
from ..transform.bands import LARGEST_STEP, LOW_GAIN, pyramid_sizes
from ..transform.dyadic import DEPTH
from ..transform.gains import colour_matrix, dyadic_gains, step_size
from ..transform.lifted import UNITS
from ..transform.steps import HINT_GAIN, STEP_BITS
from .exporting import Tensors, prefixed, prior_tensors

SIGN_PRIOR = 4.0  # pseudo-counts of each sign on every table


def step_bases() -> Tensor:
    """Lifted-domain steps at fine quality 0, see `transform.dyadic.DyadicSteps`: int64 (DEPTH + 1, 3)."""
    details, low = dyadic_gains()
    powers = LOW_GAIN ** (2 * torch.arange(DEPTH + 1, dtype=torch.float64))[:, None] / UNITS
    bands = torch.tensor([1.0, 1.0, LOW_GAIN**-2], dtype=torch.float64)
    factors = torch.cat([details * bands * powers[:DEPTH], (low * powers[DEPTH]).expand(1, 3)])
    steps: Tensor = (LARGEST_STEP / factors * 2**STEP_BITS).round().to(torch.int64)
    return steps


class SignFit(nn.Module):
    """What signs fell on every table, (SIGN_TABLES, 2): v > 0, v < 0."""

    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(SIGN_TABLES, 2, dtype=torch.float64))

    @torch.no_grad()
    def count(self, values: Tensor, logits: Tensor) -> None:
        """Take the signs of values other than 0."""
        at = values != 0
        tables = torch.floor(logits[at] * LOGITS_PER_ANSWER).long() + SIGN_TABLES // 2
        column = (values[at] < 0).long()
        flat = tables.clamp(0, SIGN_TABLES - 1) * 2 + column
        self.counts += torch.bincount(flat, minlength=2 * SIGN_TABLES).view(-1, 2)

    def fitted(self) -> Tensor:
        """Counts that no table lacks: where few signs fell, what its logits say."""
        middles = (torch.arange(SIGN_TABLES) - SIGN_TABLES / 2 + 0.5) / LOGITS_PER_ANSWER
        positive = torch.sigmoid(middles.double())
        return self.counts + SIGN_PRIOR * torch.stack([positive, 1 - positive], 1)


@dataclass
class CodedPyramids:
    """Pyramids as they are coded.

    values (B, 9, ., .) of each level, finest first; odd: which of them have the odd quantiser; low (B, 3, ., .).
    """

    values: list[Tensor]
    odd: list[Tensor]
    low: Tensor

    def details(self, level: int) -> Tensor:
        """What the values of a level stand for, in steps; the finest level is number 0."""
        values = self.values[level]
        return values - 0.5 * values.sign() * self.odd[level]


class DyadicModel(nn.Module):
    """Transform and prior."""

    axes: Tensor
    gains: Tensor
    low_gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        gains, low_gain = dyadic_gains()
        self.register_buffer("axes", colour_matrix(), persistent=False)
        self.register_buffer("gains", gains.float().repeat(1, 3).view(DEPTH, 1, 9, 1, 1), persistent=False)
        self.register_buffer("low_gain", low_gain.float(), persistent=False)
        self.prior, self.signs = DyadicPrior(), SignFit()
        self.ladder, self.odd = LadderFit(), LadderFit(initial_odd_pmf(), torch.from_numpy(ODD_TABLE_OF))

    def analyse(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """Pixels (B, 3, H, W) in 0..255 -> details, finest first, and low band, at unit synthesis gain."""
        details, low = wp.pyramid(torch.einsum("ij,bjhw->bihw", self.axes, pixels - 128.0), DEPTH)
        return [d * g for d, g in zip(details, self.gains, strict=True)], low * self.low_gain

    def bits(self, coded: CodedPyramids, quality: Tensor, size: tuple[int, int]) -> Tensor:
        """What pyramids of planes of `size` take, as the prior's walk says: (B,)."""
        sizes = pyramid_sizes(*size, DEPTH)
        step = step_size(quality)[:, None, None, None]
        costs = torch.cat([self.ladder.costs, self.odd.costs])
        rungs = self.prior.low_rungs(quality, coded.low.shape[2:])
        spent = [interpolated_bits(self.ladder.costs, rungs, coded.low.abs()).sum((1, 2, 3))]
        plane = coded.low * step / self.low_gain

        def differences(level: int, above: Tensor | None) -> Tensor:
            nonlocal plane
            if above is not None:
                plane = self.merged(plane, coded.details(level) * step, level + 1, sizes[level])
            near = F.avg_pool2d(F.pad(plane, (1, 1, 1, 1), mode="replicate"), 3, 1)
            return torch.trunc((plane - near) * (self.gains[level - 1, 0, 0] * HINT_GAIN / step))

        def code(level: int, part: DyadicSlice, parity: int, rung: Tensor, logit: Tensor) -> Tensor:
            bands = slice(part.start, part.start + part.count)
            planes = coded.values[level - 1][:, bands], coded.odd[level - 1][:, bands]
            q, odd = (parted(plane)[parity] for plane in planes)
            other = odd * RUNGS  # rows of costs, see above
            bits = interpolated_bits(costs, rung, q.abs(), other)  # with a bit for each sign
            signs = (F.softplus(-q.sign() * logit) / torch.log(torch.tensor(2.0)) - 1) * (q != 0)
            spent.append((bits + signs).sum((1, 2)))
            counts = histogram(q, hard(rung) + other, 2 * RUNGS)
            for ladder, found in zip((self.ladder, self.odd), counts.split(RUNGS), strict=True):
                ladder.add(found)
            self.signs.count(q, logit)
            return q

        self.prior.walk(quality, differences, code)
        return torch.stack(spent).sum(0)

    @torch.no_grad()
    def merged(self, low: Tensor, details: Tensor, level: int, size: tuple[int, int]) -> Tensor:
        """The plane that a level's low plane and details make, (B, 3, *size)."""
        bands = torch.cat([low.unsqueeze(2), (details / self.gains[level - 1]).unflatten(1, (3, 3))], 2)
        return wp.synthesise(bands)[:, :, : size[0], : size[1]]

    # -- training ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, images: list[Tensor]) -> None:
        """Set the rungs that the prior answers without context from the mean magnitudes of `images` (3, H, W) uint8."""
        means: list[list[Tensor]] = []
        for image in images:
            details, low = self.analyse(image[None].float())
            means.append([plane.abs().mean((0, 2, 3)) for plane in (*details, low)])
        *totals, low = (torch.stack(planes).mean(0) for planes in zip(*means, strict=True))
        anchors = torch.arange(self.prior.low.ANCHORS) * self.prior.low.SPACING
        steps = step_size(anchors)[:, None]

        def rungs(scale: Tensor) -> Tensor:
            return (scale[None] / steps / FIRST_SCALE).log2().clamp(min=0.0) * PER_OCTAVE

        self.prior.low.weight.copy_(rungs(low))
        for number in range(OWN + 1):
            owner, _ = self.prior.owner(number + 1)
            scale = totals[number] if number < OWN else torch.stack(totals[OWN:]).mean(0)
            for part in owner.parts():
                for bias in part.biases.parameters():
                    bias[:, : part.count] = rungs(scale[part.start : part.start + part.count]) - 4.0

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by optimiser."""
        convs = [p for p in self.prior.parameters() if p.ndim == 4]
        tables = [p for p in self.prior.parameters() if p.ndim == 2]
        return [
            {"params": convs, "optimiser": "adam", "lr": 4e-3},
            {"params": tables, "optimiser": "adam", "lr": 3e-2},
        ]

    # -- export ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def freeze(self) -> int:
        """Turn the prior into its integers: the proven bound of its accumulators, ValueError where it is passed."""
        self.prior.freeze()
        bound = self.prior.largest_accumulator()
        if bound >= ACCUMULATOR_LIMIT:
            raise ValueError(f"an accumulator of the prior can reach {bound:.0f}, the limit is {ACCUMULATOR_LIMIT}")
        return int(bound)

    def tensors(self) -> Tensors:
        """The weights file's part: the prior's integers and steps as "dyadic", and its tables."""
        prior = prior_tensors(self.prior) | {"steps": step_bases()}
        return prefixed("dyadic", prior) | magnitude_tables(self.ladder.pmf, self.signs.fitted(), self.odd.pmf)
