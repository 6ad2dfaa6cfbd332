"""Frames in place of those that damaged groups have lost, so that a clip keeps its length and its times.

A codec with a prior over indices (`models.discrete`) predicts them from the last sound frame, each from the one before;
of other codecs the last sound frame stands still.  Frames before the first sound one are copies of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...models.base.discrete import Discrete
from ..errors import FormatError
from ..format.container import ContainerReader, GroupData
from ..format.seekable import FileReader
from ..limits import Limits
from .groups import Group, Pixels, group_spec, paint_group, use_symbols

if TYPE_CHECKING:
    from ...models.base.family import Family

PREDICTED = 16  # so many frames after a sound one are predicted; then the last of them stands still
BATCH = 16  # frames handed on at once, which bounds the memory of a long gap


@dataclass
class Sound:
    """A group that was decoded: as it stands in the file, and painted."""

    data: GroupData
    group: Group


def length_of(reader: ContainerReader) -> int:
    """Frames that a file had, lost ones at its end included.

    A file that stops early has lost its index too; then the number that the header announces counts.
    """
    return max(reader.frames, reader.header.announced if reader.truncated else 0)


class Concealer:
    """Fills the gaps between the sound groups of frames start..stop-1, which are handed to it in order."""

    def __init__(
        self, family: Family, reader: ContainerReader, limits: Limits, painter: str, start: int, stop: int | None
    ) -> None:
        self.family, self.reader, self.limits, self.painter = family, reader, limits, painter
        self.shown, self.stop = start, stop
        self.before: Sound | None = None
        self.filled: list[str] = []  # a line for each gap

    def add(self, data: GroupData, group: Group) -> Iterator[Group]:
        """Fill the gap before a sound group."""
        ahead = Sound(data, group)
        yield from self._fill(group.first, ahead)
        self.shown, self.before = max(self.shown, group.first + len(group.times)), ahead

    def end(self) -> Iterator[Group]:
        """Fill the gap after the last sound group, as far as the file still says how many frames it had."""
        yield from self._fill(length_of(self.reader), None)

    def _fill(self, end: int, ahead: Sound | None) -> Iterator[Group]:
        """Frames from `shown` to end - 1."""
        first, end = self.shown, end if self.stop is None else min(end, self.stop)
        if first >= end:
            return
        before = self.before or self._look_back(first)
        known = before or ahead
        if known is None:
            return
        header = self.reader.header
        self.limits.check_lost(end - first, header.width, header.height, self.reader.bytes_read)
        self.filled.append(f"frames {first}..{end - 1} are lost and filled in")
        pixels = self._frames(known, -1 if before else 0, end - first)
        alpha = known.group.alpha
        times = self._times(first, end, before, ahead)
        at = -1 if before else 0
        for k in range(0, end - first, BATCH):
            rows = np.minimum(np.arange(k, min(k + BATCH, end - first)), len(pixels) - 1)
            opacity = None if alpha is None else np.repeat(alpha[at][None], len(rows), axis=0)
            yield Group(first + k, pixels[rows], opacity, times[k : k + BATCH])

    def _frames(self, known: Sound, at: int, count: int) -> Pixels:
        """Up to `count` frames that follow frame `at` of a sound group, or that one frame."""
        if not isinstance(self.family, Discrete):
            still: Pixels = known.group.pixels[at][None]
            return still
        header = self.reader.header
        codes = use_symbols(self.family, header, known.data, self.limits, self.family.ids)
        spec = group_spec(header, min(count, PREDICTED), known.data.head.quality)
        return self.family.predict(codes[at], spec)

    def _times(self, first: int, end: int, before: Sound | None, ahead: Sound | None) -> list[int]:
        """A tick per frame: where a constant rate has it, or evenly between the frames that are known."""
        header = self.reader.header
        times = [header.uniform(k) for k in range(first, end)]
        low = before.group.times[-1] if before else times[0] - 1
        high = ahead.group.times[0] if ahead else max(low, times[-1]) + len(times) + 1
        if low < times[0] and times[-1] < high:
            return times
        if not before:  # they may show as early as there is need
            return [high - (end - k) for k in range(first, end)]
        return [low + max(k + 1, (high - low) * (k + 1) // (len(times) + 1)) for k in range(len(times))]

    def _look_back(self, first: int) -> Sound | None:
        """The nearest sound group before frame `first`, of a file that can be read backwards."""
        if not isinstance(self.reader, FileReader):
            return None
        for number in reversed(range(self.reader.numbers(first, first + 1).start)):
            try:
                data = self.reader.group(number)
                return Sound(data, paint_group(self.family, self.reader.header, data, self.limits, self.painter))
            except FormatError:
                continue
        return None
