"""The optimiser of `tessera train`, which families that fit at encoding use too: `models.optim`."""

from __future__ import annotations

from tessera.models.optim import MuonAdam, orthogonalise

__all__ = ["MuonAdam", "orthogonalise"]
