"""Cutting a grid along time, and reading a stream of frames piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import integer, one_of, tensor
from ..grid import TokenGrid
from ..methods.scores import unit
from .memory import MemoryBank


def partition_bits(spent: Tensor, parts: int) -> list[tuple[int, int]]:
    """[start, stop) of `parts` runs of frames of nearly equal sums of `spent` (T,), by prefix sums; none is empty."""
    total = tensor("spent", spent).double().clamp_min(0).cumsum(0)
    frames = len(total)
    if not 1 <= integer("parts", parts, 1) <= frames:
        raise ParameterError(f"{frames} frames cannot be cut into {parts} parts")
    targets = total[-1] * torch.arange(1, parts, dtype=torch.float64) / parts
    borders = torch.searchsorted(total, targets, right=False) + 1
    cuts = [0]
    for k, border in enumerate(borders.tolist()):
        cuts.append(min(max(border, cuts[-1] + 1), frames - (parts - 1 - k)))
    return list(zip(cuts, [*cuts[1:], frames], strict=True))


def partition_change(change: Tensor, parts: int) -> list[tuple[int, int]]:
    """Runs that begin at the `parts` - 1 frames of largest `change` (T,), the first frame's own left aside."""
    if not 1 <= integer("parts", parts, 1) <= len(tensor("change", change)):
        raise ParameterError(f"{len(change)} frames cannot be cut into {parts} parts")
    order = torch.sort(change[1:].float(), descending=True, stable=True).indices[: parts - 1] + 1
    cuts = [0, *order.sort().values.tolist()]
    return list(zip(cuts, [*cuts[1:], len(change)], strict=True))


def frame_change(grid: TokenGrid) -> Tensor:
    """(T,) mean of 1 - cosine between each frame's cells and the same cells of the frame before; 0 for the first."""
    x = unit(grid.x)
    found = 1 - (x[1:] * x[:-1]).sum(-1).flatten(1).mean(1)
    return torch.cat([found.new_zeros(1), found])


def cut(grid: TokenGrid, start: int, stop: int) -> TokenGrid:
    """Frames start..stop-1."""
    rows = slice(start, stop)
    return TokenGrid(
        x=grid.x[rows],
        bits=None if grid.bits is None else grid.bits[rows],
        bits_prior=None if grid.bits_prior is None else grid.bits_prior[rows],
        codes=None if grid.codes is None else grid.codes[rows],
        times=grid.times[rows],
        frame_type=grid.frame_type[rows],
        valid=grid.valid[rows],
        levels=None if grid.levels is None else [level[rows] for level in grid.levels],
    )


def segments(grid: TokenGrid, parts: int, by: str = "similarity") -> Iterator[TokenGrid]:
    """The grid cut at its largest changes ("similarity") or into runs of equal bits ("bits")."""
    if one_of("by", by, ("similarity", "bits")) == "bits":
        if grid.bits is None:
            raise ParameterError("this grid has no bits")
        runs = partition_bits(grid.bits.flatten(1).sum(1), parts)
    else:
        runs = partition_change(frame_change(grid), parts)
    for start, stop in runs:
        yield cut(grid, start, stop)


class StreamReader:
    """Takes frames in pieces of any length; returns `count` tokens per frame, and keeps a memory of constant size.

    The tokens do not depend on how the frames were cut into pieces (VideoStreaming, LLaVA-Mini, LongVA).
    """

    def __init__(self, reduce_frame: Callable[[TokenGrid], Tensor], memory: int = 16, clip: int = 8) -> None:
        self._reduce, self._clip = reduce_frame, integer("clip", clip, 1)
        self.memory = MemoryBank(memory)
        self._held: list[Tensor] = []
        self.frames = 0

    def push(self, grid: TokenGrid) -> list[Tensor]:
        """(n, C) tokens of each frame of the piece."""
        out = []
        for t in range(len(grid.x)):
            tokens = self._reduce(cut(grid, t, t + 1))
            out.append(tokens)
            self._held.append(tokens)
            self.frames += 1
            if len(self._held) == self._clip:
                self._remember()
        return out

    def _remember(self) -> None:
        clip = torch.cat(self._held)
        self._held = []
        self.memory.push(self.frames // self._clip - 1, clip, float(clip.float().var(0).sum()))
