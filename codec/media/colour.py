"""Between the YUV (or any other) frames of PyAV and full-range 8-bit RGB or gray arrays.

Both directions take FFmpeg's accurate path: its default loses one to one and a half levels of each colour where chroma
has half the size.  Reading goes by the matrix and the range of the stream, BT.601 limited where it names none.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation

from .types import Colour, Frame, Pixels

UNSPECIFIED = 2
LIMITED, FULL = 1, 2  # FFmpeg's numbers for the range; 0 is unspecified
KNOWN_MATRICES = (0, 1, 2, 4, 5, 6, 7, 9)  # matrices of H.273 that the conversion computes

# H.273 matrix of the media to the number that the conversion library takes; the others were read as BT.601.
_COMPUTED = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}

# The same integers on every processor: FFmpeg's own flag, which PyAV does not name.
_BITEXACT = 0x80000

# How YUV becomes RGB: chroma is enlarged to every pixel first, and rounded to nearest.
_READ_FLAGS = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | _BITEXACT
)

# How RGB becomes YUV: full chroma precision, exact rounding.  At half chroma size each sample is the mean of its block.
_WRITE_FLAGS = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP | _BITEXACT


_FLOATS = tuple(f"{kind}f32{order}" for kind in ("gbrp", "gbrap", "gray") for order in ("le", "be"))


def is_gray(frame: av.VideoFrame) -> bool:
    """True for the pixel formats of one colour: gray, gray10le, ya8, monow ..."""
    return frame.format.name.startswith(("gray", "ya8", "ya16", "mono"))


def has_alpha(frame: av.VideoFrame) -> bool:
    """True where the pixel format carries opacity."""
    return any(component.is_alpha for component in frame.format.components)


def bit_depth(frame: av.VideoFrame) -> int:
    """Bits of the deepest component."""
    return max(component.bits for component in frame.format.components)


def describe(frame: av.VideoFrame, primaries: int, transfer: int) -> Colour:
    """The colour of a decoded frame; its container's `primaries` and `transfer` travel unchanged."""
    name = frame.format.name
    full = frame.color_range == FULL or (frame.color_range != LIMITED and (is_rgb(frame) or is_gray(frame)))
    matrix = 0 if is_rgb(frame) else int(frame.colorspace)
    return Colour(int(primaries), int(transfer), matrix, bool(full or name.startswith("yuvj")))


def is_rgb(frame: av.VideoFrame) -> bool:
    """True where the samples are R, G, B already (or a palette of them)."""
    return bool(frame.format.is_rgb or frame.format.has_palette)


def unpack(frame: av.VideoFrame) -> tuple[Pixels, Pixels | None]:
    """Pixels (H, W, 1 or 3) and alpha (H, W) or None of a decoded frame.

    Changes the frame's matrix to unspecified where it is one that nobody computes (the reader warns of it).
    """
    if int(frame.colorspace) not in KNOWN_MATRICES:
        frame.colorspace = UNSPECIFIED
    if is_linear(frame):
        return _from_linear(frame)
    if has_alpha(frame):
        rgba = _array(frame, "rgba")
        pixels = rgba[..., :1] if is_gray(frame) else rgba[..., :3]
        return np.ascontiguousarray(pixels), np.ascontiguousarray(rgba[..., 3])
    if is_gray(frame):
        gray = _array(frame, "gray")
        return (_EXPAND[gray] if frame.color_range == LIMITED else gray)[..., None], None
    return _array(frame, "rgb24"), None


def is_linear(frame: av.VideoFrame) -> bool:
    """True for floats, which hold linear light (OpenEXR, Radiance)."""
    return frame.format.name in _FLOATS


def _from_linear(frame: av.VideoFrame) -> tuple[Pixels, Pixels | None]:
    """Floats of 0..1 through the curve of sRGB; what lies beyond white is cut."""
    samples = np.asarray(frame.to_ndarray(), np.float32)
    samples = np.clip(np.nan_to_num(samples), 0, 1).reshape(frame.height, frame.width, -1)
    light = samples[..., :3]
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    pixels = np.rint(255 * curved).astype(np.uint8)
    return pixels, np.rint(255 * samples[..., 3]).astype(np.uint8) if samples.shape[2] == 4 else None


def _array(frame: av.VideoFrame, layout: str) -> Pixels:
    """The frame in a packed 8-bit layout, a fresh array."""
    return np.asarray(frame.reformat(format=layout, interpolation=int(_READ_FLAGS)).to_ndarray(), dtype=np.uint8)


def rows(plane: Any) -> Pixels:
    """The bytes of a plane (rows, padded row length), writable, without a copy."""
    samples: Pixels = np.frombuffer(plane, np.uint8)
    return samples.reshape(-1, plane.line_size)


def _expansion() -> Pixels:
    """The table from limited-range luma (16..235) to 0..255."""
    levels = (np.arange(256) - 16) * (255 / 219)
    table: Pixels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return table


_EXPAND = _expansion()


def pack(frame: Frame, pixel_format: str, colour: Colour) -> av.VideoFrame:
    """A PyAV frame in `pixel_format` (yuv..., gray or RGB), tagged with the matrix and range that it now has."""
    image = av.VideoFrame.from_ndarray(_channels(frame, pixel_format), format=_layout(frame, pixel_format))
    if pixel_format == "gray" or not pixel_format.startswith("yuv"):
        packed = image.reformat(format=pixel_format) if image.format.name != pixel_format else image
        packed.colorspace, packed.color_range = written_tags(pixel_format, colour)
        return packed
    matrix, written_range = written_tags(pixel_format, colour)
    number = _COMPUTED.get(matrix, 5)
    image.color_range = FULL
    packed = image.reformat(
        format=pixel_format, dst_colorspace=number, dst_color_range=written_range, interpolation=int(_WRITE_FLAGS)
    )
    packed.colorspace, packed.color_range = matrix, written_range
    return packed


def written_tags(pixel_format: str, colour: Colour) -> tuple[int, int]:
    """The H.273 matrix and FFmpeg's range number that `pack` gives to `pixel_format`.

    YUV goes back to the matrix of the source, with its tag: none where it had none, so that a player that guesses
    guesses the same as before.  An RGB source becomes BT.709.
    """
    if pixel_format == "gray":
        return UNSPECIFIED, FULL
    if not pixel_format.startswith("yuv"):
        return 0, FULL
    full = colour.full_range and colour.matrix != 0  # RGB is always full; as YUV it goes out in the usual range
    return colour.matrix or 1, FULL if full else LIMITED


def _layout(frame: Frame, pixel_format: str) -> str:
    """The packed format of the array that goes in: with alpha only where `pixel_format` keeps it."""
    if pixel_format == "gray":
        return "gray"
    return "rgba" if pixel_format in ("yuva420p", "bgra") else "rgb24"


def _channels(frame: Frame, pixel_format: str) -> Pixels:
    """The array that `_layout` names; gray is repeated into RGB, missing alpha is opaque."""
    layout = _layout(frame, pixel_format)
    if layout == "gray":
        return np.ascontiguousarray(frame.pixels[..., 0])
    height, width = frame.pixels.shape[:2]
    if layout == "rgb24":
        return np.ascontiguousarray(np.broadcast_to(frame.pixels, (height, width, 3)))
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :3] = frame.pixels
    if frame.alpha is not None:
        rgba[..., 3] = frame.alpha
    return rgba
