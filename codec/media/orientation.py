"""The eight ways a picture can lie: EXIF orientation and the display matrix of a video, applied to the pixels."""

from __future__ import annotations

import struct

import numpy as np

from .types import Pixels

ORIENTATION_TAG = 0x0112
_EXIF_PREFIX = b"Exif\0\0"

# The linear part (a, b, c, d) of a display matrix to the EXIF number of the same turn.  A stored point (x, y) is
# shown at (a x + c y, b x + d y), with y downwards.
_MATRIX_ORIENTATION = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn `pixels` (H, W) or (H, W, C), stored with an EXIF orientation 1..8, the right way up."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def turned_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height after `upright`."""
    return (height, width) if orientation >= 5 else (width, height)


def matrix_orientation(matrix: bytes) -> int | None:
    """EXIF orientation of a display matrix (nine int32, 16.16 fixed point), None if it is no quarter turn."""
    values = struct.unpack("=9i", matrix[:36])
    linear = [values[0], values[1], values[3], values[4]]
    largest = max(abs(value) for value in linear)
    if largest == 0:
        return None
    a, b, c, d = (round(value / largest) for value in linear)
    return _MATRIX_ORIENTATION.get((a, b, c, d))


def reset_orientation(exif: bytes) -> bytes:
    """The same EXIF bytes with the orientation of the main picture set to 1; all else is left as it is."""
    start = len(_EXIF_PREFIX) if exif.startswith(_EXIF_PREFIX) else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None or len(exif) < start + 8:
        return exif
    directory = start + struct.unpack_from(f"{order}I", exif, start + 4)[0]
    if directory + 2 > len(exif):
        return exif
    count = struct.unpack_from(f"{order}H", exif, directory)[0]
    patched = bytearray(exif)
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(exif) - 11), 12):
        if struct.unpack_from(f"{order}H", exif, entry)[0] == ORIENTATION_TAG:
            struct.pack_into(f"{order}HIHH", patched, entry + 2, 3, 1, 1, 0)
    return bytes(patched)
