"""Texts, XMP, IPTC, resolution and chapters of pictures (through Pillow) and of videos (through PyAV)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.container import InputContainer
from PIL import Image

from ..details import Chapter, Details

XMP_KEY = "XML:com.adobe.xmp"  # of a text of a PNG
IPTC = 0x0404  # of the resources of a JPEG
TIFF_IPTC = 33723  # a tag
_OF_THE_CONTAINER = {  # written anew by whoever writes the container
    "encoder", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id", "duration",
    "tessera_times",
}  # fmt: skip
_SHOWN = (1, 10000)  # pixels per inch that are no placeholder


def of_picture(image: Image.Image) -> Details:
    """What Pillow found, once the picture is loaded."""
    info = image.info
    xmp = info.get("xmp")
    texts = [(key, str(value)) for key, value in getattr(image, "text", {}).items() if key != XMP_KEY]
    comment = info.get("comment")
    if comment:
        texts.append(("Comment", comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)))
    return Details(
        xmp=xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) and xmp else None,
        iptc=_iptc(image),
        texts=tuple((key.replace("\0", " "), value) for key, value in texts if key),
        resolution=_resolution(info.get("dpi")),
    )


def _iptc(image: Image.Image) -> bytes | None:
    resources = image.info.get("photoshop")
    block = resources.get(IPTC) if isinstance(resources, dict) else None
    if block is None and image.format == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        block = tags.get(TIFF_IPTC)
        block = block[0] if isinstance(block, tuple) and block else block
    return block if isinstance(block, bytes) and block else None


def _resolution(dpi: object) -> tuple[Fraction, Fraction] | None:
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    try:
        across, down = (Fraction(float(value)).limit_denominator(1000) for value in dpi)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    return (across, down) if all(_SHOWN[0] < value < _SHOWN[1] for value in (across, down)) else None


def of_video(container: InputContainer) -> Details:
    """Tags and chapters of the container."""
    texts = [(key, value) for key, value in container.metadata.items() if key.lower() not in _OF_THE_CONTAINER]
    chapters = []
    for each in container.chapters():
        base = Fraction(each["time_base"] or 1)
        chapters.append(Chapter(each["start"] * base, each["end"] * base, each["metadata"].get("title", "")))
    kept = tuple((key.replace("\0", " "), value) for key, value in texts if key)
    return Details(texts=kept, chapters=tuple(chapters))
