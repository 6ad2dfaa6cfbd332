"""What is chosen for a fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitOptions:
    """What `configure` of the family sets.

    effort: fast, medium or slow.  point: number of the operating point in `shape.POINTS`.  iterations: of the fit;
    None: by the effort.
    """

    effort: str = "medium"
    point: int = 1
    iterations: int | None = None
    seed: int = 0
