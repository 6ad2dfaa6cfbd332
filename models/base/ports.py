"""Symbol ports that models put around another one, or in its place; and numbers of a few bits through any port."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ...entropy import Tables
from .. import _kernels
from .family import NativePort, SymbolPort, Symbols, TableIndices


def lent(port: SymbolPort) -> AbstractContextManager[Any]:
    """The port as the kernels call it: its own coder, or `get` and `put` themselves where it has none to lend."""
    return port.native() if isinstance(port, NativePort) else nullcontext(_kernels.lend(port))


class Metered:
    """A port that adds up the bits of what passes, in `spent`."""

    def __init__(self, port: SymbolPort, tables: Tables) -> None:
        self.port, self.tables, self.spent = port, tables, 0.0

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        self.port.put(symbols, indices)
        self.count(symbols, indices)

    def get(self, indices: TableIndices) -> Symbols:
        symbols = self.port.get(indices)
        self.count(symbols, indices)
        return symbols

    def count(self, symbols: Symbols, indices: TableIndices) -> None:
        """Add the bits of symbols that passed by another way."""
        self.spent += float(self.tables.bits(symbols, indices).sum(dtype="float64"))


class Nowhere:
    """A port that drops what it is given."""

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        pass

    def get(self, indices: TableIndices) -> Symbols:
        raise TypeError("this port only takes symbols")

    def native(self) -> AbstractContextManager[None]:
        """No coder: the kernels forget symbols too."""
        return nullcontext()


class Zeros:
    """A port that answers zeros."""

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise TypeError("this port only gives symbols")

    def get(self, indices: TableIndices) -> Symbols:
        return np.zeros(len(indices), np.int32)


class Held:
    """A port that keeps what is put until it is released to another."""

    def __init__(self) -> None:
        self.calls: list[tuple[Symbols, TableIndices]] = []

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        self.calls.append((symbols, indices))

    def get(self, indices: TableIndices) -> Symbols:
        raise TypeError("this port only takes symbols")

    def release(self, port: SymbolPort) -> None:
        for symbols, indices in self.calls:
            port.put(symbols, indices)
