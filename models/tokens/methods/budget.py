"""How many tokens: one notion for every method.

    64                   that many tokens
    0.25 or "25%"        a share of the valid cells (1.0 is all of them)
    (t, h, w)            a raster of that shape
    [9, 4, 4]            one number per frame
    Bits(4000, 256)      the positions that hold the most bits, 4000 bits in all, at most 256 tokens
    Adaptive(0.9, 256)   as many as the content asks for at that threshold, at most 256 tokens

A number, share, shape or list is met exactly and is known before any content is looked at (never more than there are
cells).  `Bits` and `Adaptive` depend on the content and are capped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import integer, is_whole, number


@dataclass(frozen=True)
class Bits:
    """The positions that hold the most bits.

    Attributes:
        bits: Their sum, at most.
        max_tokens: The most tokens.
    """

    bits: float
    max_tokens: int


@dataclass(frozen=True)
class Adaptive:
    """As many tokens as the content asks for.

    Attributes:
        threshold: What the method compares with, a cosine for most.
        max_tokens: The most tokens.
    """

    threshold: float
    max_tokens: int


Budget = int | float | str | tuple[int, int, int] | Sequence[int] | Bits | Adaptive


def checked_budget(budget: Any, frames: int | None = None, name: str = "budget") -> Budget:
    """A budget as it was meant, for a grid of `frames` frames where that is known.  ParameterError when it is none."""
    if isinstance(budget, str):
        budget = parse_budget(budget)
    if isinstance(budget, Bits):
        bits = number(f"{name}: bits", budget.bits)
        if bits <= 0:
            raise ParameterError(f"{name}: bits are above 0, not {bits:g}")
        return Bits(bits, integer(f"{name}: max_tokens", budget.max_tokens, 1))
    if isinstance(budget, Adaptive):
        least = number(f"{name}: threshold", budget.threshold)
        return Adaptive(least, integer(f"{name}: max_tokens", budget.max_tokens, 1))
    if isinstance(budget, tuple):
        if len(budget) != 3:
            raise ParameterError(f"{name} {budget} is no raster (t, h, w); a number per frame is a list")
        return _raster(name, budget)
    if isinstance(budget, (list, Sequence)) or getattr(budget, "ndim", 0) == 1:
        return _per_frame(name, list(budget), frames)
    if is_whole(budget):
        return integer(name, budget, 1)
    found = number(name, budget)
    if not 0 < found <= 1:
        raise ParameterError(f"{name}: a share is above 0 and at most 1, not {found:g}; a number of tokens is whole")
    return found


def _raster(name: str, sides: tuple[Any, ...]) -> tuple[int, int, int]:
    t, h, w = (integer(f"{name}: a side of the raster (t, h, w)", side, 1) for side in sides)
    return t, h, w


def _per_frame(name: str, numbers: list[Any], frames: int | None) -> list[int]:
    found = [integer(f"{name}: a number per frame", one) for one in numbers]
    if frames is not None and len(found) != frames:
        raise ParameterError(f"{name} names {len(found)} frames of {frames}")
    if sum(found) < 1:
        raise ParameterError(f"{name} is at least one token, not none in every frame")
    return found


def parse_budget(text: str) -> Budget:
    """Read a budget as the command line takes it.

    Args:
        text: 64, 0.25, 25%, 4x8x8 (t, h, w), 9,4,4 (one per frame), 4000bits:256 or 0.9:256 (threshold, at most).

    Returns:
        The budget for `reduce`.

    Raises:
        ParameterError: The text is none of these.
    """
    text = text.strip()
    try:
        if match := re.fullmatch(r"([\d.]+)bits:(\d+)", text):
            return Bits(float(match[1]), int(match[2]))
        if match := re.fullmatch(r"([-\d.]+):(\d+)", text):
            return Adaptive(float(match[1]), int(match[2]))
        if match := re.fullmatch(r"(\d+)x(\d+)x(\d+)", text):
            return int(match[1]), int(match[2]), int(match[3])
        if text.endswith("%"):
            return float(text[:-1]) / 100
        if "," in text:
            return [int(word) for word in text.split(",")]
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    except ValueError:
        raise ParameterError(f"budget {text!r} is not one such as 64, 25%, 4x8x8, 4000bits:256") from None


def count_of(budget: Budget, cells: int, bits: Tensor | None = None) -> int:
    """The number of tokens out of `cells`; for `Adaptive` its cap.  `bits` (cells,) is needed for `Bits` alone."""
    if isinstance(budget, Bits):
        assert bits is not None
        richest = torch.sort(bits.double(), descending=True).values.cumsum(0)
        return max(1, min(int((richest <= budget.bits).sum()), budget.max_tokens, cells))
    if isinstance(budget, Adaptive):
        return max(1, min(budget.max_tokens, cells))
    if isinstance(budget, float):
        return max(1, int(budget * cells + 0.5))
    if isinstance(budget, int):
        wanted = budget
    elif isinstance(budget, tuple):
        wanted = budget[0] * budget[1] * budget[2]
    else:
        assert not isinstance(budget, str)
        wanted = sum(budget)
    return min(wanted, cells)


def spread(count: int, parts: int) -> list[int]:
    """`count` split over `parts` as evenly as whole numbers allow."""
    return [(i + 1) * count // parts - i * count // parts for i in range(parts)]


def proportional(total: int, shares: Sequence[float], floor: int = 0, cap: Sequence[int] | None = None) -> list[int]:
    """`total` in whole numbers in proportion to `shares` >= 0, each at least `floor` and at most its cap.

    The sum is exact.  Largest remainders win, of equal ones the first.
    """
    parts = len(shares)
    limits = list(cap) if cap is not None else [total] * parts
    if floor * parts > total or sum(limits) < total or min(limits) < floor:
        raise ParameterError(f"{total} cannot be split over {parts} parts of at least {floor} within the limits")
    found = [floor] * parts
    while (rest := total - sum(found)) > 0:
        open_ = [i for i in range(parts) if found[i] < limits[i]]
        mass = sum(shares[i] for i in open_)
        ideal = {i: rest * (shares[i] / mass if mass > 0 else 1 / len(open_)) for i in open_}
        _hand_out(found, limits, ideal, rest)
    return found


def _hand_out(found: list[int], limits: list[int], ideal: dict[int, float], rest: int) -> None:
    """Whole parts first; what is left by remainders.  Gives out at least one."""
    given = {i: min(int(amount), limits[i] - found[i]) for i, amount in ideal.items()}
    left = rest - sum(given.values())
    by_remainder = sorted(ideal, key=lambda i: (int(ideal[i]) - ideal[i], i))
    for i in by_remainder:
        if left > 0 and found[i] + given[i] < limits[i]:
            given[i] += 1
            left -= 1
    for i, amount in given.items():
        found[i] += amount
