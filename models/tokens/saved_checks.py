"""Whether the tensors of a file are a set of tokens: types, sides, and rows and cells that name each other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from ..base.errors import ParameterError

COLUMNS = ("x", "pos", "size", "weight", "index", "anchor", "assign", "share", "level", "times")
BASIS = ("full", "axes", "kept", "cells")
KEEP, POOL, LAYERS = "schedule.keep.", "schedule.pool.", "layers."


def check_saved(found: dict[str, Tensor]) -> None:
    """ParameterError that names the field, where the tensors (by the names of `tensors_of`) form no set."""
    shape = _sides(found, "shape", 3)
    cells, count = prod(shape), _rows(found["x"])
    _form(found, "x", "float", (count, -1))
    for name, kind, form in (
        ("pos", "float", (count, 3)), ("weight", "float", (count,)), ("size", "int", (count,)),
        ("index", "int", (count,)), ("anchor", "int", (count,)), ("level", "int", (count,)),
        ("assign", "int", (cells,)), ("share", "float", (cells,)), ("times", "float", (shape[0],)),
    ):  # fmt: skip
        _form(found, name, kind, form)
    _within(found, "size", 1)
    _within(found, "index", -1, cells)
    _within(found, "anchor", 0, cells)
    _within(found, "level", 0)
    _within(found, "assign", -1, count)
    if found["query_dependent"].dtype != torch.bool or found["query_dependent"].numel() != 1:
        raise ParameterError("query_dependent is one bool")
    if "lattice" in found and prod(_sides(found, "lattice", 3)) != count:
        raise ParameterError(f"lattice is a raster of {count} tokens, not {found['lattice'].tolist()}")
    if "memory" in found:
        _form(found, "memory", "float", (-1, -1))
    layers = sorted(name for name in found if name.startswith(LAYERS))
    for number, name in enumerate(sorted(layers, key=lambda name: _number(name, LAYERS))):
        if _number(name, LAYERS) != number:
            raise ParameterError(f"{name}: the parts of a joined set are counted from 0")
        _form(found, name, "int", (cells,))
        _within(found, name, -1, count)
    _check_schedule(found, count)
    if "basis.full" in found:
        _check_basis(found, count, cells)


def _check_schedule(found: dict[str, Tensor], count: int) -> None:
    for name in found:
        if name.startswith(KEEP):
            _number(name, KEEP)
            _form(found, name, "int", (-1,))
            _within(found, name, 0, count)
            if not bool((found[name].diff() > 0).all()):
                raise ParameterError(f"{name} ascends, no row twice")
        elif name.startswith(POOL):
            _number(name, POOL)
            _sides(found, name, 3)


def _check_basis(found: dict[str, Tensor], count: int, cells: int) -> None:
    absent = [f"basis.{name}" for name in BASIS if f"basis.{name}" not in found]
    if absent:
        raise ParameterError(f"it lacks {', '.join(absent)}")
    full, kept = _sides(found, "basis.full", 3), _sides(found, "basis.kept", 3)
    axes = _whole(found, "basis.axes").flatten().tolist()
    if sorted(set(axes)) != axes or not set(axes) <= {0, 1, 2}:
        raise ParameterError(f"basis.axes are some of 0, 1, 2, not {axes}")
    _form(found, "basis.cells", "int", (prod(full),))
    _within(found, "basis.cells", 0, cells)
    if "basis.frequency" in found:
        _form(found, "basis.frequency", "int", (count,))
        _within(found, "basis.frequency", 0, prod(full))
    elif prod(kept) != count or any(a > b for a, b in zip(kept, full, strict=True)):
        raise ParameterError(f"basis.kept is a raster of {count} tokens within {list(full)}, not {list(kept)}")


def _rows(x: Tensor) -> int:
    if x.dim() != 2 or not x.numel():
        raise ParameterError(f"x is (N, C), not {tuple(x.shape)}")
    return len(x)


def _form(found: dict[str, Tensor], name: str, kind: str, form: Sequence[int]) -> None:
    """A tensor of whole numbers or of numbers, of these sides; -1 is any side."""
    tensor = _whole(found, name) if kind == "int" else found[name]
    if kind == "float" and not tensor.is_floating_point():
        raise ParameterError(f"{name} holds numbers, not {str(tensor.dtype).removeprefix('torch.')}")
    sides = tuple(tensor.shape)
    if len(sides) != len(form) or any(b not in (-1, a) for a, b in zip(sides, form, strict=False)):
        raise ParameterError(f"{name} is {tuple('any' if n < 0 else n for n in form)}, not {sides}")


def _whole(found: dict[str, Tensor], name: str) -> Tensor:
    if found[name].dtype != torch.int64:
        raise ParameterError(f"{name} is int64, not {str(found[name].dtype).removeprefix('torch.')}")
    return found[name]


def _within(found: dict[str, Tensor], name: str, least: int, end: int | None = None) -> None:
    values = found[name]
    if values.numel() and (int(values.min()) < least or (end is not None and int(values.max()) >= end)):
        upper = "" if end is None else f" and below {end}"
        raise ParameterError(f"{name} holds {int(values.min())} to {int(values.max())}; it is at least {least}{upper}")


def _sides(found: dict[str, Tensor], name: str, count: int) -> tuple[int, ...]:
    values = tuple(int(side) for side in _whole(found, name).flatten())
    if len(values) != count or min(values) < 1:
        raise ParameterError(f"{name} is {count} numbers of at least 1, not {list(values)[:8]}")
    return values


def _number(name: str, prefix: str) -> int:
    text = name[len(prefix) :]
    if not text.isdecimal():
        raise ParameterError(f"{name}: {text!r} is no number")
    return int(text)
