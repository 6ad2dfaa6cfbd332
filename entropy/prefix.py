"""The first part of a coder's stream as a stream of its own, for reading coarse symbols without the fine ones.

A stream is: one byte (4 bits state bytes, 1 bit bypass, 3 bits lanes), the bypass section's length where there is one,
the states, 16-bit words in the order they are read, the bypass section.  Words may be cut off at the end; the symbols
up to there come out as from the whole stream.
"""

from __future__ import annotations

from .coder import CorruptStream

HEAD_BYTES = 1 + 9 + 4 * 64  # the most that can stand before the words


def sections(start: bytes) -> tuple[int, int]:
    """Bytes before the words, and of the bypass section, from the first HEAD_BYTES bytes of a stream."""
    if not start:
        raise CorruptStream("the stream is empty")
    lanes = 1 << (start[0] & 7)
    at, bypass = 1, 0
    if start[0] & 8:
        for shift in range(0, 63, 7):
            if at >= len(start):
                raise CorruptStream("the stream ends inside its head")
            bypass |= (start[at] & 127) << shift
            at += 1
            if start[at - 1] < 128:
                break
    return at + (start[0] >> 4 if lanes == 1 else 4 * lanes), bypass


def shortened(start: bytes, bypass: bytes) -> bytes:
    """A stream of the words in `start`, the first bytes of a longer stream whose bypass section is `bypass`."""
    head, size = sections(start)
    if size != len(bypass):
        raise CorruptStream(f"the bypass section has {len(bypass)} bytes, the stream says {size}")
    if len(start) < head:
        raise CorruptStream("the stream ends inside its head")
    return start[: len(start) - (len(start) - head) % 2] + bypass
