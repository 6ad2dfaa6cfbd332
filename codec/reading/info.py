"""What a file says about itself: its header, its groups, and the bits of every part."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ..coding import weights
from ..errors import FormatError
from ..format.header import DECODERS
from ..format.seekable import FileReader


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
        found.append(GroupInfo(number, entry.first, entry.frames, 8 * entry.size, data.head.quality / 64, True, parts))
    return found
