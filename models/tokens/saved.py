"""Sets of tokens as safetensors: every field of a TokenSet by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .cosine import Basis

if TYPE_CHECKING:
    from .types import TokenSet

COLUMNS = ("x", "pos", "size", "weight", "index", "anchor", "assign", "share", "level", "times")
BASIS = ("full", "axes", "kept", "cells")
KEEP, POOL, LAYERS = "schedule.keep.", "schedule.pool.", "layers."


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


def read(path: str | Path) -> dict[str, Any]:
    """The fields of a saved set; `schedule` as (keep, pool).  ValueError where the file holds something else."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
    absent = [name for name in (*COLUMNS, "shape", "query_dependent") if name not in found]
    if absent:
        raise ValueError(f"{path} holds no set of tokens: it lacks {', '.join(absent)}")
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
    _check(path, fields)
    return fields


def _numbered(found: dict[str, Tensor], prefix: str) -> dict[int, Tensor]:
    names = sorted((int(name[len(prefix) :]), name) for name in found if name.startswith(prefix))
    return {layer: found[name] for layer, name in names}


def _check(path: str | Path, fields: dict[str, Any]) -> None:
    """Lengths that belong together do, and rows that cells name exist."""
    count, cells = len(fields["x"]), len(fields["assign"])
    rows = {len(fields[name]) for name in ("pos", "size", "weight", "index", "anchor", "level")}
    shape = fields["shape"]
    fits = rows == {count} and len(shape) == 3 and shape[0] * shape[1] * shape[2] == cells == len(fields["share"])
    named = (fields["assign"], *fields["layers"])
    fits = fits and len(fields["times"]) == shape[0] and all(len(layer) == cells for layer in named)
    if not fits or any(int(layer.min()) < -1 or int(layer.max()) >= count for layer in named):
        raise ValueError(f"{path} holds a damaged set of tokens: its lengths or rows do not fit together")
