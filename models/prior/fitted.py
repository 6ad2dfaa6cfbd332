"""The ladder of `ladder` while it is fitted to data: probabilities, costs and tables, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...entropy import Tables, fit_table, quantize_pmf
from .ladder import FIRST_SCALE, MAX_SHIFT, PER_OCTAVE, RUNGS, TABLE_NAMES, TABLE_REACH, TABLES
from .quantisers import ODD_TABLE_NAMES, ODD_TABLES
from .signs import SIGN_TABLE_NAMES

Row = tuple[npt.NDArray[np.uint16], int]  # frequencies and the first value

ESCAPE_BITS = 14.0  # cost of an escaped coefficient in training, besides the escape: that of a distance of 63 to 126


def initial_pmf() -> Tensor:
    """Probabilities of |v| = 0..TABLE_REACH and of the escape, for Laplace scales and a dead zone.

    (TABLES, TABLE_REACH + 2).
    """
    # |x| >= k - 0.4 rounds to k or more
    return _laplace(torch.arange(TABLES), torch.arange(1, TABLE_REACH + 2, dtype=torch.float64) - 0.4)


def initial_odd_pmf() -> Tensor:
    """The same of the odd quantiser's tables, whose values lie at 0 and half way between whole steps."""
    edges = torch.arange(TABLE_REACH + 1, dtype=torch.float64) + 0.1
    edges[0] = 0.35
    return _laplace(2 * torch.arange(ODD_TABLES) + 0.5, edges)


def _laplace(rungs: Tensor, edges: Tensor) -> Tensor:
    """Probabilities on each rung where |x| >= edges[k - 1] makes k or more."""
    scale = FIRST_SCALE * 2.0 ** (rungs.double() / PER_OCTAVE)
    tail = torch.exp(-edges[None] / scale[:, None])  # P(|v| >= k)
    tail = torch.cat([torch.ones(len(scale), 1, dtype=torch.float64), tail], 1)
    pmf = torch.cat([tail[:, :-1] - tail[:, 1:], tail[:, -1:]], 1)
    return _floor(pmf)


def _floor(pmf: Tensor) -> Tensor:
    """No symbol below what a 12-bit table can give it, roughly: keeps costs finite."""
    pmf = pmf.clamp(min=2.0**-20)
    return pmf / pmf.sum(1, keepdim=True)


def refit(counts: Tensor, initial: Tensor, weight: float = 300.0) -> Tensor:
    """Probabilities from `counts` (., TABLE_REACH + 2) of |v|; `initial` ones add `weight` pseudo-counts."""
    counts = counts.double() + weight * initial
    return _floor(counts / counts.sum(1, keepdim=True))


def cost_table(pmf: Tensor) -> Tensor:
    """Bits of |v| = 0..TABLE_REACH and of an escape, sign included: float32 (RUNGS, TABLE_REACH + 2), see `lookup`."""
    bits = -pmf.log2()
    bits[:, 1:] += 1.0
    bits[:, -1] += ESCAPE_BITS
    shifts = torch.arange(1, MAX_SHIFT + 1, dtype=torch.float64).repeat_interleave(PER_OCTAVE)
    wide = bits[-PER_OCTAVE:].repeat(MAX_SHIFT, 1) + shifts[:, None]
    return torch.cat([bits, wide]).float()


def shifts_of(rung: Tensor) -> Tensor:
    """Low bits that are split off on each rung (integer tensor)."""
    return torch.div(rung - TABLES + PER_OCTAVE, PER_OCTAVE, rounding_mode="floor").clamp(min=0)


_FACTORS = torch.exp2(-shifts_of(torch.arange(RUNGS)).float())


def lookup(costs: Tensor, rung: Tensor, magnitude: Tensor, before: Tensor | None = None) -> Tensor:
    """Bits of each |v| (float tensor of integers) on its rung (int64).

    before: rows of `costs` before those of a value's ladder, where there is more than one.
    """
    v = (magnitude * _FACTORS.to(rung.device)[rung]).clamp_(max=TABLE_REACH + 1).long()
    rows = rung if before is None else rung + before
    return costs.view(-1)[rows * (TABLE_REACH + 2) + v]


