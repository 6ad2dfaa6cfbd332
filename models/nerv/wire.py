"""A group's integers <-> the port: the numbers of the header, steps, rungs and values; see FORMAT.md, codec 5.

`IntegerWriter` and `IntegerReader` make the same calls.  A number out of its bounds raises ValueError before it is
used.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..base.family import GroupSpec, SymbolPort
from ..prior import exchange
from ..prior.exchange import LARGEST, Rungs
from ..prior.fitted import shifts_of
from ..prior.ladder import MAX_SHIFT, RUNGS
from ..prior.ports import get_number, put_number
from .config import CONTENT, FLAGS, MAX_EMBEDDING, MAX_STAGES, MAX_STRIDE, MAX_WIDTH, Config
from .quantise import MAX_LEVEL, TensorPart

TREND_RUNG = 40  # codes the differences of neighbouring rows' rungs, which are about two


class IntegerWriter:
    """Puts what it is given and returns it."""

    def __init__(self, port: SymbolPort, costs: Tensor) -> None:
        self.port, self.costs = port, costs

    def number(self, value: int, largest: int) -> int:
        """0..largest in digits of at most MAX_SHIFT bits, low ones first."""
        assert 0 <= value <= largest
        for place, bits in _digits(largest):
            put_number(self.port, value >> place & ((1 << bits) - 1), bits)
        return value

    def values(self, part: TensorPart, integers: Tensor | None) -> Tensor:
        """int32 of the part's shape; the rungs first, one for all rows or one each, whichever is cheaper."""
        assert integers is not None
        rows = integers.reshape(part.rows, -1).clamp(-LARGEST, LARGEST)
        costs = _row_costs(rows, self.costs)  # (rows, RUNGS)
        one = costs.sum(0)
        each = costs.min(1)
        varied = part.rows > 1 and float(each.values.sum()) + 3.0 * part.rows < float(one.min())
        self.number(int(varied), 1)
        rungs = each.indices if varied else one.argmin()[None]
        self.number(int(rungs[0]), RUNGS - 1)
        if varied:
            exchange.put(self.port, rungs.diff().to(torch.int32).numpy(), _trend(part.rows - 1))
        exchange.put(self.port, rows.to(torch.int32).flatten().numpy(), _spread(rungs, rows.shape))
        return integers


class IntegerReader:
    """Gets what an IntegerWriter put."""

    def __init__(self, port: SymbolPort) -> None:
        self.port = port
        self.rungs = np.zeros(0, np.uint8)  # (n,) of the values read last

    def number(self, value: int, largest: int) -> int:
        value = 0
        for place, bits in _digits(largest):
            value |= get_number(self.port, bits) << place
        if value > largest:
            raise ValueError(f"a number of the stream is {value}, the largest allowed is {largest}")
        return value

    def values(self, part: TensorPart, integers: Tensor | None) -> Tensor:
        """int32 of the part's shape."""
        varied = self.number(0, 1)
        rungs = torch.tensor([self.number(0, RUNGS - 1)])
        if varied and part.rows > 1:
            steps = torch.from_numpy(exchange.get(self.port, _trend(part.rows - 1)))
            rungs = torch.cat([rungs, rungs + steps.long().cumsum(0)])
            if int(rungs.min()) < 0 or int(rungs.max()) >= RUNGS:
                raise ValueError("a rung of the stream is not on the ladder")
        shape = torch.Size((part.rows, part.size // part.rows))
        self.rungs = _spread(rungs, shape)
        return torch.from_numpy(exchange.get(self.port, self.rungs)).view(part.shape)


def visit_config(coder: IntegerWriter | IntegerReader, spec: GroupSpec, config: Config | None) -> Config:
    """The numbers that name the decoder; checked."""
    flags = coder.number(config.flags if config else 0, FLAGS)
    count = coder.number(len(config.strides) - 1 if config else 0, MAX_STAGES - 1) + 1
    given = config.strides if config else (1,) * count
    strides = tuple(coder.number(stride - 1, MAX_STRIDE - 1) + 1 for stride in given)
    embedding = coder.number(config.embedding if config else 0, MAX_EMBEDDING) if flags & CONTENT else 0
    width = coder.number(config.width if config else 0, MAX_WIDTH)
    return Config(flags, spec.frames, spec.height, spec.width, spec.channels, strides, embedding, width).check()


def visit_segment(coder: IntegerWriter | IntegerReader, spec: GroupSpec, length: int) -> int:
    """Frames a segment, 1..frames."""
    return coder.number(length - 1, spec.frames - 1) + 1


def visit_levels(coder: IntegerWriter | IntegerReader, levels: list[int]) -> list[int]:
    return [coder.number(level, MAX_LEVEL) for level in levels]


def _digits(largest: int) -> list[tuple[int, int]]:
    """(place, bits) of the digits that hold 0..largest."""
    bits = largest.bit_length()
    return [(place, min(MAX_SHIFT, bits - place)) for place in range(0, bits, MAX_SHIFT)]


def _trend(count: int) -> Rungs:
    return np.full(count, TREND_RUNG, np.uint8)


def _spread(rungs: Tensor, shape: torch.Size) -> Rungs:
    """(rows * n,): the rung of every value."""
    return rungs[:, None].expand(shape).reshape(-1).to(torch.uint8).numpy()


def _row_costs(rows: Tensor, costs: Tensor) -> Tensor:
    """Bits of each row of integers (rows, n) on every rung: (rows, RUNGS), from histograms of the magnitudes."""
    reach = costs.shape[1] - 1
    shifts = shifts_of(torch.arange(RUNGS))
    found = torch.empty(len(rows), RUNGS)
    for shift in range(int(shifts.max()) + 1):
        magnitudes = (rows >> shift).abs().clamp(max=reach).long()
        counts = torch.zeros(len(rows), reach + 1).scatter_add_(1, magnitudes, torch.ones(magnitudes.shape))
        found[:, shifts == shift] = counts @ costs[shifts == shift].T
    return found
