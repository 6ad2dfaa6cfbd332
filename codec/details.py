"""What a file says about itself beside pixels, sound, Exif and colours: texts, XMP, IPTC, resolution, chapters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Chapter:
    """A titled part of a clip; start and end are seconds."""

    start: Fraction
    end: Fraction
    title: str


@dataclass(frozen=True)
class Details:
    """Kept as they are, for the formats that hold them.

    xmp         an XMP packet
    iptc        IPTC records, as JPEG has them
    texts       (key, value): titles, comments, the time of creation ..., by the names that FFmpeg or PNG give them
    resolution  pixels per inch, across and down
    chapters    of a clip
    """

    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    resolution: tuple[Fraction, Fraction] | None = None
    chapters: tuple[Chapter, ...] = ()
