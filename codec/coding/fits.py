"""What families that fit a network need of files: options that are no settings of the network, and kept states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...models.base.fitted import Fits
from ..errors import ParameterError
from . import weights

if TYPE_CHECKING:
    from ...models.base.family import Family


class FolderStore:
    """States of fits as safetensors files of a folder, each replaced in one step.  See `models.fitted.Store`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> dict[str, NDArray[Any]] | None:
        path = self._path(key)
        return weights.read(path)[0] if path.is_file() else None

    def save(self, key: str, state: dict[str, NDArray[Any]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        weights.write(self._path(key), state, {})

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


def split_fit_options(family: Family, options: Mapping[str, object]) -> tuple[dict[str, object], dict[str, Any]]:
    """Options for `configure`, and what `fitting` takes: `watch`, a callable, and `checkpoint`, a folder's name."""
    own = dict(options)
    if not isinstance(family, Fits):
        return own, {}
    found: dict[str, Any] = {}
    watch, folder = own.pop("watch", None), own.pop("checkpoint", None)
    if watch is not None:
        if not callable(watch):
            raise ParameterError("watch is a callable that takes a FitStatus")
        found["watch"] = watch
    if folder is not None:
        path = Path(str(folder))
        if path.exists() and not path.is_dir():
            raise ParameterError(f"checkpoint={folder}: not a folder")
        found["store"] = FolderStore(path)
    return own, found


def with_frame_count(family: Family, frames: int | None) -> Family:
    """The family; one that fits gets the number of frames of the clip."""
    return family.fitting(frames=frames) if isinstance(family, Fits) else family
