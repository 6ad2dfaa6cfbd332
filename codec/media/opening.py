"""Opening any input: what it is shows in its bytes, never in its name."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from typing import BinaryIO

from ..checked import standard_input
from ..errors import FormatError, ParameterError
from . import arrays, y4m
from .folders import open_folder
from .following import stream_of_pictures
from .heif import is_heif
from .inputs import FileInput, Input, PipeInput, SharedInput
from .pictures import open_picture
from .strangers import HEAD, what_it_is
from .types import MAX_PIXELS, Source
from .video import open_video

_OWN_MAGIC = b"\x89TSR"


def open_source(
    path: str | os.PathLike[str] | BinaryIO,
    *,
    fps: Fraction | None = None,
    max_pixels: int = MAX_PIXELS,
    replay: bool = True,
) -> Source:
    """Open a picture, a video, a folder of frames, a .npy array, a file object, or '-' for standard input.

    fps         frames per second of a folder or array; for a video it replaces the time stamps (audio is dropped)
    max_pixels  largest accepted width x height, checked before any frame is decoded
    replay      keep what a pipe delivers, so that frames() can be called again; without it memory and disk stay
                flat and a y4m pipe can be read once

    Raises ParameterError (no such file), FormatError, UnsupportedError, LimitError: one line with the file's name.
    """
    if fps is not None and fps <= 0:
        raise ParameterError(f"{fps} frames per second is not a rate; give a positive number")
    if isinstance(path, (str, os.PathLike)) and path != "-":
        name = os.fspath(path)
        if os.path.isdir(name):
            return open_folder(name, fps, max_pixels)
        return _open(_regular(name, replay), name, fps, max_pixels)
    file = standard_input() if isinstance(path, (str, os.PathLike)) else path
    label = "standard input" if path == "-" else str(getattr(file, "name", None) or "<stream>")
    data: Input = SharedInput(file, label) if _seeks(file) else PipeInput(file, label, replay)
    return _open(data, None, fps, max_pixels)


def _regular(path: str, replay: bool) -> Input:
    """A file on disk; a named pipe or device is read as a stream."""
    if not os.path.exists(path):
        raise ParameterError(f"{path}: no such file; check the path")
    if os.path.isfile(path):
        return FileInput(path)
    return PipeInput(FileInput(path).handle(), path, replay)


def _seeks(file: BinaryIO) -> bool:
    """True where the stream really seeks: a pipe behind a buffer says so too, and fails."""
    try:
        file.seek(file.tell())
    except (OSError, AttributeError, io.UnsupportedOperation):
        return False
    return True


def _open(data: Input, path: str | None, fps: Fraction | None, max_pixels: int) -> Source:
    try:
        source = _identify(data, path, max_pixels)
    except BaseException:
        data.close()
        raise
    return source if fps is None or source.kind == "picture" else source.retimed(fps)


def _identify(data: Input, path: str | None, max_pixels: int) -> Source:
    with data.handle() as handle:
        head = handle.read(HEAD)
    if not head:
        raise FormatError(f"{data.name}: the file is empty; give a picture or a video")
    if head.startswith(_OWN_MAGIC):
        raise FormatError(f"{data.name}: this is a Tessera file already; decode it instead")
    if head.startswith(y4m.MAGIC):
        return y4m.open_y4m(data, max_pixels)
    if head.startswith(arrays.MAGIC):
        return arrays.open_npy(data, path if isinstance(data, FileInput) else None, max_pixels)
    _drain(data)
    with data.handle() as handle:
        stream = stream_of_pictures(handle)
    if stream is not None:
        source = open_video(data, max_pixels, stream)
    elif is_heif(head):
        source = open_picture(data, max_pixels)  # never FFmpeg, which would take a tile for the picture
    else:
        source = open_picture(data, max_pixels) or open_video(data, max_pixels)
    if source is None:
        stranger = what_it_is(head)
        if stranger is not None:
            raise FormatError(f"{data.name}: {stranger}")
        raise FormatError(
            f"{data.name}: neither a picture, a video, y4m nor npy (it begins with {head[:8]!r}); "
            "check the file, or export it as PNG or MP4"
        )
    return source


def _drain(data: Input) -> None:
    """Read a pipe to its end: pictures and containers other than y4m need to seek in it."""
    if isinstance(data, PipeInput):
        data.drain()
