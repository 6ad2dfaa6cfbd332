"""What a format of output cannot hold, one line for each loss, known before anything is written."""

from __future__ import annotations

from .details_write import is_sound_exif, not_held
from .types import MediaInfo
from .video_write import VIDEO_SUFFIXES

_FRAMES = ("", "png", "apng")  # a folder is one of PNG
WITHOUT_METADATA = ("bmp", "tga", "ppm", "pgm", "pnm", "gif", "y4m", "npy", *VIDEO_SUFFIXES)  # no profile, no Exif
_SHAPED = ("mp4", "m4v", "mov", "mkv", "y4m")  # hold pixels that are not square
_MATRICES = {0: "RGB", 1: "BT.709", 4: "FCC", 7: "SMPTE 240M", 9: "BT.2020"}


def losses(kind: str, media: MediaInfo) -> list[str]:
    """One line for each thing that `kind` ('png', 'mp4' ...; '' is a folder) does not hold of `media`."""
    name = f".{kind}" if kind else "a folder of pictures"
    video = kind in VIDEO_SUFFIXES
    lines = []
    if media.audio and not video:
        lines.append(f"{name} holds no sound: it is left out")
    blocks = (("colour profile", media.icc), ("Exif", media.exif))
    found = [what for what, block in blocks if block and kind in WITHOUT_METADATA]
    if media.exif and kind in ("tif", "tiff") and not is_sound_exif(media.exif):
        found.append("damaged Exif")
    found += not_held(kind, media.details)
    if found:
        lines.append(f"{name} does not hold everything that the file holds; left out: {', '.join(found)}")
    if media.aspect != 1 and kind not in _SHAPED:
        shape = f"{media.aspect.numerator}:{media.aspect.denominator}"
        lines.append(f"{name} holds no shape of pixels: those of {shape} are written as square ones")
    if kind == "y4m" and media.colour.matrix in _MATRICES and media.colour.matrix and media.channels == 3:
        matrix = _MATRICES[media.colour.matrix]
        lines.append(f"{name} holds no colour matrix: its samples are {matrix}, which its reader must be told")
    if not video and kind not in _FRAMES and not media.icc and media.colour.unusual:
        lines.append(f"{name} holds no colour description: {media.colour.unusual} will look wrong; write .png")
    return lines
