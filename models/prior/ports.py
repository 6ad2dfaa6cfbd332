"""Numbers of a few bits through any symbol port, and ports whose ladder of tables stands elsewhere."""

from __future__ import annotations

import numpy as np

from ..base.family import SymbolPort, Symbols, TableIndices
from .ladder import TABLES


class Shifted:
    """A port whose ladder stands at `first` in the tables; the uniform tables stay where they are."""

    def __init__(self, port: SymbolPort, first: int) -> None:
        self.port, self.first = port, first

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        self.port.put(symbols, shifted(indices, self.first))

    def get(self, indices: TableIndices) -> Symbols:
        return self.port.get(shifted(indices, self.first))


def shifted(indices: TableIndices, first: int) -> TableIndices:
    """Indices of a ladder that stands at `first`: uint8 (n,)."""
    return indices + (indices < TABLES).astype(np.uint8) * np.uint8(first) if first else indices


def put_number(port: SymbolPort, value: int, bits: int) -> None:
    """Put 0 <= value < 1 << bits on the uniform table of so many bits, 1..MAX_SHIFT."""
    port.put(np.array([value], np.int32), _uniform(bits))


def get_number(port: SymbolPort, bits: int) -> int:
    """Get what `put_number` put.  ValueError for anything else, which only a forged stream holds."""
    value = int(port.get(_uniform(bits))[0])
    if not 0 <= value < 1 << bits:
        raise ValueError(f"a number of {bits} bits is {value}")
    return value


def _uniform(bits: int) -> TableIndices:
    return np.array([TABLES - 1 + bits], np.uint8)
