"""Whole numbers from 0 as unsigned LEB128: seven bits per byte, lowest first; bit 7 says that more bytes follow."""

from __future__ import annotations

LARGEST = (1 << 63) - 1  # nine bytes of seven bits
MOST_BYTES = 9


class NumberError(ValueError):
    """The bytes hold no number."""


def pack(number: int) -> bytes:
    """`number` 0..LARGEST in its shortest form, 1 to 9 bytes."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def unpack(data: bytes | memoryview, at: int = 0) -> tuple[int, int]:
    """The number that starts at `data[at]` and the place after it.  NumberError unless it is in its shortest form."""
    number = 0
    for count in range(MOST_BYTES):
        if at + count >= len(data):
            raise NumberError("ends inside a number")
        byte = data[at + count]
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count:
                raise NumberError("a number is not in its shortest form")
            return number, at + count + 1
    raise NumberError(f"a number has more than {MOST_BYTES} bytes")
