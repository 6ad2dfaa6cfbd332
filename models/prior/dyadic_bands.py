"""The context model of a dyadic pyramid from full size, in training: which table codes each coefficient and its sign.

    low band               a rung per axis and quality
    levels, coarse to fine   context: magnitudes of the next coarser details, the low plane of the level's own size
                             less its surroundings, and every slice already coded

The low plane of a level is known before its details are: it is made of everything coarser.  Each level is coded in the
slices of `transform.dyadic`, each slice in two passes over a checkerboard, as in `bands`.  A pass answers with a rung
of the ladder for |v| and with a logit that says how likely v > 0 is.  Levels 1 to 3 have networks of their own, the
coarser ones share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..transform.dyadic import DEPTH, GRAY_SLICES, SLICES
from .bands import (
    ACTIVATION_SHIFT,
    ANSWER_SHIFT,
    CONTEXT_BITS,
    FEATURE_BITS,
    FEATURE_MAX,
    HEAD_BITS,
    Sums,
    clip_rung,
    features,
)
from .fixed_point import ACTIVATION_MAX, FixedConv2d, QualityTable, bound, project, requantise

OWN = 3  # levels with networks of their own
HIDDEN, VIEW = (32, 48, 64, 48), (16, 24, 32, 24)  # of levels 1, 2, 3 and of the coarser ones
VIEW_SHIFT = 8  # views in 1/16 of an octave, after weights of 1/256 of hidden channels of 1/16
NEAR_BITS = 9
LOGIT_UNIT = 0.25  # logits of a unit of the answers; larger than rungs, so that they learn as fast

# code(slice, parity, rung, logit) -> the slice's integers; all of that parity's cells as `parted` orders them
CodePass = Callable[["DyadicSlice", int, Tensor, Tensor], Tensor]


def parted(x: Tensor) -> tuple[Tensor, Tensor]:
    """The cells of the first pass over a checkerboard, and those of the second: (B, channels, cells) each."""
    first, second = _Parted.apply(x)  # type: ignore[no-untyped-call]
    return first, second


def joined(first: Tensor | None, second: Tensor | None, height: int, width: int) -> Tensor:
    """The inverse, with zeros for what is None: (B, channels, height, width); it passes no gradients."""
    given = first if first is not None else second
    assert given is not None
    found = given.new_zeros(*given.shape[:2], height, width)
    for parity, part in enumerate((first, second)):
        if part is not None:
            upper, lower = _rows(found, parity)
            even, odd = part.split((upper.shape[2] * upper.shape[3], lower.shape[2] * lower.shape[3]), 2)
            upper.copy_(even.reshape(upper.shape))
            lower.copy_(odd.reshape(lower.shape))
    return found


def _rows(x: Tensor, parity: int) -> tuple[Tensor, Tensor]:
    """A pass's cells in even rows, and in odd ones."""
    return x[:, :, 0::2, parity::2], x[:, :, 1::2, 1 - parity :: 2]


