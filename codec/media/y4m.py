"""YUV4MPEG2, the format of pipes between video programs: one text line, then frames of raw planes.

Read: 4:2:0, 4:2:2, 4:4:4, 4:1:1, with alpha, gray, 8 to 16 bits.  The matrix is BT.601, which every reader of
untagged video assumes; XCOLORRANGE=FULL is honoured.  Written: C444 in the matrix and the range of the source, of an
RGB source in BT.601 limited range (no chroma is lost; rounding costs at most two levels), Cmono in full range for gray
(exact).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np

from ..errors import FormatError, ParameterError, UnsupportedError
from . import colour as colours
from .inputs import HEAD, Input
from .types import DEFAULT_RATE, Colour, Frame, MediaInfo, Source, check_size

MAGIC = b"YUV4MPEG2 "
_LINE = 256  # bytes that a FRAME line may have
_LAYOUTS = {"420": "yuv420p", "422": "yuv422p", "444": "yuv444p", "411": "yuv411p", "mono": "gray"}
_EIGHT_BITS = {"420jpeg": "420", "420mpeg2": "420", "420paldv": "420", "444alpha": "444alpha"}
_RGB = Colour(matrix=6)  # how an RGB source is written
_SHAPE = re.compile(r"([1-9][0-9]{0,8}):([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Y4mHeader:
    """The first line: geometry, rate and the pixel format in FFmpeg's words."""

    width: int
    height: int
    rate: Fraction
    pixel_format: str
    full_range: bool
    interlaced: bool
    aspect: Fraction
    length: int  # bytes of the line with its end

    @property
    def bits(self) -> int:
        """Bits of a sample."""
        match = re.search(r"(\d\d)le$", self.pixel_format)
        return int(match[1]) if match else 8


def parse_header(head: bytes, name: str) -> Y4mHeader:
    """Read the first line; FormatError names the field that is missing or wrong."""
    line, end, _ = head.partition(b"\n")
    if not end:
        raise FormatError(f"{name}: the y4m header does not end; the stream is truncated or is no y4m")
    fields = {word[:1]: word[1:] for word in line[len(MAGIC) :].decode("latin-1").split(" ") if word[:1] != "X"}
    extras = line.decode("latin-1").upper().split(" ")
    width, height = (_number(fields.get(key, ""), key, name) for key in "WH")
    return Y4mHeader(
        width,
        height,
        _rate(fields.get("F", ""), name),
        _pixel_format(fields.get("C", "420"), name),
        "XCOLORRANGE=FULL" in extras,
        fields.get("I", "p") not in ("p", "?", ""),
        _aspect(fields.get("A", "")),
        len(line) + 1,
    )


