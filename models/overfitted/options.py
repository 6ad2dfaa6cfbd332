"""What is chosen for a fit."""

from __future__ import annotations

from dataclasses import dataclass

# of a fit; the curve of bytes against time is in docs/overfitted.md
ITERATIONS = {"fast": 500, "medium": 2000, "slow": 5000, "best": 10000}


@dataclass(frozen=True)
class FitOptions:
    """What `configure` of the family sets.

    Attributes:
        effort: A key of ITERATIONS.
        point: Number of the operating point in `shape.POINTS`.
        iterations: Of the fit; None: by the effort.
        seed: Of starts and noise.
        early: Whether an interrupt ends the fit with what there is.
    """

    effort: str = "medium"
    point: int = 1
    iterations: int | None = None
    seed: int = 0
    early: bool = True

    @property
    def steps(self) -> int:
        return self.iterations or ITERATIONS[self.effort]
