"""One group of frames <-> its symbols, by a codec family.

Nothing here knows about files: `code_group` and `paint_group` are what threads would run side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..errors import FormatError, LimitError, ParameterError, UnsupportedError
from ..format.alpha import pack_alpha, unpack_alpha
from ..format.chunks import DIGEST_BYTES
from ..format.container import GroupData
from ..format.header import DECODERS, GroupHead, Header
from ..limits import GROUP_FRAMES, Limits
from .ports import DecoderPort, EncoderPort, OpeningPort

if TYPE_CHECKING:
    from ...models.base.cost import Cost
    from ...models.base.family import Family, GroupSpec, Latents, Symbols, TableIndices
    from ...models.base.fitted import PaintsFrames, TimePainter
    from ..media.types import Frame

Pixels = NDArray[np.uint8]
Found = TypeVar("Found")


@dataclass
class Group:
    """Consecutive frames.  pixels (T, H, W, C), alpha (T, H, W) or None, times: one tick per frame."""

    first: int
    pixels: Pixels
    alpha: Pixels | None
    times: list[int]


@dataclass
class CodedGroup:
    """What ContainerWriter.group takes."""

    head: GroupHead
    symbols: bytes
    alpha: bytes | None


class SinkPort(Protocol):
    def put(self, symbols: Symbols, indices: TableIndices) -> None: ...

    def get(self, indices: TableIndices) -> Symbols: ...

    def finish(self) -> bytes: ...


class SourcePort(Protocol):
    def put(self, symbols: Symbols, indices: TableIndices) -> None: ...

    def get(self, indices: TableIndices) -> Symbols: ...

    def finish(self) -> None: ...


PortMaker = Callable[[Tables], SinkPort]  # EncoderPort for bytes, BitMeter for their number
SourceMaker = Callable[[Tables, "bytes | memoryview"], SourcePort]  # DecoderPort, PrefixPort


def with_alpha(group: Group) -> Pixels:
    """(T, H, W, C) with alpha as the last channel where there is one."""
    if group.alpha is None:
        return group.pixels
    return np.concatenate([group.pixels, group.alpha[..., None]], axis=3)


def group_length(gop: int | None, family: Family, header: Header, limits: Limits) -> int:
    """Frames a group: `gop`, or the family's own choice as far as the limits allow."""
    if gop is not None and not header.still:
        limits.check_group(gop, header.width, header.height, limits.group)
        limits.check_cost(family.cost(group_spec(header, gop, 0)))
        return gop
    most = min(family.default_gop, GROUP_FRAMES, limits.group // (header.width * header.height))
    length = 1 if header.still else most
    while length > 1 and not _affordable(family.cost(group_spec(header, length, 0)), limits):
        length //= 2
    limits.check_cost(family.cost(group_spec(header, 1, 0)))
    return max(1, length)


def _affordable(cost: Cost, limits: Limits) -> bool:
    return cost.memory <= limits.memory and cost.work <= limits.work


def join_frames(frames: Iterable[Frame], length: int, header: Header) -> Iterator[Group]:
    """Groups of `length` frames, the last one shorter.  Ticks that do not increase are moved to the next free one."""
    first, last = 0, -(1 << 62)
    held: list[Frame] = []
    for frame in frames:
        last = max(frame.pts, last + 1)
        frame.pts = last
        held.append(frame)
        if len(held) == length:
            yield _join(first, held, header)
            first, held = first + length, []
    if held:
        yield _join(first, held, header)


def _join(first: int, held: list[Frame], header: Header) -> Group:
    pixels = held[0].pixels[None] if len(held) == 1 else np.stack([frame.pixels for frame in held])
    alpha: Pixels | None = None
    if header.alpha:
        opaque = np.full((header.height, header.width), 255, np.uint8)
        alpha = np.stack([opaque if frame.alpha is None else frame.alpha for frame in held])
    return Group(first, pixels, alpha, [frame.pts for frame in held])


def code_group(
    family: Family, header: Header, group: Group, quality: int, make_port: PortMaker = EncoderPort
) -> CodedGroup:
    """Code one group at a fine quality."""
    count = len(group.pixels)
    port = make_port(family.tables)
    family.encode(np.ascontiguousarray(group.pixels), group_spec(header, count, quality), port)
    uniform = header.still or group.times == [header.uniform(group.first + k) for k in range(count)]
    head = GroupHead(group.first, count, quality, None if uniform else group.times)
    return CodedGroup(head, port.finish(), None if group.alpha is None else pack_alpha(group.alpha))


class OpenGroup:
    """A group whose symbols are read: any of its frames, or a time between them, by itself."""

    def __init__(self, painter: TimePainter, header: Header, head: GroupHead, alpha: Pixels | None, decoder: str):
        self.head, self._painter, self._header, self._alpha, self._decoder = head, painter, header, alpha, decoder

    def frames(self, start: int, stop: int) -> Group:
        """Frames start..stop-1 of the file, which are in this group."""
        a, b = start - self.head.first, stop - self.head.first
        pixels = self._painter.paint(np.arange(a, b, dtype=np.float64), self._decoder)
        times = group_times(self._header, self.head)[a:b]
        return Group(start, pixels, None if self._alpha is None else self._alpha[a:b], times)

    def at(self, place: float) -> Pixels:
        """uint8 (H, W, channels) at `place` frames of the file, a real number between two frames of this group."""
        pixels: Pixels = self._painter.paint(np.array([place - self.head.first]), self._decoder)[0]
        return pixels


def open_group(family: PaintsFrames, header: Header, data: GroupData, limits: Limits, decoder: str) -> OpenGroup:
    """Read one group's symbols.  Errors as of `paint_group`."""
    spec = _check(family, header, data, limits)
    with _reading(data.number):
        port = DecoderPort(family.tables, data.symbols)
        painter = family.open_group(spec, port)
        port.finish()
    return OpenGroup(painter, header, data.head, read_alpha(header, data), decoder)


def paint_group(family: Family, header: Header, data: GroupData, limits: Limits, decoder: str | None = None) -> Group:
    """Decode one group.  FormatError names it when its symbols are damaged, LimitError when it is too large."""
    painter = decoder or choose_decoder(family, header)
    frames = use_symbols(family, header, data, limits, lambda spec, port: family.decode(spec, port, painter))
    return Group(data.head.first, frames, read_alpha(header, data), group_times(header, data.head))


def paint_part(
    family: Family, header: Header, data: GroupData, limits: Limits, decoder: str, start: int, stop: int | None
) -> Group:
    """Decode of one group what lies in start..stop-1; more of it where its frames cannot be painted one by one.

    Errors as of `paint_group`.
    """
    from ...models.base.fitted import PaintsFrames

    first, last = data.head.first, data.head.first + data.head.frames
    if data.error is not None or not isinstance(family, PaintsFrames):
        return paint_group(family, header, data, limits, decoder)
    return open_group(family, header, data, limits, decoder).frames(
        max(start, first), last if stop is None else min(stop, last)
    )


def digest_of(pixels: Pixels) -> bytes:
    """What a file keeps of the pixels of a group (FORMAT.md section 21); of one frame, what `tessera info` prints."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).digest()[:DIGEST_BYTES]


def group_digest(family: Family, header: Header, coded: CodedGroup, limits: Limits) -> bytes:
    """The digest of a group that was just coded."""
    data, painter = GroupData(0, coded.head, coded.symbols), choose_decoder(family, header)
    return digest_of(use_symbols(family, header, data, limits, lambda spec, port: family.decode(spec, port, painter)))


def can_check_digests(family: Family, header: Header) -> bool:
    """Whether this install makes the pixels that the digests of a file are of."""
    named = [name for name, number in DECODERS.items() if number == header.decoder]
    return family.exact and (header.decoder == 0 or choose_decoder(family, header) in named)


def use_symbols(
    family: Family,
    header: Header,
    data: GroupData,
    limits: Limits,
    use: Callable[[GroupSpec, SourcePort], Found],
    make_port: SourceMaker = DecoderPort,
) -> Found:
    """What `use` makes of one group's symbols, all of which it has to get.  Errors as of `paint_group`."""
    spec = _check(family, header, data, limits)
    with _reading(data.number):
        port = make_port(family.tables, data.symbols)
        found = use(spec, port)
        port.finish()
    return found


def read_latents(
    family: Family, header: Header, data: GroupData, limits: Limits, make_port: SourceMaker = DecoderPort
) -> Latents:
    """The latents of one group, without synthesis."""
    return use_symbols(family, header, data, limits, family.latents, make_port)


def read_first(family: Family, header: Header, data: GroupData, limits: Limits, channels: int) -> Latents:
    """The same of the first channels, of which no more symbols are decoded than the family needs."""
    from ...models.base.family import ReadsFirst

    if isinstance(family, ReadsFirst) and 1 <= channels <= family.channels:
        return use_symbols(
            family, header, data, limits, lambda spec, port: family.first_latents(spec, port, channels), OpeningPort
        )
    latents = read_latents(family, header, data, limits)
    if not 1 <= channels <= latents.x.shape[3]:
        raise ParameterError(f"channels {channels}: the latents of codec {family.name} have 1 to {latents.x.shape[3]}")
    return replace(latents, x=latents.x[..., :channels])


@contextmanager
def _reading(number: int) -> Iterator[None]:
    """Damage of a group's symbols becomes a FormatError that names the group, what they ask for a LimitError."""
    from ...models.base.cost import TooLarge

    try:
        yield
    except TooLarge as error:
        raise LimitError(f"group {number}: {error}") from error
    except (FormatError, ValueError, LookupError, ArithmeticError) as error:
        # A family meets impossible symbols only in a forged file; what it then raises is up to its arithmetic.
        raise FormatError(f"group {number}: {error}") from error


def read_alpha(header: Header, data: GroupData) -> Pixels | None:
    """(T, H, W) where the file has alpha.  FormatError names the group when it is damaged."""
    with _reading(data.number):
        return unpack_alpha(data.alpha or b"", data.head.frames, header.height, header.width) if header.alpha else None


def _check(family: Family, header: Header, data: GroupData, limits: Limits) -> GroupSpec:
    """The group's shape, with what it may take; LimitError where the shape alone is too large."""
    from ...models.base.cost import Allowance, Cost

    if data.error is not None:
        raise data.error
    head, payload = data.head, len(data.symbols)
    limits.check_group(head.frames, header.width, header.height, payload)
    spec = group_spec(header, head.frames, head.quality)
    limits.check_cost(family.cost(spec))
    return replace(spec, allowance=Allowance(payload, Cost(limits.memory, limits.work)))


def group_spec(header: Header, frames: int, quality: int) -> GroupSpec:
    from ...models.base.family import GroupSpec

    return GroupSpec(frames, header.height, header.width, header.channels, quality)


def group_times(header: Header, head: GroupHead) -> list[int]:
    """One tick per frame."""
    return head.times or [header.uniform(head.first + k) for k in range(head.frames)]


def lacking_decoder(family: Family, header: Header, wanted: str | None = None) -> list[str]:
    """A line where the file names a decoder that this install lacks, so that another one paints."""
    named = next((name for name, number in DECODERS.items() if number == header.decoder), f"{header.decoder}")
    if wanted is not None or not header.decoder or named in family.decoders:
        return []
    lacks = f"the file was made for decoder {named}, which this install lacks"
    return [f"{lacks}; decoder {family.decoders[0]} paints other pixels"]


def choose_decoder(family: Family, header: Header, wanted: str | None = None) -> str:
    """The synthesis network to paint with: the one asked for, the header's, or the family's first."""
    if wanted is not None:
        if wanted not in family.decoders:
            raise UnsupportedError(
                f"codec {family.name} has no decoder {wanted!r}; there are {', '.join(family.decoders)}"
            )
        return wanted
    named = next((name for name, number in DECODERS.items() if number == header.decoder), None)
    return named if named in family.decoders else family.decoders[0]
