"""Is a file sound?  Every checksum is tested and every group decoded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import BinaryIO

from ..coding.groups import paint_group
from ..coding.stream import load_family
from ..errors import FormatError, naming
from ..format.pipe import PipeReader
from ..format.seekable import FileReader
from ..limits import DEFAULT_LIMITS, Limits
from ..options import DecodeOptions, FileSource, Progress
from .source import as_file, label, or_stdin


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        ok: Every checksum holds and every group decodes.
        frames: Frames of the file, as far as it can be read.
        groups: Groups of the file.
        bad_groups: Numbers of the groups that do not decode, counted from 0.
        problems: One line for each problem of the file and of its groups.
        truncated: The file stops before its end.
        seconds: Duration of the check.
    """

    ok: bool
    frames: int
    groups: int
    bad_groups: list[int]
    problems: list[str]
    truncated: bool
    seconds: float


def verify(
    data: FileSource, *, device: str = "cpu", limits: Limits = DEFAULT_LIMITS, progress: Progress | None = None
) -> VerifyReport:
    """Check every checksum of a file and decode every group.  Damage is reported, not raised.

    Args:
        data: A .tsr file: a path, its bytes or a binary file; "-" is standard input.
        device: "cpu", "cuda" or "cuda:N".
        limits: Upper bounds; a file beyond one of them is refused.
        progress: Called after each group with the number of frames that are done.

    Returns:
        Whether the file is sound, and one line for each problem.

    Raises:
        ParameterError: There is no such file, or an argument is out of range.
        UnsupportedError: This install lacks what the file needs, so that nothing can be said about it.
        LimitError: The file is larger than the limits allow.
    """
    began = time.perf_counter()
    options = DecodeOptions(device=device, limits=limits, progress=progress)
    bad: list[int] = []
    with naming(label(data)):
        file, ours = as_file(or_stdin(data))
        try:
            try:
                reader = FileReader(file, limits)
            except FormatError as error:
                return VerifyReport(False, 0, 0, [], [str(error)], False, time.perf_counter() - began)
            problems = _verify_groups(reader, options, bad)
            problems += [line for line in _strict(file, limits) if line not in problems]
        finally:
            if ours:
                file.close()
    seconds = time.perf_counter() - began
    return VerifyReport(not problems, reader.frames, len(reader.entries), bad, problems, reader.truncated, seconds)


def _verify_groups(reader: FileReader, options: DecodeOptions, bad: list[int]) -> list[str]:
    """Decode every group; returns what is wrong and fills `bad`."""
    problems = list(reader.problems)
    family = load_family(reader.header, options.device)
    for number, entry in enumerate(reader.entries):
        try:
            paint_group(family, reader.header, reader.group(number), options.limits)
        except FormatError as error:
            bad.append(number)
            problems.append(str(error))
        if options.progress is not None:
            options.progress(entry.first + entry.frames, reader.frames)
    return problems


def _strict(file: BinaryIO, limits: Limits) -> list[str]:
    """What a reading from front to back finds: chunks out of order, bytes too many, damaged metadata."""
    file.seek(0)
    try:
        reader = PipeReader(file, limits)
        for _ in reader.groups():
            pass
        reader.metadata()
    except FormatError as error:
        return [str(error)]
    return reader.problems
