"""HEAD, GRUP, ALPH, INDX and TEND as field lists; FORMAT.md sections 3 to 8 say what each field means."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd

from ...models.base.quality import MAX_FINE
from ..errors import FormatError, UnsupportedError
from ..limits import GROUP_FRAMES, Limits
from .fields import FieldReader, Fields, FieldWriter

VERSION = 1
MAX_SIDE = 1 << 28
MAX_FRAME = 1 << 40
MAX_RATIO = 1 << 31
MAX_TICK = 1 << 62  # of a frame, so that ticks fit 64 bits wherever they go

STILL, GRAY, ALPHA, COLOUR, DECODER = 1, 2, 4, 8, 16  # HEAD flags
QUALITY, TIMES = 1, 2  # GRUP flags

STILL_COLOUR = (1, 13, 0, True)  # sRGB
CLIP_COLOUR = (1, 1, 1, False)  # BT.709, limited range
DECODERS = {"fast": 1, "standard": 2, "best": 3, "perceptual": 4}  # wire ids, never reused


@dataclass
class Header:
    """Everything that holds for the whole file."""

    codec: int = 1
    weights: bytes = bytes(8)
    width: int = 1
    height: int = 1
    still: bool = True
    channels: int = 3
    alpha: bool = False
    quality: int = 0  # fine quality of every group that names none
    colour: tuple[int, int, int, bool] = STILL_COLOUR
    decoder: int = 0  # 0: the family's first
    announced: int = 0
    time_base: Fraction = Fraction(1, 25)
    rate: Fraction = Fraction(25)
    start: int = 0
    version: int = VERSION

    @property
    def default_colour(self) -> tuple[int, int, int, bool]:
        return STILL_COLOUR if self.still else CLIP_COLOUR

    def uniform(self, frame: int) -> int:
        """The tick at which `frame` shows when the rate is constant."""
        ticks = self.rate * self.time_base
        return self.start + (2 * frame * ticks.denominator + ticks.numerator) // (2 * ticks.numerator)


@dataclass
class GroupHead:
    """What a GRUP chunk says before its symbols.  `times`: one tick per frame, None when the rate is constant."""

    first: int = 0
    frames: int = 1
    quality: int = 0  # fine quality
    times: list[int] | None = None


@dataclass(frozen=True)
class IndexEntry:
    """Where a group is.  `offset` None: the group was lost, only its frame numbers are known."""

    first: int
    frames: int
    offset: int | None
    size: int


@dataclass
class Index:
    offset: int = 0
    groups: list[tuple[int, int]] = field(default_factory=list)  # (frames, size)


def _flags(fields: Fields, where: str, *bits: tuple[int, bool]) -> list[bool]:
    """One flags field; each of `bits` is (mask, value to write)."""
    value = fields.uint("flags", sum(mask for mask, is_set in bits if is_set))
    known = sum(mask for mask, _ in bits)
    if value & ~known:
        raise UnsupportedError(f"{where}: flags {value & ~known:#x} are from a later version of the format")
    return [bool(value & mask) for mask, _ in bits]


def visit_header(head: Header, fields: Fields) -> None:
    head.version = fields.uint("version", head.version, 1)
    if head.version > VERSION:
        raise UnsupportedError(f"the file has format version {head.version}, this install reads up to {VERSION}")
    head.codec = fields.uint("codec", head.codec, 1, 127)
    head.still, gray, head.alpha, colour, decoder = _flags(
        fields,
        "HEAD",
        (STILL, head.still),
        (GRAY, head.channels == 1),
        (ALPHA, head.alpha),
        (COLOUR, head.colour != head.default_colour),
        (DECODER, head.decoder != 0),
    )
    head.channels = 1 if gray else 3
    head.weights = fields.raw("weights", head.weights, 8)
    head.width = fields.uint("width", head.width, 1, MAX_SIDE)
    head.height = fields.uint("height", head.height, 1, MAX_SIDE)
    head.quality = fields.uint("quality", head.quality, 0, MAX_FINE)
    head.colour = _visit_colour(head.colour, fields) if colour else head.default_colour
    head.decoder = fields.uint("decoder", head.decoder, 1, 255) if decoder else 0
    if not head.still:
        _visit_timing(head, fields)


def _visit_colour(colour: tuple[int, int, int, bool], fields: Fields) -> tuple[int, int, int, bool]:
    primaries, transfer, matrix = (
        fields.uint(name, value, 0, 255)
        for name, value in zip(("primaries", "transfer", "matrix"), colour[:3], strict=True)
    )
    return primaries, transfer, matrix, bool(fields.uint("full range", int(colour[3]), 0, 1))


def _visit_timing(head: Header, fields: Fields) -> None:
    def ratio(name: str, value: Fraction) -> Fraction:
        numerator = fields.uint(f"{name} numerator", value.numerator, 1, MAX_RATIO)
        denominator = fields.uint(f"{name} denominator", value.denominator, 1, MAX_RATIO)
        if gcd(numerator, denominator) != 1:
            raise FormatError(f"HEAD: {name} {numerator}/{denominator} is not in lowest terms")
        return Fraction(numerator, denominator)

    head.announced = fields.uint("announced frames", head.announced, 0, MAX_FRAME)
    head.time_base = ratio("time base", head.time_base)
    head.rate = ratio("rate", head.rate)
    head.start = fields.sint("start", head.start, 1 << 61)


def visit_group(group: GroupHead, head: Header, fields: Fields) -> None:
    has_quality, has_times = _flags(
        fields, "GRUP", (QUALITY, group.quality != head.quality), (TIMES, group.times is not None)
    )
    _visit_place(group, head, fields)
    group.quality = fields.uint("quality", group.quality, 0, MAX_FINE) if has_quality else head.quality
    group.times = _visit_times(group, head, fields) if has_times else None
    for tick in ticks_of(group, head):
        if abs(tick) > MAX_TICK:
            raise FormatError(f"GRUP: a frame from {group.first} on shows at tick {tick}, beyond {MAX_TICK}")


def ticks_of(group: GroupHead, head: Header) -> tuple[int, int]:
    """The ticks at which the first and the last frame of a group show."""
    if group.times:
        return group.times[0], group.times[-1]
    return head.uniform(group.first), head.uniform(group.first + group.frames - 1)


def check_later(group: GroupHead, head: Header, shown: int | None) -> int:
    """The tick of a group's last frame.  FormatError where it shows before `shown`, that of the group before."""
    first, last = ticks_of(group, head)
    if shown is not None and (first < shown or (first == shown and group.times)):
        raise FormatError(f"frame {group.first} does not show after the one before")
    return last


