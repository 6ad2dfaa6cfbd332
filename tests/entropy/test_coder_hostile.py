"""Damaged streams: the coder ends in CorruptStream or in the twin's symbols, on every path, and says when it ended."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.entropy import CorruptStream, Decoder, Encoder, Tables, cpu_paths
from tessera.entropy.reference import ReferenceDecoder

TABLES = Tables.stack(
    [
        (np.array([1000, 2000, 900, 100, 96], np.uint16), -2),
        (np.array([4090, 6], np.uint16), 0),
        (np.full(256, 16, np.uint16), -127),
    ]
)
CALLS = (40, 700, 3, 0, 257)
PATHS = cpu_paths()


def make(lanes: int, seed: int = 0) -> tuple[bytes, list[NDArray[np.uint8]]]:
    rng = np.random.default_rng(seed)
    encoder = Encoder(TABLES, lanes=lanes)
    indices = [rng.integers(0, 3, n).astype(np.uint8) for n in CALLS]
    for part in indices:
        symbols = rng.integers(-3, 4, len(part)).astype(np.int32)
        symbols[part == 1] = rng.random(int((part == 1).sum())) < 0.02
        encoder.put(symbols, part)
    return encoder.finish(), indices


def outcome(data: bytes, indices: list[NDArray[np.uint8]], path: str) -> list[list[int]] | int:
    """The symbols of all calls, or the number of calls before the refusal (-1: the header was refused)."""
    done = -1
    try:
        decoder = Decoder(TABLES, data, path=path)
        calls = []
        for done, part in enumerate(indices):  # noqa: B007
            calls.append(decoder.get(part).tolist())
        done = len(indices)
        decoder.finish()
    except CorruptStream:
        return done
    return calls


def twin_outcome(data: bytes, indices: list[NDArray[np.uint8]]) -> list[list[int]] | int:
    done = -1
    try:
        decoder = ReferenceDecoder(TABLES, data)
        calls = []
        for done, part in enumerate(indices):  # noqa: B007
            calls.append(decoder.get(part.tolist()))
        done = len(indices)
        decoder.finish()
    except CorruptStream:
        return done
    return calls


@pytest.mark.parametrize("lanes", [1, 2, 8, 16, 64])
def test_every_truncation_is_noticed(lanes: int) -> None:
    data, indices = make(lanes)
    assert isinstance(outcome(data, indices, PATHS[-1]), list)
    for size in range(len(data)):
        for path in PATHS:
            assert isinstance(outcome(data[:size], indices, path), int), (size, path)


@pytest.mark.parametrize("lanes", [1, 8, 16, 64])
def test_every_flipped_byte_ends_as_in_the_twin(lanes: int) -> None:
    data, indices = make(lanes)
    rng = np.random.default_rng(lanes)
    places = [*range(min(12, len(data))), *rng.integers(0, len(data), 40).tolist()]
    for place in places:
        bad = bytearray(data)
        bad[place] ^= int(rng.integers(1, 256))
        expected = twin_outcome(bytes(bad), indices)
        for path in PATHS:
            assert outcome(bytes(bad), indices, path) == expected, (place, path)


@pytest.mark.parametrize("extra", [b"\0", b"\0\0", b"\xff" * 7])
def test_bytes_after_the_end_are_noticed(extra: bytes) -> None:
    for lanes in (1, 16):
        data, indices = make(lanes)
        for path in PATHS:
            assert isinstance(outcome(data + extra, indices, path), int)


def test_missing_and_superfluous_symbols_are_noticed() -> None:
    data, indices = make(16)
    for changed in (indices[:-1], [*indices, indices[0]], [indices[0][:-1], *indices[1:]]):
        assert isinstance(outcome(data, changed, PATHS[-1]), int)


def test_a_decoder_that_failed_stays_failed() -> None:
    data, indices = make(16)
    decoder = Decoder(TABLES, data[: len(data) // 2])
    with pytest.raises(CorruptStream, match="ends before"):
        for part in indices:
            decoder.get(part)
    with pytest.raises(CorruptStream, match="failed before"):
        decoder.get(indices[0][:1])
    with pytest.raises(CorruptStream):
        decoder.finish()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends inside its header"),
        (b"\x07", "first byte"),
        (b"\x80", "first byte"),
        (b"\x50", "first byte"),
        (b"\x11", "first byte"),
        (b"\x20\x01", "ends inside its header"),
        (b"\x20\x01\x00", "outside its range"),
        (b"\x40\xff\xff\xff\xff", "outside its range"),
        (b"\x01\xff\xff\x00\x00\x00\x00\x01\x00", "outside its range"),
        (b"\x01\x00\x00\x01\x00", "ends inside its header"),
        (b"\x00\x00", "half a word"),
        (b"\x08\x00", "malformed"),
        (b"\x08\x81\x00\x00", "malformed"),
        (b"\x08" + b"\xff" * 20, "malformed"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "longer than the stream"),
    ],
)
def test_headers_that_are_refused(data: bytes, message: str) -> None:
    for path in PATHS:
        with pytest.raises(CorruptStream, match=message):
            Decoder(TABLES, data, path=path)
    with pytest.raises(CorruptStream):
        ReferenceDecoder(TABLES, data)


@pytest.mark.parametrize("n", [1, 100, 70_000])
def test_many_symbols_from_nothing_end_at_once(n: int) -> None:
    """Few bytes cannot make a decoder work for long: every call is checked block by block."""
    for path in PATHS:
        decoder = Decoder(TABLES, b"\0", path=path)
        with pytest.raises(CorruptStream):
            decoder.get(np.full(n, 2, np.uint8))
            decoder.finish()


def test_corrupt_stream_is_a_value_error() -> None:
    assert issubclass(CorruptStream, ValueError)