class _Parted(torch.autograd.Function):
    """One function, since the gradients of strided parts are whole planes of zeros otherwise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.size = x.shape[2:]
        first, second = (torch.cat([rows.flatten(2) for rows in _rows(x, parity)], 2) for parity in (0, 1))
        return first, second

    @staticmethod
    def backward(ctx: Any, first: Tensor | None, second: Tensor | None) -> Tensor:
        return joined(first, second, *ctx.size)


def signed(q: Tensor) -> Tensor:
    """Integers -> their features with their signs, then without: (B, 2 * channels, h, w)."""
    magnitudes = features(q)
    return torch.cat([magnitudes * q.sign(), magnitudes], 1)


class DyadicSlice(nn.Module):
    """The networks of one slice of `count` channels, the first of them channel `start` of its level."""

    def __init__(self, hidden: int, view: int, count: int, start: int, last: bool) -> None:
        super().__init__()
        self.count, self.start = count, start
        self.view = nn.ModuleList(FixedConv2d(hidden, view, 1, CONTEXT_BITS) for _ in range(2))
        self.near = FixedConv2d(2 * count, view, 5, NEAR_BITS, gain=0.5)
        self.heads = nn.ModuleList(FixedConv2d(view, 2 * count, 1, HEAD_BITS, gain=0.1) for _ in range(2))
        self.biases = nn.ModuleList(QualityTable(2 * count, ANSWER_SHIFT) for _ in range(2))
        self.views = nn.ModuleList(QualityTable(view, 4 + VIEW_SHIFT) for _ in range(2))
        self.context = None if last else FixedConv2d(2 * count, hidden, 3, CONTEXT_BITS, gain=0.5)

    def answer(self, parity: int, hidden: Tensor, quality: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rungs and logits of a pass's cells, (B, count, cells) each.

        hidden (B, ., cells) there; seen: what the first pass gave, (B, count, h, w), for the second one.
        """
        total = self.view[parity](hidden[..., None]) + self.views[parity](quality)
        if seen is not None:
            total = total + parted(self.near(signed(seen)))[1][..., None]
        answers = self.heads[parity](requantise(total, VIEW_SHIFT)) + self.biases[parity](quality)
        answers = answers[..., 0] * 2.0**-ANSWER_SHIFT
        return clip_rung(answers[:, : self.count]), answers[:, self.count :] * LOGIT_UNIT

    def sums(self) -> Sums:
        """Every accumulator of the slice's networks."""
        found: Sums = []
        for parity, (view, head) in enumerate(zip(self.view, self.heads, strict=True)):
            near = [(self.near, FEATURE_MAX)] if parity else []
            assert isinstance(view, FixedConv2d) and isinstance(head, FixedConv2d)
            views, biases = self.views[parity], self.biases[parity]
            assert isinstance(views, QualityTable) and isinstance(biases, QualityTable)
            found += [([(view, ACTIVATION_MAX), *near], views), ([(head, ACTIVATION_MAX)], biases)]
        return found


