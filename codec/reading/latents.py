"""Latents of consecutive groups as one."""

from __future__ import annotations

from dataclasses import fields, replace
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

    kept = clip.latents_kept

    def find(number: int) -> GroupData | tuple[Latents, GroupHead]:
        return kept.get((number, channels, bits_prior)) or clip.reader.group(number)

    def read(found: GroupData | tuple[Latents, GroupHead]) -> Latents:
        if isinstance(found, GroupData):
            if channels is None:
                latents = read_latents(family, head, found, clip.limits)
            else:
                latents = read_first(family, head, found, clip.limits, channels)
            kept.put((found.number, channels, bits_prior), (latents, found.head))
            group = found.head
        else:
            latents, group = found
        placed = place_latents(latents, head, group, start, stop)
        return own_arrays(placed, latents) if kept.most else placed

    return as_grid(list(in_order(read, map(find, numbers), len(numbers))))


def own_arrays(latents: Latents, kept: Latents) -> Latents:
    """The latents without arrays of the kept ones: what a caller changes in place is not what the next one gets."""

    def own(value: Any, other: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.copy() if value is other else value
        if isinstance(value, list):
            return [own(a, b) for a, b in zip(value, other, strict=True)]
        return value

    names = [field.name for field in fields(kept)]
    return Latents(**{name: own(getattr(latents, name), getattr(kept, name)) for name in names})


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
