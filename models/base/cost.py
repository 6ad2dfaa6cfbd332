"""What decoding a group takes, told before it begins: memory in bytes, and work in multiplications of small integers.

Both are upper estimates.  A reader compares them with its limits, so that a short file cannot ask for hours or for all
memory of a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from .family import GroupSpec

CELL = 8  # pixels a side of what the integer networks see as one place
FRAME_WORK = 1 << 26  # of a frame, however small it is
TRANSFORM = 1 << 11  # multiplications a cell, of all transforms
FIXED_MEMORY = 1 << 26
FRAME_MEMORY = 80  # bytes a pixel of the frame that is being decoded: symbols, words, tensors, planes
KEPT_MEMORY = 12  # bytes a pixel of every frame of the group: its pixels or its latents
FLOAT = 8  # integer multiplications in the time of one in floating point


class TooLarge(ValueError):
    """Decoding would take more than is allowed."""


@dataclass(frozen=True)
class Cost:
    """memory: bytes.  work: multiplications of small integers."""

    memory: int
    work: int


@dataclass(frozen=True)
class Allowance:
    """What a group may take.  payload: bytes of its symbols, which have to justify what a fitted network takes."""

    payload: int
    most: Cost

    def check(self, cost: Cost) -> None:
        """TooLarge when the cost exceeds it."""
        if cost.memory > self.most.memory:
            raise TooLarge(f"decoding takes about {cost.memory} bytes of memory, the limit is {self.most.memory}")
        if cost.work > self.most.work:
            raise TooLarge(f"decoding takes about {cost.work} multiplications, the limit is {self.most.work}")


def convolutions(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Multiplications a cell of all convolutions among the arrays."""
    return sum(array.size for name, array in arrays.items() if "weight" in name and array.ndim >= 3)


def cost_of_cells(spec: GroupSpec, multiplications: int) -> Cost:
    """Of a group whose networks take so many multiplications a cell."""
    cells = -(-spec.height // CELL) * -(-spec.width // CELL)
    pixels = CELL * CELL * cells
    memory = FIXED_MEMORY + pixels * (FRAME_MEMORY + KEPT_MEMORY * spec.frames)
    return Cost(memory, spec.frames * (FRAME_WORK + cells * (TRANSFORM + multiplications)))
