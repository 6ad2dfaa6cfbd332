"""The coder in Python: shapes, types and ranges are checked here, the work is done in C++ without the GIL.

READ ME FIRST
- The decoder must make the calls that the encoder made: a `get` of n symbols for each `put` of n, in the same order,
  with the same table indices. Ten calls of one symbol are not one call of ten.
- Nothing is written before `Encoder.finish()`. Until then the encoder keeps 4 bytes per symbol.
- Call `Decoder.finish()`: it checks that the stream ended where it should. It finds every truncation and most damage,
  but it is no checksum: a flipped bit may change one symbol and nothing after it. `crc32c` is for that.
- One coder serves one thread at a time (a second gets RuntimeError); tables may be shared.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _coder
from ._coder import CorruptStream
from .arrays import INT32, UINT8, integers, pair
from .tables import Tables

__all__ = ["CorruptStream", "Decoder", "Encoder", "cpu_path", "cpu_paths", "crc32c"]

BytesLike = bytes | bytearray | memoryview | NDArray[np.uint8]

# Every path gives the same bytes; the variable exists to test and to measure the slower ones.
PATH: str | None = os.environ.get("TESSERA_CODER_PATH") or None


class Encoder:
    """Collects symbols and writes them as one stream.

    `path` is the largest set of instructions that may be used, one of `cpu_paths` (ValueError otherwise); None takes
    the fastest.  `lanes` forces 1, 2, 4 .. 64 lanes; 0 takes one per 4 KiB of payload, which costs 0.07 %.
    """

    def __init__(self, tables: Tables, *, path: str | None = None, lanes: int = 0) -> None:
        if lanes not in (0, 1, 2, 4, 8, 16, 32, 64):
            raise ValueError(f"lanes must be a power of two in 1..64, or 0, not {lanes}")
        self._core = _coder.Encoder(tables.core, path or PATH, lanes)

    def put(self, symbols: NDArray[np.int32], indices: NDArray[np.uint8]) -> None:
        """Adds symbols, each coded with the table of its index.

        Both arrays have the same shape, usually (n,), and are read in C order. Any int32 is coded exactly. ValueError
        for another type whose values do not fit, for unequal shapes, and for an index without a table.
        """
        values, tables = pair(symbols, indices)
        self._core.put(values, tables)

    def native(self) -> Any:
        """A capsule by which other extensions put symbols without Python in between; see kernels/port.hpp."""
        return self._core.native()

    def finish(self) -> bytes:
        """The stream of all calls so far. The encoder is then empty, ready for another stream."""
        return self._core.finish()


class Decoder:
    """Reads a stream of `Encoder` back, call by call.

    `data` is copied. CorruptStream when its first bytes are not those of a stream.
    """

    def __init__(self, tables: Tables, data: BytesLike, *, path: str | None = None) -> None:
        self._core = _coder.Decoder(tables.core, as_bytes(data), path or PATH)

    def get(self, indices: NDArray[np.uint8], out: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """The symbols of the next call, int32, in the shape of `indices`.

        `out`, when given, is a C-contiguous int32 array of that shape to write to (a new large array costs more time
        in page faults than the decoding). CorruptStream when the stream ends before the symbols do; every later call
        then raises it too.
        """
        tables = integers(indices, UINT8, "indices")
        if out is None:
            out = np.empty(tables.shape, INT32)
        elif out.dtype != INT32 or out.shape != tables.shape or not out.flags.c_contiguous or not out.flags.writeable:
            raise ValueError(f"out must be a writable C-contiguous int32 array of shape {tables.shape}")
        self._core.get(tables, out)
        return out

    def native(self) -> Any:
        """A capsule by which other extensions get symbols without Python in between; see kernels/port.hpp."""
        return self._core.native()

    def finish(self) -> None:
        """CorruptStream unless the stream ended exactly here: all bytes used, every lane back at its first state."""
        self._core.finish()


def as_bytes(data: BytesLike) -> NDArray[np.uint8]:
    """The bytes of any contiguous buffer, uint8 (n,), without a copy."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    return np.frombuffer(data, np.uint8)


def crc32c(data: BytesLike, value: int = 0, *, table: bool = False) -> int:
    """CRC-32C of `data`, continuing from the checksum `value` of what came before.

    `table` takes the plain code even where the processor has an instruction for it.
    """
    return _coder.crc32c(as_bytes(data), value, table)


def cpu_path(path: Any = None) -> str:
    """The path whose kernels run. ValueError when `path` is given and this processor does not run it."""
    return _coder.cpu_path(path or PATH)


def cpu_paths() -> list[str]:
    """The coder's paths that this processor runs, slowest first; "scalar" runs on every one."""
    return _coder.cpu_paths()
