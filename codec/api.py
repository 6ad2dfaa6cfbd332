"""The public functions on memory: `encode`, `decode`, `open`.

data = encode(frames, quality=50)          uint8 arrays, tensors, pictures, paths -> bytes
frames = decode(data)                      bytes -> a uint8 array of the same shape
with open("clip.tsr") as clip: clip[10]    one frame, reading only its group
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .coding.best import encode_chosen
from .coding.conceal import length_of
from .coding.groups import with_alpha
from .coding.stream import decode_groups, settings_for
from .errors import FormatError, ParameterError
from .format.seekable import FileReader
from .limits import DEFAULT_LIMITS, Limits
from .options import DecodeOptions, DecoderName, EncodeOptions, FileSource, FrameSource, from_keywords, takes
from .ranges import clipped
from .reading.clip import Clip
from .reading.source import as_file

if TYPE_CHECKING:
    from .media.types import Source

Pixels = NDArray[np.uint8]


@takes(EncodeOptions)
def encode(source: FrameSource, options: EncodeOptions | None = None, **keywords: Any) -> bytes:
    """Encode a picture or a clip and return the bytes of the file.

    Args:
        source: uint8 frames as an array or tensor: a picture (H, W), (H, W, 3) or (H, W, 4), or a clip (T, H, W, C)
            with C of 1, 3 or 4; or a path, a picture of PIL, an encoded media file as bytes or as a binary file.
        options: How to encode.  None: the defaults of `EncodeOptions`.
        **keywords: The fields of `EncodeOptions`, which replace those of `options`: codec, quality, bpp, size, psnr,
            effort, gop, fps and others.  What is not a field is an option of the codec family.

    Returns:
        The .tsr file.  What is lost, and a target that cannot be met, is a UserWarning.

    Raises:
        ParameterError: An argument is out of range or contradicts another, or nothing can be read from the source.
        FormatError: The source is a damaged media file.
        UnsupportedError: This install lacks the weights of the codec, or the codec does not run on the device.
        LimitError: The source is larger than the limits allow.
    """
    chosen = from_keywords(EncodeOptions, options, keywords)
    settings = settings_for(chosen)
    media, ours = open_any(source, chosen)
    sink = io.BytesIO()
    try:
        lines = [*encode_chosen(media, sink, settings).warnings, *media.warnings]
    finally:
        if ours:
            media.close()
    _warn(lines)
    return sink.getvalue()


def _warn(lines: list[str]) -> None:
    """Tell the caller of a public function what the command line prints as warnings."""
    for line in dict.fromkeys(lines):
        warnings.warn(line, UserWarning, stacklevel=3)


def open_any(source: FrameSource, options: EncodeOptions) -> tuple[Source, bool]:
    """A media Source over whatever `encode` takes, and whether it is ours to close."""
    from . import media

    rate, limits = options.rate, options.limits
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
    if isinstance(source, Image.Image):
        return media.from_pil(source), True
    if hasattr(source, "read"):
        return media.open_source(source, fps=rate, max_pixels=limits.pixels), True
    raise ParameterError(f"cannot encode a {type(source).__name__}; give an array, a path or a picture")


@takes(DecodeOptions)
def decode(data: FileSource, options: DecodeOptions | None = None, *, erasures: Any = None, **keywords: Any) -> Pixels:
    """Decode a file to one array.

    Args:
        data: A .tsr file: a path, its bytes or a binary file.
        options: How to decode.  None: the defaults of `DecodeOptions`.
        erasures: Mask bool (T, h, w) over the frames asked for, or one mask per codebook: the indices there are treated
            as lost and filled in by the codec's prior.  Only for codecs with codebooks; see `Clip.restore`.
        **keywords: The fields of `DecodeOptions`, which replace those of `options`: frames, decoder, device, partial,
            conceal, limits, progress.

    Returns:
        uint8 pixels: (H, W, 3), (H, W) or (H, W, 4) of a picture, (T, H, W, C) of a clip.

    Raises:
        FormatError: The file is damaged, and neither `partial` nor `conceal` is set; or no frame can be decoded.
        ParameterError: An argument is out of range, or the file has none of the frames asked for.
        UnsupportedError: This install lacks what the file needs, or the codec does not run on the device.
        LimitError: The file is larger than the limits allow.
    """
    chosen = from_keywords(DecodeOptions, options, keywords)
    limits = chosen.limits
    if erasures is not None:
        if chosen.lenient or chosen.decoder:
            raise ParameterError("erasures go with neither partial, conceal nor decoder")
        with Clip(data, device=chosen.device, limits=limits) as clip:
            still, (start, stop) = clip.reader.header.still, clipped(chosen.frames, len(clip))
            return squeezed(clip.restore(erasures, start, stop), still)
    file, ours = as_file(data)
    try:
        reader = FileReader(file, limits)
        start, stop = clipped(chosen.frames, length_of(reader) if chosen.conceal else reader.frames)
        head = reader.header
        if reader.problems and not chosen.lenient:
            raise FormatError(reader.problems[0])
        limits.check_array(stop - start, head.width, head.height)
        parts: list[Pixels] = []
        lines: list[str] = []
        for group in decode_groups(reader, replace(chosen, frames=(start, stop)), lines):
            parts.append(with_alpha(group))
            if chosen.progress is not None:
                chosen.progress(group.first + len(group.times) - start, stop - start)
    finally:
        if ours:
            file.close()
    if not parts:
        raise FormatError("no frame of the file can be decoded")
    _warn(lines)
    return squeezed(parts[0] if len(parts) == 1 else np.concatenate(parts), head.still)


def squeezed(pixels: Pixels, still: bool) -> Pixels:
    """Frames (T, H, W, C) of a clip as they are, of a picture (H, W, C), or (H, W) where it is gray."""
    if not still:
        return pixels
    return pixels[0, :, :, 0] if pixels.shape[3] == 1 else pixels[0]


def open(  # noqa: A001, the name of the public function
    data: FileSource,
    *,
    decoder: DecoderName | None = None,
    device: str = "cpu",
    limits: Limits = DEFAULT_LIMITS,
    keep: int = 0,
) -> Clip:
    """Open a file for reading by parts: frames, latents or tokens by number.

    Args:
        data: A .tsr file: a path, a URL that fsspec knows (https, s3, ...), its bytes or a binary file.  Of a URL only
            header, index and the groups that are asked for are fetched.
        decoder: The synthesis network to paint with.  None: the one that the file names.
        device: "cpu", "cuda" or "cuda:N".
        limits: Upper bounds; a file beyond one of them is refused.
        keep: Groups whose latents and pixels stay in memory, those used last.  0: the group painted last.

    Returns:
        The open file, which is a context manager.  Only its header and index have been read.

    Raises:
        FormatError: This is no .tsr file, or its header is damaged.
        ParameterError: There is no such file, or an argument is out of range.
        UnsupportedError: The file needs a newer version of the format.
        LimitError: The file is larger than the limits allow.
    """
    return Clip(data, decoder=decoder, device=device, limits=limits, keep=keep)
