"""The context model that names a table for each wavelet coefficient: integers, coarse to fine, no side information.

    low band of the pyramid      a rung per channel and quality
    pyramid details, coarse..1   context: the next coarser details
    packet bands                 context: the finest pyramid details, then every slice already coded

Each level is coded in slices (gray before colour, low frequencies before high), each slice in two passes over a
checkerboard: the first pass reads earlier slices only, the second also the first pass's neighbours in its own band.
All networks are fixed point (`fixed_point`), fed with log2 magnitudes of decoded integers, and answer with a rung of
the ladder (`ladder`).  Checkerboard context: He et al., 2021; slices: Minnen and Singh, 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .fitted import lookup
from .fixed_point import FixedConv2d, QualityTable, bound, project, requantise, ste_round
from .ladder import RUNGS

FEATURE_BITS = 3  # features are log2(1 + |q|) in eighths
FEATURE_MAX = 64
CONTEXT_BITS = 8  # context weights in 1/256; accumulators in 1/2048 of an octave
ACTIVATION_SHIFT = 7  # activations in 1/16 of an octave
HEAD_BITS = 6  # head weights in 1/64; answers in 1/1024 of a rung
ANSWER_SHIFT = 10

# code(slice, parity, rung) -> the slice's integers at that parity's cells, zero elsewhere; all (B, channels, h, w)
CodeSlice = Callable[["SliceNetwork", int, Tensor], Tensor]
# accumulators: the convolutions that each adds up, with the largest input of each, and its bias
Sums = list[tuple[list[tuple[FixedConv2d, int]], QualityTable | None]]


def features(q: Tensor) -> Tensor:
    """Integers -> 8 * log2(1 + |q|), rounded and clipped to 0..FEATURE_MAX: exact, since the logarithm is a table."""
    return _feature_table(q.device)[q.abs().clamp(max=255).long()]


# floor(8 log2(n) + 1/2) in integers, n = 1 + |q|: half the bit length of n**16.  A logarithm in floating point would
# let a mathematics library choose tables.
_FEATURES = torch.tensor([(n**16).bit_length() // 2 for n in range(1, 257)], dtype=torch.float32, device="cpu")


def _feature_table(device: torch.device) -> Tensor:
    return _FEATURES if device.type == "cpu" else _FEATURES.to(device)


def parity_mask(height: int, width: int, device: torch.device) -> Tensor:
    """(height, width) bool, True on the cells of the first pass."""
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    return (y[:, None] + x[None] & 1) == 0


class SliceNetwork(nn.Module):
    """The heads of one slice of `count` channels, and what it adds to the context of later slices.

    reach: side of the context convolution, 0 for a last slice.
    """

    def __init__(self, hidden: int, count: int, first: int, reach: int) -> None:
        super().__init__()
        self.count, self.start = count, first  # channels first .. first + count - 1 of its level
        self.first = FixedConv2d(hidden, count, 1, HEAD_BITS, gain=0.1)
        self.near = FixedConv2d(count, count, 5, CONTEXT_BITS, depthwise=True)
        self.second = FixedConv2d(hidden + count, count, 1, HEAD_BITS, gain=0.1)
        self.biases = nn.ModuleList(QualityTable(count, ANSWER_SHIFT) for _ in range(2))
        self.context = FixedConv2d(count, hidden, reach, CONTEXT_BITS) if reach else None
        with torch.no_grad():
            self.near.weight.abs_()

    def rungs(self, hidden: Tensor, quality: Tensor, seen: Tensor | None) -> Tensor:
        """Rungs of both parities' cells, real while training: (B, count, h, w); `seen` is the first pass's result."""
        if seen is None:
            answer = self.first(hidden) + self.biases[0](quality)
        else:
            near = requantise(self.near(features(seen)), ACTIVATION_SHIFT)
            answer = self.second(torch.cat([hidden, near], 1)) + self.biases[1](quality)
        rung: Tensor = answer * 2.0**-ANSWER_SHIFT
        return rung

    def bias_tables(self) -> list[QualityTable]:
        return [bias for bias in self.biases if isinstance(bias, QualityTable)]

    def sums(self) -> Sums:
        """Every accumulator of the slice's heads."""
        first, second = self.bias_tables()
        near: Sums = [([(self.near, FEATURE_MAX)], None)]
        return [([(self.first, 255)], first), ([(self.second, 255)], second), *near]


