"""The prior of indices in training: the fixed-point networks that `index_prior` evaluates at work.

All numbers are integers with proven bounds (`fixed_point`).  Which neighbours are known is part of the input: the two
passes over a checkerboard use two patterns, and a network that was trained with random patterns as well fills in
indices that were lost (Chang et al., "MaskGIT", 2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..prior.fixed_point import (
    ACCUMULATOR_LIMIT,
    FixedConv2d,
    QualityTable,
    bound,
    project,
    requantise,
    ste_round,
)
from .context import WINDOW
from .index_prior import (
    ACTIVATION_MAX,
    EMBEDDING,
    EMBEDDING_BITS,
    EMBEDDING_MAX,
    LOGIT_SHIFT,
    LOGITS,
    PER_UNIT,
    SHIFT,
    WEIGHT_BITS,
)
from .stages import DEPTH, NODES


class IntegerTable(nn.Module):
    """Rows of integers of 1 / 2**bits, each entry at most `limit`."""

    def __init__(self, rows: int, size: int, bits: int, limit: int, spread: float) -> None:
        super().__init__()
        self.bits, self.limit, self.frozen = bits, limit, False
        self.weight = nn.Parameter(torch.randn(rows, size) * spread)

    def forward(self) -> Tensor:
        """All rows, integers as float32 (rows, size)."""
        return self.weight if self.frozen else ste_round(self.weight * 2.0**self.bits).clamp(-self.limit, self.limit)

    @torch.no_grad()
    def freeze(self) -> None:
        if not self.frozen:
            self.weight.copy_(self())
            self.weight.requires_grad_(False)
            self.frozen = True


class StagePrior(nn.Module):
    """The prior of one stage, given the nodes of `earlier` stages."""

    def __init__(self, earlier: int, hidden: int) -> None:
        super().__init__()
        self.earlier = earlier
        self.own = IntegerTable(NODES, EMBEDDING, EMBEDDING_BITS, EMBEDDING_MAX, 0.5)  # for neighbours, later stages
        self.context = FixedConv2d(EMBEDDING * (earlier + 2) + 2, hidden, WINDOW, WEIGHT_BITS)
        self.bias = QualityTable(hidden, EMBEDDING_BITS + WEIGHT_BITS)
        self.mix = FixedConv2d(hidden, hidden, 1, WEIGHT_BITS)
        self.heads = IntegerTable(1 << DEPTH, hidden + 1, WEIGHT_BITS, EMBEDDING_MAX, 0.02)  # the last is the bias's

    def embed(self, nodes: Tensor) -> Tensor:
        """Nodes (B, h, w), 0 for none -> (B, EMBEDDING, h, w)."""
        known: Tensor = (nodes > 0)[:, None]
        return F.embedding(nodes, self.own()).permute(0, 3, 1, 2) * known

    def hidden(self, earlier: Sequence[Tensor], known: Tensor, before: Tensor, quality: Tensor) -> Tensor:
        """Hidden vectors (B, hidden + 1, h, w), integers 0..ACTIVATION_MAX.

        earlier   embeddings of the earlier stages on this grid
        known     (B, h, w) nodes of this stage, 0 where unknown
        before    (B, h, w) nodes of this stage in the previous frame, 0 where there is none
        quality   (B,)
        """
        flags = [(nodes > 0)[:, None].float() * EMBEDDING_MAX for nodes in (known, before)]
        inputs = torch.cat([*earlier, self.embed(known), self.embed(before), *flags], 1)
        first = requantise(self.context(inputs) + self.bias(quality), SHIFT)
        second = requantise(self.mix(first), SHIFT)
        return torch.cat([second, torch.full_like(second[:, :1], ACTIVATION_MAX)], 1)

    def logits(self, hidden: Tensor, nodes: Tensor) -> Tensor:
        """Logits in eighths, integers, of turning right at `nodes` (n, ...) for hidden vectors (n, hidden + 1)."""
        heads = F.embedding(nodes, self.heads())
        shape = (len(nodes),) + (1,) * (nodes.dim() - 1) + (-1,)
        return quantised((heads * hidden.view(shape)).sum(-1))

    def all_logits(self, hidden: Tensor) -> Tensor:
        """The same at every inner node: (n, 2**DEPTH), entry 0 unused."""
        return quantised(hidden @ self.heads().T)

    # -- bounds ------------------------------------------------------------------------------------------------------

    def _sums(self) -> list[tuple[list[tuple[FixedConv2d, int]], QualityTable | None]]:
        return [([(self.context, EMBEDDING_MAX)], self.bias), ([(self.mix, ACTIVATION_MAX)], None)]

    @torch.no_grad()
    def project(self) -> None:
        """Keep every accumulator below its limit; called after every optimiser step."""
        for convs, bias in self._sums():
            project(convs, bias)
        mass = self.heads.weight.abs().sum(1, keepdim=True) * (ACTIVATION_MAX << WEIGHT_BITS)
        self.heads.weight.mul_((0.9 * ACCUMULATOR_LIMIT / mass.clamp(min=1.0)).clamp(max=1.0))

    @torch.no_grad()
    def largest_accumulator(self) -> float:
        heads = float(self.heads().abs().sum(1).max()) * ACTIVATION_MAX
        return max(heads, *(float(bound(convs, bias).max()) for convs, bias in self._sums()))

    def freeze(self) -> None:
        """Turn every weight into its integer."""
        for module in self.modules():
            if isinstance(module, FixedConv2d | QualityTable | IntegerTable):
                module.freeze()


def quantised(accumulator: Tensor) -> Tensor:
    """Accumulators -> integer logits -LOGITS..LOGITS; the gradient passes through."""
    return ste_round(accumulator * 2.0**-LOGIT_SHIFT).clamp(-LOGITS, LOGITS)


def bits_of(logit: Tensor, right: Tensor) -> Tensor:
    """Bits of turning right (1) or left (0) at a node with this logit in eighths."""
    return F.softplus((1 - 2 * right) * logit / PER_UNIT) / math.log(2.0)


def path(nodes: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """Nodes (n, ...) of a depth -> the `depth` nodes passed on the way and the turns taken: (n, ..., depth)."""
    shifts = torch.arange(depth, 0, -1)
    passed = nodes[..., None] >> shifts
    return passed, (nodes[..., None] >> (shifts - 1) & 1).float()
