"""An open file: frames and latents of any part, reading only the groups that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ...models.base.fitted import PaintsFrames
from ..coding.groups import Group, OpenGroup, choose_decoder, lacking_decoder, open_group, paint_group, with_alpha
from ..coding.stream import cut, load_family, tell
from ..errors import FormatError, ParameterError, need_torch
from ..format.header import GroupHead
from ..format.seekable import FileReader
from ..limits import DEFAULT_LIMITS, Limits
from ..options import DecodeOptions, DecoderName, FileSource
from ..ranges import within
from .info import Info, describe
from .recent import Recent
from .source import as_file, picklable
from .timing import place_of, times_of

if TYPE_CHECKING:
    from torch import Tensor

    from ...models.base.family import Family, Latents
    from ...models.tokens import TokenSet
    from ...models.tokens.grid import TokenGrid
    from ...models.tokens.ids import IdTokens

Pixels = NDArray[np.uint8]


class Clip:
    """An open file: frames, latents and tokens by number.  Only the groups that hold them are read.

    `clip[7]` is one frame, uint8 (H, W, C), `clip[2:5]` is (3, H, W, C); C counts alpha.  `len(clip)` is the number of
    frames.  Use it as a context manager.  Several threads may read it at once, and processes that are forked later; a
    clip of a path or of bytes can be pickled.  Of a damaged file, sound groups can be read, others raise FormatError.

    Args:
        data: A .tsr file: a path, its bytes or a binary file.
        decoder: The synthesis network to paint with.  None: the one that the file names.
        device: "cpu", "cuda" or "cuda:N".
        limits: Upper bounds; a file beyond one of them is refused.
        keep: Groups whose latents and pixels stay in memory, those used last, for reading windows that overlap.  0: the
            group painted last.

    Raises:
        FormatError: This is no .tsr file, or its header is damaged.
        ParameterError: There is no such file, or an argument is out of range.
        UnsupportedError: The file needs a newer version of the format.
        LimitError: The file is larger than the limits allow.
    """

    def __init__(
        self,
        data: FileSource,
        *,
        decoder: DecoderName | None = None,
        device: str = "cpu",
        limits: Limits = DEFAULT_LIMITS,
        keep: int = 0,
    ) -> None:
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
            raise ParameterError(f"keep is a number of groups, 0 or more, not {keep!r}")
        self._source = data
        self._options = DecodeOptions(decoder=decoder, device=device, limits=limits)
        self._file, self._ours = as_file(data)
        try:
            self.reader = FileReader(self._file, limits)
        except BaseException:
            self.close()
            raise
        self.limits = limits
        self._family: Family | None = None
        self.keep = keep
        self._painted: Recent[int, Group | OpenGroup] = Recent(max(keep, 1))
        self.latents_kept: Recent[Any, tuple[Latents, GroupHead]] = Recent(keep)

    def close(self) -> None:
        """Close the file, unless the caller opened it."""
        if self._ours:
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        options = self._options
        return _reopened, (picklable(self._source), options.decoder, options.device, self.limits, self.keep)

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
        """Frames per second, nominal; 0 for a picture."""
        return 0.0 if self.reader.header.still else float(self.reader.header.rate)

    @property
    def bytes_read(self) -> int:
        """Bytes of the file that were read so far."""
        return self.reader.bytes_read

    @property
    def info(self) -> Info:
        """What header and index say about the file."""
        return describe(self.reader)

    @property
    def family(self) -> Family:
        """The codec with the weights of the file.  UnsupportedError when this install lacks them."""
        if self._family is None:
            self._family = load_family(self.reader.header, self._options.device)
        return self._family

    def times(self, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Read when frames show.  Their groups are read, nothing is decoded.

        Args:
            start: First frame, counted from 0.
            stop: The frame after the last one.  None: the end of the file.

        Returns:
            float64 (T,), seconds.

        Raises:
            ParameterError: The file does not have these frames.
            FormatError: A group is damaged.
        """
        return times_of(self.reader, *within(start, stop, len(self)))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Decode frames one by one.

        Args:
            start: First frame, counted from 0.
            stop: The frame after the last one.  None: the end of the file.

        Yields:
            Each frame, uint8 (H, W, C).

        Raises:
            ParameterError: The file does not have these frames.
            FormatError: A group is damaged.
        """
        for group in self.groups(start, stop):
            for frame in with_alpha(group):
                yield frame.copy()  # what a caller writes into a frame is not in the group that is kept

    def groups(self, start: int = 0, stop: int | None = None) -> Iterator[Group]:
        """Decode frames group by group.

        Args:
            start: First frame, counted from 0.
            stop: The frame after the last one.  None: the end of the file.

        Yields:
            The frames of each group that are in the range: `pixels` uint8 (T, H, W, C), `alpha` (T, H, W) or None.

        Raises:
            ParameterError: The file does not have these frames.
            FormatError: A group is damaged.
        """
        start, stop = within(start, stop, len(self))
        for number in self.reader.numbers(start, stop):
            group = self._paint(number)
            if isinstance(group, OpenGroup):
                first, end = group.head.first, group.head.first + group.head.frames
                yield group.frames(max(start, first), min(stop, end))
            else:
                yield cut(group, start, stop)

    def at(self, time: float) -> Pixels:
        """Paint what shows at a time, also between two frames.  Only family `nerv` can.

        Between frames of one group their embeddings are mixed; between two groups the nearer frame shows.

        Args:
            time: Seconds of the file; before and after the file, its first and last frame show.

        Returns:
            uint8 (H, W, C).

        Raises:
            ParameterError: The codec cannot paint between frames, or the file has alpha.
            FormatError: The file is damaged, and nothing can be painted.
        """
        head = self.reader.header
        if head.alpha or not isinstance(self.family, PaintsFrames):
            raise ParameterError(f"codec {self.family.name} has no frames between frames" + " of alpha" * head.alpha)
        if not self.reader.entries:
            raise FormatError("the file holds no whole frame")
        number, place = place_of(self.reader, time)
        group = self._paint(number)
        assert isinstance(group, OpenGroup)
        last = group.head.first + group.head.frames - 1
        if place > last + 0.5:
            return self[last + 1]
        return group.at(min(place, float(last)))

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

    def latents(
        self, start: int = 0, stop: int | None = None, *, channels: int | None = None, bits_prior: bool = False
    ) -> TokenGrid:
        """Read latents, joined along time.  No pixels are made.

        Args:
            start: First frame, counted from 0.
            stop: The frame after the last one.  None: the end of the file.
            channels: Read the first so many channels alone.  Families code coarse to fine, and what the other channels
                need is not decoded where it stands at the end of a group (`wavelet`: best with groups of one frame;
                `spatiotemporal`: in its last predicted frame).  None: all channels.
            bits_prior: Also tell what bits motion and prediction let expect, where the codec knows them
                (`spatiotemporal`).  It takes about half as long again.

        Returns:
            The latents of the frames; `times` in seconds, `bits` those of what was decoded.

        Raises:
            ParameterError: The file does not have these frames, or the latents do not have these channels.
            FormatError: A group is damaged.
        """
        from .latents import read_grid

        return read_grid(self, *within(start, stop, len(self)), channels=channels, bits_prior=bits_prior)

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
        """Read frames as tokens.  No pixels are made.

        Args:
            start: First frame, counted from 0.
            stop: The frame after the last one.  None: the end of the file.
            kind: "latents": reduced latents; "ids": indices of codebooks; "packed": the same indices at fixed length;
                "bytes": the bytes of the whole file as ids, of which `file_of_bytes` is the inverse.
            **options: Of kind "latents": `reduce`, a method, a recipe or a chain of them (default "bits";
                `tessera tokens --list` prints them); `budget`, the number of tokens or a share of the cells (default
                1.0); `channels`, see `latents`; `query`, `attn`, `text`, `seed`, `whiten` and what the method takes.

        Returns:
            A `TokenSet` of latents; `IdTokens` of ids; uint8 (T, bytes) of packed; int64 (N,) of bytes, which are 256,
            the bytes, 257.

        Raises:
            ParameterError: A method, an option or a need of it (query, attn) is wrong or missing, the codec has no ids,
                or the file does not have these frames.
            FormatError: A group is damaged.
        """
        from .ids import read_kind

        need_torch("tokens")
        start, stop = within(start, stop, len(self))
        if kind == "latents":
            from .reduced import reduced

            return reduced(self, start, stop, **options)
        if options:
            raise ParameterError(f"kind {kind} has no option {', '.join(sorted(options))}")
        return read_kind(self, start, stop, kind)

    def ids(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Read codebook indices.  No pixels are made.

        Args:
            start: First frame, counted from 0.
            stop: The frame after the last one.  None: the end of the file.

        Returns:
            int64 (T, h, w, Q).  Of codec vqgan they are nodes of its trees at each cell of 16 x 16 pixels.

        Raises:
            ParameterError: The codec has no codebooks, or the file does not have these frames.
            FormatError: A group is damaged.
        """
        need_torch("ids")
        import torch

        from .ids import read_codes

        return torch.from_numpy(read_codes(self, *within(start, stop, len(self))))

    def from_ids(self, ids: Any) -> Pixels:
        """Paint frames from codebook indices, at the size and quality of this file.

        Args:
            ids: `IdTokens`, codes (T, h, w, Q), a sequence (T, n) or packed bytes (T, n).

        Returns:
            uint8 (T, H, W, C), without alpha.

        Raises:
            ParameterError: The codec has no codebooks, or a frame of this size cannot have these ids.
        """
        from .ids import paint_ids

        return paint_ids(self, ids)

    def restore(self, erasures: Any, start: int = 0, stop: int | None = None) -> Pixels:
        """Decode frames some of whose codebook indices are lost and filled in by the codec's prior.

        Args:
            erasures: bool (T, h, w), the cells of `ids` that are lost, or one such mask per codebook on its own grid.
            start: First frame, counted from 0.
            stop: The frame after the last one.  None: the end of the file.

        Returns:
            uint8 (T, H, W, C).

        Raises:
            ParameterError: The codec has no codebooks, the masks have other shapes, or the file does not have these
                frames.
            FormatError: A group is damaged.
        """
        from .ids import restored

        start, stop = within(start, stop, len(self))
        self.limits.check_array(stop - start, self.reader.header.width, self.reader.header.height)
        return np.concatenate([with_alpha(group) for group in restored(self, erasures, start, stop)])

    def payload(self, number: int) -> NDArray[np.uint8]:
        """Read the coded symbols of a group, as the file holds them.

        Args:
            number: The group, counted from 0.

        Returns:
            uint8 (bytes,).

        Raises:
            ParameterError: There is no such group.
            FormatError: The group is damaged.
        """
        if not 0 <= number < len(self.reader.entries):
            raise ParameterError(f"there is no group {number}; the file has {len(self.reader.entries)}")
        return np.frombuffer(self.reader.group(number).symbols, np.uint8)

    def _paint(self, number: int) -> Group | OpenGroup:
        """The group, painted; or open, where single frames can be painted."""
        group = self._painted.get(number)
        if group is None:
            self._painted.make_room()
            head = self.reader.header
            painter = choose_decoder(self.family, head, self._options.decoder)
            tell(lacking_decoder(self.family, head, self._options.decoder), None)
            data = self.reader.group(number)
            if isinstance(self.family, PaintsFrames):
                group = open_group(self.family, head, data, self.limits, painter)
            else:
                group = paint_group(self.family, head, data, self.limits, painter)
            self._painted.put(number, group)
        return group


def _reopened(source: FileSource, decoder: DecoderName | None, device: str, limits: Limits, keep: int) -> Clip:
    return Clip(source, decoder=decoder, device=device, limits=limits, keep=keep)
