"""The container: groups of symbols and metadata <-> bytes.  FORMAT.md says what the bytes mean.

    ContainerWriter    writes forward only, a chunk as soon as its group is coded
    PipeReader         reads forward only: stdin, sockets
    FileReader         finds groups by the index, or without it, and reads only those asked for

Both readers offer `header`, `metadata()`, `problems` and `groups(start, stop)`.  A group that cannot be read comes as a
`GroupData` with its `error`; the caller chooses between refusing the file and going on without the group.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import gcd
from typing import Protocol

from ..details import Details
from ..errors import FormatError, UnsupportedError
from ..limits import METADATA_BYTES, Limits
from .chunks import COPY, DIGEST, DIGEST_BYTES, KNOWN, SIGNATURE, ByteReader, Chunk, Damage, check_signature
from .details import unpack_details
from .fields import FieldReader, Fields, pack_uint
from .header import (
    MAX_RATIO,
    GroupHead,
    Header,
    IndexEntry,
    check_later,
    read_group,
    read_header,
)

METADATA = ("iccp", "exif", "info", "audi", "show")
DEFLATED = ("iccp", "exif", "info")


@dataclass(frozen=True)
class Showing:
    """How a file is shown: the shape of a pixel (width / height), 1 + the plays of an animation (1 for ever), and the
    ticks of the last frame; 0 for what is not said."""

    aspect: Fraction = Fraction(1)
    plays: int = 0
    last: int = 0


@dataclass
class Metadata:
    """What travels beside the pixels, each as its own format has it."""

    icc: bytes | None = None
    exif: bytes | None = None
    audio: bytes | None = None
    showing: Showing = Showing()
    details: Details = Details()


@dataclass
class GroupData:
    """One group as it stands in the file.  With `error` the group is lost and only `number` is sure.

    digest: of its pixels, where the file holds one; a reader of a pipe meets that of a clip's group after the group.
    """

    number: int
    head: GroupHead = field(default_factory=GroupHead)
    symbols: bytes | memoryview = b""
    alpha: bytes | None = None
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of each chunk
    error: FormatError | None = None
    digest: bytes | None = None


class ContainerReader(Protocol):
    header: Header
    problems: list[str]
    truncated: bool

    @property
    def frames(self) -> int:
        """Of the file; a reader of a pipe knows it when `groups` has ended."""

    @property
    def bytes_read(self) -> int: ...

    def metadata(self) -> Metadata: ...

    def groups(self, start: int = 0, stop: int | None = None) -> Iterator[GroupData]:
        """Every group that shows a frame of start..stop-1, in order."""


def alpha_prefix(header: Header, first: int) -> bytes:
    """The frame number that an ALPH payload begins with."""
    return b"" if header.still else pack_uint(first)


class Assembler:
    """Joins the chunks after the metadata to groups and holds them to the format's order."""

    def __init__(self, header: Header, number: int = 0, first: int | None = 0) -> None:
        self.header = header
        self.number = number
        self.shown: int | None = None  # tick of the last frame, None after damage
        self.first = first  # frame that the next group must begin with, None after damage
        self._alpha: bytes | None = None
        self._sizes: dict[str, int] = {}
        self._error: FormatError | None = None
        self._last: GroupData | None = None  # the last group of a clip, as long as its digest may follow

    def feed(self, chunk: Chunk) -> GroupData | None:
        """The group that `chunk` completes, if it does.  `error` is set in the group when a part is damaged."""
        if chunk.kind == DIGEST and self._last is not None:
            self._last.digest = read_digest(chunk)
            self._last.sizes[DIGEST] = chunk.size
            self._last = None
            return None
        if chunk.kind not in ("ALPH", "GRUP"):
            refuse_unknown(chunk)
            if chunk.kind in KNOWN:
                raise FormatError(f"chunk {chunk.kind} at byte {chunk.offset} is out of place")
            return None
        self._last = None
        self._sizes[chunk.kind] = self._sizes.get(chunk.kind, 0) + chunk.size
        try:
            if not chunk.sound:
                raise FormatError(f"the checksum of chunk {chunk.kind} at byte {chunk.offset} does not match")
            if chunk.kind == "ALPH":
                self._take_alpha(chunk)
                return None
        except FormatError as error:
            self._error = self._error or error
        return self._complete(chunk) if chunk.kind == "GRUP" else None

    def _take_alpha(self, chunk: Chunk) -> None:
        if not self.header.alpha or self._alpha is not None:
            raise FormatError(f"chunk ALPH at byte {chunk.offset} is out of place")
        self._alpha = chunk.payload

    def _complete(self, chunk: Chunk) -> GroupData:
        group = GroupData(self.number, alpha=self._alpha, sizes=self._sizes, error=self._error)
        if group.error is None:
            try:
                group.head, group.symbols = read_group(memoryview(chunk.payload), self.header)
                self._check(group)
            except FormatError as error:
                group.error = error
        self.first = group.head.first + group.head.frames if group.error is None else None
        self.shown = self.shown if group.error is None else None
        self.number += 1
        self._alpha, self._sizes, self._error = None, {}, None
        if group.error is not None:
            group.error = FormatError(f"group {group.number}: {group.error}")
        self._last = None if self.header.still else group
        return group

    def _check(self, group: GroupData) -> None:
        head = group.head
        if self.first is not None and head.first != self.first:
            raise FormatError(f"begins with frame {head.first}, not {self.first}")
        self.shown = check_later(head, self.header, self.shown)
        if not self.header.alpha:
            return
        prefix = alpha_prefix(self.header, head.first)
        if group.alpha is None or not group.alpha.startswith(prefix):
            raise FormatError("its alpha is missing")
        group.alpha = group.alpha[len(prefix) :]