def _visit_place(group: GroupHead, head: Header, fields: Fields) -> None:
    if head.still:
        group.first, group.frames = 0, 1
    else:
        group.first = fields.uint("first frame", group.first, 0, MAX_FRAME)
        group.frames = fields.uint("frames", group.frames, 1, GROUP_FRAMES)


def _visit_times(group: GroupHead, head: Header, fields: Fields) -> list[int]:
    given = group.times if group.times is not None else [0] * group.frames
    times: list[int] = []
    lead = 0  # how far the frame before was from its uniform place
    for k in range(group.frames):
        uniform = head.uniform(group.first + k)
        lead += fields.sint("time", given[k] - uniform - lead)
        times.append(uniform + lead)
        if k and times[k] <= times[k - 1]:
            raise FormatError(f"GRUP: frame {group.first + k} does not show after the one before")
    return times


def visit_index(index: Index, fields: Fields, most: int = MAX_FRAME) -> None:
    count = fields.uint("groups", len(index.groups), 2, most)
    index.offset = fields.uint("offset", index.offset)
    given = index.groups or [(0, 0)]
    groups: list[tuple[int, int]] = []
    for k in range(count):  # a false count ends with the payload
        frames, size = given[min(k, len(given) - 1)]
        frames = fields.uint("frames", frames, 1, GROUP_FRAMES)
        groups.append((frames, fields.uint("size", size, 1)))
    index.groups = groups


def write_header(head: Header) -> bytes:
    fields = FieldWriter("HEAD")
    visit_header(head, fields)
    return bytes(fields.data)


def read_header(payload: bytes, limits: Limits) -> Header:
    """The header, checked against the limits."""
    fields = FieldReader(payload, "HEAD")
    head = Header()
    visit_header(head, fields)
    fields.end()
    limits.check_frame(head.width, head.height)
    return head


def write_group(group: GroupHead, head: Header) -> bytes:
    """A GRUP payload up to the symbols."""
    fields = FieldWriter("GRUP")
    visit_group(group, head, fields)
    return bytes(fields.data)


def read_group(payload: bytes | memoryview, head: Header) -> tuple[GroupHead, bytes | memoryview]:
    """A GRUP payload as its head and its symbols."""
    fields = FieldReader(payload, "GRUP")
    group = GroupHead()
    visit_group(group, head, fields)
    return group, fields.rest(b"")


def read_place(prefix: bytes, head: Header) -> tuple[int, int]:
    """First frame and number of frames, from a GRUP payload of which only the first 24 bytes are needed."""
    fields = FieldReader(prefix, "GRUP")
    group = GroupHead()
    fields.uint("flags", 0)
    _visit_place(group, head, fields)
    return group.first, group.frames


def write_index(index: Index) -> bytes:
    fields = FieldWriter("INDX")
    visit_index(index, fields)
    return bytes(fields.data)


def read_index(payload: bytes, place: int, limits: Limits) -> list[IndexEntry]:
    """The entries of an INDX chunk that stands at `place` of the file; its sums are checked."""
    fields = FieldReader(payload, "INDX")
    index = Index()
    visit_index(index, fields, limits.frames)
    fields.end()
    entries: list[IndexEntry] = []
    first, offset = 0, index.offset
    for frames, size in index.groups:
        entries.append(IndexEntry(first, frames, offset, size))
        first, offset = first + frames, offset + size
    if offset != place:
        raise FormatError(f"INDX: the groups end at byte {offset}, not at the index ({place})")
    limits.check_frames(first)
    return entries
