"""Latents of consecutive groups as one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...models.base.family import ExpectsBits, Latents
from ..coding.groups import group_times, read_first, read_latents
from ..errors import need_torch
from ..format.container import GroupData
from ..format.header import GroupHead, Header
from .side_by_side import in_order

if TYPE_CHECKING:
    from ...models.tokens.grid import TokenGrid
    from .clip import Clip


def read_grid(clip: Clip, start: int, stop: int, *, channels: int | None, bits_prior: bool) -> TokenGrid:
    """See `Clip.latents`."""
    head, family, numbers = clip.reader.header, clip.family, clip.reader.numbers(start, stop)
    if bits_prior and isinstance(family, ExpectsBits):
        family = family.expecting()

    def read(data: GroupData) -> Latents:
        if channels is None:
            latents = read_latents(family, head, data, clip.limits)
        else:
            latents = read_first(family, head, data, clip.limits, channels)
        return place_latents(latents, head, data.head, start, stop)

    return as_grid(list(in_order(read, map(clip.reader.group, numbers), len(numbers))))


def place_latents(latents: Latents, head: Header, group: GroupHead, start: int, stop: int) -> Latents:
    """The rows of a group's latents that show in frames start..stop-1, with `times` in seconds of the clip.

    The family counts `times` in frames of the group; a row between two frames shows between their times.
    """
    numbers = latents.times + group.first
    ticks = np.array([float(tick * head.time_base) for tick in group_times(head, group)])
    seconds = np.interp(latents.times, np.arange(group.frames), ticks)
    shows = (numbers >= start) & (numbers < stop)
    if shows.all():
        return replace(latents, times=seconds)
    return replace(
        latents,
        x=latents.x[shows],
        bits=None if latents.bits is None else latents.bits[shows],
        bits_prior=None if latents.bits_prior is None else latents.bits_prior[shows],
        codes=None if latents.codes is None else latents.codes[shows],
        times=seconds[shows],
        frame_type=latents.frame_type[shows],
        valid=latents.valid[shows],
        levels=None if latents.levels is None else [level[shows] for level in latents.levels],
    )


def join_latents(parts: list[Latents]) -> Latents:
    """The latents of consecutive groups, joined along time.  What one of them lacks is None."""
    if len(parts) == 1:
        return parts[0]

    def join(name: str) -> NDArray[Any] | None:
        arrays = [getattr(part, name) for part in parts]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    levels = None
    if all(part.levels is not None for part in parts):
        levels = [np.concatenate(same) for same in zip(*(part.levels or [] for part in parts), strict=True)]
    return Latents(
        x=np.concatenate([part.x for part in parts]),
        bits=join("bits"),
        bits_prior=join("bits_prior"),
        codes=join("codes"),
        times=np.concatenate([part.times for part in parts]),
        frame_type=np.concatenate([part.frame_type for part in parts]),
        valid=np.concatenate([part.valid for part in parts]),
        levels=levels,
    )


def as_grid(parts: list[Latents]) -> TokenGrid:
    """The joined latents as tensors.  UnsupportedError where PyTorch is not installed."""
    need_torch("latents and tokens")
    from ...models.tokens.grid import TokenGrid

    return TokenGrid.of(join_latents(parts))
