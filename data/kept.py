"""Tokens on disk beside the files that they were read from: later passes over a dataset read no .tsr file."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..codec.errors import ParameterError
from ..codec.reading.remote import is_url, local_path
from ..models.tokens.saved import load_tensors, write
from . import storage
from .items import Item, TsrDecoder

_FIELDS = {"x", "pos", "size", "bits"}


class KeptTokens:
    """A folder of items, one safetensors file each.

    An item is found by the file's name, size and time of change, by everything that chose its tokens, and by the
    version of this package.  So a changed file or option makes a new item; old ones stay until the folder is cleared.
    Several processes may use one folder.

    Args:
        folder: Made where it is missing.
        decoder: What reads the items.

    Raises:
        ParameterError: An option cannot be told from another by its value, as a function cannot.
    """

    def __init__(self, folder: str | os.PathLike[str], decoder: TsrDecoder) -> None:
        self.folder, self.decoder = Path(folder), decoder
        chosen = {"reduce": decoder.reduce, "budget": decoder.budget, "frames": decoder.frames, **decoder.options}
        self.choice = json.dumps({name: _plain(name, value) for name, value in sorted(chosen.items())})

    def read(self, name: str) -> Item:
        """The item of a file, from the folder where it is there."""
        path = self._path(name)
        found = _load(path)
        if found is None:
            found = self.decoder.read(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write({**found, "bits": torch.tensor(found["bits"])}, path)
        return found

    def _path(self, name: str) -> Path:
        known = f"{_package()}\n{name}\n{_stamp(name)}\n{self.choice}"
        digest = hashlib.sha256(known.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:]}.safetensors"


def _load(path: Path) -> Item | None:
    """An item; None where there is none, or a damaged one, which is made again."""
    if not path.is_file():
        return None
    try:
        found: Item = dict(load_tensors(path))
    except ParameterError:
        return None
    if set(found) != _FIELDS:
        return None
    return {**found, "bits": int(found["bits"])}


def _package() -> str:
    try:
        return version("tessera-codec")
    except PackageNotFoundError:
        return "of a source tree"


def _stamp(name: str) -> str:
    """What changes with the contents of a file.  ParameterError where there is none."""
    path = local_path(name)
    if path is None:
        about = storage.look(name)
        if about is None:
            raise ParameterError(f"{name}: there is no such file")
        return about.version or str(about.size)
    try:
        about_path = path.stat()
    except OSError as error:
        raise ParameterError(f"{name}: {error.strerror}") from error
    return f"{about_path.st_size} {about_path.st_mtime_ns}"


def absolute(name: str) -> str:
    """A name that means the same file from every folder."""
    return name if is_url(name) else os.path.abspath(name)


def _plain(name: str, value: Any) -> Any:
    """A value as JSON holds it: equal values, and no others, give equal texts."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "__array__"):
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(value)
        data = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return ["tensor", str(tensor.dtype), list(tensor.shape), hashlib.sha256(data).hexdigest()]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(_plain(name, one) for one in value)]
    if isinstance(value, dict):
        return ["dict", *([str(key), _plain(name, one)] for key, one in value.items())]
    if is_dataclass(value) and not isinstance(value, type):
        held = [[field.name, _plain(name, getattr(value, field.name))] for field in fields(value)]
        return [type(value).__name__, *held]
    raise ParameterError(f"cache: {name} is a {type(value).__name__}, which cannot be told from another by its value")
