"""Texts, XMP, IPTC, resolution and chapters into what is written, as far as its format holds them."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

from av.container import OutputContainer
from PIL import Image, PngImagePlugin

from ..details import Details
from .details_read import IPTC, TIFF_IPTC, XMP_KEY

_TIFF_XMP = 700
_SEGMENT = 65500  # bytes of a JPEG segment
_HOLDS = {  # suffix: what it holds of Details
    "png": {"xmp", "texts", "resolution"},
    "apng": {"xmp", "texts", "resolution"},
    "": {"xmp", "texts", "resolution"},
    "jpg": {"xmp", "iptc", "resolution", "comment"},
    "jpeg": {"xmp", "iptc", "resolution", "comment"},
    "webp": {"xmp"},
    "avif": {"xmp"},
    "tif": {"xmp", "iptc", "resolution"},
    "tiff": {"xmp", "iptc", "resolution"},
    "bmp": {"resolution"},
    "mkv": {"texts", "chapters"},
    "webm": {"texts", "chapters"},
    "mp4": {"known", "chapters"},
    "m4v": {"known", "chapters"},
    "mov": {"known", "chapters"},
}
_NAMES = {"xmp": "XMP", "iptc": "IPTC", "texts": "texts", "resolution": "resolution", "chapters": "chapters"}
_MP4 = {  # the tags that every reader of MP4 knows, by FFmpeg's names
    "title", "artist", "album", "album_artist", "comment", "composer", "copyright", "creation_time", "date",
    "description", "genre", "grouping", "location", "lyrics", "network", "show", "synopsis", "track",
}  # fmt: skip


def not_held(suffix: str, details: Details) -> list[str]:
    """Names of what the format does not hold, and of texts that it has no place for."""
    holds = _HOLDS.get(suffix, set())
    lost = [name for part, name in _NAMES.items() if getattr(details, part) and part not in holds and part != "texts"]
    keys = [key for key, _ in details.texts if not _holds_text(key, holds)]
    return lost + ([f"texts ({', '.join(dict.fromkeys(keys))})"] if keys else [])


def _holds_text(key: str, holds: set[str]) -> bool:
    comment = "comment" in holds and key == "Comment"
    return "texts" in holds or comment or ("known" in holds and key.lower() in _MP4)


def for_picture(
    suffix: str, details: Details, exif: bytes | None, points: tuple[int, int] | None
) -> dict[str, Any]:
    """Arguments of Pillow's `save`, those for `exif` among them.  points: primaries and transfer for a PNG to name."""
    holds, options = _HOLDS.get(suffix, set()), dict[str, Any](exif=exif)
    if details.resolution and "resolution" in holds:
        options["dpi"] = tuple(float(value) for value in details.resolution)
    png = suffix in ("", "png", "apng")
    if details.xmp and "xmp" in holds and not png and suffix not in ("tif", "tiff"):
        options["xmp"] = details.xmp
    if png and (details.texts or details.xmp or points):
        options["pnginfo"] = _png(details, points)
    if suffix in ("tif", "tiff"):
        options["exif"] = _tiff_tags(details, exif)
    if suffix in ("jpg", "jpeg"):
        comments = [value for key, value in details.texts if key == "Comment"]
        options["comment"] = comments[0].encode()[:_SEGMENT] if comments else None
        if details.iptc and len(details.iptc) < _SEGMENT:
            options["extra"] = _photoshop(details.iptc)
    return options


def is_sound_exif(exif: bytes) -> bool:
    """Whether Pillow can read and write the Exif, as it has to for TIFF."""
    found = Image.Exif()
    try:
        found.load(exif)
        found.tobytes()
    except Exception:  # its reader raises anything on damaged bytes
        return False
    return True


def _tiff_tags(details: Details, exif: bytes | None) -> Image.Exif | None:
    """All tags together, since Pillow takes one set of them; damaged Exif is left out."""
    blocks = {tag: block for tag, block in ((_TIFF_XMP, details.xmp), (TIFF_IPTC, details.iptc)) if block}
    tags = Image.Exif()
    if exif and is_sound_exif(exif):
        tags.load(exif)
    for tag, block in blocks.items():
        tags[tag] = block
    return tags if len(tags) else None


def _png(details: Details, points: tuple[int, int] | None) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if points is not None:
        info.add(b"cICP", bytes([*points, 0, 1]))
    for key, value in details.texts:
        info.add_itxt(key[:79], value)
    if details.xmp:
        info.add_itxt(XMP_KEY, details.xmp.decode("utf-8", "replace"))
    return info


def _photoshop(iptc: bytes) -> bytes:
    """An APP13 segment with one resource."""
    resource = b"8BIM" + struct.pack(">HHI", IPTC, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    body = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", 2 + len(body)) + body


def into_video(output: OutputContainer, suffix: str, details: Details) -> None:
    """Set tags and chapters before the header is written."""
    holds = _HOLDS.get(suffix, set())
    output.metadata.update({key: value for key, value in details.texts if _holds_text(key, holds)})
    if details.chapters and "chapters" in holds:
        base = Fraction(1, 1000)
        output.set_chapters(
            [
                {
                    "id": number,
                    "start": round(chapter.start / base),
                    "end": round(chapter.end / base),
                    "time_base": base,
                    "metadata": {"title": chapter.title},
                }
                for number, chapter in enumerate(details.chapters, 1)
            ]
        )
