"""When the frames of a file show, and which frame shows at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..coding.groups import group_times
from ..format.seekable import FileReader


def times_of(reader: FileReader, start: int, stop: int) -> NDArray[np.float64]:
    """Seconds at which frames start..stop-1 show, (stop - start,).  Their groups are read, nothing is decoded."""
    ticks: list[int] = []
    for number in reader.numbers(start, stop):
        group = reader.group(number).head
        ticks += group_times(reader.header, group)[max(0, start - group.first) : stop - group.first]
    return np.array([float(tick * reader.header.time_base) for tick in ticks])


def place_of(reader: FileReader, time: float) -> tuple[int, float]:
    """The group that shows at `time`, and the number of the frame there, with the fraction of it that has passed."""
    entries = reader.entries
    low, high = 0, len(entries) - 1
    while low < high:
        middle = (low + high + 1) // 2
        first = entries[middle].first
        low, high = (middle, high) if times_of(reader, first, first + 1)[0] <= time else (low, middle - 1)
    start = entries[low].first
    times = times_of(reader, start, min(start + entries[low].frames + 1, reader.frames))
    return low, start + float(np.interp(time, times, np.arange(len(times))))
