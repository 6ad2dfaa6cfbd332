"""Pillow reads and writes .tsr: `Image.open("x.tsr")`, `image.save("x.tsr", quality=60)`.

`import tessera` registers the format.  A clip opens as an animation of `n_frames`; `save(..., save_all=True)` writes
every frame of one.  Saving takes the fields of `EncodeOptions` (quality, bpp, codec and others), and `options`, a dict
for the codec family.
"""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile, ImageSequence

if TYPE_CHECKING:
    from .reading.clip import Clip

_SIGNATURE = b"\x89TSR\r\n\x1a\n"
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_INFO_KEYS = ("icc_profile", "exif")


def accepts(prefix: bytes) -> bool:
    """True for the first bytes of a .tsr file."""
    return prefix.startswith(_SIGNATURE)


class TesseraImageFile(ImageFile.ImageFile):
    """A lazily decoded file.  What is wrong with it raises `tessera.CodecError`, by name."""

    format = "TSR"
    format_description = "Tessera"

    def _open(self) -> None:
        from .errors import FormatError
        from .reading.clip import Clip

        self._clip: Clip = Clip(cast("BinaryIO", self.fp))
        info = self._clip.info
        if not info.frames:
            raise FormatError("the file holds no whole frame")
        self._size = (info.width, info.height)
        self._mode = _MODES[info.channels + info.alpha]
        self.n_frames = info.frames
        self.is_animated = info.frames > 1
        self._frame = 0
        self._loaded = -1
        metadata = self._clip.reader.metadata()
        if metadata.icc:
            self.info["icc_profile"] = metadata.icc
        if metadata.exif:
            self.info["exif"] = metadata.exif
        if self.is_animated:
            self.info["duration"] = round(1000 / self._clip.fps)
        self.tile = []
        self._close_exclusive_fp_after_loading = not self.is_animated

    def seek(self, frame: int) -> None:
        if self._seek_check(frame):
            self._frame = frame

    def tell(self) -> int:
        return self._frame

    def load(self) -> Any:
        if self._loaded != self._frame:
            pixels = self._clip[self._frame]
            # Gray comes as (H, W, 1), which Pillow takes as (H, W).
            self.im = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).im
            self._loaded = self._frame
            if self._exclusive_fp and self._close_exclusive_fp_after_loading and self.fp is not None:
                self.fp.close()
                self.fp = None
        return Image.Image.load(self)


def _options(image: Image.Image) -> dict[str, Any]:
    from .options import EncodeOptions

    given, names = image.encoderinfo, (field.name for field in fields(EncodeOptions))
    chosen = {name: given[name] for name in names if given.get(name) is not None}
    return {**chosen, **given.get("options", {})}


def save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Write the current frame."""
    from .api import encode

    source = image.copy()
    source.info = {**image.info, **{key: image.encoderinfo[key] for key in _INFO_KEYS if key in image.encoderinfo}}
    file.write(encode(source, **_options(image)))


def save_all(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Write every frame of `image` and of `append_images` as a clip; `duration` is milliseconds per frame."""
    import numpy as np

    from .api import encode

    images = [image, *image.encoderinfo.get("append_images", [])]
    frames = [frame.copy() for each in images for frame in ImageSequence.Iterator(each)]
    if len(frames) == 1:
        save(image, file, filename)
        return
    gray = all(frame.mode in ("1", "L", "LA") for frame in frames)
    alpha = any(frame.has_transparency_data for frame in frames)
    mode = _MODES[(1 if gray else 3) + alpha]
    pixels = np.stack([np.asarray(frame.convert(mode)) for frame in frames])
    duration = image.encoderinfo.get("duration", image.info.get("duration")) or 40
    rate = Fraction(1000, max(1, round(duration if isinstance(duration, (int, float)) else duration[0])))
    options = {"fps": rate, **_options(image)}
    file.write(encode(pixels[..., None] if pixels.ndim == 3 else pixels, **options))


def register() -> None:
    Image.register_open(TesseraImageFile.format, TesseraImageFile, accepts)
    Image.register_save(TesseraImageFile.format, save)
    Image.register_save_all(TesseraImageFile.format, save_all)
    Image.register_extension(TesseraImageFile.format, ".tsr")
    Image.register_mime(TesseraImageFile.format, "image/x-tessera")
