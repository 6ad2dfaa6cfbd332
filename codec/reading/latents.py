"""Latents of consecutive groups as one TokenGrid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ...models.base.family import TokenGrid
from ..coding.groups import group_times
from ..format.header import GroupHead, Header


def place_grid(grid: TokenGrid, head: Header, group: GroupHead, start: int, stop: int) -> TokenGrid:
    """The rows of a group's grid that show in frames start..stop-1, with `times` in seconds of the clip.

    The family counts `times` in frames of the group; a row between two frames shows between their times.  Where all
    rows show they are not copied here: `join_grids` copies them, out of the inference that made them.
    """
    numbers = grid.times.double().cpu().numpy() + group.first
    ticks = np.array([float(tick * head.time_base) for tick in group_times(head, group)])
    seconds = torch.from_numpy(np.interp(numbers - group.first, np.arange(group.frames), ticks))
    shows = (numbers >= start) & (numbers < stop)
    if shows.all():
        return replace(grid, times=seconds)
    rows = torch.from_numpy(np.flatnonzero(shows))
    return replace(
        grid,
        x=grid.x[rows],
        bits=None if grid.bits is None else grid.bits[rows],
        bits_prior=None if grid.bits_prior is None else grid.bits_prior[rows],
        codes=None if grid.codes is None else grid.codes[rows],
        times=seconds[rows],
        frame_type=grid.frame_type[rows],
        valid=grid.valid[rows],
        levels=None if grid.levels is None else [level[rows] for level in grid.levels],
    )


def join_grids(grids: list[TokenGrid]) -> TokenGrid:
    """A copy of the grids of consecutive groups, joined along time.  A part that one of them lacks is None."""

    def join(name: str) -> torch.Tensor | None:
        parts = [getattr(grid, name) for grid in grids]
        return None if any(part is None for part in parts) else torch.cat(parts)

    levels = None
    if all(grid.levels is not None for grid in grids):
        levels = [torch.cat(same) for same in zip(*(grid.levels or [] for grid in grids), strict=True)]
    return TokenGrid(
        x=torch.cat([grid.x for grid in grids]),
        bits=join("bits"),
        bits_prior=join("bits_prior"),
        codes=join("codes"),
        times=torch.cat([grid.times for grid in grids]),
        frame_type=torch.cat([grid.frame_type for grid in grids]),
        valid=torch.cat([grid.valid for grid in grids]),
        levels=levels,
    )