def _number(text: str, key: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise FormatError(f"{name}: field {key} of the y4m header is {text!r}, not a number; write the stream again")
    return int(text)


def _aspect(text: str) -> Fraction:
    """Width over height of a pixel; 0:0 stands for unknown, which is square."""
    found = _SHAPE.fullmatch(text)
    return Fraction(int(found[1]), int(found[2])) if found else Fraction(1)


def _rate(text: str, name: str) -> Fraction:
    """Frames per second; 0:0 stands for unknown."""
    if text in ("", "0:0"):
        return DEFAULT_RATE
    numerator, _, denominator = text.partition(":")
    rate = _number(numerator, "F", name), _number(denominator, "F", name)
    if 0 in rate:
        raise FormatError(f"{name}: the y4m frame rate {text} is not a rate; write the stream again")
    return Fraction(*rate)


def _pixel_format(text: str, name: str) -> str:
    """FFmpeg's name of a y4m colour format: 420p10 is yuv420p10le."""
    if text == "444alpha":
        return "yuva444p"
    match = re.fullmatch(r"(420|422|444|mono)(?:p?(9|10|12|14|16))?|411", _EIGHT_BITS.get(text, text))
    if match is None:
        raise UnsupportedError(f"{name}: y4m colour format C{text} is not read; write C420, C422, C444 or Cmono")
    base = _LAYOUTS[match[1] or "411"]
    return f"{base}{match[2]}le" if match[2] else base


def open_y4m(data: Input, max_pixels: int) -> Source:
    """A streaming source: nothing beyond the first line is read here, except one byte that proves a frame."""
    with data.handle() as handle:
        header = parse_header(handle.read(HEAD), data.name)
        check_size(data.name, header.width, header.height, max_pixels)
        handle.seek(header.length)
        if not handle.read(1):
            raise FormatError(f"{data.name}: the y4m stream has no frame; check the program that wrote it")
    warnings = []
    if header.bits > 8:
        warnings.append(f"{data.name}: {header.bits}-bit samples reduced to 8 bits")
    if header.interlaced:
        warnings.append(f"{data.name}: interlaced fields are kept woven into whole frames")
    gray = header.pixel_format.startswith("gray")
    info = MediaInfo(
        "video",
        header.width,
        header.height,
        channels=1 if gray else 3,
        alpha=header.pixel_format.startswith("yuva"),
        time_base=1 / header.rate,
        rate=header.rate,
        colour=Colour(full_range=gray or header.full_range),
        aspect=header.aspect,
    )

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        return _read(data, header, start, stop)

    return Source(data.name, info, read, frame_count=_count(data, header), warnings=warnings, close=data.close)


def _count(data: Input, header: Y4mHeader) -> int | None:
    """Frames of a file whose FRAME lines carry no parameters, which its size shows."""
    size = data.size()
    if size is None:
        return None
    frames, rest = divmod(size - header.length, len(b"FRAME\n") + _frame_bytes(header))
    return frames if rest == 0 else None


def _frame_bytes(header: Y4mHeader) -> int:
    return sum(rows * row for rows, row in _planes(header))


def _planes(header: Y4mHeader) -> list[tuple[int, int]]:
    """Rows and bytes per row of each plane."""
    sample = 2 if header.bits > 8 else 1
    wide, high = {"yuv420": (2, 2), "yuv422": (2, 1), "yuv411": (4, 1)}.get(header.pixel_format[:6], (1, 1))
    luma = (header.height, header.width * sample)
    if header.pixel_format.startswith("gray"):
        return [luma]
    chroma = (-(-header.height // high), -(-header.width // wide) * sample)
    return [luma, chroma, chroma] + ([luma] if header.pixel_format.startswith("yuva") else [])


def _read(data: Input, header: Y4mHeader, start: int, stop: int | None) -> Iterator[Frame]:
    size = _frame_bytes(header)
    with data.handle() as handle:
        handle.seek(header.length)
        index = 0
        while stop is None or index < stop:
            line = handle.readline(_LINE)
            if not line:
                return
            if not (line.startswith(b"FRAME") and line.endswith(b"\n")):
                raise FormatError(f"{data.name}: frame {index} does not begin with FRAME; the y4m stream is damaged")
            payload = handle.read(size)
            if len(payload) < size:
                raise FormatError(
                    f"{data.name}: frame {index} is truncated: {len(payload)} of {size} bytes; write the stream again"
                )
            if index >= start:
                pixels, alpha = colours.unpack(_frame(payload, header))
                yield Frame(pixels, alpha, index)
            index += 1


def _frame(payload: bytes, header: Y4mHeader) -> av.VideoFrame:
    """A PyAV frame with the planes of `payload` copied into its padded rows."""
    frame = av.VideoFrame(header.width, header.height, header.pixel_format)
    frame.color_range = colours.FULL if header.full_range else colours.LIMITED
    if header.pixel_format.startswith("gray"):
        # Gray video from FFmpeg is full range and says so; untagged gray is taken the same way.
        frame.color_range = colours.FULL
    offset = 0
    for plane, (rows, row) in zip(frame.planes, _planes(header), strict=True):
        samples = np.frombuffer(payload, np.uint8, rows * row, offset).reshape(rows, row)
        colours.rows(plane)[:rows, :row] = samples
        offset += rows * row
    return frame


def write_y4m(file: BinaryIO, media: MediaInfo, frames: Iterator[Frame]) -> None:
    """Write every frame at the nominal rate: y4m has neither time stamps nor alpha."""
    if media.alpha:
        raise ParameterError("y4m holds no alpha; write .mkv with lossless, .webm or a folder of pictures")
    gray = media.channels == 1
    colour = _RGB if media.colour.matrix == 0 else media.colour
    scale = "FULL" if gray or colour.full_range else "LIMITED"
    layout, pixel_format = ("mono", "gray") if gray else ("444", "yuv444p")
    rate = f"{media.rate.numerator}:{media.rate.denominator}"
    shape = f"{media.aspect.numerator}:{media.aspect.denominator}"
    head = f"YUV4MPEG2 W{media.width} H{media.height} F{rate} Ip A{shape} C{layout} XCOLORRANGE={scale}\n"
    file.write(head.encode())
    for frame in frames:
        packed = colours.pack(frame, pixel_format, colour)
        file.write(b"FRAME\n")
        for plane in packed.planes:
            file.write(colours.rows(plane)[: media.height, : media.width].tobytes())
