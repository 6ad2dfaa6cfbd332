"""Writing files all or nothing: beside the target under a temporary name, then renamed.

A temporary file is locked as long as its writer lives.  What a killed run leaves behind has no lock any more, so the
next run on the folder recognises it and removes it.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from .checked import CheckedFile, checked, standard_output
from .errors import ParameterError

if sys.platform != "win32":
    import fcntl

_LEFTOVER = re.compile(r"\..*\.tessera-[0-9a-f]{8}")
_FRAME = re.compile(r"[0-9]{6,}\.png")  # of a folder of frames; media/folders.py names them
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@contextmanager
def output(target: str | os.PathLike[str], force: bool) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `target` when the block ends well, and is removed otherwise.

    '-' is standard output; a device or a named pipe is written to directly.  An existing file keeps its mode and, where
    that is allowed, its owner.  ParameterError when the target exists and `force` is not set.
    """
    if target == "-":
        stream = standard_output()
        yield cast(BinaryIO, stream)
        stream.finish()
        return
    path = _resolved(target)
    if _is_special(path):
        with checked(str(path), os.fspath(target)) as device:
            yield device
        return
    check_target(path, force)
    if path.is_dir():
        raise ParameterError(f"{target} is a folder; name a file")
    _remove_leftovers(path.parent)
    with _temporary(path, target, functools.partial(_make_file, like=path)) as made:
        with os.fdopen(made.handle, "wb", buffering=0, closefd=False) as inner:
            file = CheckedFile(cast(BinaryIO, inner), os.fspath(target))
            yield cast(BinaryIO, file)
            file.finish(sync=True)
        made.put(path)


@contextmanager
def output_folder(target: str | os.PathLike[str], force: bool) -> Iterator[str]:
    """A folder to write frames to, which takes the place of `target` when the block ends well.

    Into an existing folder its files go one by one: they replace the frames that are there, older frames beyond the new
    ones included; what else is there stays.
    """
    path = _resolved(target)
    check_target(path, force)
    if path.exists() and not path.is_dir():
        raise ParameterError(f"{target} is a file; name a folder, or a file with a suffix")
    _remove_leftovers(path.parent)
    with _temporary(path, target, _make_folder) as made:
        yield str(made.path)
        if path.is_dir():
            _merge(made.path, path)
        else:
            made.put(path)


def check_target(target: str | os.PathLike[str], force: bool) -> None:
    """ParameterError when the target exists and `force` is not set, or when its folder does not."""
    path = _named(target)
    if not force and (path.is_file() or (path.is_dir() and any(path.iterdir()))):
        raise ParameterError(f"{path} exists; give --force to overwrite it")
    if not path.parent.is_dir():
        raise ParameterError(f"{path.parent}: no such folder")


def _named(target: str | os.PathLike[str]) -> Path:
    if not os.fspath(target):
        raise ParameterError("the name of the output is empty; name a file")
    return Path(target)


def _resolved(target: str | os.PathLike[str]) -> Path:
    """The file that a link names is replaced, the link stays."""
    path = _named(target)
    return path.resolve() if path.is_symlink() else path


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


class _Temporary:
    """A file or folder beside the target; the lock lasts as long as `handle` is open.  -1: it has none."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self.handle = path, handle

    def put(self, target: Path) -> None:
        """Give it the place of `target`."""
        if sys.platform == "win32":
            self.close()  # open files cannot be renamed there
        os.replace(self.path, target)
        _sync_folder(target.parent)

    def close(self) -> None:
        """Let go of the lock; once is enough."""
        handle, self.handle = self.handle, -1
        if handle >= 0:
            os.close(handle)


@contextmanager
def _temporary(path: Path, target: str | os.PathLike[str], make: Callable[[str], int]) -> Iterator[_Temporary]:
    """What `make` makes beside `path`, gone at the end unless it was put in place; errors name `target` instead."""
    made: _Temporary | None = None
    try:
        made = _locked(path, make)
        yield made
    except OSError as error:
        raise _renamed(error, path, os.fspath(target)) from error
    finally:
        if made is not None:
            made.close()
            _remove(made.path)


def _prefix(path: Path) -> str:
    """What the name of a temporary file beside `path` begins with, before eight hexadecimal digits."""
    return f".{path.stem[:32]}.tessera-"


def _locked(path: Path, make: Callable[[str], int]) -> _Temporary:
    while True:
        made = path.with_name(_prefix(path) + secrets.token_hex(4))
        try:
            handle = make(str(made))
        except FileExistsError:
            continue
        if handle < 0 or (_lock(handle) is not False and made.exists()):
            return _Temporary(made, handle)
        os.close(handle)  # another run took it for a leftover in the moment before the lock


def _make_file(name: str, like: Path) -> int:
    """A new file with the mode and the owner of the one that it will replace, or those of any new file."""
    if not like.exists():
        return os.open(name, _NEW, 0o666)
    status = like.stat()
    handle = os.open(name, _NEW, 0o600)
    if sys.platform != "win32":
        with suppress(OSError):  # only root may give files away
            os.fchown(handle, status.st_uid, status.st_gid)
        with suppress(OSError):  # a file system without modes
            os.fchmod(handle, status.st_mode & 0o7777)
    return handle


def _make_folder(name: str) -> int:
    os.mkdir(name)
    return -1 if sys.platform == "win32" else os.open(name, _READ)


def _lock(handle: int) -> bool | None:
    """Whether the lock is ours now; None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def _renamed(error: OSError, path: Path, target: str) -> OSError:
    """The error with the name that the user gave in place of the temporary one."""
    given = error.filename if isinstance(error.filename, str) else ""
    head = str(path.with_name(_prefix(path)))
    if not given.startswith(head):
        return error
    return OSError(error.errno, error.strerror, target + given[len(head) + 8 :])


def _merge(made: Path, path: Path) -> None:
    """Move every file of `made` into `path`, and remove the frames of an earlier run that were not replaced."""
    new = sorted(made.iterdir())
    for file in new:
        old = path / file.name
        if old.is_file():
            with suppress(OSError):
                os.chmod(file, old.stat().st_mode & 0o7777)
        os.replace(file, old)
    names = {file.name for file in new}
    for file in path.iterdir():
        if _FRAME.fullmatch(file.name) and file.name not in names and file.is_file():
            file.unlink()


@functools.lru_cache(maxsize=256)  # once a process: bulk work writes many files into one folder
def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of runs that were killed: those with nobody's lock on them."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if not _LEFTOVER.fullmatch(entry.name):
                continue
            if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
                _remove_leftover(entry.path)


def _remove_leftover(name: str) -> None:
    with suppress(OSError):
        handle = os.open(name, _READ)
        try:
            if _lock(handle):
                _remove(Path(name))
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The rename itself reaches the disk, where folders can be synced."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
