"""Still and animated pictures, read through Pillow: every mode becomes 8-bit gray or RGB, with alpha beside it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..details import Details
from ..errors import CodecError, FormatError, UnsupportedError
from .details_read import of_picture
from .heif import HEIF_SUFFIXES, is_heif, open_heif
from .inputs import Input
from .orientation import ORIENTATION_TAG, reset_orientation, upright
from .profiles import code_points, made_profile, through_profile
from .types import SRGB, Colour, Frame, MediaInfo, Pixels, Source, check_size, unreadable

# Not pictures to us: PostScript and WMF run or need other programs, MPEG and the meteorological formats are only
# recognised and never decoded, TSR is our own file.
_EXCLUDED = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5", "TSR"}
_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}  # elsewhere further frames are pages, layers or previews
_SHORTEST = 100  # milliseconds that a frame of duration 0 is shown, as in browsers
_limit_lock = threading.Lock()


@dataclass
class Picture:
    """A decoded picture, upright: pixels (H, W, 1 or 3), alpha (H, W) or None."""

    pixels: Pixels
    alpha: Pixels | None
    icc: bytes | None = None
    exif: bytes | None = None
    details: Details = Details()
    colour: Colour = SRGB
    warnings: list[str] = field(default_factory=list)


@functools.lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _EXCLUDED)


@functools.lru_cache(maxsize=1)
def picture_suffixes() -> frozenset[str]:
    """The suffixes of the formats that are read: .png, .jpg ..."""
    read = set(_formats())
    return frozenset({suffix for suffix, kind in Image.registered_extensions().items() if kind in read} | HEIF_SUFFIXES)


@contextmanager
def _own_limit() -> Iterator[None]:
    """Replace Pillow's pixel limit, which only warns at first, by ours, checked right after the header is read."""
    with _limit_lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _guarded(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on damaged bytes (any exception can come out) into a FormatError."""
    try:
        yield
    except (MemoryError, CodecError):
        raise
    except Exception as error:
        raise unreadable(name, error) from error


def identify(handle: BinaryIO, name: str, max_pixels: int) -> Image.Image | None:
    """The undecoded picture at the start of `handle`, its size checked, or None where Pillow knows no such format."""
    try:
        with _guarded(name), _own_limit():
            head = handle.read(64)
            handle.seek(0)
            image = open_heif(handle, name) if is_heif(head) else Image.open(handle, formats=_formats())
    except FormatError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            return None
        raise
    check_size(name, image.width, image.height, max_pixels)
    return image


def unpack(image: Image.Image, name: str, colour: Colour = SRGB) -> Picture:
    """Decode and convert one picture, whose colours are `colour` unless it has a profile.

    16-bit samples are reduced with a warning; colour spaces other than gray and RGB are converted, by their profile
    where they have one, with a warning; a PNG's gamma and primaries become a profile; the EXIF orientation is applied
    and reset.
    """
    deep = _depth(image)
    with _guarded(name):
        image.load()
        picture = _convert(image, name, deep > 8)
    picture.colour = colour
    if deep > 8 and not picture.warnings:
        picture.warnings.append(f"{name}: {deep}-bit samples reduced to 8 bits")
    icc = image.info.get("icc_profile")
    if isinstance(icc, bytes) and icc and image.mode not in ("CMYK", "YCbCr", "LAB", "HSV"):
        picture.icc = icc
    elif colour == SRGB:
        with _guarded(name):
            picture.icc = made_profile(image, picture.pixels.shape[2] == 1)
    exif = image.info.get("exif")
    picture.exif = exif if isinstance(exif, bytes) and exif else None
    with _guarded(name):
        picture.details = of_picture(image)
    orientation = _orientation(image, name, picture.warnings)
    if orientation != 1:
        picture.pixels = upright(picture.pixels, orientation)
        picture.alpha = None if picture.alpha is None else upright(picture.alpha, orientation)
        picture.exif = None if picture.exif is None else reset_orientation(picture.exif)
    return picture


def _depth(image: Image.Image) -> int:
    """Bits of a colour sample in the file, where Pillow hands out 8: known before decoding only."""
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    tiles: list[Any] = getattr(image, "tile", [])
    return 16 if any(";16" in str(tile[3]) for tile in tiles if len(tile) > 3) else 8


def _orientation(image: Image.Image, name: str, warnings: list[str]) -> int:
    """The EXIF orientation 1..8; damaged EXIF only warns, since the pixels are sound."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # Pillow's EXIF reader raises anything on damaged bytes
        warnings.append(f"{name}: the EXIF data is damaged; its orientation is not applied")
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _convert(image: Image.Image, name: str, deep: bool) -> Picture:
    """Any mode to gray or RGB and alpha.  deep: the file has 16 bits where Pillow hands out 8."""
    mode = image.mode
    if mode.startswith(("I", "F")):
        return _reduce(image, name)
    warnings = []
    key = image.info.get("transparency")
    if deep and mode == "RGB" and isinstance(key, tuple):
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
        warnings.append(f"{name}: 16-bit samples reduced to 8 bits, and the transparent colour with them")
    if mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        converted = through_profile(image)
        how = "by its colour profile" if converted is not None else "without a colour profile"
        warnings.append(f"{name}: {mode} converted to sRGB {how}")
        image = converted or image
    gray = mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        if mode in ("La", "PA"):
            image = image.convert("LA" if mode == "La" else "RGBA")
        array = np.asarray(image.convert("LA" if gray else "RGBA"))
        return Picture(np.ascontiguousarray(array[..., :-1]), np.ascontiguousarray(array[..., -1]), warnings=warnings)
    array = np.array(image.convert("L" if gray else "RGB"))
    return Picture(array[..., None] if gray else array, None, warnings=warnings)


def _reduce(image: Image.Image, name: str) -> Picture:
    """16-bit gray to 8 bits, rounded, its transparent gray to alpha; wider integers and floats have no fixed white."""
    samples = np.asarray(image)
    sixteen = image.mode.startswith("I;16") or image.format == "PPM"  # Pillow brings a PPM of any depth to 16 bits
    if not sixteen or samples.min() < 0 or samples.max() > 0xFFFF:
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise UnsupportedError(f"{name}: {kind} have no fixed white; convert the picture to 8 or 16 bits first")
    pixels = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)[..., None]
    key = image.info.get("transparency")
    alpha = np.where(samples == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    return Picture(pixels, alpha, warnings=[f"{name}: 16-bit samples reduced to 8 bits"])


def picture_source(picture: Picture, name: str) -> Source:
    """A source of one frame."""
    height, width, channels = picture.pixels.shape
    info = MediaInfo(
        "picture", width, height, channels, picture.alpha is not None, icc=picture.icc, exif=picture.exif,
        details=picture.details, colour=picture.colour,
    )  # fmt: skip

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        if start == 0 and stop != 0:
            yield Frame(picture.pixels, picture.alpha, 0)

    return Source(name, info, read, frame_count=1, warnings=picture.warnings)


def _colour(data: Input, image: Image.Image) -> Colour:
    """What code points in the file say of its colours."""
    with data.handle() as handle:
        return code_points(handle, image.format) or SRGB


def from_pil(image: Image.Image) -> Source:
    """A source over a Pillow image; its current frame only."""
    return picture_source(unpack(image, "<picture>"), "<picture>")


def open_picture(data: Input, max_pixels: int) -> Source | None:
    """The picture or animation in `data`, or None where it is neither.

    A picture is decoded here, so that damage shows at once; an animation is decoded frame by frame on each pass.
    """
    with data.handle() as handle:
        image = identify(handle, data.name, max_pixels)
        if image is None:
            return None
        with _guarded(data.name):
            count = int(getattr(image, "n_frames", 1))  # walks the whole file
        if count > 1 and image.format in _ANIMATED:
            return _open_animation(data, max_pixels)
        colour = _colour(data, image)
        picture = unpack(image, data.name, colour)
    if count > 1:
        picture.warnings.append(f"{data.name}: the first of {count} pages is kept")
    return picture_source(picture, data.name)


@dataclass
class _Cell:
    picture: Picture
    milliseconds: int


def _cells(data: Input, max_pixels: int) -> Iterator[_Cell]:
    """The frames of an animation in order, composed as they are shown."""
    with data.handle() as handle:
        image = identify(handle, data.name, max_pixels)
        if image is None:
            raise unreadable(data.name, ValueError("the file changed while it was read"))
        colour = _colour(data, image)
        first = 1 if image.info.get("default_image") else 0  # an APNG may show a still to those who cannot animate
        for index in range(first, int(getattr(image, "n_frames", 1))):
            with _guarded(data.name):
                image.seek(index)
            picture = unpack(image, data.name, colour)
            yield _Cell(picture, round(float(image.info.get("duration") or 0)) or _SHORTEST)


def _open_animation(data: Input, max_pixels: int) -> Source:
    """A video with times in milliseconds.  One pass at opening finds alpha, which may begin at any frame."""
    alpha, channels, count, durations = False, 1, 0, []
    first: Picture | None = None
    for cell in _cells(data, max_pixels):
        first = first or cell.picture
        alpha = alpha or (cell.picture.alpha is not None and bool((cell.picture.alpha != 255).any()))
        channels = max(channels, cell.picture.pixels.shape[2])
        durations.append(cell.milliseconds)
        count += 1
    if first is None:
        raise unreadable(data.name, ValueError("no frame"))
    plays = _plays(data, max_pixels)
    height, width = first.pixels.shape[:2]
    rate = Fraction(1000 * count, sum(durations))
    info = MediaInfo(
        "video", width, height, channels, alpha, Fraction(1, 1000), rate, first.colour, icc=first.icc, exif=first.exif,
        plays=plays, last=durations[-1], details=first.details,
    )  # fmt: skip

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        time = 0
        for index, cell in enumerate(_cells(data, max_pixels)):
            if stop is not None and index >= stop:
                return
            if index >= start:
                yield Frame(*as_declared(cell.picture, info), time)
            time += cell.milliseconds

    return Source(data.name, info, read, frame_count=count, warnings=first.warnings)


def _plays(data: Input, max_pixels: int) -> int:
    """1 + how often the animation plays; 1 for ever, 0 where the format does not say.

    A GIF counts repeats after the first time, and plays once where it says nothing.
    """
    with data.handle() as handle:
        image = identify(handle, data.name, max_pixels)
        if image is None or image.format not in ("GIF", "PNG", "WEBP"):
            return 0
        loop = image.info.get("loop")
    if image.format == "GIF":
        return 2 if loop is None else (loop + 2 if loop else 1)
    return 1 + loop if isinstance(loop, int) else 0


def as_declared(picture: Picture, info: MediaInfo) -> tuple[Pixels, Pixels | None]:
    """Pixels and alpha with the channels of the whole animation."""
    height, width, channels = picture.pixels.shape
    pixels = picture.pixels
    if channels != info.channels:
        pixels = np.ascontiguousarray(np.broadcast_to(pixels, (height, width, info.channels)))
    if not info.alpha:
        return pixels, None
    alpha = picture.alpha if picture.alpha is not None else np.full((height, width), 255, np.uint8)
    return pixels, alpha
