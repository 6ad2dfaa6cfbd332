"""Options of a codec family: unknown names are refused, numbers read within bounds, and a changed copy is made."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

Thing = TypeVar("Thing")


def refuse_unknown(codec: str, options: Iterable[str], known: Iterable[str]) -> None:
    """ValueError names the options that the codec does not have, and those that it has."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"codec {codec} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")


def number(options: Mapping[str, object], name: str, default: float, low: float, high: float) -> float:
    """An option as a number in low..high; ValueError otherwise."""
    given = options.get(name, default)
    try:
        value = float(str(given))
    except ValueError:
        raise ValueError(f"{name} {given!r} is not a number in {low:g}..{high:g}") from None
    if not low <= value <= high:
        raise ValueError(f"{name} {value:g} is not in {low:g}..{high:g}")
    return value


def flag(options: Mapping[str, object], name: str, default: bool) -> bool:
    """An option as true or false; ValueError otherwise."""
    given = str(options.get(name, default)).lower()
    if given not in ("true", "false"):
        raise ValueError(f"{name} {given!r} is neither true nor false")
    return given == "true"


def changed(thing: Thing, **attributes: Any) -> Thing:
    """A shallow copy with some attributes replaced; it shares the others with the original."""
    other = copy.copy(thing)
    for name, value in attributes.items():
        setattr(other, name, value)
    return other
