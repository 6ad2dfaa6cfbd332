"""Opacity, kept losslessly: differences along some of the axes, then deflate (FORMAT.md section 5).

A constant plane takes two bytes.  The choice of axes is tried out: none suits hard masks, x and y together suit soft
gradients, time suits a logo that stands still.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from .container import inflate

Plane = NDArray[np.uint8]

_AXES = ((1, 2), (2, 1), (4, 0))  # (bit in the method, axis in (T, H, W))


def pack_alpha(alpha: Plane) -> bytes:
    """Method and data for uint8 `alpha` (T, H, W)."""
    if (alpha == alpha.flat[0]).all():
        return bytes((0, int(alpha.flat[0])))
    best = b""
    for method in range(8 if len(alpha) > 1 else 4):
        planes = alpha
        for bit, axis in _AXES:
            if method & bit:
                planes = np.diff(planes, axis=axis, prepend=np.uint8(0))
        packed = bytes((1 + method,)) + zlib.compress(planes.tobytes(), 9)
        if not best or len(packed) < len(best):
            best = packed
    return best


def unpack_alpha(data: bytes, frames: int, height: int, width: int) -> Plane:
    """uint8 (frames, height, width).  FormatError unless `data` holds exactly that."""
    if len(data) < 2 or data[0] > 8:
        raise FormatError("ALPH: there is no such method")
    if data[0] == 0:
        if len(data) != 2:
            raise FormatError("ALPH: a constant has one byte")
        return np.full((frames, height, width), data[1], np.uint8)
    size = frames * height * width
    raw = inflate(memoryview(data)[1:], size, "ALPH")
    if len(raw) != size:
        raise FormatError(f"ALPH: holds {len(raw)} bytes, not {size}")
    planes = np.frombuffer(raw, np.uint8).reshape(frames, height, width)
    for bit, axis in _AXES:
        if (data[0] - 1) & bit:
            planes = np.cumsum(planes, axis=axis, dtype=np.uint8)
    return planes
