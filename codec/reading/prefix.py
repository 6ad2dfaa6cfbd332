"""Coarse latents from the first bytes of each group, and the rest later, without reading anything twice.

Families code coarse to fine, so the symbols in a prefix are the coarse ones.  What has not been read counts as zero: a
preview has the cells and channels of the whole grid, with detail missing.  Groups of one frame (`gop=1`) serve best:
in longer ones a prefix holds the first frames.  No checksum can be tested before the rest is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...entropy import CorruptStream, Tables
from ...entropy.prefix import HEAD_BYTES, sections, shortened
from ...models.base.family import Symbols, TableIndices
from ..coding.groups import read_latents
from ..coding.ports import DecoderPort
from ..errors import FormatError, ParameterError
from ..format.container import GroupData
from ..format.fields import unpack_uint
from ..format.header import GroupHead, read_group
from ..format.seekable import FileReader
from ..ranges import within
from .clip import Clip
from .latents import as_grid, place_latents

if TYPE_CHECKING:
    from ...models.tokens.grid import TokenGrid

SHARE = 0.1  # part of a group's bytes that is read first
LEAST = 24  # bytes that are read at least
FIRST = 0.8  # part of the share that is read before the length of the bypass section, which counts in it, is known


class PrefixPort:
    """Returns the symbols of a stream that may end early, then zeros.  `missing` counts them."""

    def __init__(self, tables: Tables, data: bytes | memoryview) -> None:
        self._port, self.missing = DecoderPort(tables, data), 0

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        self._port.put(symbols, indices)

    def get(self, indices: TableIndices) -> Symbols:
        if not self.missing:
            try:
                return self._port.get(indices)
            except FormatError:  # the words end in the middle of this call
                pass
        self.missing += len(indices)
        return np.zeros(len(indices), np.int32)

    def finish(self) -> None:
        """Nothing can be said about a stream that may end early."""


@dataclass
class _Part:
    """What was read of one group: `start` of its chunks, and the bypass section that ends at `stop` of them."""

    number: int
    start: bytes
    tail: bytes
    stop: int


@dataclass
class Preview:
    """Latents from the first bytes of each group.

    Attributes:
        clip: The open file.
        start: First frame, counted from 0.
        stop: The frame after the last one.
        grid: Latents of the frames; what has not been read counts as zero, `bits` count what has been read.
    """

    clip: Clip
    start: int
    stop: int
    grid: TokenGrid
    _parts: list[_Part] = field(repr=False)

    def upgrade(self) -> TokenGrid:
        """Read what is missing.

        Returns:
            The whole grid, equal to `clip.latents(start, stop)`.

        Raises:
            FormatError: A group is damaged.
        """
        clip, found = self.clip, []
        for part in self._parts:
            entry = clip.reader.entries[part.number]
            middle = clip.reader.part(part.number, len(part.start), part.stop - len(part.tail))
            rest = clip.reader.part(part.number, part.stop, entry.size)
            data = clip.reader.parse(part.number, part.start + middle + part.tail + rest)
            latents = read_latents(clip.family, clip.reader.header, data, clip.reader.limits)
            found.append(place_latents(latents, clip.reader.header, data.head, self.start, self.stop))
        return as_grid(found)


def preview(clip: Clip, start: int = 0, stop: int | None = None, share: float = SHARE) -> Preview:
    """Read coarse latents from the first bytes of each group; `Preview.upgrade` reads the rest later.

    No checksum can be tested before the rest is there.  Files with groups of one frame (`gop=1`) serve best: in longer
    groups the first bytes hold the first frames.

    Args:
        clip: The open file.
        start: First frame, counted from 0.
        stop: The frame after the last one.  None: the end of the file.
        share: Part of the bytes of each group to read, above 0 and at most 1; at least 24 bytes are read.

    Returns:
        The latents, with zero for what has not been read.

    Raises:
        ParameterError: The file does not have these frames, the share is out of range, or the file has alpha.
        FormatError: The head of a group is damaged.
    """
    start, stop = within(start, stop, len(clip))
    if not 0 < share <= 1:
        raise ParameterError(f"a share is above 0 and at most 1, not {share:g}")
    if clip.reader.header.alpha:
        raise ParameterError("a group with alpha has no prefix of its colours: its alpha comes first")
    found, parts = [], []
    for number in clip.reader.numbers(start, stop):
        part, data = _begin(clip, number, share)
        latents = read_latents(clip.family, clip.reader.header, data, clip.reader.limits, PrefixPort)
        found.append(place_latents(latents, clip.reader.header, data.head, start, stop))
        parts.append(part)
    return Preview(clip, start, stop, as_grid(found), parts)


def _begin(clip: Clip, number: int, share: float) -> tuple[_Part, GroupData]:
    """The first bytes of a group, and the group as far as they go."""
    reader, size = clip.reader, clip.reader.entries[number].size
    start = reader.part(number, 0, min(size, max(LEAST, int(FIRST * share * size))))
    try:
        while True:
            try:
                heads = _heads(reader, number, start)
                break
            except (FormatError, CorruptStream):
                if len(start) == size:
                    raise
                start += reader.part(number, len(start), min(size, 2 * len(start)))  # many times of frames, or damage
        first, words, stop, bypass = heads.first, heads.words, heads.stop, heads.bypass
        wanted = max(int(share * size) - bypass, words)  # states are needed whole, however few the bytes
        if len(start) < wanted:
            start += reader.part(number, len(start), min(wanted, size))
        if len(start) >= stop - bypass:
            start += reader.part(number, len(start), size)
            return _Part(number, start, b"", size), GroupData(number, heads.group, start[first:stop])
        tail = reader.part(number, stop - bypass, stop)
        return _Part(number, start, tail, stop), GroupData(number, heads.group, shortened(start[first:], tail))
    except (FormatError, CorruptStream) as error:
        raise FormatError(f"group {number}: {error}") from error


@dataclass(frozen=True)
class _Heads:
    """What stands before a group's words; places in its chunks: the stream begins at `first`, its words at `words`,
    its last `bypass` bytes, which end at `stop`, are the bypass section."""

    group: GroupHead
    first: int
    words: int
    stop: int
    bypass: int


def _heads(reader: FileReader, number: int, start: bytes) -> _Heads:
    """From the first bytes of a group; FormatError or CorruptStream where these are too few, or damaged."""
    if start[:4] != b"GRUP":
        raise FormatError("it does not begin with its symbols")
    length, at = unpack_uint(start, 4, "chunk GRUP")
    head, rest = read_group(start[at : at + length], reader.header)
    words, bypass = sections(bytes(rest[:HEAD_BYTES]))
    first, stop = min(at + length, len(start)) - len(rest), at + length
    entry = reader.entries[number]
    if head.frames != entry.frames or stop > entry.size or first + words + bypass > stop:
        raise FormatError("its head is damaged")
    return _Heads(head, first, first + words, stop, bypass)
