"""The entries of the chunk info (FORMAT.md section 6)."""

from __future__ import annotations

from fractions import Fraction

from ..details import Chapter, Details
from ..errors import FormatError, ParameterError
from .fields import FieldReader, FieldWriter
from .header import MAX_RATIO

XMP, IPTC, TEXT, RESOLUTION, CHAPTER = 1, 2, 3, 4, 5
MAX_ENTRIES = 1 << 16  # zero bytes deflate to almost nothing: 64 KB could otherwise hold 32 million entries
_MILLISECONDS = 1000


def pack_details(details: Details) -> bytes:
    """The entries before they are deflated; nothing where there is nothing to say."""
    entries = [(kind, block) for kind, block in ((XMP, details.xmp), (IPTC, details.iptc)) if block]
    entries += [(TEXT, f"{key}\0{value}".encode()) for key, value in details.texts]
    if details.resolution is not None:
        entries.append((RESOLUTION, _resolution(details.resolution)))
    entries += [(CHAPTER, _chapter(chapter)) for chapter in details.chapters]
    if len(entries) > MAX_ENTRIES:
        raise ParameterError(f"info has {len(entries)} entries, of at most {MAX_ENTRIES}; drop metadata")
    out = FieldWriter("info")
    for kind, block in entries:
        out.uint("kind", kind, 1)
        out.uint("length", len(block))
        out.rest(block)
    return bytes(out.data)


def _resolution(resolution: tuple[Fraction, Fraction]) -> bytes:
    fields = FieldWriter("info")
    for value in resolution:
        value = value.limit_denominator(1 << 16)
        fields.uint("resolution numerator", value.numerator, 1, MAX_RATIO)
        fields.uint("resolution denominator", value.denominator, 1, MAX_RATIO)
    return bytes(fields.data)


def _chapter(chapter: Chapter) -> bytes:
    fields = FieldWriter("info")
    for name, seconds in (("start", chapter.start), ("end", chapter.end)):
        fields.sint(f"chapter {name}", round(seconds * _MILLISECONDS))
    return bytes(fields.data) + chapter.title.encode()


def unpack_details(data: bytes) -> Details:
    """Read entries; those of a later kind are skipped."""
    fields = FieldReader(data, "info")
    found: dict[int, list[bytes]] = {}
    count = 0
    while fields.at < len(data):
        count += 1
        if count > MAX_ENTRIES:
            raise FormatError(f"info: has more than {MAX_ENTRIES} entries")
        kind, length = fields.uint("kind", 0, 1), fields.uint("length", 0)
        found.setdefault(kind, []).append(fields.raw(f"entry {kind}", b"", length))
    return Details(
        xmp=found[XMP][0] if XMP in found else None,
        iptc=found[IPTC][0] if IPTC in found else None,
        texts=tuple(_read_text(block) for block in found.get(TEXT, [])),
        resolution=_read_resolution(found[RESOLUTION][0]) if RESOLUTION in found else None,
        chapters=tuple(_read_chapter(block) for block in found.get(CHAPTER, [])),
    )


def _read_resolution(block: bytes) -> tuple[Fraction, Fraction]:
    fields = FieldReader(block, "info")
    numbers = [fields.uint("resolution", 0, 1, MAX_RATIO) for _ in range(4)]
    fields.end()
    return Fraction(numbers[0], numbers[1]), Fraction(numbers[2], numbers[3])


def _read_text(block: bytes) -> tuple[str, str]:
    key, _, value = _utf8(block).partition("\0")
    return key, value


def _read_chapter(block: bytes) -> Chapter:
    fields = FieldReader(block, "info")
    start, end = (Fraction(fields.sint(f"chapter {name}", 0), _MILLISECONDS) for name in ("start", "end"))
    return Chapter(start, end, _utf8(bytes(fields.rest(b""))))


def _utf8(block: bytes) -> str:
    try:
        return block.decode()
    except UnicodeDecodeError:
        raise FormatError("info: a text is no UTF-8") from None
