"""What a reader accepts before it allocates anything; see FORMAT.md section 10."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import LimitError

GROUP_FRAMES = 1 << 16  # frames a group, fixed by the format
METADATA_BYTES = 1 << 26  # inflated ICC profile or Exif block, fixed by the format


@dataclass(frozen=True)
class Limits:
    """Upper bounds, each settable.  A file beyond one of them is refused with `LimitError`."""

    pixels: int = 1 << 28  # a frame
    group: int = 1 << 30  # pixels a group
    frames: int = 1 << 24  # a file
    chunk: int = 1 << 30  # bytes of one chunk's payload
    free: int = 1 << 26  # pixels of a group that are allowed before the payload must justify the size
    expansion: int = 1 << 22  # pixels a byte of symbols, after the free ones
    array: int = 1 << 32  # pixels decoded into one array

    def check_frame(self, width: int, height: int) -> None:
        if width * height > self.pixels:
            raise LimitError(f"{width}x{height} is {width * height} pixels a frame, the limit is {self.pixels}")

    def check_group(self, frames: int, width: int, height: int, payload: int) -> None:
        """`payload`: bytes of symbols that claim to hold the group."""
        pixels = frames * width * height
        if pixels > self.group:
            raise LimitError(f"a group of {frames} frames {width}x{height}: {pixels} pixels, the limit is {self.group}")
        if pixels > self.free + self.expansion * payload:
            raise LimitError(f"{payload} bytes claim to hold {pixels} pixels, more than {self.expansion} a byte")

    def check_lost(self, frames: int, width: int, height: int, read: int) -> None:
        """Frames that are to be filled in, beside `read` bytes of the file."""
        if frames * width * height > self.free + self.expansion * read:
            raise LimitError(f"{frames} frames {width}x{height} are lost, more than {read} bytes can have held")

    def check_frames(self, frames: int) -> None:
        if frames > self.frames:
            raise LimitError(f"{frames} frames, the limit is {self.frames}")

    def check_chunk(self, kind: str, length: int) -> None:
        if length > self.chunk:
            raise LimitError(f"chunk {kind} claims {length} bytes, the limit is {self.chunk}")

    def check_array(self, frames: int, width: int, height: int) -> None:
        if frames * width * height > self.array:
            raise LimitError(
                f"{frames} frames {width}x{height} in one array exceed {self.array} pixels: read parts with open()"
            )


DEFAULT_LIMITS = Limits()