class Level(nn.Module):
    """The context of one resolution: hidden maps grow with every slice that is coded."""

    def __init__(
        self, hidden: int, counts: Sequence[int], reaches: Sequence[int], coarse: int, biases: int, hints: int = 0
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.coarse = FixedConv2d(coarse, hidden, 3, CONTEXT_BITS)
        self.hints = FixedConv2d(hints, hidden, 1, CONTEXT_BITS) if hints else None
        self.biases = nn.ModuleList(QualityTable(hidden, CONTEXT_BITS + FEATURE_BITS) for _ in range(biases))
        starts = [sum(counts[:i]) for i in range(len(counts))]
        self.slices = nn.ModuleList(
            SliceNetwork(hidden, count, start, reach)
            for count, start, reach in zip(counts, starts, reaches, strict=True)
        )

    def parts(self) -> list[SliceNetwork]:
        return [part for part in self.slices if isinstance(part, SliceNetwork)]

    def walk(
        self,
        depth: int,
        quality: Tensor,
        coarse: Tensor,
        size: tuple[int, int],
        code: CodeSlice,
        slices: int,
        hints: Tensor | None = None,
    ) -> Tensor:
        """Code the first `slices` slices at `size`, given the next coarser integers; returns (B, channels, *size).

        hints: integers (B, hint channels, *size), for a level that was made with hints.
        """
        h, w = size
        above = features(coarse).repeat_interleave(2, 2)[:, :, :h].repeat_interleave(2, 3)[..., :w]
        total = self.biases[depth](quality) + self.coarse(above)
        if self.hints is not None and hints is not None:
            total = total + self.hints(features(hints))
        coded: list[Tensor] = []
        for part in self.parts()[:slices]:
            hidden = requantise(total, ACTIVATION_SHIFT)
            first = code(part, 0, clip_rung(part.rungs(hidden, quality, None)))
            q = first + code(part, 1, clip_rung(part.rungs(hidden, quality, first)))
            coded.append(q)
            if part.context is not None and len(coded) < slices:
                total = total + part.context(features(q))
        missing = sum(part.count for part in self.parts()[slices:])
        return torch.cat([*coded, total.new_zeros(total.shape[0], missing, h, w)], 1)

    def sums(self) -> Sums:
        """Every accumulator of the level: the convolutions that it adds up and its bias."""
        context = [(part.context, FEATURE_MAX) for part in self.parts() if part.context is not None]
        if self.hints is not None:
            context.append((self.hints, FEATURE_MAX))
        biases = [bias for bias in self.biases if isinstance(bias, QualityTable)]
        out: Sums = [([(self.coarse, FEATURE_MAX), *context], bias) for bias in biases]
        for part in self.parts():
            out += part.sums()
        return out


def clip_rung(rung: Tensor) -> Tensor:
    return rung.clamp(0, RUNGS - 1)


class BandPrior(nn.Module):
    """The whole walk: low band, pyramid levels from coarse to fine, packet bands."""

    def __init__(
        self,
        depth: int,
        packet_slices: Sequence[int],
        packet_reaches: Sequence[int],
        hidden: int,
        pyramid_hidden: int = 32,
        hints: int = 0,
    ) -> None:
        super().__init__()
        self.depth = depth
        self.low = QualityTable(3, ANSWER_SHIFT)
        self.pyramid = Level(pyramid_hidden, (3, 6), (3, 0), 9, depth, 9 * hints)
        self.packet = Level(hidden, packet_slices, packet_reaches, 9, 1, sum(packet_slices) * hints)

    def low_rungs(self, quality: Tensor, shape: tuple[int, int]) -> Tensor:
        rung = self.low(quality) * 2.0**-ANSWER_SHIFT
        return clip_rung(rung).expand(-1, -1, *shape)

    def walk(
        self,
        quality: Tensor,
        sizes: Sequence[tuple[int, int]],
        code: Callable[[int, SliceNetwork, int, Tensor], Tensor],
        planes: int,
        gray_slices: int,
        hints: Sequence[Tensor] | None = None,
        most: int | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """Details per pyramid level, finest first, and packet bands; `code(level, ...)`, level 0 = packet.

        quality (B,) int64; sizes of the packet plane and of each pyramid level; planes 1 leaves the colour slices out;
        hints of each level, packet first; most: slices of the packet at which to stop.
        """
        beside: Sequence[Tensor | None] = hints or [None] * (self.depth + 1)
        batch = quality.shape[0]
        coarse = self.pyramid.coarse.weight.new_zeros(batch, 9, *((s + 1) // 2 for s in sizes[-1]))
        details: list[Tensor] = []
        for level in range(self.depth, 0, -1):
            step = lambda part, parity, rung, level=level: code(level, part, parity, rung)  # noqa: E731
            slices = 2 if planes == 3 else 1
            coarse = self.pyramid.walk(level - 1, quality, coarse, sizes[level], step, slices, beside[level])
            details.insert(0, coarse)
        slices = len(self.packet.slices) if planes == 3 else gray_slices
        slices = slices if most is None else min(slices, most)
        bands = self.packet.walk(
            0, quality, coarse, sizes[0], lambda part, parity, rung: code(0, part, parity, rung), slices, beside[0]
        )
        return details, bands

    def freeze(self) -> None:
        """Turn every weight into its integer; `check` first."""
        for module in self.modules():
            if isinstance(module, FixedConv2d | QualityTable):
                module.freeze()

    def project(self) -> None:
        for level in (self.pyramid, self.packet):
            for convs, bias in level.sums():
                project(convs, bias)

    def largest_accumulator(self) -> float:
        """The proven bound over all sums, to be below fixed_point.ACCUMULATOR_LIMIT."""
        return max(
            float(bound(convs, bias).max()) for level in (self.pyramid, self.packet) for convs, bias in level.sums()
        )


def hard(rung: Tensor) -> Tensor:
    """Real rung -> integer rung, rounded half up (exact: answers are integers of 1/1024)."""
    return ste_round(rung).detach().long()


def interpolated_bits(costs: Tensor, rung: Tensor, magnitude: Tensor, before: Tensor | None = None) -> Tensor:
    """Bits between the two nearest rungs, so that the rung gets a gradient; equal to the table's cost on integers.

    before: as `fitted.lookup` takes it.
    """
    below = rung.detach().floor().clamp(max=RUNGS - 2).long()
    low, high = lookup(costs, below, magnitude, before), lookup(costs, below + 1, magnitude, before)
    return low + (high - low) * (rung - below)
