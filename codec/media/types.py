"""What media is once it is open: frames, their description, and a source that yields them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..details import Details
from ..errors import CodecError, FormatError, LimitError, ParameterError, UnsupportedError

MAX_PIXELS = 1 << 28  # width x height of one frame that open_source accepts by default
DEFAULT_RATE = Fraction(25)  # frames per second where the input names none

Pixels = NDArray[np.uint8]

_COMMON_PRIMARIES = (1, 2, 5, 6, 7)  # near enough to sRGB; what is not said is taken for it
_CURVES = {8: "linear light", 16: "the PQ curve", 18: "the HLG curve"}


@dataclass
class Frame:
    """One picture: `pixels` (H, W, 1 or 3), `alpha` (H, W) or None, `pts` in units of the media's time base."""

    pixels: Pixels
    alpha: Pixels | None = None
    pts: int = 0


@dataclass(frozen=True)
class Colour:
    """How the source describes its colour: the code points of ITU-T H.273; 2 is unspecified.

    The pixels of a Frame are always full-range RGB or gray in the source's own primaries and transfer; the matrix
    and the range say which YUV a written video goes back to.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False

    @property
    def unusual(self) -> str:
        """Why pixels look wrong where they are taken for sRGB, in words; empty where they do not."""
        parts = [] if self.primaries in _COMMON_PRIMARIES else [f"primaries {self.primaries}"]
        return " and ".join(parts + ([_CURVES[self.transfer]] if self.transfer in _CURVES else []))


SRGB = Colour(primaries=1, transfer=13, matrix=0, full_range=True)  # every picture has it; an ICC profile overrides it


@dataclass(frozen=True)
class MediaInfo:
    """All that a writer must know beside the frames.

    rate    frames per second, nominal: where the frame rate varies, `Frame.pts` is the truth
    exif    EXIF bytes with the orientation already applied to the pixels and reset to 1
    audio   a Matroska file that holds every audio packet untouched
    aspect  width over height of a pixel as it is shown; 1 is square
    plays   of an animation: 1 + how often it plays, 1 for ever; 0 where the source does not say
    details texts, XMP, IPTC, resolution, chapters
    last    ticks that the last frame shows; 0 for 1 / rate
    """

    kind: str  # "picture" or "video"
    width: int
    height: int
    channels: int  # 1 gray, 3 RGB
    alpha: bool = False
    time_base: Fraction = Fraction(1)
    rate: Fraction = Fraction(1)
    colour: Colour = SRGB
    icc: bytes | None = None
    exif: bytes | None = None
    audio: bytes | None = None
    aspect: Fraction = Fraction(1)
    plays: int = 0
    last: int = 0
    details: Details = Details()


class Source:
    """An open input.  `frames()` may be called again and again, and each call streams from the start it is given.

    read(start, stop)  yields the frames of that range
    frame_count        exact for pictures, arrays and folders; what the container says for a video; None if unknown
    warnings           one line each for what could not be kept; reading may add to it
    """

    def __init__(
        self,
        name: str,
        info: MediaInfo,
        read: Callable[[int, int | None], Iterator[Frame]],
        *,
        frame_count: int | None = None,
        warnings: list[str] | None = None,
        close: Callable[[], None] | None = None,
        read_audio: Callable[[], bytes | None] | None = None,
    ) -> None:
        self.name = name
        self.frame_count = frame_count
        self.warnings = warnings if warnings is not None else []
        self._info = info
        self._read = read
        self._close = close
        self._read_audio = read_audio

    @property
    def kind(self) -> str:
        return self._info.kind

    @property
    def width(self) -> int:
        return self._info.width

    @property
    def height(self) -> int:
        return self._info.height

    @property
    def channels(self) -> int:
        return self._info.channels

    @property
    def alpha(self) -> bool:
        return self._info.alpha

    @property
    def time_base(self) -> Fraction:
        return self._info.time_base

    @property
    def rate(self) -> Fraction:
        return self._info.rate

    @property
    def colour(self) -> Colour:
        return self._info.colour

    @property
    def icc(self) -> bytes | None:
        return self._info.icc

    @property
    def exif(self) -> bytes | None:
        return self._info.exif

    @property
    def audio(self) -> bytes | None:
        """The audio packets, read from the file on first use (a pass over the file without decoding)."""
        return self.media.audio

    @property
    def media(self) -> MediaInfo:
        """The whole description, audio included."""
        if self._read_audio is not None:
            self._info = replace(self._info, audio=self._read_audio())
            self._read_audio = None
        return self._info

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames start..stop-1 (to the end without `stop`), each checked against the description."""
        if start < 0 or (stop is not None and stop < start):
            raise ParameterError(f"{self.name}: frames {start}:{stop} is not a range; give 0 <= start <= stop")
        shape = (self.height, self.width, self.channels)
        for index, frame in enumerate(self._read(start, stop), start):
            if frame.pixels.shape != shape:
                raise UnsupportedError(
                    f"{self.name}: frame {index} is {describe(frame.pixels.shape)}, the first is {describe(shape)}; "
                    "make every frame the same first, for example with ffmpeg -vf scale"
                )
            yield frame

    def retimed(self, fps: Fraction) -> Source:
        """The same frames at a constant rate, one tick of 1/fps per frame; audio no longer fits and is dropped."""
        if fps <= 0:
            raise ParameterError(f"{self.name}: {fps} frames per second is not a rate; give a positive number")
        if self._info.audio is not None or self._read_audio is not None:
            self.warnings.append(f"{self.name}: audio dropped: it does not fit the frame rate that was set")

        def read(start: int, stop: int | None) -> Iterator[Frame]:
            for index, frame in enumerate(self._read(start, stop), start):
                yield Frame(frame.pixels, frame.alpha, index)

        info = replace(self._info, time_base=1 / fps, rate=fps, audio=None, last=0)
        return Source(
            self.name, info, read, frame_count=self.frame_count, warnings=self.warnings, close=self._close
        )

    def close(self) -> None:
        """Release the file.  Calling it again does nothing."""
        if self._close is not None:
            self._close()
            self._close = None

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def describe(shape: tuple[int, ...]) -> str:
    """Name a frame shape (H, W, C) as people do: 640x360 RGB."""
    return f"{shape[1]}x{shape[0]} {'gray' if shape[2] == 1 else 'RGB'}"


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Raise unless a frame is at least 1x1 and holds at most `max_pixels` pixels; call it before allocating."""
    if width < 1 or height < 1:
        raise FormatError(f"{name}: the size {width}x{height} has no pixels; the file is damaged, export it again")
    if width * height > max_pixels:
        raise LimitError(
            f"{name}: {width}x{height} is {width * height} pixels per frame, the limit is {max_pixels}; "
            "scale it down, or raise the pixel limit"
        )


def unreadable(name: str, error: Exception, what: str = "picture") -> CodecError:
    """The FormatError for whatever a reading library raised on the bytes of `name`."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return FormatError(f"{name}: the {what} is truncated or damaged ({reason}); copy or export the file again")
