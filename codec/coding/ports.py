"""Symbol ports: where a family's symbols go to or come from.  See `models.base.family.SymbolPort`.

    EncoderPort   put -> bytes
    DecoderPort   bytes -> get
    OpeningPort   the same for a reader that stops early
    BitMeter      put -> a sum of bits; no bytes are made

Arrays are handed to the coder without a copy.  Encoder and decoder ports also lend the coder itself to the kernels
(`native`): a class that overrides `put` or `get` must not have that method.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from ...entropy import CorruptStream, Decoder, Encoder, Tables
from ...models.base.family import Symbols, TableIndices
from ..errors import FormatError


def _one_way(direction: str) -> NoReturn:
    raise TypeError(f"this port only {direction}")


@contextmanager
def _damage() -> Iterator[None]:
    """Damage that the coder finds becomes a FormatError."""
    try:
        yield
    except CorruptStream as error:
        raise FormatError(f"the symbols are damaged: {error}") from error


class EncoderPort:
    """Codes every symbol that is put."""

    def __init__(self, tables: Tables) -> None:
        self._encoder = Encoder(tables)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        self._encoder.put(symbols, indices)

    def get(self, indices: TableIndices) -> Symbols:
        _one_way("takes symbols")

    @contextmanager
    def native(self) -> Iterator[Any]:
        """See `models.base.family.NativePort`."""
        yield self._encoder.native()

    def finish(self) -> bytes:
        return bytes(self._encoder.finish())


class DecoderPort:
    """Returns the symbols of `data`.  FormatError when it does not hold them."""

    def __init__(self, tables: Tables, data: bytes | memoryview) -> None:
        with _damage():
            self._decoder = Decoder(tables, data)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        _one_way("gives symbols")

    def get(self, indices: TableIndices) -> Symbols:
        with _damage():
            return self._decoder.get(indices)

    @contextmanager
    def native(self) -> Iterator[Any]:
        """See `models.base.family.NativePort`."""
        with _damage():
            yield self._decoder.native()

    def finish(self) -> None:
        """FormatError unless every byte was used."""
        with _damage():
            self._decoder.finish()


class OpeningPort(DecoderPort):
    """Returns the first symbols of `data`, as many as are asked for."""

    def finish(self) -> None:
        """Nothing: the rest stays unread."""


class BitMeter:
    """Adds up what the symbols would cost; `bits` is within a few bytes of what EncoderPort makes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.bits = 0.0

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        costs = self._tables.bits(symbols, indices)
        self.bits += float(costs.sum(dtype=np.float64))

    def get(self, indices: TableIndices) -> Symbols:
        _one_way("takes symbols")

    def finish(self) -> bytes:
        """As many zero bytes as the symbols cost, rounded up: a stand-in for a payload when sizes are measured."""
        return bytes(int(-(-self.bits // 8)))
