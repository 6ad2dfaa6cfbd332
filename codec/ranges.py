"""Ranges of frames, start:stop, counted from 0; `stop` is not included.  Every range is read and checked here."""

from __future__ import annotations

import operator
import re

from .errors import ParameterError

FrameRange = tuple[int | None, int | None]
"""(start, stop) of frames counted from 0, `stop` not included; None stands for the first and for the last frame."""


def parse_range(text: str) -> FrameRange:
    """(start, stop) from `10:20`, `:50` or `100:`.  ParameterError for other texts and for ranges without a frame."""
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if not match:
        raise _refused(text)
    start, stop = (int(end) if end else None for end in match.groups())
    bounds((start, stop))
    return start, stop


def range_text(start: int | None, stop: int | None) -> str:
    """The range as the command line takes it."""
    return f"{'' if start is None else start}:{'' if stop is None else stop}"


def bounds(frames: FrameRange | None) -> tuple[int, int | None]:
    """Start and stop of a range, where the number of frames is not known.  ParameterError when it holds none."""
    if frames is None:
        return 0, None
    try:
        start, stop = frames
        first, end = operator.index(start or 0), None if stop is None else operator.index(stop)
    except (TypeError, ValueError):
        raise _refused(str(frames)) from None
    if first < 0 or (end is not None and end <= first):
        raise _refused(range_text(start, stop))
    return first, end


def clipped(frames: FrameRange | None, count: int) -> tuple[int, int]:
    """Start and stop within a file of `count` frames; a `stop` beyond the file means its end.

    ParameterError when the range holds none of the frames.  Of a file without frames, 0 and 1.
    """
    start, stop = bounds(frames)
    if start >= count > 0:
        raise _refused(range_text(start, stop), count)
    stop = count if stop is None else min(stop, count)
    return (start, stop) if stop > start else (0, 1)


def within(start: int, stop: int | None, count: int) -> tuple[int, int]:
    """Start and stop, both of which a file of `count` frames must have; ParameterError otherwise."""
    end = count if stop is None else stop
    if not 0 <= start < end <= count:
        raise _refused(range_text(start, end), count)
    return start, end


def _refused(text: str, count: int | None = None) -> ParameterError:
    has = "" if count is None else f"; the file has {count}"
    return ParameterError(f"frames {text}: give a range like 10:20, :50 or 100: with at least one frame{has}")
