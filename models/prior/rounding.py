"""Rate-distortion rounding along a prior's walk, for batches in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .bands import BandPrior, SliceNetwork, hard, interpolated_bits, parity_mask
from .fitted import cost_table, initial_pmf, lookup, refit
from .ladder import RUNGS, TABLE_REACH, TABLES


class LadderFit(nn.Module):
    """A ladder while it is fitted: probabilities of its tables, what fell on each, costs in bits of every rung.

    initial: probabilities (n, TABLE_REACH + 2) to begin with; tables (TABLES,): the table of each narrow rung.  Without
    them, those of `prior.ladder`.
    """

    pmf: Tensor
    counts: Tensor
    costs: Tensor
    initial: Tensor
    tables: Tensor

    def __init__(self, initial: Tensor | None = None, tables: Tensor | None = None) -> None:
        super().__init__()
        initial = initial_pmf() if initial is None else initial
        tables = torch.arange(TABLES) if tables is None else tables.long()
        self.register_buffer("initial", initial, persistent=False)
        self.register_buffer("tables", tables, persistent=False)
        self.register_buffer("pmf", initial.clone())
        self.register_buffer("counts", torch.zeros_like(initial))
        self.register_buffer("costs", cost_table(initial[tables]))

    @torch.no_grad()
    def count(self, values: Tensor, rungs: Tensor) -> None:
        """Take symbols into the histograms that the tables are fitted to."""
        self.add(histogram(values, hard(rungs), RUNGS))

    def add(self, found: Tensor) -> None:
        """Take symbols that are counted, see `histogram`: (RUNGS, TABLE_REACH + 2)."""
        self.counts.index_add_(0, self.tables, found[:TABLES].double())

    @torch.no_grad()
    def refit(self, decay: float = 0.9) -> None:
        """Fit the tables to what fell on them; older counts fade."""
        self.pmf.copy_(refit(self.counts, self.initial))
        self.counts.mul_(decay)
        self.costs.copy_(cost_table(self.pmf[self.tables]))


def histogram(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """How often |v| = 0..TABLE_REACH, or more, fell on each of `count` rows (int64), (count, TABLE_REACH + 2)."""
    flat = rows.flatten() * (TABLE_REACH + 2) + values.abs().clamp(max=TABLE_REACH + 1).long().flatten()
    return torch.bincount(flat, minlength=count * (TABLE_REACH + 2)).view(count, -1)


@dataclass
class Rounded:
    """Integers and rungs of every level but the low one, packet first, the low band, and bits (B,)."""

    levels: list[Tensor]
    rungs: list[Tensor]
    low: Tensor
    bits: Tensor


def round_along(
    prior: BandPrior,
    costs: Tensor,
    scaled: Sequence[Tensor],
    low: Tensor,
    quality: Tensor,
    *,
    weight: float,
    gray_slices: int,
    hints: Sequence[Tensor] | None = None,
) -> Rounded:
    """Round bands in quantisation steps: scaled packet (B, n, h, w), then details fine to coarse; low (B, 3, ., .)."""
    kept: dict[tuple[int, int], list[Tensor]] = {}
    spent: list[Tensor] = []

    def code(level: int, part: SliceNetwork, parity: int, rung: Tensor) -> Tensor:
        y = scaled[level][:, part.start : part.start + part.count]
        mask = parity_mask(y.shape[2], y.shape[3], y.device) == (parity == 0)
        q = round_cheaply(y, hard(rung), costs, weight)
        spent.append((interpolated_bits(costs, rung, q.abs()) * mask).sum((1, 2, 3)))
        kept.setdefault((level, part.start), []).append(rung * mask)
        return q * mask

    low = torch.floor(low + 0.5)
    sizes = [(plane.shape[2], plane.shape[3]) for plane in scaled]
    spent.append(interpolated_bits(costs, prior.low_rungs(quality, sizes[-1]), low.abs()).sum((1, 2, 3)))
    details, packet = prior.walk(quality, sizes, code, 3, gray_slices, hints)
    owners = [prior.packet, *(prior.pyramid for _ in details)]
    rungs = [
        torch.cat([torch.stack(kept[level, part.start]).sum(0) for part in owner.parts()], 1)
        for level, owner in enumerate(owners)
    ]
    return Rounded([packet, *details], rungs, low, torch.stack(spent).sum(0))


def round_cheaply(y: Tensor, rung: Tensor, costs: Tensor, weight: float) -> Tensor:
    """The nearest integer, or the next one towards zero where it saves bits worth more than its error."""
    nearest = torch.floor(y.abs() + 0.5)
    smaller = (nearest - 1).clamp(min=0)
    saved = lookup(costs, rung, nearest) - lookup(costs, rung, smaller)
    worse = (y.abs() - smaller).square() - (y.abs() - nearest).square()
    return torch.where(weight * saved > worse, smaller, nearest) * y.sign()
