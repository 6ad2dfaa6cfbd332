"""Arguments, checked once at the boundary: each check names the argument, returns what was meant, or refuses.

Numbers of numpy and tensors of one number count as numbers; True and False do not.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..base.errors import ParameterError


def is_whole(value: Any) -> bool:
    """Whether it is a whole number by its type: 8 and numpy.int64(8), not 8.0 and not True."""
    if _is_bool(value):
        return False
    try:
        operator.index(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_bool(value: Any) -> bool:
    """True, False, and what numpy and torch make of them."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")


def integer(name: str, value: Any, least: int = 0) -> int:
    """A whole number of at least `least`."""
    if not is_whole(value):
        raise ParameterError(f"{name} is a whole number, not {_said(value)}")
    found = operator.index(value)
    if found < least:
        raise ParameterError(f"{name} is at least {least}, not {found}")
    return found


def number(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, (str, bytes)) or value is None or _is_bool(value):
        raise ParameterError(f"{name} is a number, not {_said(value)}")
    try:
        found = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(f"{name} is a number, not {_said(value)}") from None
    if not math.isfinite(found):
        raise ParameterError(f"{name} is a finite number, not {found}")
    return found


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    found = number(name, value)
    if found <= 0:
        raise ParameterError(f"{name} is above 0, not {found:g}")
    return found


def share(name: str, value: Any) -> float:
    """A number of 0..1."""
    found = number(name, value)
    if not 0 <= found <= 1:
        raise ParameterError(f"{name} is a share of 0 to 1, not {found:g}")
    return found


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ParameterError(f"{name} is True or False, not {_said(value)}")
    return value


def one_of(name: str, value: Any, known: Sequence[Any]) -> Any:
    """One of the known values."""
    if isinstance(value, bool) or value not in known:
        raise ParameterError(f"{name} is {', '.join(map(str, known[:-1]))} or {known[-1]}, not {_said(value)}")
    return value


def tensor(name: str, value: Any) -> Tensor:
    """A float32 tensor without NaN; arrays of numpy are taken as well."""
    if not isinstance(value, Tensor):
        if not hasattr(value, "__array__"):
            raise ParameterError(f"{name} is a tensor, not {_said(value)}")
        value = torch.as_tensor(value)
    if value.dtype == torch.bool or value.is_complex():
        raise ParameterError(f"{name} holds numbers, not {str(value.dtype).removeprefix('torch.')}")
    found: Tensor = value.float()
    if bool(found.isnan().any()):
        raise ParameterError(f"{name} holds NaN")
    return found


def whole_numbers(name: str, value: Any, *axes: int) -> Tensor:
    """An int64 tensor of one of these numbers of axes; arrays of numpy and lists are taken as well."""
    try:
        found = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or found.dtype == torch.bool or found.is_floating_point() or found.is_complex():
        raise ParameterError(f"{name} holds whole numbers, not {_kind(value)}")
    if found.dim() not in axes:
        raise ParameterError(f"{name} has {' or '.join(map(str, axes))} axes, not {found.dim()}")
    return found.long()


def flags(name: str, value: Any, axes: int) -> Tensor:
    """A bool tensor of so many axes; arrays of numpy are taken as well."""
    found = torch.as_tensor(value) if hasattr(value, "__array__") else value
    if not isinstance(found, Tensor) or found.dtype != torch.bool or found.dim() != axes:
        raise ParameterError(f"{name} is bool with {axes} axes, not {_kind(value)}")
    return found


def entries(name: str, value: Any, *wanted: str) -> dict[str, Tensor]:
    """What holds tensors by these names."""
    if not hasattr(value, "keys"):
        raise ParameterError(f"{name} is a dictionary, not {_said(value)}")
    absent = [key for key in wanted if key not in value]
    if absent:
        raise ParameterError(f"{name} lacks {', '.join(absent)}")
    other = [key for key in wanted if not isinstance(value[key], Tensor)]
    if other:
        raise ParameterError(f"{name} holds tensors; {other[0]} is {_kind(value[other[0]])}")
    return dict(value)


def options_among(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that `what` does not know."""
    allowed = sorted(known)
    for name in given:
        if name not in allowed:
            has = f"it has {', '.join(allowed)}" if allowed else "it has none"
            raise ParameterError(f"{what} has no option {name!r}; {has}")


def vectors(name: str, value: Any, channels: int) -> Tensor:
    """(M, C) or (C,) in the space of the grid."""
    found = tensor(name, value)
    if found.dim() not in (1, 2) or found.numel() == 0 or found.shape[-1] != channels:
        raise ParameterError(f"{name} is ({channels},) or (M, {channels}), as the grid's vectors, not {shape(found)}")
    return found


def over(name: str, value: Any, *shapes: tuple[int, ...]) -> Tensor:
    """A tensor of one of these shapes."""
    found = tensor(name, value)
    if tuple(found.shape) not in shapes:
        raise ParameterError(f"{name} is {' or '.join(map(_shape, shapes))}, not {shape(found)}")
    return found


def attention(name: str, value: Any, raster: tuple[int, int, int]) -> Tensor:
    """(L, heads, N), (heads, N), (N,) or (T, H, W), N = T * H * W."""
    found, cells = tensor(name, value), raster[0] * raster[1] * raster[2]
    if tuple(found.shape) != raster and (found.dim() not in (1, 2, 3) or found.shape[-1] != cells or not found.numel()):
        forms = f"(L, heads, {cells}), (heads, {cells}), ({cells},) or {_shape(raster)}"
        raise ParameterError(f"{name} is {forms}, not {shape(found)}")
    return found


def shape(value: Tensor) -> str:
    return _shape(tuple(value.shape))


def _shape(sides: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sides))}{',' * (len(sides) == 1)})"


def _kind(value: Any) -> str:
    """Type and shape of what was given, or its text."""
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        return _said(value)
    return f"{str(value.dtype).removeprefix('torch.')} {_shape(tuple(value.shape))}"


def _said(value: Any) -> str:
    """What was given, in one line."""
    if isinstance(value, Tensor) and value.numel() > 1:
        return f"a tensor of {shape(value)}"
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."
