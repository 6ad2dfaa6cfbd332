"""Symbol ports that models put around another one, or in its place; and numbers of a few bits through any port."""

from __future__ import annotations

import torch
from torch import Tensor

from ..entropy import Tables
from .interface import SymbolPort
from .scale_tables import TABLES


class Shifted:
    """A port whose ladder stands at `first` in the tables; the uniform tables stay where they are."""

    def __init__(self, port: SymbolPort, first: int) -> None:
        self.port, self.first = port, first

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        self.port.put(symbols, shifted(indices, self.first))

    def get(self, indices: Tensor) -> Tensor:
        return self.port.get(shifted(indices, self.first))


def shifted(indices: Tensor, first: int) -> Tensor:
    """Indices of a ladder that stands at `first`: uint8 (n,)."""
    return indices + (indices < TABLES).to(torch.uint8) * first if first else indices


class Metered:
    """A port that adds up the bits of what passes, in `spent`."""

    def __init__(self, port: SymbolPort, tables: Tables) -> None:
        self.port, self.tables, self.spent = port, tables, 0.0

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        self.port.put(symbols, indices)
        self._add(symbols, indices)

    def get(self, indices: Tensor) -> Tensor:
        symbols = self.port.get(indices)
        self._add(symbols, indices)
        return symbols

    def _add(self, symbols: Tensor, indices: Tensor) -> None:
        self.spent += float(self.tables.bits(symbols.numpy(), indices.numpy()).sum(dtype="float64"))


class Nowhere:
    """A port that forgets what it is given."""

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        pass

    def get(self, indices: Tensor) -> Tensor:
        raise TypeError("this port only takes symbols")


class Zeros:
    """A port that answers zeros."""

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        raise TypeError("this port only gives symbols")

    def get(self, indices: Tensor) -> Tensor:
        return torch.zeros(len(indices), dtype=torch.int32)


class Held:
    """A port that keeps what is put until it is released to another."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor]] = []

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        self.calls.append((symbols, indices))

    def get(self, indices: Tensor) -> Tensor:
        raise TypeError("this port only takes symbols")

    def release(self, port: SymbolPort) -> None:
        for symbols, indices in self.calls:
            port.put(symbols, indices)


def put_number(port: SymbolPort, value: int, bits: int) -> None:
    """Put 0 <= value < 1 << bits on the uniform table of so many bits, 1..MAX_SHIFT."""
    port.put(torch.tensor([value], dtype=torch.int32), _uniform(bits))


def get_number(port: SymbolPort, bits: int) -> int:
    """Get what `put_number` put.  ValueError for anything else, which only a forged stream holds."""
    value = int(port.get(_uniform(bits)))
    if not 0 <= value < 1 << bits:
        raise ValueError(f"a number of {bits} bits is {value}")
    return value


def _uniform(bits: int) -> Tensor:
    return torch.tensor([TABLES - 1 + bits], dtype=torch.uint8)
