"""The public functions on memory: `encode`, `decode`, `open`.

    data = encode(frames, quality=50)          uint8 arrays, tensors, pictures, paths -> bytes
    frames = decode(data)                      bytes -> a uint8 array of the same shape
    with open("clip.tsr") as clip: clip[10]    one frame, reading only its group
"""

from __future__ import annotations

import io
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .coding.stream import Progress, Range, decode_groups, frame_range, settings_for
from .coding.targets import Target, encode_target
from .defaults import CODEC
from .errors import FormatError, ParameterError
from .format.seekable import FileReader
from .limits import DEFAULT_LIMITS, Limits
from .reading.clip import Clip, as_file, with_alpha

if TYPE_CHECKING:
    from .media.types import Source

Pixels = NDArray[np.uint8]


def encode(
    source: Any,
    *,
    codec: str = CODEC,
    quality: float | None = None,
    bpp: float | None = None,
    size: int | None = None,
    psnr: float | None = None,
    gop: int | None = None,
    fps: float | Fraction | None = None,
    effort: str = "medium",
    device: str = "cpu",
    frames: Range | None = None,
    decoder: str | None = None,
    metadata: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
    **options: object,
) -> bytes:
    """Encode a picture or a clip and return the file's bytes.

    source    uint8 (H, W, 3), (H, W, 4), (H, W) or a clip (T, H, W, 1 | 3 | 4), as array or tensor; a path; a PIL
              picture; a binary file; an open media Source
    quality   0..100, 50 by default; or one of: bpp (bits a pixel), size (bytes), psnr (dB)
    gop       frames a group; more compress better, fewer make random access finer
    metadata  keep ICC profile, Exif and audio
    options   of the codec family

    ParameterError for arguments out of range, and what reading the source raises.
    """
    settings = settings_for(
        codec,
        options=options,
        effort=effort,
        device=device,
        decoder=decoder,
        gop=gop,
        frames=frames,
        metadata=metadata,
        limits=limits,
        progress=progress,
    )
    media, ours = open_any(source, fps, limits)
    sink = io.BytesIO()
    try:
        encode_target(media, sink, settings, Target(quality, bpp, size, psnr))
    finally:
        if ours:
            media.close()
    return sink.getvalue()


def open_any(source: Any, fps: float | Fraction | None = None, limits: Limits = DEFAULT_LIMITS) -> tuple[Source, bool]:
    """A media Source over whatever `encode` takes, and whether it is ours to close."""
    from . import media

    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    if isinstance(source, media.Source):
        return source, False
    if isinstance(source, (str, os.PathLike)):
        return media.open_source(os.fspath(source), fps=rate, max_pixels=limits.pixels), True
    if isinstance(source, (bytes, bytearray, memoryview)):
        return media.open_source(io.BytesIO(source), fps=rate, max_pixels=limits.pixels), True
    if hasattr(source, "detach") and hasattr(source, "cpu"):  # a tensor
        source = source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return media.from_array(source, rate), True
    if hasattr(source, "getbands"):  # a PIL picture
        return media.from_pil(source), True
    if hasattr(source, "read"):
        return media.open_source(source, fps=rate, max_pixels=limits.pixels), True
    raise ParameterError(f"cannot encode a {type(source).__name__}; give an array, a path or a picture")


def decode(
    data: Any,
    *,
    frames: Range | None = None,
    decoder: str | None = None,
    device: str = "cpu",
    partial: bool = False,
    conceal: bool = False,
    erasures: Any = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Pixels:
    """Decode a file to a uint8 array: (H, W, 3), (H, W) or (H, W, 4) for a picture, (T, H, W, C) for a clip.

    data      a path, bytes or a binary file
    frames    a range (start, stop)
    partial   of a damaged file, return the frames that are left; without it FormatError
    conceal   fill in the frames that a damaged file has lost, so that as many come as were encoded
    erasures  bool (T, h, w): what the codec's prior is to restore of these frames as if lost, see `Clip.restore`
    """
    if erasures is not None:
        if partial or conceal or decoder:
            raise ParameterError("erasures go with neither partial, conceal nor decoder")
        with Clip(data, device=device, limits=limits) as clip:
            still, (start, stop) = clip.reader.header.still, check_range(frames, len(clip))
            return squeezed(clip.restore(erasures, start, stop), still)
    file, ours = as_file(data)
    try:
        reader = FileReader(file, limits)
        start, stop = check_range(frames, reader.frames)
        head = reader.header
        if reader.problems and not (partial or conceal):
            raise FormatError(reader.problems[0])
        limits.check_array(stop - start, head.width, head.height)
        groups = decode_groups(
            reader, (start, stop), decoder=decoder, device=device, partial=partial, conceal=conceal, limits=limits
        )
        parts: list[Pixels] = []
        for group in groups:
            parts.append(with_alpha(group))
            if progress is not None:
                progress(group.first + len(group.times) - start, stop - start)
    finally:
        if ours:
            file.close()
    if not parts:
        raise FormatError("no frame of the file can be decoded")
    return squeezed(parts[0] if len(parts) == 1 else np.concatenate(parts), head.still)


def squeezed(pixels: Pixels, still: bool) -> Pixels:
    """Frames (T, H, W, C) of a clip as they are, of a picture (H, W, C), or (H, W) where it is gray."""
    if not still:
        return pixels
    return pixels[0, :, :, 0] if pixels.shape[3] == 1 else pixels[0]


def check_range(frames: Range | None, count: int) -> tuple[int, int]:
    """Start and stop within a file of `count` frames.  ParameterError when the range holds none of them."""
    start, stop = frame_range(frames)
    if frames is not None and start >= count > 0:
        raise ParameterError(f"frames {start}:{'' if stop is None else stop}: the file has {count}")
    stop = count if stop is None else min(stop, count)
    return (start, stop) if stop > start else (0, 1)


def open(data: Any, *, decoder: str | None = None, device: str = "cpu", limits: Limits = DEFAULT_LIMITS) -> Clip:  # noqa: A001, the name of the public function
    """Open a file for reading by parts; see `Clip`.  `data`: a path, bytes or a binary file."""
    return Clip(data, decoder=decoder, device=device, limits=limits)
