"""The integers of quantisation steps that a weights file holds; see `transform.steps`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..transform.bands import LARGEST_STEP
from ..transform.gains import factors
from ..transform.levels import EVERY, ORDER
from ..transform.lifted import LOW_FACTOR
from ..transform.steps import COARSE, FINE, LOW_STEP, OCTAVE, STEP_BITS, TABLE_BITS


def step_tensors() -> dict[str, Tensor]:
    """Lifted-domain steps of every level and of every packet band at fine quality 0, and the powers of two."""
    tensors = {f"steps.{level}": _steps(factor) for level, factor in enumerate(factors())}
    every = torch.full((192,), LOW_STEP, dtype=torch.int64)
    every[torch.from_numpy(EVERY).long()] = _steps(factors(EVERY.tolist())[0])
    assert torch.equal(every[torch.from_numpy(ORDER).long()], tensors["steps.0"]) and LOW_FACTOR > 0
    tensors["steps.every"] = every
    for name, count, span in (("coarse", COARSE, FINE), ("fine", FINE, 1)):
        exponents = torch.arange(count, dtype=torch.float64) * span / OCTAVE
        tensors[f"steps.{name}"] = (2.0 ** (TABLE_BITS - exponents)).round().to(torch.int64)
    return tensors


def _steps(factor: Tensor) -> Tensor:
    steps: Tensor = (LARGEST_STEP / factor.double() * 2**STEP_BITS).round().to(torch.int64)
    return steps
