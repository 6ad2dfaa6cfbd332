"""Is a file sound?  Every checksum is tested, every group decoded, and its pixels compared with a digest of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import BinaryIO

from ..coding.groups import can_check_digests, digest_of, paint_group
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
        ok: Every checksum holds, every group decodes, and to the pixels of its digest where it has one.
        frames: Frames of the file, as far as it can be read.
        groups: Groups of the file.
        bad_groups: Numbers of the groups that do not decode, or to other pixels than their digest says, counted from 0.
        digests: Groups whose pixels were compared with a digest.
        unchecked: Groups whose digest was not compared, since this install lacks the decoder that the file names.
        problems: One line for each problem of the file and of its groups.
        truncated: The file stops before its end.
        seconds: Duration of the check.
    """

    ok: bool
    frames: int
    groups: int
    bad_groups: list[int]
    digests: int
    unchecked: int
    problems: list[str]
    truncated: bool
    seconds: float


def verify(
    data: FileSource, *, device: str = "cpu", limits: Limits = DEFAULT_LIMITS, progress: Progress | None = None
) -> VerifyReport:
    """Check every checksum of a file, decode every group and compare its pixels with the digest that the file may hold.

    Damage is reported, not raised.

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
    found = _Found()
    with naming(label(data)):
        file, ours = as_file(or_stdin(data))
        try:
            try:
                reader = FileReader(file, limits)
            except FormatError as error:
                return VerifyReport(False, 0, 0, [], 0, 0, [str(error)], False, time.perf_counter() - began)
            problems = _verify_groups(reader, options, found)
            problems += [line for line in _strict(file, limits) if not any(one.startswith(line) for one in problems)]
        finally:
            if ours:
                file.close()
    seconds = time.perf_counter() - began
    return VerifyReport(
        not problems,
        reader.frames,
        len(reader.entries),
        found.bad,
        found.digests,
        found.unchecked,
        problems,
        reader.truncated,
        seconds,
    )


@dataclass
class _Found:
    bad: list[int] = field(default_factory=list)
    digests: int = 0
    unchecked: int = 0


def _verify_groups(reader: FileReader, options: DecodeOptions, found: _Found) -> list[str]:
    """Decode every group; returns what is wrong and fills `found`."""
    problems = list(reader.problems)
    family = load_family(reader.header, options.device)
    comparable = can_check_digests(family, reader.header)
    for number, entry in enumerate(reader.entries):
        try:
            data = reader.group(number)
            group = paint_group(family, reader.header, data, options.limits)
            if data.digest is not None:
                found.digests += comparable
                found.unchecked += not comparable
            if data.digest is not None and comparable and digest_of(group.pixels) != data.digest:
                digests = f"digest {digest_of(group.pixels).hex()}, the file says {data.digest.hex()}"
                raise FormatError(f"group {number}: decodes to other pixels than where it was encoded: {digests}")
        except FormatError as error:
            found.bad.append(number)
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