class ShuffledConv2d(FixedConv2d):
    """A convolution whose outputs stand for two by two cells: channel 4 c + 2 y + x is channel c of cell (y, x)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(super().forward(x), 2)

    def mass(self) -> Tensor:
        """The largest of the four."""
        return super().mass().view(-1, 4).amax(1)

    def shrink(self, scale: Tensor) -> None:
        super().shrink(scale.repeat_interleave(4))


class DyadicLevel(nn.Module):
    """The context of a level, or of `depths` levels that share it but for their biases."""

    def __init__(self, hidden: int, view: int, depths: int = 1) -> None:
        super().__init__()
        self.hidden = hidden
        self.parent = ShuffledConv2d(sum(SLICES), 4 * hidden, 3, CONTEXT_BITS)
        self.low = FixedConv2d(6, hidden, 5, CONTEXT_BITS, gain=0.5)
        self.biases = nn.ModuleList(QualityTable(hidden, CONTEXT_BITS + FEATURE_BITS) for _ in range(depths))
        starts = [sum(SLICES[:i]) for i in range(len(SLICES))]
        self.slices = nn.ModuleList(
            DyadicSlice(hidden, view, count, start, i == len(SLICES) - 1)
            for i, (count, start) in enumerate(zip(SLICES, starts, strict=True))
        )

    def parts(self) -> list[DyadicSlice]:
        return [part for part in self.slices if isinstance(part, DyadicSlice)]

    def walk(self, depth: int, quality: Tensor, parent: Tensor, low: Tensor, code: CodePass, slices: int) -> Tensor:
        """Code the first `slices` slices, given the next coarser details and the low plane's differences `low`.

        Differences are integers (B, 3, h, w), in quarters of a step.  Returns details (B, 9, h, w).
        """
        h, w = low.shape[2:]
        above = self.parent(features(parent))[:, :, :h, :w]
        total = self.biases[depth](quality) + above + self.low(signed(low))
        coded: list[Tensor] = []
        for part in self.parts()[:slices]:
            here, other = parted(requantise(total, ACTIVATION_SHIFT))
            first = code(part, 0, *part.answer(0, here, quality, None))
            seen = joined(first, None, h, w)
            q = joined(first, code(part, 1, *part.answer(1, other, quality, seen)), h, w)
            coded.append(q)
            if part.context is not None and len(coded) < slices:
                total = total + part.context(signed(q))
        missing = sum(SLICES[slices:])
        return torch.cat([*coded, total.new_zeros(total.shape[0], missing, h, w)], 1)

    def sums(self) -> Sums:
        """Every accumulator of the level."""
        context = [(part.context, FEATURE_MAX) for part in self.parts() if part.context is not None]
        shared = [(self.parent, FEATURE_MAX), (self.low, FEATURE_MAX), *context]
        found: Sums = [(shared, bias) for bias in self.biases if isinstance(bias, QualityTable)]
        for part in self.parts():
            found += part.sums()
        return found


class DyadicPrior(nn.Module):
    """The whole walk.  Stateless between calls."""

    def __init__(self) -> None:
        super().__init__()
        self.low = QualityTable(3, ANSWER_SHIFT)
        shared = [1] * OWN + [DEPTH - OWN]
        sizes = zip(HIDDEN, VIEW, shared, strict=True)
        self.levels = nn.ModuleList(DyadicLevel(hidden, view, depths) for hidden, view, depths in sizes)

    def owner(self, level: int) -> tuple[DyadicLevel, int]:
        """The networks of level 1..DEPTH, and which of their biases."""
        owner = self.levels[min(level - 1, OWN)]
        assert isinstance(owner, DyadicLevel)
        return owner, max(level - 1 - OWN, 0)

    def low_rungs(self, quality: Tensor, shape: Sequence[int]) -> Tensor:
        rung = self.low(quality) * 2.0**-ANSWER_SHIFT
        return clip_rung(rung).expand(-1, -1, *shape)

    def walk(
        self,
        quality: Tensor,
        differences: Callable[[int, Tensor | None], Tensor],
        code: Callable[[int, DyadicSlice, int, Tensor, Tensor], Tensor],
        planes: int = 3,
    ) -> list[Tensor]:
        """Details of levels 1 to DEPTH.

        quality (B,) int64; differences(level, details of the level above or None) describes the level's low plane;
        code(level, ...) as `CodePass`; planes 1 leaves the colour slices out.
        """
        found: list[Tensor] = []
        parent: Tensor | None = None
        for level in range(DEPTH, 0, -1):
            owner, depth = self.owner(level)
            low = differences(level, parent)
            if parent is None:
                parent = low.new_zeros(len(low), sum(SLICES), *((side + 1) // 2 for side in low.shape[2:]))
            step = lambda *answer, level=level: code(level, *answer)  # noqa: E731
            slices = len(SLICES) if planes == 3 else GRAY_SLICES
            parent = owner.walk(depth, quality, parent, low, step, slices)
            found.insert(0, parent)
        return found

    def sums(self) -> Iterator[tuple[list[tuple[FixedConv2d, int]], QualityTable | None]]:
        for level in self.levels:
            assert isinstance(level, DyadicLevel)
            yield from level.sums()

    def freeze(self) -> None:
        """Turn every weight into its integer; check `largest_accumulator` then."""
        for module in self.modules():
            if isinstance(module, FixedConv2d | QualityTable):
                module.freeze()

    def project(self) -> None:
        for convs, bias in self.sums():
            project(convs, bias)

    def largest_accumulator(self) -> float:
        """The proven bound over all sums, to be below fixed_point.ACCUMULATOR_LIMIT."""
        return max(float(bound(convs, bias).max()) for convs, bias in self.sums())
