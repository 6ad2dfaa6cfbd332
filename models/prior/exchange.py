"""Symbols of one pass to or from the port, wide ones in two parts; and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ...entropy import Tables
from ..base.family import SymbolPort
from .ladder import PER_OCTAVE, TABLES, shift_of

LARGEST = 1 << 24  # of |v|, far beyond what any picture has: float32 holds every value exactly


def exchange(port: SymbolPort, rung: Tensor, values: Callable[[], Tensor] | None) -> Tensor:
    """Send `values()` through the port, or get them from it: real (1, channels, n), integers, one rung each.

    A rung past the last table splits its value: the high part on a table, the low bits on a uniform one.  Values lie
    in -LARGEST..LARGEST: a stream may name any int32 in either part, and what they make is clipped, here as in the
    kernels (`Walk::take`).
    """
    shift = shift_of(rung)
    index = (rung - PER_OCTAVE * shift).to(torch.uint8).flatten()
    wide = (shift > 0).flatten().nonzero().squeeze(1)
    if wide.numel() == 0:
        if values is None:
            return _bounded(port.get(index)).view(rung.shape).float()
        v = _bounded(values())
        port.put(v.flatten().to(torch.int32), index)
        return v
    low_index = (TABLES - 1 + shift.flatten()[wide]).to(torch.uint8)
    scale = shift.flatten().to(torch.int32)
    if values is None:
        whole = port.get(index) << scale
        whole[wide] |= port.get(low_index)  # not a sum, which hostile parts would overflow
        return _bounded(whole).view(rung.shape).float()
    v = _bounded(values())
    flat = v.flatten().to(torch.int32)
    high = flat >> scale
    port.put(high, index)
    port.put((flat - (high << scale))[wide], low_index)
    return v


def _bounded(v: Tensor) -> Tensor:
    return v.clamp(-LARGEST, LARGEST)


def spent_bits(tables: Tables, values: Tensor, rung: Tensor, first: int = 0) -> Tensor:
    """Bits of each value on its rung (integers 0..RUNGS - 1), the low part included; `first`: where the ladder stands.

    Few rungs are wide, so those alone are split: this is a large part of the time that reading latents takes.
    """
    high, index = values.to(torch.int32).numpy(), rung.numpy().astype(np.uint8)
    wide = np.flatnonzero(index >= TABLES)
    shift = (index.flat[wide] - TABLES) // PER_OCTAVE + 1
    if wide.size:
        high = high.copy()
        high.flat[wide] >>= shift
        index.flat[wide] -= (PER_OCTAVE * shift).astype(np.uint8)
    bits = tables.bits(high, index + np.uint8(first))
    bits.flat[wide] += shift
    return torch.from_numpy(bits)


def share(plane: Tensor, depth: int, size: tuple[int, int]) -> Tensor:
    """Each coefficient's bits in equal parts on the cells that it stands for; the sum is kept."""
    owners, areas = _owners(depth, size)
    return (plane / areas).flatten()[owners]


@lru_cache(maxsize=64)
def _owners(depth: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The coefficient (h, w) that stands for each cell, `depth` levels up, and the cells (., .) of each coefficient."""
    rows, columns = (torch.arange(n) >> depth for n in size)
    areas = torch.bincount(rows)[:, None] * torch.bincount(columns)
    return rows[:, None] * areas.shape[1] + columns, areas
