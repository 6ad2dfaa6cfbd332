"""GIF animations, written frame by frame: memory does not grow with their length.

Pillow quantises and packs each frame; the stream around them is written here, so that delays add up, a frame never
shows through a transparent one, and nothing waits for the last frame.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageChops

from ..errors import ParameterError
from .types import Frame, MediaInfo

_SHORTEST = 2  # hundredths of a second; browsers slow down what is shorter
_SIDE = 0xFFFF
_KEEP, _CLEAR = 1, 2  # what becomes of a frame before the next one
_OPAQUE = 128  # opacity from which a pixel is shown


def write_gif(file: BinaryIO, media: MediaInfo, frames: Iterator[Frame], warnings: list[str] | None = None) -> None:
    """Write an animation, or one picture.  256 colours per frame, opacity 0 or 1, at most 50 frames per second."""
    if max(media.width, media.height) > _SIDE:
        raise ParameterError(f".gif holds at most {_SIDE} pixels per side; write .png")
    writer = _GifWriter(file, media)
    for frame in frames:
        writer.add(frame)
    writer.end()
    if warnings is not None:
        warnings += writer.warnings


class _GifWriter:
    """Holds the frame that was added last, until the next one tells how long it shows."""

    def __init__(self, file: BinaryIO, media: MediaInfo) -> None:
        self.warnings: list[str] = []
        self._file, self._media = file, media
        self._held: tuple[Image.Image, Image.Image | None, int] | None = None  # colours, mask of what is shown, start
        self._shown: Image.Image | None = None  # the frame before it
        self._left_out = 0
        self._begun = False
        self._end = Fraction(0)

    def add(self, frame: Frame) -> None:
        time = 100 * frame.pts * self._media.time_base
        self._end = time + 100 * (self._media.last * self._media.time_base or 1 / self._media.rate)
        start = round(time)
        if self._held is not None and start - self._held[2] < _SHORTEST:
            self._left_out += 1
            return
        self._flush(start)
        self._held = *self._picture(frame), start

    def end(self) -> None:
        if self._held is None:
            raise ParameterError("there is no frame to write as .gif")
        self._flush(round(self._end))
        self._file.write(b"\x3b")
        if self._left_out:
            self.warnings.append(f".gif shows at most 50 frames per second: {self._left_out} frames are left out")

    def _picture(self, frame: Frame) -> tuple[Image.Image, Image.Image | None]:
        pixels = frame.pixels[..., 0] if self._media.channels == 1 else frame.pixels
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        if not self._media.alpha or frame.alpha is None:
            return picture, None
        if not self.warnings and ((frame.alpha != 0) & (frame.alpha != 255)).any():
            self.warnings.append(".gif holds no partial opacity: pixels are shown from a half on")
        return picture, Image.fromarray((frame.alpha >= _OPAQUE).astype(np.uint8) * 255)

    def _flush(self, now: int) -> None:
        """Write the frame that is held, which shows until `now`."""
        if self._held is None:
            return
        picture, mask, start = self._held
        if not self._begun:
            self._write_head()
        box = (0, 0, *picture.size)
        if self._shown is not None and not self._media.alpha:  # what does not change stays from the frame before
            box = ImageChops.difference(picture, self._shown).getbbox() or (0, 0, 1, 1)
        indexed = picture.crop(box) if picture.mode == "L" and mask is None else _indexed(picture.crop(box), mask)
        disposal = (_CLEAR if self._media.alpha else _KEEP) << 2
        delay = min(0xFFFF, max(_SHORTEST, now - start))
        self._file.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal | (mask is not None), delay, 255, 0))
        self._file.write(_block(indexed, box[:2]))
        self._shown = picture

    def _write_head(self) -> None:
        self._begun = True
        self._file.write(b"GIF89a" + struct.pack("<HHBBB", self._media.width, self._media.height, 0x70, 0, 0))
        if self._media.plays != 2:  # a GIF that says nothing plays once; 0 is for ever
            repeats = max(0, self._media.plays - 2)
            self._file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", min(0xFFFF, repeats), 0))


def _indexed(picture: Image.Image, mask: Image.Image | None) -> Image.Image:
    """256 colours; with a mask 255, and number 255 where nothing is shown."""
    indexed = picture.convert("RGB").quantize(255 if mask is not None else 256)
    if mask is not None:
        indexed.paste(255, mask=ImageChops.invert(mask))
    return indexed


def _block(picture: Image.Image, place: tuple[int, int]) -> bytes:
    """An image block with its own colours, out of the GIF that Pillow makes of one picture."""
    file = io.BytesIO()
    picture.save(file, "GIF", optimize=False, interlace=False)
    data = file.getvalue()
    at, table = _colours(data, 10, 13)
    while data[at] == 0x21:  # an extension: two bytes, then blocks
        at = _blocks_end(data, at + 2)
    begin, own = _colours(data, at + 9, at + 10)
    end = _blocks_end(data, begin + 1)
    table = own or table
    flags = 0x80 | (len(table) // 3).bit_length() - 2
    head = struct.pack("<BHHHHB", 0x2C, *place, *picture.size, flags)
    return head + table + data[begin:end]


def _colours(data: bytes, flags: int, start: int) -> tuple[int, bytes]:
    """The place after a table of colours that begins at `start`, and the table; none where the flags have none."""
    size = 3 << (data[flags] & 7) + 1 if data[flags] & 0x80 else 0
    return start + size, data[start : start + size]


def _blocks_end(data: bytes, at: int) -> int:
    """The place after blocks with their lengths in front, which a length of 0 ends."""
    while data[at]:
        at += 1 + data[at]
    return at + 1
