"""A folder of pictures as a video, in the order that people number files: frame2 before frame10."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fractions import Fraction

from ..checked import checked
from ..errors import FormatError, ParameterError
from .inputs import FileInput
from .orientation import ORIENTATION_TAG, turned_size
from .picture_write import write_picture
from .pictures import as_declared, identify, picture_suffixes, unpack
from .profiles import code_points, made_profile
from .types import DEFAULT_RATE, SRGB, Frame, MediaInfo, Source, unreadable


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), part) if part.isdigit() and part.isascii() else (1, 0, part) for part in parts if part]


def open_folder(path: str, fps: Fraction | None, max_pixels: int) -> Source:
    """Every picture directly in `path`; all must have one size.  Files that are no pictures are named in a warning."""
    entries = _entries(path)
    names: list[str] = []
    infos: list[MediaInfo] = []
    skipped: list[str] = []
    for entry in entries:
        info = _look(os.path.join(path, entry), max_pixels)
        (skipped if info is None else names).append(entry)
        infos += [] if info is None else [info]
    if not infos:
        raise FormatError(f"{path}: the folder holds no picture; give a folder of frames, or a file")
    _check_sizes(path, names, infos)
    warnings = [_left_out(path, skipped)] if skipped else []
    rate = fps or DEFAULT_RATE
    first = infos[0]
    channels, alpha = max(info.channels for info in infos), any(info.alpha for info in infos)
    media = MediaInfo("video", first.width, first.height, channels, alpha, 1 / rate, rate, first.colour, first.icc)

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        for index, name in enumerate(names[start:stop], start):
            yield _frame(os.path.join(path, name), media, index, max_pixels, warnings)

    return Source(path, media, read, frame_count=len(names), warnings=warnings)


def _entries(path: str) -> list[str]:
    try:
        found = [entry.name for entry in os.scandir(path) if entry.is_file() and not entry.name.startswith(".")]
    except OSError as error:
        raise ParameterError(f"{path}: the folder cannot be read ({error.strerror}); check its rights") from error
    return sorted(found, key=natural_key)


def _left_out(path: str, skipped: list[str]) -> str:
    if len(skipped) == 1:
        return f"{path}: {skipped[0]} is no picture and is left out"
    return f"{path}: {len(skipped)} files are no pictures and are left out, {skipped[0]} the first"


def _look(path: str, max_pixels: int) -> MediaInfo | None:
    """What the header of one file says, None if it is no picture; the pixels stay on disk.

    FormatError for a file that is named like a picture and is none: a frame that is lost, not a note beside frames.
    """
    with FileInput(path).handle() as handle:
        image = identify(handle, path, max_pixels)
        if image is None:
            suffix = os.path.splitext(path)[1].lower()
            if suffix in picture_suffixes():
                empty = "is empty" if not os.path.getsize(path) else f"is no {suffix[1:]} picture"
                raise FormatError(f"{path}: the frame {empty}; copy it again, or take it out of the folder")
            return None
        orientation = image.getexif().get(ORIENTATION_TAG, 1) if "exif" in image.info else 1
        turn = orientation if isinstance(orientation, int) else 1
        width, height = turned_size(image.width, image.height, turn)
        gray = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
        channels, alpha = 1 if gray else 3, bool(image.has_transparency_data)
        icc = image.info.get("icc_profile") or made_profile(image, gray)
        colour = code_points(handle, image.format) or SRGB
        return MediaInfo("picture", width, height, channels, alpha, colour=colour, icc=icc)


def _check_sizes(path: str, names: list[str], infos: list[MediaInfo]) -> None:
    first = infos[0]
    for name, info in zip(names, infos, strict=True):
        if (info.width, info.height) != (first.width, first.height):
            raise FormatError(
                f"{path}: {name} is {info.width}x{info.height}, {names[0]} is {first.width}x{first.height}; "
                "the frames of a folder must have one size"
            )


def _frame(path: str, media: MediaInfo, index: int, max_pixels: int, warnings: list[str]) -> Frame:
    with FileInput(path).handle() as handle:
        image = identify(handle, path, max_pixels)
        if image is None:
            raise unreadable(path, ValueError("the file changed while the folder was read"))
        picture = unpack(image, path, media.colour)
    warnings += [line for line in picture.warnings if line not in warnings]
    return Frame(*as_declared(picture, media), index)


def write_folder(path: str, media: MediaInfo, frames: Iterator[Frame]) -> None:
    """Write 000000.png, 000001.png ... into `path`, which is made where it does not exist."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"{path}: the folder cannot be made ({error.strerror}); check the path") from error
    for index, frame in enumerate(frames):
        with checked(os.path.join(path, f"{index:06}.png"), sync=True) as file:
            write_picture(file, "png", media, frame)
