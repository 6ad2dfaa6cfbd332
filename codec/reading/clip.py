"""An open file: frames and latents of any part, reading only the groups that hold them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ...models.base.fitted import PaintsFrames
from ..coding.groups import Group, OpenGroup, choose_decoder, open_group, paint_group, read_first, read_latents
from ..coding.stream import cut, load_family
from ..errors import ParameterError
from ..format.seekable import FileReader
from ..limits import DEFAULT_LIMITS, Limits
from ..options import DecodeOptions, DecoderName, FileSource
from ..ranges import within
from ..spool import spool
from .info import Info, describe

if TYPE_CHECKING:
    from torch import Tensor

    from ...models.base.discrete import IdTokens
    from ...models.base.family import Family, TokenGrid
    from ...models.tokens import TokenSet

Pixels = NDArray[np.uint8]


def open_path(path: str | os.PathLike[str]) -> BinaryIO:
    """A file to read.  ParameterError when there is none."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise ParameterError(f"{os.fspath(path)}: {error.strerror}") from error


def as_file(data: FileSource) -> tuple[BinaryIO, bool]:
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
    return spool(data), True


class Clip:
    """A file's frames by number.  `clip[7]` is (H, W, C), `clip[2:5]` is (3, H, W, C); C counts alpha.

    Use it as a context manager.  Sound groups of a damaged file can be read; those that are not raise FormatError.
    """

    def __init__(
        self,
        data: FileSource,
        *,
        decoder: DecoderName | None = None,
        device: str = "cpu",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._options = DecodeOptions(decoder=decoder, device=device, limits=limits)
        self._file, self._ours = as_file(data)
        try:
            self.reader = FileReader(self._file, limits)
        except BaseException:
            self.close()
            raise
        self.limits = limits
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
            self._family = load_family(self.reader.header, self._options.device)
        return self._family

    def times(self, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Seconds at which frames start..stop-1 show.  Reads their groups, decodes nothing."""
        start, stop = within(start, stop, len(self))
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
        start, stop = within(start, stop, len(self))
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
        self.limits.check_array(len(wanted), head.width, head.height)
        out = np.empty((len(wanted), head.height, head.width, head.channels + head.alpha), np.uint8)
        for place in range(len(wanted)) if step > 0 else reversed(range(len(wanted))):
            out[place] = self[wanted[place]]
        return out

    def latents(self, start: int = 0, stop: int | None = None, *, channels: int | None = None) -> TokenGrid:
        """Latents of frames start..stop-1, joined along time; `times` in seconds.  No pixels are made.

        channels   the first so many alone: families code coarse to fine, and what others need is not decoded where it
                   stands at a group's end (`wavelet`, `spatiotemporal`: best with groups of one frame); `bits` are
                   those of what was decoded
        """
        from .latents import join_grids, place_grid

        start, stop = within(start, stop, len(self))
        head = self.reader.header
        grids = []
        for number in self.reader.numbers(start, stop):
            data = self.reader.group(number)
            if channels is None:
                grid = read_latents(self.family, head, data, self.limits)
            else:
                grid = read_first(self.family, head, data, self.limits, channels)
            grids.append(place_grid(grid, head, data.head, start, stop))
        return join_grids(grids)

    @overload
    def tokens(
        self, start: int = 0, stop: int | None = None, *, kind: Literal["latents"] = "latents", **options: Any
    ) -> TokenSet: ...

    @overload
    def tokens(self, start: int = 0, stop: int | None = None, *, kind: Literal["ids"]) -> IdTokens: ...

    @overload
    def tokens(self, start: int = 0, stop: int | None = None, *, kind: Literal["packed", "bytes"]) -> Tensor: ...

    def tokens(
        self, start: int = 0, stop: int | None = None, *, kind: str = "latents", **options: Any
    ) -> TokenSet | IdTokens | Tensor:
        """Frames start..stop-1 as tokens.  No pixels are made.

        latents   reduce="bits", budget=1.0, channels=None (see `latents`) and what the method takes: a TokenSet, see
                  `models.tokens`
        ids       indices of codebooks: IdTokens, see `models.discrete`
        packed    uint8 (T, bytes), the same indices at fixed length
        bytes     int64 (N,), 256, the bytes of the whole file, 257; `ids.file_of_bytes` is the inverse

        ParameterError names a method, option or need (query, attn) that is wrong or missing, or a codec without ids.
        """
        from ...models import tokens
        from .ids import read_kind

        start, stop = within(start, stop, len(self))
        if kind != "latents":
            if options:
                raise ParameterError(f"kind {kind} has no option {', '.join(sorted(options))}")
            return read_kind(self, start, stop, kind)
        grid = self.latents(start, stop, channels=options.pop("channels", None))
        steps, budget = options.pop("reduce", "bits"), options.pop("budget", 1.0)
        try:
            return tokens.reduce(grid, steps, budget, **options)
        except ValueError as error:
            raise ParameterError(str(error)) from error

    def ids(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Codebook indices of frames start..stop-1, int64 (T, h, w, Q); ParameterError for a codec without codebooks.

        Of codec vqgan they are nodes of its trees (`models.vqgan.ids`) at each cell of 16 x 16 pixels.
        """
        from .ids import read_codes

        return read_codes(self, *within(start, stop, len(self)))

    def from_ids(self, ids: Any) -> Pixels:
        """Ids in any form of `models.discrete` -> frames (T, H, W, channels) of this file's size and quality.

        ParameterError for ids of another shape, or that such a frame cannot have.
        """
        from .ids import paint_ids

        return paint_ids(self, ids)

    def restore(self, erasures: Any, start: int = 0, stop: int | None = None) -> Pixels:
        """Frames start..stop-1 (T, H, W, C) when the indices in `erasures` are lost and filled in by the codec's prior.

        erasures   bool (T, h, w), the cells of `ids` that are lost, or one mask a codebook on its own grid
        """
        from .ids import restored

        start, stop = within(start, stop, len(self))
        self.limits.check_array(stop - start, self.reader.header.width, self.reader.header.height)
        return np.concatenate([with_alpha(group) for group in restored(self, erasures, start, stop)])

    def payload(self, number: int) -> NDArray[np.uint8]:
        """The coded symbols of group `number`, as the file holds them."""
        if not 0 <= number < len(self.reader.entries):
            raise ParameterError(f"there is no group {number}; the file has {len(self.reader.entries)}")
        return np.frombuffer(self.reader.group(number).symbols, np.uint8)

    def _paint(self, number: int) -> Group | OpenGroup:
        """The group, painted; or open, where single frames can be painted."""
        if self._held is None or self._held[0] != number:
            self._held = None
            head = self.reader.header
            painter = choose_decoder(self.family, head, self._options.decoder)
            data = self.reader.group(number)
            group: Group | OpenGroup
            if isinstance(self.family, PaintsFrames):
                group = open_group(self.family, head, data, self.limits, painter)
            else:
                group = paint_group(self.family, head, data, self.limits, painter)
            self._held = number, group
        return self._held[1]


def with_alpha(group: Group) -> Pixels:
    """(T, H, W, C) with alpha as the last channel where there is one."""
    if group.alpha is None:
        return group.pixels
    return np.concatenate([group.pixels, group.alpha[..., None]], axis=3)
