"""Numbers of the container (FORMAT.md section 1), and the two visitors that read or write one field list.

A structure's fields are listed once, in a function `visit(structure, fields)`.  Given a `FieldWriter` the list
writes, given a `FieldReader` it reads; both check the same bounds, so the two directions cannot drift apart.
"""

from __future__ import annotations

from typing import Protocol

from ...entropy import leb128
from ..errors import FormatError, ParameterError

MAX_UINT = leb128.LARGEST
MAX_SINT = (1 << 62) - 1


def pack_uint(value: int) -> bytes:
    """`value` 0..MAX_UINT as unsigned LEB128, 1 to 9 bytes."""
    if not 0 <= value <= MAX_UINT:
        raise ParameterError(f"{value} does not fit the format's integers")
    return leb128.pack(value)


def unpack_uint(data: bytes | memoryview, at: int, where: str) -> tuple[int, int]:
    """The integer that starts at `data[at]` and the place after it.  FormatError names `where`."""
    try:
        return leb128.unpack(data, at)
    except leb128.NumberError as error:
        raise FormatError(f"{where}: {error}") from None


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    return -((value + 1) >> 1) if value & 1 else value >> 1


class Fields(Protocol):
    """One direction of a field list: every method takes the value to write and returns the value that counts."""

    def uint(self, name: str, value: int, low: int = 0, high: int = MAX_UINT) -> int: ...

    def sint(self, name: str, value: int, high: int = MAX_SINT) -> int: ...

    def raw(self, name: str, value: bytes, size: int) -> bytes: ...

    def rest(self, value: bytes | memoryview) -> bytes | memoryview: ...


class FieldWriter:
    """Writes a field list; `where` begins every message."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.data = bytearray()

    def uint(self, name: str, value: int, low: int = 0, high: int = MAX_UINT) -> int:
        if not low <= value <= high:
            raise ParameterError(f"{self.where}: {name} {value} is not in {low}..{high}")
        self.data += pack_uint(value)
        return value

    def sint(self, name: str, value: int, high: int = MAX_SINT) -> int:
        if abs(value) > high:
            raise ParameterError(f"{self.where}: {name} {value} is not in {-high}..{high}")
        self.data += pack_uint(zigzag(value))
        return value

    def raw(self, name: str, value: bytes, size: int) -> bytes:
        if len(value) != size:
            raise ParameterError(f"{self.where}: {name} has {len(value)} bytes, not {size}")
        self.data += value
        return value

    def rest(self, value: bytes | memoryview) -> bytes | memoryview:
        self.data += value
        return value


class FieldReader:
    """Reads a field list from `data`; the values handed in are ignored."""

    def __init__(self, data: bytes | memoryview, where: str) -> None:
        self.data = data
        self.where = where
        self.at = 0

    def uint(self, name: str, value: int, low: int = 0, high: int = MAX_UINT) -> int:
        value, self.at = unpack_uint(self.data, self.at, f"{self.where}: {name}")
        if not low <= value <= high:
            raise FormatError(f"{self.where}: {name} {value} is not in {low}..{high}")
        return value

    def sint(self, name: str, value: int, high: int = MAX_SINT) -> int:
        value, self.at = unpack_uint(self.data, self.at, f"{self.where}: {name}")
        value = unzigzag(value)
        if abs(value) > high:
            raise FormatError(f"{self.where}: {name} {value} is not in {-high}..{high}")
        return value

    def raw(self, name: str, value: bytes, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise FormatError(f"{self.where}: ends inside {name}")
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def rest(self, value: bytes | memoryview) -> bytes | memoryview:
        at, self.at = self.at, len(self.data)
        return self.data[at:]

    def end(self) -> None:
        """FormatError unless every byte was read."""
        if self.at != len(self.data):
            raise FormatError(f"{self.where}: {len(self.data) - self.at} bytes too many")
