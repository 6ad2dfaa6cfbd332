"""Sets of tokens as safetensors: every field of a TokenSet by name."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..base.errors import ParameterError
from .cosine import Basis
from .saved_checks import BASIS, COLUMNS, KEEP, LAYERS, POOL, check_saved

if TYPE_CHECKING:
    from .types import TokenSet


def tensors_of(tokens: TokenSet) -> dict[str, Tensor]:
    """All fields of a set as tensors on the processor, and `frame_splits` for readers without this package."""
    found = {name: getattr(tokens, name) for name in COLUMNS} | {"frame_splits": tokens.frame_splits}
    found |= {"shape": torch.tensor(tokens.shape), "query_dependent": torch.tensor(tokens.query_dependent)}
    found |= {f"{LAYERS}{number}": layer for number, layer in enumerate(tokens.layers)}
    if tokens.lattice is not None:
        found["lattice"] = torch.tensor(tokens.lattice)
    if tokens.memory is not None:
        found["memory"] = tokens.memory
    if tokens.schedule is not None:
        found |= {f"{KEEP}{layer}": rows for layer, rows in tokens.schedule.keep.items()}
        found |= {f"{POOL}{layer}": torch.tensor(shape) for layer, shape in tokens.schedule.pool.items()}
        found["schedule"] = torch.tensor(True)
    if tokens.basis is not None:
        found |= {f"basis.{name}": torch.as_tensor(getattr(tokens.basis, name)) for name in BASIS}
        if tokens.basis.frequency is not None:
            found["basis.frequency"] = tokens.basis.frequency
    # equal tensors of a set may share memory, which safetensors refuses
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in found.items()}


def write(tensors: dict[str, Tensor], path: str | Path) -> None:
    """A safetensors file that is there whole or not at all.  ParameterError where it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = _path(path)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        save_file(tensors, part)
        os.replace(part, target)
    except (OSError, SafetensorError) as error:
        raise ParameterError(f"path {target} cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """What a safetensors file holds.  ParameterError where there is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = _path(path)
    if not path.is_file():
        raise ParameterError(f"path {path}: there is no such file")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ParameterError(f"{path} is no safetensors file: {error}") from error


def _path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"path is the name of a file, not {type(path).__name__}")
    return Path(path)


def read(path: str | Path) -> dict[str, Any]:
    """The fields of a saved set; `schedule` as (keep, pool).  ParameterError where the file holds something else."""
    found = load_tensors(path)
    absent = [name for name in (*COLUMNS, "shape", "query_dependent") if name not in found]
    if absent:
        raise ParameterError(f"{path} holds no set of tokens: it lacks {', '.join(absent)}")
    try:
        check_saved(found)
    except ParameterError as error:
        raise ParameterError(f"{path} holds a damaged set of tokens: {error}") from error
    fields: dict[str, Any] = {name: found[name] for name in COLUMNS}
    fields |= {"shape": tuple(found["shape"].tolist()), "query_dependent": bool(found["query_dependent"])}
    fields |= {"memory": found.get("memory")}
    fields["lattice"] = tuple(found["lattice"].tolist()) if "lattice" in found else None
    fields["layers"] = tuple(found[f"{LAYERS}{n}"] for n in range(sum(name.startswith(LAYERS) for name in found)))
    if "schedule" in found:
        pool = {layer: tuple(shape.tolist()) for layer, shape in _numbered(found, POOL).items()}
        fields["schedule"] = _numbered(found, KEEP), pool
    if "basis.full" in found:
        sides = {name: tuple(found[f"basis.{name}"].tolist()) for name in BASIS[:3]}
        fields["basis"] = Basis(**sides, cells=found["basis.cells"], frequency=found.get("basis.frequency"))
    return fields


def _numbered(found: dict[str, Tensor], prefix: str) -> dict[int, Tensor]:
    names = sorted((int(name[len(prefix) :]), name) for name in found if name.startswith(prefix))
    return {layer: found[name] for layer, name in names}
