"""Options of methods: which there are, and what they may be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any

from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import flag, integer, number, one_of, over, share
from ..grid import TokenGrid
from .scores import SCORES

Run = Callable[..., Any]
Rule = Callable[[str, Any], Any]
OF_STEPS = ("budget", "times")  # every step takes them; they are no options of a method
_SCORES = ("score", "visual", "start")


def _or_none(rule: Rule) -> Rule:
    return lambda name, value: None if value is None else rule(name, value)


def _least(least: int) -> Rule:
    return partial(integer, least=least)


def _of(*known: Any) -> Rule:
    return lambda name, value: one_of(name, value, known)


def _score(name: str, value: Any) -> Any:
    """A tensor, whose shape is checked where the grid is known, or a product of scores."""
    if isinstance(value, Tensor) or hasattr(value, "__array__"):
        return value
    if not isinstance(value, str):
        raise ParameterError(f"{name} is the name of a score or a tensor, not {value!r}")
    for factor in value.split("*"):
        word, found, power = factor.strip().partition("^")
        if word not in SCORES:
            raise ParameterError(f"{name}: there is no score {word!r}; there are {', '.join(SCORES)}")
        if found:
            try:
                number(name, float(power))
            except ValueError:
                raise ParameterError(f"{name}: {power!r} in {value!r} is not a power") from None
    return value


RULES: dict[str, Rule] = {
    **dict.fromkeys(("uniform", "share", "merge", "contextual", "fast_ratio"), share),
    **dict.fromkeys(("neighbours", "clips", "length", "group", "rows", "columns", "segments"), _least(1)),
    **dict.fromkeys(("cell", "iterations"), _least(0)),
    **dict.fromkeys(("threshold", "sharpness"), number),
    **dict.fromkeys(_SCORES, _score),
    "floor": _or_none(number),
    "each": flag,
    "keep_first": _or_none(flag),
    "by": _of("similarity", "bits"),
    "scope": _of("frame", "clip"),
    "domain": _of("coeff", "grid"),
    "dims": _of(2, 3),
}


def options_of(run: Run) -> list[str]:
    """Names of the options of a method."""
    return list(inspect.signature(run).parameters)[3:]  # after tokens, budget and context


def checked(step: str, run: Run, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a step as they were meant.  ParameterError names the first that is unknown or out of range."""
    known = options_of(run)
    for name in options:
        if name not in known and name not in OF_STEPS:
            near = get_close_matches(str(name), [*known, *OF_STEPS], 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            there = f"its options are {', '.join(known)}" if known else "it has none"
            raise ParameterError(f"method {step} has no option {name!r}{hint}; {there}")
    return {
        name: value if name in OF_STEPS else RULES[name](f"option {name} of {step}", value)
        for name, value in options.items()
    }


def with_shapes(step: str, frames_only: bool, options: dict[str, Any], grid: TokenGrid) -> dict[str, Any]:
    """The same, scores that are tensors as (T, H, W), or as (T,) where frames are counted."""
    t, h, w = grid.valid.shape
    found = dict(options)
    for name in _SCORES:
        if name in options and not isinstance(options[name], str):
            shapes = [(t,)] if frames_only else [(t, h, w), (t * h * w,)]
            found[name] = over(f"option {name} of {step}", options[name], *shapes).to(grid.x.device)
    return found