def is_prefix(chunk: Chunk, header: Header) -> bool:
    """Whether the chunk stands before the first group: metadata, or the digest of a still."""
    return chunk.kind in METADATA or (chunk.kind == DIGEST and header.still)


def read_digest(chunk: Chunk) -> bytes:
    """The payload of a dgst chunk.  Damage where it is none."""
    if not chunk.sound:
        raise Damage(f"the checksum of chunk {DIGEST} at byte {chunk.offset} does not match")
    if len(chunk.payload) != DIGEST_BYTES:
        raise Damage(f"chunk {DIGEST} at byte {chunk.offset} has {len(chunk.payload)} bytes, not {DIGEST_BYTES}")
    return chunk.payload


def refuse_unknown(chunk: Chunk) -> None:
    """Damage when a chunk of no known kind is damaged, UnsupportedError when it is sound and required."""
    if chunk.kind in KNOWN:
        return
    if not chunk.sound:
        raise Damage(f"the checksum of chunk {chunk.kind} at byte {chunk.offset} does not match")
    if chunk.required:
        raise UnsupportedError(f"the file needs chunk {chunk.kind}, which this install does not know")


def read_start(reader: ByteReader) -> tuple[Header, bytes]:
    """Signature and HEAD, whose payload is returned too."""
    check_signature(reader.read(len(SIGNATURE)))
    chunk = reader.chunk()
    if chunk is None:
        raise Damage("the file ends after the signature", truncated=True)
    if chunk.kind != "HEAD":
        raise FormatError(f"the first chunk is {chunk.kind}, not HEAD")
    if not chunk.sound:
        raise FormatError("the checksum of HEAD does not match")
    return read_header(chunk.payload, reader.limits), chunk.payload


def check_copy(chunk: Chunk, payload: bytes) -> None:
    """Damage unless a head chunk is sound and says what HEAD says, whose payload is given."""
    if not chunk.sound:
        raise Damage(f"the checksum of chunk {COPY} at byte {chunk.offset} does not match")
    if chunk.payload != payload:
        raise Damage(f"chunk {COPY} at byte {chunk.offset} says something else than HEAD")


def missing_tail(header: Header, frames: int) -> list[str]:
    """A line on the frames that a truncated file announces but does not have."""
    if header.still or header.announced <= frames:
        return []
    return [f"frames {frames}..{header.announced - 1} are missing: the file announces {header.announced}"]


def unpack_metadata(chunks: dict[str, Chunk]) -> Metadata:
    """The metadata of whole chunks by kind.  FormatError names a damaged one."""
    for kind, chunk in chunks.items():
        if not chunk.sound:
            raise FormatError(f"the checksum of chunk {kind} at byte {chunk.offset} does not match")
    blocks = {kind: inflate(chunks[kind].payload, METADATA_BYTES, kind) for kind in DEFLATED if kind in chunks}
    audio = chunks["audi"].payload if "audi" in chunks else None
    showing = read_showing(chunks["show"].payload) if "show" in chunks else Showing()
    details = unpack_details(blocks["info"]) if "info" in blocks else Details()
    return Metadata(blocks.get("iccp"), blocks.get("exif"), audio, showing, details)


def visit_showing(showing: Showing, fields: Fields) -> Showing:
    """The field list of show."""
    wide = fields.uint("pixel width", showing.aspect.numerator, 1, MAX_RATIO)
    high = fields.uint("pixel height", showing.aspect.denominator, 1, MAX_RATIO)
    if gcd(wide, high) != 1:
        raise FormatError(f"show: the pixel shape {wide}:{high} is not in lowest terms")
    plays = fields.uint("plays", showing.plays, 0, MAX_RATIO)
    return Showing(Fraction(wide, high), plays, fields.uint("last frame", showing.last, 0, MAX_RATIO))


def read_showing(payload: bytes) -> Showing:
    """A show chunk."""
    fields = FieldReader(payload, "show")
    showing = visit_showing(Showing(), fields)
    fields.end()
    return showing


def inflate(data: bytes | memoryview, most: int, where: str) -> bytes:
    """A whole zlib stream of at most `most` bytes, or FormatError."""
    machine = zlib.decompressobj()
    try:
        out = machine.decompress(data, most + 1)
    except zlib.error as error:
        raise FormatError(f"{where}: {error}") from error
    if len(out) > most or not machine.eof or machine.unused_data:
        raise FormatError(f"{where}: the deflated data is too long, too short or unfinished")
    return out


def parse_block(block: bytes, header: Header, number: int, entry: IndexEntry, limits: Limits) -> GroupData:
    """The group in `block`, the bytes of its chunks, which stand where `entry` says.  FormatError names the group."""
    reader = ByteReader(io.BytesIO(block), limits)
    assembler = Assembler(header, number, entry.first)
    group: GroupData | None = None
    try:
        while (chunk := reader.chunk()) is not None:
            if group is not None and chunk.kind in KNOWN and chunk.kind != DIGEST:
                raise FormatError(f"chunk {chunk.kind} is out of place")
            group = assembler.feed(replace(chunk, offset=chunk.offset + (entry.offset or 0))) or group
    except FormatError as error:
        raise FormatError(f"group {number}: {error}") from error
    if group is None:
        raise FormatError(f"group {number}: has no GRUP chunk")
    return group
