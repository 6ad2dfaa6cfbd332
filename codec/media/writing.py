"""Writing media: the suffix chooses the format, the target may be a path, a file object or standard output."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from ..checked import CheckedFile, checked, standard_output
from ..errors import ParameterError
from ..spool import open_spool
from .arrays import write_npy
from .folders import write_folder
from .losses import losses
from .picture_write import PICTURE_SUFFIXES, write_pictures
from .types import Frame, MediaInfo, describe
from .video_write import VIDEO_SUFFIXES, write_video
from .y4m import write_y4m

WRITTEN_SUFFIXES = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES, "y4m", "npy")


def write_media(
    target: str | BinaryIO,
    suffix: str,
    media: MediaInfo,
    frames: Iterator[Frame],
    *,
    crf: int | None = None,
    lossless: bool = False,
    warnings: list[str] | None = None,
) -> None:
    """Write `frames` to `target` in the format that `suffix` names ('.png', 'mp4' ...; '' is a folder of pictures).

    target '-' is standard output: y4m for a video, png for a picture, unless the suffix says more.  `media.audio`
    goes into video containers only; time stamps go into video containers and animations.  `warnings` takes a line for
    each thing that the format does not hold.  Raises ParameterError for a suffix or a combination that cannot be
    written, OSError where the disk fails.
    """
    kind = suffix.lower().lstrip(".")
    if target == "-":
        kind = kind.strip("-") or ("y4m" if media.kind == "video" else "png")
    frames = _checked(iter(frames), media)
    if warnings is not None:
        warnings += losses(kind, media)
    if kind == "":
        if not isinstance(target, str):
            raise ParameterError("a folder cannot be written into a file object; name a format")
        write_folder(target, media, frames)
        return
    if kind not in WRITTEN_SUFFIXES:
        raise ParameterError(f".{kind} is not written; choose one of {', '.join(WRITTEN_SUFFIXES)}, or a folder")
    if (crf is not None or lossless) and kind not in VIDEO_SUFFIXES:
        raise ParameterError(f"crf and lossless are for {', '.join(VIDEO_SUFFIXES)}; .{kind} takes neither")
    with _target(target, seeks=kind != "y4m") as file:
        if kind in VIDEO_SUFFIXES:
            write_video(file, kind, media, frames, crf, lossless)
        elif kind == "y4m":
            write_y4m(file, media, frames)
        elif kind == "npy":
            write_npy(file, media, frames)
        else:
            write_pictures(file, kind, media, frames, warnings)


def _checked(frames: Iterator[Frame], media: MediaInfo) -> Iterator[Frame]:
    """The frames, each of the shape that `media` announces."""
    shape = (media.height, media.width, media.channels)
    for index, frame in enumerate(frames):
        if frame.pixels.shape != shape:
            raise ParameterError(f"frame {index} is {describe(frame.pixels.shape)}, announced was {describe(shape)}")
        yield frame


@contextmanager
def _target(target: str | BinaryIO, seeks: bool) -> Iterator[BinaryIO]:
    """The file to write to; one that cannot seek gets its bytes at the end, if the format has to seek."""
    if isinstance(target, str) and target != "-":
        try:
            with checked(target) as file:
                yield file
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise ParameterError(f"{target}: cannot be written ({error.strerror}); check the folder") from error
        return
    stream = standard_output() if isinstance(target, str) else CheckedFile(target, _name(target))
    if stream.seekable() or not seeks:
        yield cast(BinaryIO, stream)
    else:
        with open_spool() as spool:
            yield spool
            spool.seek(0)
            shutil.copyfileobj(spool, stream)
    stream.finish()


def _name(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "the output"
