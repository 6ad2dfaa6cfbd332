"""The CDF tables of family `nerv`: a ladder (see `prior.ladder`) for weights and embeddings.

    python -m tessera.models.nerv.ladder models/weights/nerv.safetensors
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from ..prior.fitted import integer_tables
from ..prior.ladder import FIRST_SCALE, PER_OCTAVE, TABLE_REACH, TABLES

SHAPE = 1.8  # generalised normal distribution (1 Laplace, 2 normal): coded fitted weights in the fewest bits


def ladder_pmf(shape: float = SHAPE) -> Tensor:
    """Probabilities of |v| = 0..TABLE_REACH and of the escape, of real numbers rounded to the nearest.

    (TABLES, TABLE_REACH + 2).
    """
    scale = FIRST_SCALE * 2.0 ** (torch.arange(TABLES, dtype=torch.float64) / PER_OCTAVE)
    edges = torch.arange(1, TABLE_REACH + 2, dtype=torch.float64) - 0.5
    power = torch.tensor(1.0 / shape, dtype=torch.float64)
    alpha = scale * torch.exp(torch.lgamma(power) - torch.lgamma(2 * power))  # E|x| = scale
    tail = torch.special.gammaincc(power, (edges[None] / alpha[:, None]) ** shape)  # P(|v| >= k)
    tail = torch.cat([torch.ones(TABLES, 1, dtype=torch.float64), tail], 1)
    pmf = torch.cat([tail[:, :-1] - tail[:, 1:], tail[:, -1:]], 1).clamp(min=2.0**-20)
    return pmf / pmf.sum(1, keepdim=True)


def main(target: str) -> None:
    from safetensors.torch import save_file

    save_file(integer_tables(ladder_pmf()), Path(target), {"family": "nerv", "shape": str(SHAPE)})


if __name__ == "__main__":
    main(*sys.argv[1:])
