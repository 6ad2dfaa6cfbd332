"""Damaged copies of .tsr files: bytes altered as they stand, or fields and symbols altered and checksums repaired.

Damage behind a repaired checksum reaches the field readers, the coder and the families; other damage must be found.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tessera.codec.errors import FormatError
from tessera.codec.format.chunks import SIGNATURE, chunk_bytes
from tessera.codec.format.fields import pack_uint, unpack_uint
from tessera.codec.format.header import Index, write_index

Chunks = list[tuple[str, bytes]]  # type and payload

KINDS = ("HEAD", "GRUP", "ALPH", "INDX", "TEND", "iccp", "exif", "audi", "dgst", "head", "RQRD", "ptnl")
NUMBERS = (
    *(0, 1, 2, 3, 5, 8, 16, 64, 127, 128, 255, 256, 1 << 14, 1 << 16, (1 << 16) + 1, 1 << 24, 1 << 28, (1 << 31) - 1),
    *(1 << 31, 1 << 40, 1 << 61, 1 << 62, (1 << 63) - 1),
)
DEEP = 24  # bytes at the start of a payload that hold most of its fields
CODEC_AT, WEIGHTS_AT = 1, 3  # in the payload of HEAD; version, codec and flags take a byte each


def split(data: bytes) -> Chunks:
    """The chunks of a sound file."""
    found, at = [], len(SIGNATURE)
    while at < len(data):
        length, begin = unpack_uint(data, at + 4, "a seed")
        found.append((data[at : at + 4].decode("ascii"), data[begin : begin + length]))
        at = begin + length + 4
    return found


def join(chunks: Chunks) -> bytes:
    """A file of these chunks, every checksum right."""
    return SIGNATURE + b"".join(chunk_bytes(kind, payload) for kind, payload in chunks)


def reindexed(chunks: Chunks) -> Chunks:
    """The chunks with INDX and TEND as they have to be for the groups that are there, where the file has them."""
    kept = [chunk for chunk in chunks if chunk[0] not in ("INDX", "head", "TEND")]
    copies = [chunk for chunk in chunks if chunk[0] == "head"]
    if len(kept) == len(chunks):
        return chunks
    index, place, begin = Index(), len(SIGNATURE), 0
    for kind, payload in kept:
        size = len(chunk_bytes(kind, payload))
        if kind in ("ALPH", "GRUP") and not begin:
            begin = place
            index.offset = index.offset or place
        place += size
        if kind == "GRUP":
            index.groups.append((max(1, min(_frames(payload), 1 << 16)), place - begin))
            begin = 0
        elif kind == "dgst" and index.groups:
            index.groups[-1] = (index.groups[-1][0], index.groups[-1][1] + size)
    if len(index.groups) < 2:
        return [*kept, *copies, ("TEND", bytes(8))]
    return [*kept, ("INDX", write_index(index)), *copies, ("TEND", place.to_bytes(8, "little"))]


def _frames(payload: bytes) -> int:
    """The frames that a clip's GRUP counts, 1 where its fields cannot be read."""
    at = count = 0
    try:
        for _ in range(3):
            count, at = unpack_uint(payload, at, "a seed")
    except FormatError:  # the fields were damaged on purpose
        return 1
    return count


def mutated(rng: random.Random, seed: bytes, others: Sequence[bytes]) -> tuple[bytes, bool]:
    """A damaged copy of `seed`, and whether its checksums were repaired.  `others`: seeds that lend parts."""
    if rng.random() < 0.25:
        data = bytearray(seed)
        for _ in range(1 if rng.random() < 0.6 else rng.randint(2, 6)):
            rng.choice(BYTE_DAMAGE)(rng, data)
        return bytes(data), False
    chunks = split(seed)
    for _ in range(1 if rng.random() < 0.6 else rng.randint(2, 4)):
        rng.choice(CHUNK_DAMAGE)(rng, chunks, others)
        if not chunks:
            break
    return join(reindexed(chunks) if rng.random() < 0.7 else chunks), True


