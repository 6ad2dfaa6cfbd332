"""Writing files all or nothing: beside the target under a temporary name, then renamed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import ParameterError


@contextmanager
def replacing(target: str | os.PathLike[str], force: bool) -> Iterator[str]:
    """The temporary name to write to; it takes the target's place when the block ends well, else it is removed.

    ParameterError when the target exists and `force` is not set.  A device or a named pipe is written to directly.
    """
    path = Path(target)
    if path.is_symlink():
        path = path.resolve()  # the file that the link names is replaced, the link stays
    if path.exists() and not path.is_file() and not path.is_dir():
        yield str(path)
        return
    check_target(path, force)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem[:32]}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    os.unlink(name)  # only the name is wanted: the target may become a folder
    try:
        yield name
        _put_in_place(Path(name), path)
    finally:
        _remove(Path(name))


def check_target(target: str | os.PathLike[str], force: bool) -> None:
    """ParameterError when the target exists and `force` is not set, or when its folder does not."""
    path = Path(target)
    if not force and (path.is_file() or (path.is_dir() and any(path.iterdir()))):
        raise ParameterError(f"{path} exists; give --force to overwrite it")
    if not path.parent.is_dir():
        raise ParameterError(f"{path.parent}: no such folder")


def _put_in_place(made: Path, path: Path) -> None:
    """Rename `made`.  A folder goes into an existing folder file by file: what else is there stays."""
    if made.is_dir() and path.is_dir():
        for file in sorted(made.iterdir()):
            os.replace(file, path / file.name)
    elif path.is_dir():
        raise ParameterError(f"{path} is a folder; name a file")
    else:
        os.replace(made, path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def output(target: str | os.PathLike[str], force: bool) -> Iterator[BinaryIO]:
    """A binary file that becomes `target`; '-' is standard output."""
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if Path(target).is_dir():
        raise ParameterError(f"{target} is a folder; name a file")
    with replacing(target, force) as name, open(name, "wb") as file:
        yield file
        file.flush()
