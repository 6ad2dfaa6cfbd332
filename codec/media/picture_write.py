"""Pictures written through Pillow: stills in every common format, animations in those that have them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..errors import ParameterError
from ..spool import open_spool
from .apng import write_apng
from .details_write import for_picture
from .gif import write_gif
from .losses import WITHOUT_METADATA
from .types import Frame, MediaInfo

# Suffix: Pillow's format and the settings.  Lossless where the format can be; JPEG and AVIF at high quality, 4:4:4.
_SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {"compress_level": 6}),
    "apng": ("PNG", {"compress_level": 6}),
    "webp": ("WEBP", {"lossless": True, "exact": True, "method": 4}),
    "jpg": ("JPEG", {"quality": 95, "subsampling": 0, "optimize": True}),
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0, "optimize": True}),
    "avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    "jp2": ("JPEG2000", {"irreversible": False}),
    "tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": ("BMP", {}),
    "tga": ("TGA", {}),
    "ppm": ("PPM", {}),
    "pgm": ("PPM", {}),
    "pnm": ("PPM", {}),
    "gif": ("GIF", {}),
}
_OPAQUE = ("jpg", "jpeg", "bmp", "ppm", "pgm", "pnm")  # formats that cannot hold alpha
_ANIMATED = ("apng", "webp", "gif", "avif")
_FORGETFUL = ("jp2",)  # the encoder tries for ever to write to a file that fails

PICTURE_SUFFIXES = tuple(_SETTINGS)


def write_picture(file: BinaryIO, suffix: str, media: MediaInfo, frame: Frame) -> None:
    """Write one frame; ParameterError where the format cannot hold it."""
    _check(suffix, media)
    _save(_image(frame, media), file, suffix, media, {})


def write_pictures(
    file: BinaryIO, suffix: str, media: MediaInfo, frames: Iterator[Frame], warnings: list[str] | None = None
) -> None:
    """Write one picture, or an animation where `suffix` is a format that has them (gif is reduced to 256 colours)."""
    _check(suffix, media)
    if suffix == "gif":
        write_gif(file, media, frames, warnings)
        return
    first = next(frames, None)
    if first is None:
        raise ParameterError(f"there is no frame to write as .{suffix}")
    second = next(frames, None)
    if second is None:
        _save(_image(first, media), file, suffix, media, {})
        return
    if suffix not in _ANIMATED:
        raise ParameterError(f".{suffix} holds one picture; write a folder, .webp, .apng, .mp4, or choose one frame")
    timed = _timed(chain([first, second], frames), media)
    plays = max(0, media.plays - 1)
    if suffix == "apng":
        png = io.BytesIO()
        _save(_image(first, media), png, suffix, media, {})
        write_apng(file, png.getvalue(), ((_image(frame, media), duration) for frame, duration in timed), plays)
        return
    with open_spool() as spool:
        durations = []
        for frame, duration in timed:
            spool.write(_image(frame, media).tobytes())
            durations.append(duration)
        options = {"save_all": True, "duration": durations, "loop": plays}
        _save(_SpooledImages(spool, _image(first, media), len(durations)), file, suffix, media, options)


class _SpooledImages(Image.Image):
    """An animation as Pillow takes one, of which one frame is in memory at a time."""

    def __init__(self, spool: BinaryIO, first: Image.Image, count: int) -> None:
        super().__init__()
        self._mode, self._size, self.n_frames = first.mode, first.size, count
        self._spool, self._bytes, self._frame = spool, len(first.tobytes()), 0
        self.im = first.im

    def seek(self, frame: int) -> None:
        self._spool.seek(frame * self._bytes)
        self.im = Image.frombytes(self.mode, self.size, self._spool.read(self._bytes)).im
        self._frame = frame

    def tell(self) -> int:
        return self._frame


def _timed(frames: Iterator[Frame], media: MediaInfo) -> Iterator[tuple[Frame, int]]:
    """Each frame with its milliseconds, which the next one tells."""
    before: Frame | None = None
    for frame in frames:
        if before is not None:
            yield before, _milliseconds(before, frame, media)
        before = frame
    if before is not None:
        yield before, _milliseconds(before, None, media)


def _milliseconds(frame: Frame, after: Frame | None, media: MediaInfo) -> int:
    """How long a frame is shown; both ends are rounded, so the errors do not add up."""
    start = round(frame.pts * media.time_base * 1000)
    last = media.last * media.time_base or 1 / media.rate
    end = after.pts * media.time_base if after is not None else frame.pts * media.time_base + last
    return max(1, round(end * 1000) - start)


def _check(suffix: str, media: MediaInfo) -> None:
    if suffix not in _SETTINGS:
        raise ParameterError(f".{suffix} is not written; choose one of {', '.join(PICTURE_SUFFIXES)}")
    if media.alpha and suffix in _OPAQUE:
        raise ParameterError(f".{suffix} holds no alpha; write .png or .webp")


def _image(frame: Frame, media: MediaInfo) -> Image.Image:
    """A Pillow image L, LA, RGB or RGBA."""
    pixels = frame.pixels
    if not media.alpha:
        return Image.fromarray(pixels[..., 0] if media.channels == 1 else np.ascontiguousarray(pixels))
    alpha = frame.alpha if frame.alpha is not None else np.full(pixels.shape[:2], 255, np.uint8)
    return Image.fromarray(np.concatenate([pixels, alpha[..., None]], axis=-1))


def _save(image: Image.Image, file: BinaryIO, suffix: str, media: MediaInfo, options: dict[str, Any]) -> None:
    name, settings = _SETTINGS[suffix]
    metadata: dict[str, Any] = {}
    points = (media.colour.primaries, media.colour.transfer) if media.colour.unusual and not media.icc else None
    if suffix not in WITHOUT_METADATA:
        metadata = {"icc_profile": media.icc, **for_picture(suffix, media.details, media.exif, points)}
    if suffix == "pgm" and media.channels == 3:
        raise ParameterError(".pgm holds gray only; write .ppm or .png")
    known = {key: value for key, value in metadata.items() if value is not None}
    sink = io.BytesIO() if suffix in _FORGETFUL else file
    try:
        image.save(sink, name, **settings, **known, **options)
    except (MemoryError, KeyboardInterrupt):
        raise
    except OSError as error:
        if error.errno is not None:  # the disk, not the picture
            raise
        raise _refused(image, suffix, error) from error
    except (ValueError, SystemError, RuntimeError, OverflowError) as error:
        raise _refused(image, suffix, error) from error
    if isinstance(sink, io.BytesIO) and sink is not file:
        file.write(sink.getbuffer())


def _refused(image: Image.Image, suffix: str, error: Exception) -> ParameterError:
    reason = " ".join(str(error).split())
    return ParameterError(f".{suffix} cannot hold this {image.width}x{image.height} picture ({reason}); write .png")
