"""The order in which the frames of a group are coded, and what each is predicted from.

Frame 0 is coded on its own; every `span`-th frame after it, and the last, from the key frame before; the frames between
two key frames by halves, each from the two frames around its interval (hierarchical B; Schwarz et al., 2006).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One frame's place: its number, the frames that it may be predicted from, and its level (0: key frames)."""

    number: int
    references: tuple[int, ...]
    level: int


def coding_order(frames: int, depth: int) -> list[Place]:
    """Every frame of a group, 1 << depth frames from key frame to key frame; depth 0 takes each from the one before."""
    places = [Place(0, (), 0)]
    first = 0
    while first < frames - 1:
        last = min(first + (1 << depth), frames - 1)
        places.append(Place(last, (first,), 0))
        places.extend(_between(first, last, 1))
        first = last
    return places


def _between(first: int, last: int, level: int) -> Iterator[Place]:
    if last - first < 2:
        return
    middle = (first + last) // 2
    yield Place(middle, (first, last), level)
    yield from _between(first, middle, level + 1)
    yield from _between(middle, last, level + 1)


def last_uses(places: list[Place]) -> dict[int, int]:
    """For every frame, the index in the coding order after which nothing is predicted from it."""
    uses = {place.number: at for at, place in enumerate(places)}
    for at, place in enumerate(places):
        for number in place.references:
            uses[number] = at
    return uses