# -- bytes -------------------------------------------------------------------------------------------------------------


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randint(0, len(data)) :]


def _remove(rng: random.Random, data: bytearray) -> None:
    a = rng.randint(0, len(data))
    del data[a : a + rng.choice((1, 2, 4, 9, 40))]


def _insert(rng: random.Random, data: bytearray) -> None:
    a = rng.randint(0, len(data))
    data[a:a] = rng.randbytes(rng.choice((1, 2, 4, 9, 40)))


def _repeat(rng: random.Random, data: bytearray) -> None:
    a, b = rng.randint(0, len(data)), rng.randint(0, len(data))
    data[a:a] = data[b : b + rng.choice((1, 4, 17, 60))]


def _scramble(rng: random.Random, data: bytearray) -> None:
    a = rng.randint(0, len(data))
    size = len(data[a : a + rng.choice((2, 8, 32))])
    data[a : a + size] = rng.randbytes(size)


BYTE_DAMAGE: tuple[Callable[[random.Random, bytearray], None], ...] = (
    *(_flip, _set, _cut, _remove, _insert, _repeat, _scramble),
)


# -- chunks ------------------------------------------------------------------------------------------------------------


def _choose(rng: random.Random, chunks: Chunks) -> int:
    """A chunk; groups more often than others."""
    groups = [k for k, (kind, _) in enumerate(chunks) if kind == "GRUP"]
    return rng.choice(groups) if groups and rng.random() < 0.5 else rng.randrange(len(chunks))


def _payload(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    at = _choose(rng, chunks)
    kind, payload = chunks[at]
    data = bytearray(payload)
    rng.choice(BYTE_DAMAGE)(rng, data)
    chunks[at] = kind, bytes(data)


def _number(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    """One of the numbers that a payload begins with becomes another."""
    at = _choose(rng, chunks)
    kind, payload = chunks[at]
    begin = rng.randrange(min(DEEP, len(payload)) + 1)
    end = begin
    while end < len(payload) and payload[end] & 0x80 and end < begin + 8:
        end += 1
    value = rng.choice(NUMBERS) if rng.random() < 0.8 else rng.randrange(1 << rng.randint(1, 62))
    chunks[at] = kind, payload[:begin] + pack_uint(value) + payload[end + 1 :]


def _drop(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    del chunks[rng.randrange(len(chunks))]


def _double(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    chunks.insert(rng.randint(0, len(chunks)), chunks[rng.randrange(len(chunks))])


def _swap(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    a, b = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    chunks[a], chunks[b] = chunks[b], chunks[a]


def _rename(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    at = rng.randrange(len(chunks))
    chunks[at] = rng.choice(KINDS), chunks[at][1]


def _lend(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    """A chunk of another seed in place of one of the same type, or beside it."""
    chunk = rng.choice(split(rng.choice(others)))
    places = [k for k, (kind, _) in enumerate(chunks) if kind == chunk[0]]
    if places:
        chunks[rng.choice(places)] = chunk
    else:
        chunks.insert(rng.randint(0, len(chunks)), chunk)


def _family(rng: random.Random, chunks: Chunks, others: Sequence[bytes]) -> None:
    """The symbols of one family under the name of another."""
    if chunks[0][0] != "HEAD" or len(chunks[0][1]) < WEIGHTS_AT + 8:
        return
    other, own = split(rng.choice(others))[0][1], chunks[0][1]
    codec, weights = other[CODEC_AT : CODEC_AT + 1], other[WEIGHTS_AT : WEIGHTS_AT + 8]
    end = WEIGHTS_AT + 8
    chunks[0] = "HEAD", own[:CODEC_AT] + codec + own[CODEC_AT + 1 : WEIGHTS_AT] + weights + own[end:]


CHUNK_DAMAGE: tuple[Callable[[random.Random, Chunks, Sequence[bytes]], None], ...] = (
    *(_payload, _payload, _payload, _payload, _number, _number, _number, _drop, _double, _swap, _rename),
    *(_lend, _family),
)
