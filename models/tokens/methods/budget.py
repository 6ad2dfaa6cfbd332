"""How many tokens: one notion for every method.

    64                   that many tokens
    0.25                 a share of the valid cells (a float; 1.0 is all of them)
    (t, h, w)            a raster of that shape
    [9, 4, 4]            one number per frame
    Bits(4000, 256)      the positions that hold the most bits, 4000 bits in all, at most 256 tokens
    Adaptive(0.9, 256)   as many as the content asks for at that threshold, at most 256 tokens

A number, share, shape or list is met exactly and is known before any content is looked at (never more than there are
cells).  `Bits` and `Adaptive` depend on the content and are capped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


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


Budget = int | float | tuple[int, int, int] | Sequence[int] | Bits | Adaptive


def count_of(budget: Budget, cells: int, bits: Tensor | None = None) -> int:
    """The number of tokens out of `cells`; for `Adaptive` its cap.  `bits` (cells,) is needed for `Bits` alone."""
    if isinstance(budget, Bits):
        if bits is None:
            raise ValueError("a budget in bits needs a grid with bits")
        richest = torch.sort(bits.double(), descending=True).values.cumsum(0)
        return max(1, min(int((richest <= budget.bits).sum()), budget.max_tokens, cells))
    if isinstance(budget, Adaptive):
        return max(1, min(budget.max_tokens, cells))
    if isinstance(budget, float):
        if not 0 < budget <= 1:
            raise ValueError(f"a share is above 0 and at most 1, not {budget}")
        return max(1, int(budget * cells + 0.5))
    if isinstance(budget, int):
        wanted = budget
    elif isinstance(budget, tuple):
        wanted = budget[0] * budget[1] * budget[2]
    else:
        wanted = sum(budget)
    if wanted < 1:
        raise ValueError(f"a budget is at least one token, not {wanted}")
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
        raise ValueError(f"{total} cannot be split over {parts} parts of at least {floor} within the limits")
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