def integer_tables(pmf: Tensor, ladders: Sequence[Tensor] = ()) -> dict[str, Tensor]:
    """A ladder, the uniform tables, more ladders: what `entropy.Tables` takes, by their names in a weights file."""
    uniform = [(quantize_pmf(np.full(1 << k, 1.0), 0.0), 0) for k in range(1, MAX_SHIFT + 1)]
    return table_tensors([*ladder_rows(pmf), *uniform, *(row for ladder in ladders for row in ladder_rows(ladder))])


def ladder_rows(pmf: Tensor) -> list[Row]:
    """The tables of a ladder, as `Tables.stack` takes them."""
    return [fit_table(*_both_signs(row)) for row in pmf.double().numpy()]


def magnitude_tables(pmf: Tensor, signs: Tensor, odd: Tensor) -> dict[str, Tensor]:
    """A ladder of |v|, the uniform tables, and those of signs and of the odd quantiser.

    signs (SIGN_TABLES, 2): counts of v > 0 and v < 0; odd (ODD_TABLES, TABLE_REACH + 2): probabilities.
    """
    uniform = [(quantize_pmf(np.full(1 << k, 1.0), 0.0), 0) for k in range(1, MAX_SHIFT + 1)]
    binary = [(quantize_pmf(row, 0.0), 0) for row in signs.double().numpy()]
    even, others = ([fit_table(_one_sign(row), 0) for row in part.double().numpy()] for part in (pmf, odd))
    found = table_tensors([*even, *uniform])
    for rows, own in ((binary, SIGN_TABLE_NAMES), (others, ODD_TABLE_NAMES)):
        found |= dict(zip(own, table_tensors(rows).values(), strict=True))
    return found


def _one_sign(row: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities of |v| = 0.. with escapes spread as in `_both_signs`."""
    return np.concatenate([row[:-1], _beyond(row)])


def table_tensors(rows: list[Row]) -> dict[str, Tensor]:
    """Tables by their names in a weights file."""
    tables = Tables.stack(rows)
    arrays = (tables.frequencies.astype(np.int32), tables.lows, tables.sizes)
    return {name: torch.from_numpy(np.array(array)) for name, array in zip(TABLE_NAMES, arrays, strict=True)}


def magnitude_counts(tensors: dict[str, Tensor], first: int = 0, total: float = 1e5) -> Tensor:
    """Roughly the inverse of `integer_tables` for the ladder at `first`: counts of |v|, `total` on each table."""
    frequencies, lows, sizes = (tensors[name][first : first + TABLES] for name in TABLE_NAMES)
    return counts_of(frequencies, lows, sizes, total)


def counts_of(frequencies: Tensor, lows: Tensor, sizes: Tensor, total: float = 1e5) -> Tensor:
    """The same of any tables: (n, TABLE_REACH + 2)."""
    counts = torch.zeros(len(sizes), TABLE_REACH + 2, dtype=torch.float64)
    for row, (place, low, size) in enumerate(zip(frequencies.long(), lows.tolist(), sizes.tolist(), strict=True)):
        magnitudes = (torch.arange(size - 1) + low).abs().clamp(max=TABLE_REACH + 1)
        counts[row].index_add_(0, magnitudes, place[: size - 1].double())
    return counts * (total / 4096)


def _both_signs(row: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], int]:
    """Probabilities of v = low.. from those of |v| and of the escape, and low.

    Escapes are spread thinly over values past TABLE_REACH, so that a table drops these before any nearer one.
    """
    half = np.concatenate([row[1:-1], _beyond(row)]) / 2
    return np.concatenate([half[::-1], row[:1], half]), -len(half)


def _beyond(row: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    count = 1 + int(row[-1] / max(row[-2], 2.0**-20))
    return np.full(count, row[-1] / count)
