"""What a reader accepts before it allocates anything; see FORMAT.md section 10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import LimitError

if TYPE_CHECKING:
    from ..models.base.cost import Cost

GROUP_FRAMES = 1 << 16  # frames per group, fixed by the format
METADATA_BYTES = 1 << 26  # inflated ICC profile or Exif block, fixed by the format


@dataclass(frozen=True)
class Limits:
    """Upper bounds, each settable.  A file beyond one of them is refused with `LimitError` before memory is allocated.

    Attributes:
        pixels: Pixels per frame.
        group: Pixels per group.
        frames: Frames per file.
        chunk: Bytes of the payload of one chunk.
        free: Pixels of a group that are allowed before the payload must justify the size.
        expansion: Pixels per byte of payload, beyond the free ones.
        array: Pixels decoded into one array.
        lost: Frames that are filled in where a damaged file has lost some.
        memory: Bytes that decoding a group takes, as estimated from its head before it begins.
        work: Multiplications that decoding a group takes, likewise; of codec `nerv`, whose frames are painted one by
            one, those of a frame.  A processor does about 10^11 in a second.
    """

    pixels: int = 1 << 28
    group: int = 1 << 30
    frames: int = 1 << 24
    chunk: int = 1 << 30
    free: int = 1 << 26
    expansion: int = 1 << 22
    array: int = 1 << 32
    lost: int = 1 << 16
    memory: int = 1 << 34
    work: int = 1 << 46

    def check_frame(self, width: int, height: int) -> None:
        """A frame of this size keeps to the limits.

        Args:
            width: Width in pixels.
            height: Height in pixels.

        Raises:
            LimitError: It does not.
        """
        if width * height > self.pixels:
            raise LimitError(f"{width}x{height} is {width * height} pixels per frame, the limit is {self.pixels}")

    def check_group(self, frames: int, width: int, height: int, payload: int) -> None:
        """A group keeps to the limits.

        Args:
            frames: Number of frames.
            width: Width in pixels.
            height: Height in pixels.
            payload: Bytes of symbols that claim to hold the group.

        Raises:
            LimitError: It does not.
        """
        pixels = frames * width * height
        if pixels > self.group:
            raise LimitError(f"a group of {frames} frames {width}x{height}: {pixels} pixels, the limit is {self.group}")
        if pixels > self.free + self.expansion * payload:
            raise LimitError(f"{payload} bytes claim to hold {pixels} pixels, more than {self.expansion} per byte")

    def check_lost(self, frames: int, width: int, height: int, read: int) -> None:
        """Frames that are to be filled in keep to the limits.

        Args:
            frames: Number of frames.
            width: Width in pixels.
            height: Height in pixels.
            read: Bytes of the file that have been read.

        Raises:
            LimitError: It does not.
        """
        if frames > self.lost:
            raise LimitError(f"{frames} frames are lost, the limit of frames to fill in is {self.lost}")
        if frames * width * height > self.free + self.expansion * read:
            raise LimitError(f"{frames} frames {width}x{height} are lost, more than {read} bytes can have held")

    def check_cost(self, cost: Cost) -> None:
        """Decoding a group keeps to the limits.

        Args:
            cost: What it takes at most.

        Raises:
            LimitError: It does not.
        """
        if cost.memory > self.memory:
            raise LimitError(f"decoding takes about {cost.memory} bytes of memory, the limit is {self.memory}")
        if cost.work > self.work:
            raise LimitError(f"decoding takes about {cost.work} multiplications, the limit is {self.work}")

    def check_frames(self, frames: int) -> None:
        """A file of so many frames keeps to the limits.

        Args:
            frames: Number of frames.

        Raises:
            LimitError: It does not.
        """
        if frames > self.frames:
            raise LimitError(f"{frames} frames, the limit is {self.frames}")

    def check_chunk(self, kind: str, length: int) -> None:
        """A chunk keeps to the limits.

        Args:
            kind: Type of the chunk, four letters.
            length: Bytes of its payload.

        Raises:
            LimitError: It does not.
        """
        if length > self.chunk:
            raise LimitError(f"chunk {kind} claims {length} bytes, the limit is {self.chunk}")

    def check_array(self, frames: int, width: int, height: int) -> None:
        """Frames that are decoded into one array keep to the limits.

        Args:
            frames: Number of frames.
            width: Width in pixels.
            height: Height in pixels.

        Raises:
            LimitError: It does not.
        """
        if frames * width * height > self.array:
            raise LimitError(
                f"{frames} frames {width}x{height} in one array exceed {self.array} pixels: read parts with open()"
            )


DEFAULT_LIMITS = Limits()
