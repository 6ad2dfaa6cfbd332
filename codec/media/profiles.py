"""Colours of pictures: profiles made of PNG's gamma and primaries, code points, and conversion through a profile."""

from __future__ import annotations

import io
import re
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from .types import Colour

_PNG = b"\x89PNG\r\n\x1a\n"
_NCLX = re.compile(rb"colrnclx(.{6})", re.DOTALL)
_HEAD = 1 << 16  # bytes of a HEIF file in which its descriptions stand
_SRGB_GAMMA = 1 / 2.2
_SRGB_PLACES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # of white, red, green, blue
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])  # the white of every profile


def code_points(handle: BinaryIO, kind: str | None) -> Colour | None:
    """The colours that a cICP chunk of PNG or an nclx box of AVIF and HEIF names, where they are not those of sRGB."""
    handle.seek(0)
    if kind == "PNG":
        numbers = _chunk(handle, b"cICP")
        found = None if numbers is None or len(numbers) != 4 else (numbers[0], numbers[1])
    elif kind in ("AVIF", "HEIF"):
        box = _NCLX.search(handle.read(_HEAD))
        found = None if box is None else struct.unpack(">HH", box[1][:4])
    else:
        found = None
    if found is None or max(found) > 255:
        return None
    colour = Colour(int(found[0]), int(found[1]), 0, True)
    return colour if colour.unusual else None


def _chunk(handle: BinaryIO, wanted: bytes) -> bytes | None:
    """The payload of a chunk before the pixels of a PNG."""
    handle.seek(len(_PNG))
    while True:
        head = handle.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return None
        length = int(struct.unpack(">I", head[:4])[0])
        if head[4:] == wanted:
            return handle.read(min(length, 256))
        handle.seek(length + 4, io.SEEK_CUR)


def made_profile(image: Image.Image, gray: bool) -> bytes | None:
    """An ICC profile for the gamma and the primaries of a PNG; None where it has none, or those of sRGB."""
    gamma, places = image.info.get("gamma"), image.info.get("chromaticity")
    if image.format != "PNG" or "srgb" in image.info or not (gamma or places):
        return None
    gamma = float(gamma or _SRGB_GAMMA)
    places = tuple(float(place) for place in places or _SRGB_PLACES)
    near = abs(gamma - _SRGB_GAMMA) < 0.005 and (gray or np.abs(np.subtract(places, _SRGB_PLACES)).max() < 0.001)
    if near or not 0.01 < gamma < 100 or len(places) != 8:
        return None
    try:
        return profile(1 / gamma, places, gray)
    except np.linalg.LinAlgError:  # primaries on one line
        return None


def profile(exponent: float, places: tuple[float, ...], gray: bool = False) -> bytes:
    """An ICC profile, version 2, of light = value ** exponent and the xy places of white, red, green and blue."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, min(0xFFFF, round(exponent * 256))) + bytes(2)
    tags = {b"desc": _description(b"gamma and primaries of a PNG"), b"cprt": b"text" + bytes(4) + b"no copyright\0"}
    tags[b"wtpt"] = _xyz(_D50)
    if gray:
        tags[b"kTRC"] = curve
    else:
        columns = _colorants(places).T
        tags |= {name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), columns, strict=True)}
        tags |= {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    space = b"GRAY" if gray else b"RGB "
    date = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    white = struct.pack(">3i", *(round(value * 65536) for value in _D50))
    head = struct.pack(">I4sI", start + len(body), bytes(4), 0x02400000) + b"mntr" + space + b"XYZ " + date + b"acsp"
    return head + bytes(28) + white + bytes(48) + table + body


def _colorants(places: tuple[float, ...]) -> NDArray[np.float64]:
    """(3, 3): the columns are XYZ of red, green and blue, seen under D50."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in zip(places[::2], places[1::2], strict=True) if y > 0])
    if len(xyz) != 4:
        raise np.linalg.LinAlgError
    white, primaries = xyz[0], xyz[1:].T
    primaries = primaries * np.linalg.solve(primaries, white)
    scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ primaries
    return adapted


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _description(text: bytes) -> bytes:
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(1 + 4 + 4 + 2 + 1 + 67)


def through_profile(image: Image.Image) -> Image.Image | None:
    """A CMYK or LAB picture as sRGB, by its profile; None where it has none that fits."""
    icc = image.info.get("icc_profile")
    try:
        if image.mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        elif isinstance(icc, bytes) and icc:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        else:
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
