"""An open file: frames and latents of any part, reading only the groups that hold them."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..models.fitted import PaintsFrames
from . import weights
from .errors import FormatError, ParameterError
from .groups import Group, OpenGroup, choose_decoder, open_group, paint_group, read_latents
from .header import DECODERS
from .limits import DEFAULT_LIMITS, Limits
from .seekable import FileReader
from .stream import cut, load_family

if TYPE_CHECKING:
    from ..models.interface import Family, TokenGrid
    from ..models.tokens import TokenSet

Pixels = NDArray[np.uint8]

_SPOOL = 64 << 20  # bytes of a pipe that are kept in memory, the rest on disk


@dataclass(frozen=True)
class GroupInfo:
    """One group.  `quality` 0..100 and the parts are filled in by a survey (`tessera info`), else None and empty."""

    number: int
    first: int
    frames: int
    bits: int
    quality: float | None = None
    sound: bool | None = None
    parts: dict[str, int] = field(default_factory=dict)  # bits of "latents" and "alpha"


@dataclass(frozen=True)
class Info:
    """What a file says about itself.

    bits        of each part: header, metadata, groups, index; a survey tells groups into latents and alpha
    rate        frames a second, 0 for a picture
    truncated   the file stops before its end; `frames` counts what is there
    sound       every checksum holds; None until a survey has read the whole file
    """

    codec: str
    version: int
    weights: str  # hexadecimal id
    kind: str  # "picture" or "video"
    width: int
    height: int
    channels: int
    alpha: bool
    frames: int
    rate: Fraction
    duration: float  # seconds
    quality: float  # 0..100, of groups that name none
    decoder: str | None
    bytes: int
    bpp: float
    bits: dict[str, int]
    groups: list[GroupInfo]
    indexed: bool
    truncated: bool
    sound: bool | None
    problems: list[str]


def open_path(path: str | os.PathLike[str]) -> BinaryIO:
    """A file to read.  ParameterError when there is none."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise ParameterError(f"{os.fspath(path)}: {error.strerror}") from error


