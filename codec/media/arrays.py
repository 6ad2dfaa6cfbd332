"""Arrays as media: in memory, and as .npy files, which are mapped and so streamed."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, ParameterError, UnsupportedError
from .inputs import Input
from .types import DEFAULT_RATE, SRGB, Frame, MediaInfo, Source, check_size, unreadable

MAGIC = b"\x93NUMPY"
_HEADER = 128  # bytes of the .npy header that is written, a multiple of 64 as the format asks
_SHAPES = "(H, W), (H, W, C) or (T, H, W, C) with C = 1, 2 (gray and alpha), 3 or 4 (RGB and alpha)"


def from_array(array: NDArray[Any], fps: Fraction | None = None, name: str = "<array>") -> Source:
    """A source over a uint8 array; 4-D is a video of `fps` frames per second (25 without it), the others a picture."""
    shape = tuple(array.shape)
    if array.dtype != np.uint8:
        raise ParameterError(f"{name}: samples are {array.dtype}; convert them to uint8, 0..255")
    if not (len(shape) == 2 or (len(shape) in (3, 4) and shape[-1] in (1, 2, 3, 4))):
        raise ParameterError(f"{name}: shape {shape} is no picture or video; give {_SHAPES}")
    if 0 in shape:
        raise ParameterError(f"{name}: shape {shape} holds no pixels; give at least one frame of 1x1")
    if fps is not None and fps <= 0:
        raise ParameterError(f"{name}: {fps} frames per second is not a rate; give a positive number")
    frames = array.reshape((1,) * (4 - len(shape)) + shape) if len(shape) != 2 else array[None, :, :, None]
    count, height, width, samples = frames.shape
    alpha = samples in (2, 4)
    rate = (fps or DEFAULT_RATE) if len(shape) == 4 else Fraction(1)
    kind = "video" if len(shape) == 4 else "picture"
    info = MediaInfo(kind, width, height, 1 if samples <= 2 else 3, alpha, 1 / rate, rate, SRGB)

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        for index in range(start, count if stop is None else min(stop, count)):
            frame = frames[index]
            colour = np.ascontiguousarray(frame[..., : info.channels])
            yield Frame(colour, np.ascontiguousarray(frame[..., -1]) if alpha else None, index)

    return Source(name, info, read, frame_count=count)


def open_npy(data: Input, path: str | None, max_pixels: int) -> Source:
    """A .npy file of uint8 or uint16 (reduced with a warning).  `path` maps it; without, it is read into memory."""
    with data.handle() as handle:
        shape, fortran, dtype, offset = _parse_header(handle, data.name)
        height, width = shape[-3:-1] if len(shape) > 2 else (shape + (1, 1))[:2]
        check_size(data.name, width, height, max_pixels)
        samples = int(math.prod(shape))
        needed = offset + samples * dtype.itemsize
        size = handle.seek(0, os.SEEK_END)
        if size < needed:
            raise FormatError(f"{data.name}: the array is truncated: {size} of {needed} bytes; save it again")
        order: Literal["C", "F"] = "F" if fortran else "C"
        if path is not None and samples:
            array: NDArray[Any] = np.memmap(path, dtype, "r", offset, shape, order)
        else:
            handle.seek(offset)
            array = np.frombuffer(handle.read(needed - offset), dtype).reshape(shape, order=order)
    if array.dtype == np.uint8:
        source = from_array(array, name=data.name)
    else:
        source = _reduced(array, data.name)
    return source


def _parse_header(handle: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, type and offset of the samples."""
    form: Any = np.lib.format  # numpy ships no types for it
    readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    try:
        version = form.read_magic(handle)
        shape, fortran, dtype = readers[version](handle) if version in readers else ((), False, None)
    except Exception as error:  # numpy parses Python text here: SyntaxError, TokenError, ValueError, TypeError ...
        raise unreadable(name, error, "array header") from error
    if dtype is None:
        raise UnsupportedError(f"{name}: .npy version {version} is not read; save the array with version 1.0")
    if any(size < 0 for size in shape):
        raise FormatError(f"{name}: the array header has the shape {shape}; the file is damaged, save it again")
    if dtype.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise UnsupportedError(f"{name}: samples are {dtype}; save the array as uint8 or uint16")
    return tuple(int(size) for size in shape), bool(fortran), dtype, handle.tell()


def _reduced(array: NDArray[np.uint16], name: str) -> Source:
    """A source that brings each 16-bit frame to 8 bits as it is read."""
    shape = from_array(np.broadcast_to(np.uint8(0), array.shape), name=name)  # checks and describes, no memory

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        count = array.shape[0] if array.ndim == 4 else 1
        for index in range(start, count if stop is None else min(stop, count)):
            part = np.asarray(array[index] if array.ndim == 4 else array, dtype=np.uint32)
            one = from_array(((part + 128) // 257).astype(np.uint8), name=name)
            frame = next(one.frames())
            yield Frame(frame.pixels, frame.alpha, index)

    warnings = [f"{name}: 16-bit samples reduced to 8 bits"]
    return Source(name, shape.media, read, frame_count=shape.frame_count, warnings=warnings)


def write_npy(file: BinaryIO, media: MediaInfo, frames: Iterator[Frame]) -> None:
    """Write uint8 (T, H, W, C), for a picture (H, W, C), or (H, W) if it is gray; alpha is the last of C.

    The header holds the frame count, so `file` must seek: it is written again at the end.
    """
    start = file.tell()
    file.write(_npy_header(media, 0))
    count = 0
    for frame in frames:
        parts = [frame.pixels]
        if media.alpha:
            parts.append((_opaque(frame) if frame.alpha is None else frame.alpha)[..., None])
        file.write(np.concatenate(parts, axis=-1).tobytes())
        count += 1
    end = file.tell()
    file.seek(start)
    file.write(_npy_header(media, count))
    file.seek(end)


def _opaque(frame: Frame) -> NDArray[np.uint8]:
    return np.full(frame.pixels.shape[:2], 255, np.uint8)


def _npy_header(media: MediaInfo, count: int) -> bytes:
    """A version 1.0 header of `_HEADER` bytes."""
    samples = media.channels + media.alpha
    shape: tuple[int, ...] = (media.height, media.width, samples)
    if media.kind == "video":
        shape = (count, *shape)
    elif samples == 1:
        shape = shape[:2]
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    return MAGIC + b"\x01\x00" + struct.pack("<H", _HEADER - 10) + text.ljust(_HEADER - 11).encode() + b"\n"
