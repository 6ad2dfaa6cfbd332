"""One flipped bit of a chunk, found by its checksum.

A CRC is linear: the checksum of damaged bytes differs from the stored one by a number that depends on the place of the
flipped bit alone, and for chunks of less than 2^31 bits no two places have the same.  Several flipped bits are taken
for another single one in about n of 2^32 cases, n being the bits of the chunk; what is corrected is decoded afterwards.
"""

from __future__ import annotations

from ...entropy import crc32c
from .chunks import Chunk
from .fields import pack_uint

LARGEST = 1 << 20  # bytes: a longer chunk takes long, and more flips look like one
_POLYNOMIAL = 0x82F63B78  # of CRC-32C, reflected


def corrected(chunk: Chunk, stored: bytes) -> bytes | None:
    """The payload of a damaged chunk whose checksum is `stored`, with one bit set right; None where that is not all."""
    head = chunk.kind.encode("ascii") + pack_uint(chunk.length)
    difference = crc32c(head + chunk.payload) ^ int.from_bytes(stored, "little")
    if difference & (difference - 1) == 0:
        return chunk.payload  # of the checksum itself
    if chunk.length > LARGEST:
        return None
    single = {_shifted(1 << bit): bit for bit in range(8)}  # differences that a flip of the last byte makes
    for back in range(chunk.length):
        if difference in single:
            payload = bytearray(chunk.payload)
            payload[chunk.length - 1 - back] ^= 1 << single[difference]
            return bytes(payload)
        difference = _unshifted(difference)
    return None


def _shifted(register: int) -> int:
    """The register after eight more zero bits."""
    for _ in range(8):
        register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register


_TOP = {_shifted(low) >> 24: low for low in range(256)}  # the high byte after a step tells the low byte before it
_STEPS = [_shifted(low) for low in range(256)]


def _unshifted(register: int) -> int:
    """The register before eight zero bits."""
    low = _TOP[register >> 24]
    return (register ^ _STEPS[low]) << 8 & 0xFFFFFFFF | low