def as_file(data: Any) -> tuple[BinaryIO, bool]:
    """A binary file that can seek, over a path, bytes or a file object, and whether we opened it."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return io.BytesIO(data), True
    if isinstance(data, (str, os.PathLike)):
        file = open_path(data)
        return (file, True) if file.seekable() else as_file(file)
    if not hasattr(data, "read"):
        raise ParameterError(f"expected a path, bytes or a binary file, got {type(data).__name__}")
    if data.seekable():
        return data, False
    spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115, closed by Clip
    while piece := data.read(1 << 20):
        spool.write(piece)
    spool.seek(0)
    return spool, True  # type: ignore[return-value]


class Clip:
    """A file's frames by number.  `clip[7]` is (H, W, C), `clip[2:5]` is (3, H, W, C); C counts alpha.

    Use it as a context manager.  Sound groups of a damaged file can be read; those that are not raise FormatError.
    """

    def __init__(
        self, data: Any, *, decoder: str | None = None, device: str = "cpu", limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._file, self._ours = as_file(data)
        try:
            self.reader = FileReader(self._file, limits)
        except BaseException:
            self.close()
            raise
        self._limits = limits
        self._decoder = decoder
        self._device = device
        self._family: Family | None = None
        self._held: tuple[int, Group | OpenGroup] | None = None  # the group read last, for reading frame by frame

    def close(self) -> None:
        if self._ours:
            self._file.close()

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.reader.frames

    def __repr__(self) -> str:
        head = self.reader.header
        return f"<Clip {len(self)} frames {head.width}x{head.height}>"

    @property
    def fps(self) -> float:
        """Frames a second, nominal; 0 for a picture."""
        return 0.0 if self.reader.header.still else float(self.reader.header.rate)

    @property
    def bytes_read(self) -> int:
        """Bytes of the file that were read so far."""
        return self.reader.bytes_read

    @property
    def info(self) -> Info:
        return describe(self.reader)

    @property
    def family(self) -> Family:
        """The codec with the file's weights.  UnsupportedError when this install lacks them."""
        if self._family is None:
            self._family = load_family(self.reader.header, self._device)
        return self._family

    def times(self, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Seconds at which frames start..stop-1 show.  Reads their groups, decodes nothing."""
        start, stop = self._range(start, stop)
        head = self.reader.header
        ticks: list[int] = []
        for number in self.reader.numbers(start, stop):
            group = self.reader.group(number).head
            given = group.times or [head.uniform(group.first + k) for k in range(group.frames)]
            ticks += given[max(0, start - group.first) : stop - group.first]
        return np.array([float(tick * head.time_base) for tick in ticks])

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Yield frames start..stop-1, each uint8 (H, W, C)."""
        for group in self.groups(start, stop):
            yield from with_alpha(group)

    def groups(self, start: int = 0, stop: int | None = None) -> Iterator[Group]:
        """Yield the frames start..stop-1 group by group, cut to the range."""
        start, stop = self._range(start, stop)
        for number in self.reader.numbers(start, stop):
            group = self._paint(number)
            if isinstance(group, OpenGroup):
                first, end = group.head.first, group.head.first + group.head.frames
                yield group.frames(max(start, first), min(stop, end))
            else:
                yield cut(group, start, stop)

    def at(self, time: float) -> Pixels:
        """(H, W, C) at `time` in seconds of the file, also between two frames; before and after the file, its ends.

        Between frames of one group embeddings are mixed, which only some codecs have (family `nerv`); between two
        groups the nearer frame shows.  ParameterError for other codecs, and for files with alpha.
        """
        head = self.reader.header
        if head.alpha or not isinstance(self.family, PaintsFrames):
            raise ParameterError(f"codec {self.family.name} has no frames between frames" + " of alpha" * head.alpha)
        number, place = self._place(time)
        group = self._paint(number)
        assert isinstance(group, OpenGroup)
        last = group.head.first + group.head.frames - 1
        if place > last + 0.5:
            return self[last + 1]
        return group.at(min(place, float(last)))

    def _place(self, time: float) -> tuple[int, float]:
        """The group that shows at `time`, and the frame's number there, a fraction more where it has passed."""
        entries = self.reader.entries
        low, high = 0, len(entries) - 1
        while low < high:
            middle = (low + high + 1) // 2
            first = entries[middle].first
            low, high = (middle, high) if self.times(first, first + 1)[0] <= time else (low, middle - 1)
        start = entries[low].first
        times = self.times(start, min(start + entries[low].frames + 1, len(self)))
        return low, start + float(np.interp(time, times, np.arange(len(times))))

    def __getitem__(self, key: int | slice) -> Pixels:
        if isinstance(key, slice):
            return self._slice(key)
        number = key + len(self) if key < 0 else key
        if not 0 <= number < len(self):
            raise IndexError(f"frame {key} of {len(self)}")
        return next(self.frames(number, number + 1))

    def _slice(self, key: slice) -> Pixels:
        start, stop, step = key.indices(len(self))
        wanted = range(start, stop, step)
        head = self.reader.header
        self._limits.check_array(len(wanted), head.width, head.height)
        out = np.empty((len(wanted), head.height, head.width, head.channels + head.alpha), np.uint8)
        for place in range(len(wanted)) if step > 0 else reversed(range(len(wanted))):
            out[place] = self[wanted[place]]
        return out

    def latents(self, start: int = 0, stop: int | None = None) -> TokenGrid:
        """Latents of frames start..stop-1, joined along time; `times` in seconds.  No pixels are made."""
        from .latents import join_grids, place_grid

        start, stop = self._range(start, stop)
        head = self.reader.header
        grids = []
        for number in self.reader.numbers(start, stop):
            data = self.reader.group(number)
            grid = read_latents(self.family, head, data, self._limits)
            grids.append(place_grid(grid, head, data.head, start, stop))
        return join_grids(grids)

    def tokens(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        reduce: Any = "bits",
        budget: Any = 1.0,
        **options: Any,
    ) -> TokenSet:
        """Latents of frames start..stop-1 as tokens, reduced to `budget`; see `models.tokens`.  No pixels are made.

        ParameterError names a method, option or need (query, attn) that is wrong or missing.
        """
        from ..models import tokens

        grid = self.latents(start, stop)
        try:
            return tokens.reduce(grid, reduce, budget, **options)
        except ValueError as error:
            raise ParameterError(str(error)) from error

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        stop = len(self) if stop is None else stop
        if not 0 <= start < stop <= len(self):
            raise ParameterError(f"frames {start}:{stop} are not within the {len(self)} frames of the file")
        return start, stop

    def _paint(self, number: int) -> Group | OpenGroup:
        """The group, painted; or open, where single frames can be painted."""
        if self._held is None or self._held[0] != number:
            self._held = None
            head = self.reader.header
            painter = choose_decoder(self.family, head, self._decoder)
            data = self.reader.group(number)
            group: Group | OpenGroup
            if isinstance(self.family, PaintsFrames):
                group = open_group(self.family, head, data, self._limits, painter)
            else:
                group = paint_group(self.family, head, data, self._limits, painter)
            self._held = number, group
        return self._held[1]


def with_alpha(group: Group) -> Pixels:
    """(T, H, W, C) with alpha as the last channel where there is one."""
    if group.alpha is None:
        return group.pixels
    return np.concatenate([group.pixels, group.alpha[..., None]], axis=3)


def describe(reader: FileReader, survey: list[GroupInfo] | None = None) -> Info:
    """The info of a file; with the `survey` of all its groups, the whole of it."""
    head = reader.header
    groups = survey or [
        GroupInfo(k, entry.first, entry.frames, 8 * entry.size) for k, entry in enumerate(reader.entries)
    ]
    pixels = max(1, reader.frames) * head.width * head.height
    return Info(
        codec=weights.name_of(head.codec),
        version=head.version,
        weights=head.weights.hex(),
        kind="picture" if head.still else "video",
        width=head.width,
        height=head.height,
        channels=head.channels,
        alpha=head.alpha,
        frames=reader.frames,
        rate=Fraction(0) if head.still else head.rate,
        duration=0.0 if head.still else float(reader.frames / head.rate),
        quality=head.quality / 64,
        decoder=next((name for name, number in DECODERS.items() if number == head.decoder), None),
        bytes=reader.size,
        bpp=8 * reader.size / pixels,
        bits=_parts(reader, groups),
        groups=groups,
        indexed=reader.indexed,
        truncated=reader.truncated,
        sound=None if survey is None else not reader.problems and all(group.sound for group in survey),
        problems=list(reader.problems),
    )


def _parts(reader: FileReader, groups: list[GroupInfo]) -> dict[str, int]:
    """Bits of each part; their sum is the file's size."""
    names = {"iccp": "icc", "exif": "exif", "audi": "audio"}
    metadata = {names[kind]: 8 * size for kind, size in reader.metadata_sizes().items()}
    coded: dict[str, int] = {}
    for group in groups:
        for name, bits in (group.parts or {"groups": group.bits}).items():
            coded[name] = coded.get(name, 0) + bits
    header = 8 * reader.body - sum(metadata.values())
    rest = 8 * reader.size - header - sum(metadata.values()) - sum(coded.values())
    return {"header": header, **metadata, **coded, "index": rest}


def survey(reader: FileReader) -> list[GroupInfo]:
    """Read every group and check its checksums; nothing is decoded."""
    found: list[GroupInfo] = []
    names = {"GRUP": "latents", "ALPH": "alpha"}
    for number, entry in enumerate(reader.entries):
        try:
            data = reader.group(number)
        except FormatError:
            found.append(GroupInfo(number, entry.first, entry.frames, 8 * entry.size, sound=False))
            continue
        parts = {names[kind]: 8 * size for kind, size in data.sizes.items()}
        found.append(
            GroupInfo(number, entry.first, entry.frames, 8 * entry.size, data.head.quality / 64, True, parts)
        )
    return found
