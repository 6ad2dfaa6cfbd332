"""The same coder in plain Python: slow, and short enough to check by eye. Tests compare the C++ with it.

A stream, all integers little-endian:

    byte 0        bits 0-2: log2 of the number of lanes, 0..6; bit 3: there is a bypass section;
                  bits 4-6: one lane: bytes of its state, 0..4, otherwise 0; bit 7: 0
    length        with a bypass section only: its bytes, unsigned LEB128, shortest form
    states        one lane: state - 65536 in as few bytes as it needs; otherwise 4 bytes per lane
    words         16 bits each, in reading order
    bypass        bits of the escapes, first bit in bit 0 of the first byte, zeros up to a whole byte

Symbol i of a call goes through lane i % lanes. Lanes are rANS states x in [2^16, 2^32), 2^16 where the decoder ends.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import log2

from . import leb128
from .coder import CorruptStream
from .tables import PRECISION, TOTAL, Tables

LOWEST = 1 << 16
MAX_LANES = 64
LANE_BYTES = 4096  # payload of each lane


class Rows:
    """The tables as plain lists, with the start of every entry."""

    def __init__(self, tables: Tables) -> None:
        self.lows: list[int] = tables.lows.tolist()
        self.sizes: list[int] = tables.sizes.tolist()
        self.frequencies: list[list[int]] = tables.frequencies.tolist()
        self.starts = [[sum(row[:i]) for i in range(len(row))] for row in self.frequencies]

    def place(self, symbol: int, table: int) -> int:
        """Entry of the row that codes `symbol`: the last one is the escape."""
        place = symbol - self.lows[table]
        return place if 0 <= place < self.sizes[table] - 1 else self.sizes[table] - 1

    def find(self, slot: int, table: int) -> int:
        """Entry whose range holds `slot`, 0..4095."""
        place = 0
        while slot >= self.starts[table][place] + self.frequencies[table][place]:
            place += 1
        return place


def escape_bits(symbol: int, low: int, size: int) -> list[int]:
    """The bypass bits of a symbol outside low .. low+size-2: side, then Exp-Golomb of the distance."""
    high = low + size - 2
    above = symbol > high
    code = (symbol - high - 1 if above else low - 1 - symbol) + 1
    k = code.bit_length() - 1
    return [int(above), *[0] * k, 1, *(code >> i & 1 for i in range(k))]


def estimate(frequency: int) -> int:
    """About 4096 * (12 - log2(frequency)): the bits of a float32 are its logarithm, straight between powers of two."""
    (bits,) = struct.unpack("<I", struct.pack("<f", float(frequency)))
    return int(((127 + PRECISION) << 23) - bits >> 11)


def choose_lanes(cost: int) -> int:
    """The largest power of two up to 64 that leaves every lane 4 KiB of `cost` (in 1/4096 bits); at least 1."""
    lanes = 1
    while lanes < MAX_LANES and cost >> (PRECISION + 3) >= 2 * lanes * LANE_BYTES:
        lanes *= 2
    return lanes


class ReferenceEncoder:
    """Twin of `Encoder`."""

    def __init__(self, tables: Tables, lanes: int = 0) -> None:
        self.rows = Rows(tables)
        self.lanes = lanes
        self.calls: list[list[tuple[int, int]]] = []
        self.bypass: list[int] = []

    def put(self, symbols: Sequence[int], indices: Sequence[int]) -> None:
        call = []
        for symbol, table in zip(symbols, indices, strict=True):
            place = self.rows.place(symbol, table)
            call.append((self.rows.frequencies[table][place], self.rows.starts[table][place]))
            if place == self.rows.sizes[table] - 1:
                self.bypass += escape_bits(symbol, self.rows.lows[table], self.rows.sizes[table])
        self.calls.append(call)

    def finish(self) -> bytes:
        lanes = self.lanes or choose_lanes(sum(estimate(f) for call in self.calls for f, _ in call))
        states = [LOWEST] * lanes
        words = []
        for call in reversed(self.calls):
            for i in reversed(range(len(call))):
                frequency, start = call[i]
                x = states[i % lanes]
                if x >= frequency << 20:
                    words.append(x & 0xFFFF)
                    x >>= 16
                states[i % lanes] = x // frequency * TOTAL + x % frequency + start
        return self._stream(states, words[::-1])

    def _stream(self, states: list[int], words: list[int]) -> bytes:
        bypass = sum(bit << i for i, bit in enumerate(self.bypass)).to_bytes((len(self.bypass) + 7) // 8, "little")
        if len(states) == 1:
            rest = states[0] - LOWEST
            head = rest.to_bytes((rest.bit_length() + 7) // 8, "little")
        else:
            head = struct.pack(f"<{len(states)}I", *states)
        first = len(states).bit_length() - 1 | bool(bypass) << 3 | (len(head) << 4 if len(states) == 1 else 0)
        length = leb128.pack(len(bypass)) if bypass else b""
        return bytes([first]) + length + head + struct.pack(f"<{len(words)}H", *words) + bypass


class ReferenceDecoder:
    """Twin of `Decoder`: the same symbols, and CorruptStream at the same call."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        self.rows = Rows(tables)
        first, rest = _split(data, 1)
        self.lanes = 1 << (first[0] & 7)
        state_bytes = first[0] >> 4
        if self.lanes > MAX_LANES or state_bytes > (4 if self.lanes == 1 else 0):
            raise CorruptStream("first byte")
        bypass_bytes, rest = _length(rest) if first[0] & 8 else (0, rest)
        head, rest = _split(rest, state_bytes if self.lanes == 1 else 4 * self.lanes)
        if self.lanes == 1:
            if head and head[-1] == 0:
                raise CorruptStream("state longer than it needs to be")
            self.states = [LOWEST + int.from_bytes(head, "little")]
        else:
            self.states = list(struct.unpack(f"<{self.lanes}I", head))
        if not all(LOWEST <= state < 1 << 32 for state in self.states) or bypass_bytes > len(rest):
            raise CorruptStream("state or bypass length")
        words, bypass = rest[: len(rest) - bypass_bytes], rest[len(rest) - bypass_bytes :]
        if len(words) % 2:
            raise CorruptStream("half a word")
        self.words = list(struct.unpack(f"<{len(words) // 2}H", words))[::-1]  # popped from the end
        self.bits = [byte >> i & 1 for byte in bypass for i in range(8)][::-1]
        self.failed = False

    def get(self, indices: Sequence[int]) -> list[int]:
        if self.failed:
            raise CorruptStream("failed before")
        try:
            places = [self._place(i % self.lanes, table) for i, table in enumerate(indices)]
            return [self._symbol(place, table) for place, table in zip(places, indices, strict=True)]
        except (IndexError, OverflowError):
            self.failed = True
            raise CorruptStream("the stream ends before its symbols do") from None

    def _place(self, lane: int, table: int) -> int:
        x = self.states[lane]
        slot = x % TOTAL
        place = self.rows.find(slot, table)
        x = self.rows.frequencies[table][place] * (x // TOTAL) + slot - self.rows.starts[table][place]
        self.states[lane] = x if x >= LOWEST else x << 16 | self.words.pop()
        return place

    def _symbol(self, place: int, table: int) -> int:
        low, size = self.rows.lows[table], self.rows.sizes[table]
        if place < size - 1:
            return low + place
        above = self.bits.pop()
        k = 0
        while self.bits.pop() == 0:
            k += 1
        distance = (1 << k | sum(self.bits.pop() << i for i in range(k))) - 1
        symbol = low + size - 1 + distance if above else low - 1 - distance
        if k > 32 or not -(1 << 31) <= symbol < 1 << 31:
            raise OverflowError
        return symbol

    def finish(self) -> None:
        padding_ok = len(self.bits) < 8 and not any(self.bits)
        if self.failed or self.words or not padding_ok or any(state != LOWEST for state in self.states):
            raise CorruptStream("the stream goes on after its last symbol, or was damaged")


def _split(data: bytes, size: int) -> tuple[bytes, bytes]:
    if len(data) < size:
        raise CorruptStream("the stream ends inside its header")
    return data[:size], data[size:]


def _length(data: bytes) -> tuple[int, bytes]:
    """A length of at least 1, and what follows it."""
    try:
        length, at = leb128.unpack(data)
    except leb128.NumberError:
        length = at = 0
    if length == 0:
        raise CorruptStream("the length of the bypass section is malformed")
    return length, data[at:]


def reference_bits(tables: Tables, symbol: int, table: int) -> float:
    """Twin of `Tables.bits` for one symbol."""
    rows = Rows(tables)
    place = rows.place(symbol, table)
    cost = PRECISION - log2(rows.frequencies[table][place])
    escaped = place == rows.sizes[table] - 1
    return cost + (len(escape_bits(symbol, rows.lows[table], rows.sizes[table])) if escaped else 0)


def reference_crc32c(data: bytes, value: int = 0) -> int:
    """Twin of `crc32c`, bit by bit."""
    value ^= 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF
