"""Damaged and forged files: always a CodecError or a sound answer, never another exception, memory and time bounded.

Truncated at every byte, every byte flipped, and flipped again with all checksums repaired, so that the damage reaches
the field readers, the coder and the family.
"""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import tessera
from tessera.codec.coding.stream import decode_groups
from tessera.codec.format import chunks
from tessera.codec.format.fields import FieldWriter, pack_uint
from tessera.codec.format.pipe import PipeReader
from tessera.codec.limits import DEFAULT_LIMITS
from tessera.entropy import crc32c

from ..support import toy_family

TIGHT = tessera.Limits(pixels=1 << 14, group=1 << 16, frames=1 << 10, chunk=1 << 20, array=1 << 18)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


def sample(kind: str) -> bytes:
    rng = np.random.default_rng(5)
    name, _, digest = kind.partition("-")
    shape = {"still": (9, 10, 3), "clip": (5, 8, 9, 3), "alpha": (3, 8, 9, 4), "gray": (6, 7)}[name]
    pixels = np.sort(rng.integers(0, 256, shape, dtype=np.uint8), axis=-2)
    return tessera.encode(pixels, codec="toy", quality=30, gop=2 if len(shape) == 4 else None, digest=bool(digest))


KINDS = ["still", "clip", "alpha", "gray", "still-digest", "clip-digest"]


def attempt(data: bytes) -> bool:
    """Read `data` in every way there is.  True when plain decoding accepted it."""
    for partial in (True, False):
        try:
            reader = PipeReader(io.BytesIO(data), TIGHT)
            for _ in decode_groups(reader, tessera.DecodeOptions(partial=partial, limits=TIGHT)):
                pass
            reader.metadata()
        except tessera.CodecError:
            pass
    try:
        with tessera.open(data, limits=TIGHT) as clip:
            assert clip.info.bytes == len(data)
            for frame in range(min(len(clip), 8)):
                try:
                    clip[frame]
                    clip.latents(frame, frame + 1)
                except tessera.CodecError:
                    pass
    except tessera.CodecError:
        pass
    try:
        tessera.verify(data, limits=TIGHT)
    except tessera.CodecError:
        pass
    try:
        tessera.decode(data, limits=TIGHT)
    except tessera.CodecError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_at_every_byte(kind: str) -> None:
    data = sample(kind)
    assert attempt(data)
    assert not [cut for cut in range(len(data)) if attempt(data[:cut])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mask", [1, 0x80])
def test_every_byte_flipped(kind: str, mask: int) -> None:
    data = bytearray(sample(kind))
    accepted = []
    for place in range(len(data)):
        data[place] ^= mask
        if attempt(bytes(data)):
            accepted.append(place)
        data[place] ^= mask
    assert accepted == []


def repaired(data: bytes) -> bytes:
    """`data` with every checksum set right, as far as its chunks can be told apart."""
    out = bytearray(data)
    at = 8
    while at + 5 < len(out):
        try:
            head, after = fields_at(out, at)
        except tessera.FormatError:
            break
        end = after + head
        if end + 4 > len(out):
            break
        out[end : end + 4] = crc32c(bytes(out[at:end])).to_bytes(4, "little")
        at = end + 4
    return bytes(out)


def fields_at(data: bytearray, at: int) -> tuple[int, int]:
    from tessera.codec.format.fields import unpack_uint

    return unpack_uint(bytes(data), at + 4, "test")


@pytest.mark.parametrize("kind", KINDS)
def test_forged_bytes(kind: str) -> None:
    data = sample(kind)
    rng = random.Random(3)
    for place in range(8, len(data)):
        forged = bytearray(data)
        forged[place] ^= 1 << rng.randrange(8)
        attempt(repaired(bytes(forged)))


@pytest.mark.parametrize("kind", KINDS)
def test_random_damage(kind: str) -> None:
    data = sample(kind)
    rng = random.Random(4)
    for _ in range(150):
        forged = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            a, b = sorted(rng.randrange(8, len(forged)) for _ in range(2))
            action = rng.randrange(4)
            if action == 0:
                del forged[a : min(b, a + 9)]
            elif action == 1:
                forged[a:a] = forged[a : min(b, a + 40)]
            elif action == 2:
                forged[a : a + 3] = rng.randbytes(3)
            else:
                forged[a] = rng.choice((0, 0x7F, 0x80, 0xFF))
            if len(forged) < 20:
                break
        attempt(repaired(bytes(forged)))
        attempt(bytes(forged))


class HugeNumber(FieldWriter):
    """Writes a field list in which one number is replaced by a huge one, unchecked."""

    def __init__(self, victim: int, value: int) -> None:
        super().__init__("test")
        self.victim, self.value, self.count = victim, value, 0

    def uint(self, name: str, value: int, low: int = 0, high: int = 0) -> int:
        self.data += pack_uint(self.value if self.count == self.victim else value)
        self.count += 1
        return value

    def sint(self, name: str, value: int, high: int = 0) -> int:
        return self.uint(name, 2 * value)


def huge_files() -> Iterator[bytes]:
    """Files in which each number in turn of HEAD, GRUP and INDX is huge."""
    from tessera.codec.format.header import GroupHead, Header, Index, visit_group, visit_header, visit_index

    head = Header(codec=127, weights=toy_family.WEIGHTS_ID, width=8, height=8, still=False, colour=(1, 2, 3, True))
    parts: dict[str, Callable[[FieldWriter], None]] = {
        "HEAD": lambda fields: visit_header(head, fields),
        "GRUP": lambda fields: visit_group(GroupHead(0, 2, 5, [0, 9]), head, fields),
        "INDX": lambda fields: visit_index(Index(100, [(2, 50), (2, 50)]), fields),
    }
    for kind in parts:
        for value in (1 << 14, 1 << 28, 1 << 40, (1 << 62) + 5, (1 << 63) - 1):
            for victim in range(15):
                data = chunks.SIGNATURE
                for name, visit in parts.items():
                    fields = HugeNumber(victim if name == kind else -1, value)
                    visit(fields)
                    data += chunks.chunk_bytes(name, bytes(fields.data) + (b"abcdef" if name == "GRUP" else b""))
                yield data + chunks.chunk_bytes("TEND", data.index(b"INDX").to_bytes(8, "little"))


def test_huge_numbers_cost_nothing() -> None:
    tracemalloc.start()
    for data in huge_files():
        for limits in (TIGHT, DEFAULT_LIMITS):
            with pytest.raises(tessera.CodecError):
                tessera.decode(data, limits=limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 << 20


def test_false_chunk_length_costs_nothing() -> None:
    data = sample("still")
    place = data.index(b"GRUP")
    forged = data[: place + 4] + pack_uint(1 << 29) + data[place + 5 :]
    tracemalloc.start()

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(tessera.FormatError):
        list(decode_groups(PipeReader(Pipe(forged))))
    with pytest.raises(tessera.CodecError):
        tessera.decode(forged)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_few_bytes_cannot_claim_many_pixels() -> None:
    from tessera.codec.format.header import Header, write_header

    head = Header(codec=127, weights=toy_family.WEIGHTS_ID, width=1 << 14, height=1 << 14)
    data = chunks.SIGNATURE + chunks.chunk_bytes("HEAD", write_header(head)) + chunks.chunk_bytes("GRUP", b"\0abcd")
    with pytest.raises(tessera.LimitError, match="4 bytes claim"):
        tessera.decode(data)


def test_deflate_bombs_stop_early() -> None:
    import zlib

    data = sample("still")
    bomb = chunks.chunk_bytes("iccp", zlib.compress(bytes(200 << 20), 9))
    place = data.index(b"GRUP")
    with tessera.open(data[:place] + bomb + data[place:]) as clip:
        assert clip[0].shape == (9, 10, 3)
        with pytest.raises(tessera.FormatError, match="iccp"):
            clip.reader.metadata()


def test_search_for_groups_is_bounded() -> None:
    """Half a megabyte of false chunk heads, each claiming the rest of the file."""
    data = sample("clip")
    place = data.index(b"GRUP")
    junk = b"".join(b"GRUP" + pack_uint(200_000) for _ in range(60_000))
    with pytest.raises(tessera.FormatError):
        tessera.decode(data[:place] + b"\0" + junk)
    with tessera.open(data[:place] + b"\0" + junk + data[place:-17]) as clip:
        assert clip.info.problems
