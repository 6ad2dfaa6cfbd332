"""Symbols of a group from the coder's bytes (FORMAT.md sections 14, 20 and 24)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ...entropy.reference import ReferenceDecoder

Arrays = Mapping[str, NDArray[Any]]
Integers = NDArray[np.int64]

UNIFORM = 71  # a number of n bits has table UNIFORM + n
LARGEST = 1 << 24  # largest |v|


class Symbols:
    """The symbols of one group, in order.

    arrays: of a weights file; its tables are those of each name in `owners`, one after the other.
    """

    def __init__(self, arrays: Arrays, owners: Sequence[str], data: bytes) -> None:
        rows = []
        for owner in owners:
            frequencies, lows, sizes = (arrays[f"{owner}.{name}"] for name in ("frequencies", "lows", "sizes"))
            for row, low, size in zip(frequencies, lows, sizes, strict=True):
                rows.append((row[:size].astype(np.uint16), int(low)))
        self.decoder = ReferenceDecoder(Tables.stack(rows), data)

    def get(self, tables: Sequence[int]) -> list[int]:
        """One call of the coder."""
        return self.decoder.get(tables)

    def number(self, bits: int) -> int:
        (value,) = self.get([UNIFORM + bits])
        if not 0 <= value < 1 << bits:
            raise ValueError(f"a number of {bits} bits is {value}")
        return value

    def values(self, rungs: Integers, first: int) -> Integers:
        """Values of any shape, one rung each; first: table of rung 0."""
        return self.parts(rungs, first).clip(-LARGEST, LARGEST)

    def values_by_sign(self, rungs: Integers, signs: Integers) -> Integers:
        """Values of any shape, whose magnitudes and signs are coded apart; signs: the table of each sign."""
        values = self.parts(rungs, 0).clip(0, LARGEST)
        coded = values != 0
        negative = [symbol & 1 for symbol in self.get(signs[coded].tolist())]
        values[coded] *= 1 - 2 * np.array(negative, np.int64)
        return values

    def parts(self, rungs: Integers, first: int) -> Integers:
        """One call, and another one for the low bits of wide rungs; put together, not clipped."""
        flat = rungs.ravel().tolist()
        shifts = [max(0, rung - 64 >> 3) for rung in flat]
        high = self.get([first + rung - 8 * s for rung, s in zip(flat, shifts, strict=True)])
        low = iter(self.get([UNIFORM + s for s in shifts if s]))
        found = [signed(h << s | next(low)) if s else h for h, s in zip(high, shifts, strict=True)]
        return np.array(found, np.int64).reshape(rungs.shape)

    def finish(self) -> None:
        self.decoder.finish()


def signed(value: int) -> int:
    """A number modulo 2^32, as a signed one of 32 bits."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)
