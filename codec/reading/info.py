"""What a file says about itself: its header, its groups, and the bits of every part."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ...models.base.family import GroupNetworks, HoldsNetworks
from ...models.base.quality import shown
from ..coding import weights
from ..coding.groups import can_check_digests, digest_of, paint_group, use_symbols
from ..coding.stream import load_family
from ..errors import FormatError, LimitError, UnsupportedError
from ..format.container import GroupData
from ..format.header import DECODERS
from ..format.seekable import FileReader


@dataclass(frozen=True)
class GroupInfo:
    """One group of frames, which decodes by itself.

    Attributes:
        number: The group, counted from 0.
        first: Its first frame, counted from 0.
        frames: Its number of frames.
        bits: Its size in bits.
        quality: 0..100; None where the groups have not been read (`tessera info` reads them).
        sound: Whether its checksums hold; None where it has not been read.
        parts: Bits of "latents", "networks", "alpha" and "digest"; empty where it has not been read.
        digest: The digest of its pixels that the file holds, hexadecimal; None where it holds none or was not read.
        agrees: Whether it decodes to those pixels here; None where that was not asked for or cannot be checked.
        frame_digests: The digest of each frame as decoded here; empty where it was not decoded.
        networks: Of codec `overfitted`, what its networks are; None where it has not been read.
    """

    number: int
    first: int
    frames: int
    bits: int
    quality: float | None = None
    sound: bool | None = None
    parts: dict[str, int] = field(default_factory=dict)
    digest: str | None = None
    agrees: bool | None = None
    frame_digests: list[str] = field(default_factory=list)
    networks: str | None = None


@dataclass(frozen=True)
class Info:
    """What a file says about itself.

    Attributes:
        codec: The codec family.
        version: Version of the file format.
        weights: Id of the weights that decode it, hexadecimal.
        kind: "picture" or "video".
        width: Width in pixels.
        height: Height in pixels.
        channels: 1 for gray, 3 for RGB.
        alpha: Whether there is an alpha channel beside them.
        frames: Number of frames; of a truncated file, those that are there.
        rate: Frames per second; 0 for a picture.
        duration: Seconds.
        quality: 0..100, of groups that name none of their own.
        decoder: The synthesis network that the file names; None where it names none.
        bytes: Size of the file.
        bpp: Bits per pixel: every byte of the file, over all pixels of all frames.
        bits: Bits of each part: header, metadata, groups, index; `tessera info` splits groups into latents and alpha.
        groups: The groups, in order.
        indexed: Whether the file has a sound index.
        truncated: The file stops before its end.
        sound: Whether every checksum holds; None where the whole file has not been read.
        problems: One line for each problem.
    """

    codec: str
    version: int
    weights: str
    kind: str
    width: int
    height: int
    channels: int
    alpha: bool
    frames: int
    rate: Fraction
    duration: float
    quality: float
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
        quality=shown(head.quality),
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
    names = {"iccp": "icc", "exif": "exif", "info": "details", "audi": "audio", "show": "showing", "dgst": "digest"}
    metadata = {names[kind]: 8 * size for kind, size in reader.metadata_sizes().items()}
    coded: dict[str, int] = {}
    for group in groups:
        for name, bits in (group.parts or {"groups": group.bits}).items():
            coded[name] = coded.get(name, 0) + bits
    header = 8 * reader.body - sum(metadata.values())
    rest = 8 * reader.size - header - sum(metadata.values()) - sum(coded.values())
    return {"header": header, **metadata, **coded, "index": rest}


def survey(reader: FileReader, decode: bool = False) -> list[GroupInfo]:
    """Read every group and check its checksums; with `decode` also decode it, for the digests of its pixels."""
    found: list[GroupInfo] = []
    names = {"GRUP": "latents", "ALPH": "alpha", "dgst": "digest"}
    family = load_family(reader.header, "cpu") if decode else None
    holding = _holding(reader)
    for number, entry in enumerate(reader.entries):
        more: dict[str, Any] = {}
        try:
            data = reader.group(number)
            held = _networks(holding, reader, data)
            if data.digest is not None:
                more["digest"] = data.digest.hex()
            if family is not None:
                pixels = paint_group(family, reader.header, data, reader.limits).pixels
                more["frame_digests"] = [digest_of(frame).hex() for frame in pixels]
                if data.digest is not None and can_check_digests(family, reader.header):
                    more["agrees"] = digest_of(pixels) == data.digest
        except FormatError:
            found.append(GroupInfo(number, entry.first, entry.frames, 8 * entry.size, sound=False))
            continue
        parts = {names[kind]: 8 * size for kind, size in data.sizes.items()}
        if held is not None:
            more["networks"] = held.text
            parts["networks"] = round(held.bits)
            parts["latents"] -= parts["networks"]
        quality = shown(data.head.quality)
        found.append(GroupInfo(number, entry.first, entry.frames, 8 * entry.size, quality, True, parts, **more))
    return found


def _holding(reader: FileReader) -> HoldsNetworks | None:
    """The family whose networks lie in the file; None for other families, and where this install lacks it."""
    from ...models.registry import HOLDING_NETWORKS

    if weights.name_of(reader.header.codec) not in HOLDING_NETWORKS:
        return None
    try:
        family = load_family(reader.header, "cpu")
    except UnsupportedError:
        return None
    return family if isinstance(family, HoldsNetworks) else None


def _networks(family: HoldsNetworks | None, reader: FileReader, data: GroupData) -> GroupNetworks | None:
    """The networks of a group; None where there are none or the group is too large to read here."""
    if family is None:
        return None
    try:
        return use_symbols(family, reader.header, data, reader.limits, family.networks)
    except LimitError:
        return None
