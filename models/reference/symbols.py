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
LARGEST = 1 << 24  # largest |v|, and number of half steps
MOST_CHAINS, CHAIN_VALUES, ODD_TABLES = 16, 1024, 34


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
        flat = rungs.ravel().tolist()
        high = self.get([first + rung - 8 * low_bits_of(rung) for rung in flat])
        found = [joined(*parts) for parts in zip(flat, high, self.low_bits(rungs), strict=True)]
        return np.array(found, np.int64).reshape(rungs.shape).clip(-LARGEST, LARGEST)

    def values_by_sign(self, rungs: Integers, signs: Integers) -> Integers:
        """Values of any shape, whose magnitudes and signs are coded apart; signs: the table of each sign."""
        low, flat = self.low_bits(rungs), rungs.ravel().tolist()
        high = self.get([rung - 8 * low_bits_of(rung) for rung in flat])
        found = [joined(*parts) for parts in zip(flat, high, low, strict=True)]
        return self.signed(np.array(found, np.int64), signs.ravel()).reshape(rungs.shape)

    def half_steps(self, rungs: Integers, signs: Integers, first_odd: int) -> tuple[Integers, Integers]:
        """Values of a pass, of any shape, and the half steps that they stand for; first_odd: table of the odd one."""
        low, flat = self.low_bits(rungs), rungs.ravel().tolist()
        chains = 1
        while chains < MOST_CHAINS and 2 * chains * CHAIN_VALUES <= len(flat):
            chains *= 2
        states, quantisers, found = [0] * chains, [0] * len(flat), [0] * len(flat)
        for start in range(0, len(flat), chains):
            places = range(start, min(start + chains, len(flat)))
            tables = []
            for i in places:
                quantisers[i] = states[i % chains] % 2
                even = flat[i] - 8 * low_bits_of(flat[i])
                tables.append(first_odd + min(even >> 1, ODD_TABLES - 1) if quantisers[i] else even)
            for i, high in zip(places, self.get(tables), strict=True):
                found[i] = joined(flat[i], high, low[i])
                state = states[i % chains]
                states[i % chains] = state >> 1 ^ (20 if state & 1 else 0) ^ (2 if found[i] & 1 else 0)
        values = self.signed(np.array(found, np.int64), signs.ravel())
        halves = (2 * np.abs(values) - np.array(quantisers, np.int64)).clip(0, LARGEST) * np.sign(values)
        return values.reshape(rungs.shape), halves.reshape(rungs.shape)

    def low_bits(self, rungs: Integers) -> list[int]:
        """The low bits of each value, 0 where there are none; one call."""
        counts = [low_bits_of(rung) for rung in rungs.ravel().tolist()]
        found = iter(self.get([UNIFORM + n for n in counts if n]))
        return [next(found) if n else 0 for n in counts]

    def signed(self, magnitudes: Integers, signs: Integers) -> Integers:
        """Values (n,) of their magnitudes, not clipped, and of signs that are read."""
        values = magnitudes.clip(0, LARGEST)
        coded = values != 0
        negative = [symbol & 1 for symbol in self.get(signs[coded].tolist())]
        values[coded] *= 1 - 2 * np.array(negative, np.int64)
        return values

    def finish(self) -> None:
        self.decoder.finish()


def low_bits_of(rung: int) -> int:
    """How many low bits are split off."""
    return max(0, rung - 64 >> 3)


def joined(rung: int, high: int, low: int) -> int:
    """A value of its parts, modulo 2^32 and as a signed number of 32 bits."""
    value = high << low_bits_of(rung) | low
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)
