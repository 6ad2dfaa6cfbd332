"""Symbol ports: where a family's symbols go to or come from.  See `models.base.family.SymbolPort`.

    EncoderPort   put -> bytes
    DecoderPort   bytes -> get
    OpeningPort   the same for a reader that stops early
    BitMeter      put -> a sum of bits; no bytes are made

Tensors of the CPU are handed to the coder without a copy.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import CorruptStream, Decoder, Encoder, Tables
from ..errors import FormatError


def _array(tensor: Tensor, dtype: torch.dtype) -> NDArray[Any]:
    """A contiguous 1-D array over the tensor's own memory where that is possible."""
    if tensor.dtype != dtype or tensor.dim() != 1:
        raise TypeError(f"expected a 1-D tensor of {dtype}, got {tensor.dtype} of shape {tuple(tensor.shape)}")
    array: NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
    return array


def _one_way(direction: str) -> NoReturn:
    raise TypeError(f"this port only {direction}")


class EncoderPort:
    """Codes every symbol that is put."""

    def __init__(self, tables: Tables) -> None:
        self._encoder = Encoder(tables)

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        self._encoder.put(_array(symbols, torch.int32), _array(indices, torch.uint8))

    def get(self, indices: Tensor) -> Tensor:
        _one_way("takes symbols")

    def finish(self) -> bytes:
        return bytes(self._encoder.finish())


class DecoderPort:
    """Returns the symbols of `data`.  FormatError when it does not hold them."""

    def __init__(self, tables: Tables, data: bytes | memoryview) -> None:
        try:
            self._decoder = Decoder(tables, data)
        except CorruptStream as error:
            raise FormatError(f"the symbols are damaged: {error}") from error

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        _one_way("gives symbols")

    def get(self, indices: Tensor) -> Tensor:
        try:
            symbols = self._decoder.get(_array(indices, torch.uint8))
        except CorruptStream as error:
            raise FormatError(f"the symbols are damaged: {error}") from error
        return torch.from_numpy(symbols).to(indices.device)

    def finish(self) -> None:
        """FormatError unless every byte was used."""
        try:
            self._decoder.finish()
        except CorruptStream as error:
            raise FormatError(f"the symbols are damaged: {error}") from error


class OpeningPort(DecoderPort):
    """Returns the first symbols of `data`, as many as are asked for."""

    def finish(self) -> None:
        """Nothing: the rest stays unread."""


class BitMeter:
    """Adds up what the symbols would cost; `bits` is within a few bytes of what EncoderPort makes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.bits = 0.0

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        costs = self._tables.bits(_array(symbols, torch.int32), _array(indices, torch.uint8))
        self.bits += float(costs.sum(dtype=np.float64))

    def get(self, indices: Tensor) -> Tensor:
        _one_way("takes symbols")

    def finish(self) -> bytes:
        """As many zero bytes as the symbols cost, rounded up: a stand-in for a payload when sizes are measured."""
        return bytes(int(-(-self.bits // 8)))
