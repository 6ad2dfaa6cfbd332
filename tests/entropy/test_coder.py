"""The coder: every path against the plain-Python twin, pinned bytes, exactness of escapes, calls, arguments."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.entropy import CorruptStream, Decoder, Encoder, Tables, cpu_path, cpu_paths, crc32c, fit_table
from tessera.entropy.reference import ReferenceDecoder, ReferenceEncoder, reference_crc32c

Call = tuple[NDArray[np.int32], NDArray[np.uint8]]

PATHS = cpu_paths()
LANES = [1, 2, 4, 8, 16, 32, 64]
INT32 = np.iinfo(np.int32)


def random_tables(rng: np.random.Generator, count: int, *, wide: bool) -> Tables:
    """Rows of any size with frequencies from flat to extreme."""
    rows = []
    for _ in range(count):
        size = int(rng.integers(2, 257))
        weights = rng.random(size) ** rng.integers(1, 40)
        frequencies = 1 + rng.multinomial(4096 - size, weights / weights.sum())
        low = int(rng.integers(INT32.min, INT32.max - size)) if wide else int(rng.integers(-127, 128 - size + 2))
        rows.append((frequencies.astype(np.uint16), low))
    return Tables.stack(rows)


def random_calls(rng: np.random.Generator, tables: Tables, sizes: list[int], escapes: float) -> list[Call]:
    """Symbols drawn from the tables, a share of them replaced by any int32."""
    calls = []
    for n in sizes:
        indices = rng.integers(0, len(tables), n).astype(np.uint8)
        places = rng.integers(0, 1 << 30, n) % (tables.sizes[indices] - 1)
        symbols = tables.lows[indices].astype(np.int64) + places
        outside = rng.random(n) < escapes
        symbols[outside] = rng.integers(INT32.min, INT32.max, int(outside.sum()), endpoint=True)
        calls.append((symbols.astype(np.int32), indices))
    return calls


def encode(tables: Tables, calls: list[Call], **options: Any) -> bytes:
    encoder = Encoder(tables, **options)
    for symbols, indices in calls:
        encoder.put(symbols, indices)
    return encoder.finish()


def check_decode(tables: Tables, data: bytes, calls: list[Call], path: str) -> None:
    decoder = Decoder(tables, data, path=path)
    for symbols, indices in calls:
        np.testing.assert_array_equal(decoder.get(indices), symbols)
    decoder.finish()


def twin_encode(tables: Tables, calls: list[Call], lanes: int = 0) -> bytes:
    encoder = ReferenceEncoder(tables, lanes)
    for symbols, indices in calls:
        encoder.put(symbols.tolist(), indices.tolist())
    return encoder.finish()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("lanes", LANES)
def test_every_path_writes_and_reads_the_twins_bytes(lanes: int, wide: bool) -> None:
    rng = np.random.default_rng(lanes + 100 * wide)
    for escapes in (0.0, 0.01, 0.5):
        tables = random_tables(rng, int(rng.integers(1, 20)), wide=wide)
        sizes = [0, 1, lanes - 1, lanes, lanes + 1, *rng.integers(0, 300, 3).tolist(), 0]
        calls = random_calls(rng, tables, sizes, escapes)
        data = twin_encode(tables, calls, lanes)
        twin = ReferenceDecoder(tables, data)
        for symbols, indices in calls:
            assert twin.get(indices.tolist()) == symbols.tolist()
        twin.finish()
        for path in PATHS:
            assert encode(tables, calls, path=path, lanes=lanes) == data
            check_decode(tables, data, calls, path)


def test_paths_agree_on_large_input_and_on_the_lanes() -> None:
    rng = np.random.default_rng(7)
    for count, wide, escapes in itertools.product((3, 256), (False, True), (0.0, 1e-3)):
        tables = random_tables(rng, count, wide=wide)
        calls = random_calls(rng, tables, [50_000, 8192, 8193, 17, 140_001], escapes)
        for lanes in (0, 64):
            streams = {encode(tables, calls, path=path, lanes=lanes) for path in PATHS}
            assert len(streams) == 1
            data = streams.pop()
            assert data[0] & 7 == 6 if lanes else data[0] & 7 >= 4
            for path in PATHS:
                check_decode(tables, data, calls, path)


@pytest.mark.parametrize("symbols", [10, 3000, 9000, 30_000])
def test_the_rule_for_lanes_is_the_twins(symbols: int) -> None:
    rng = np.random.default_rng(symbols)
    tables = random_tables(rng, 5, wide=False)
    calls = random_calls(rng, tables, [symbols], 0.0)
    data = twin_encode(tables, calls)
    assert {encode(tables, calls, path=path) for path in PATHS} == {data}
    assert 1 << (data[0] & 7) <= max(1, len(data) / 4000)


SMALL = Tables.stack(
    [
        (np.array([1000, 3000, 90, 6], np.uint16), -1),
        (np.array([4095, 1], np.uint16), 0),
        (np.array([1, 2, 4, 8, 16, 32, 64, 3969], np.uint16), 1000),
    ]
)

PINNED = {
    1: "481aa898c208238c0de08c2e3cdd07a01900806f110100008011fcff3f00000040000000400600e05b04",
    2: "091a6149e10041220a00fb6fbabe7ef0a453fcdf1900806f110100008011fcff3f00000040000000400600e05b04",
    8: (
        "0b1af0dd0100cf601000cb3f4000aab22a00ffbf2b00f5dd0100feefda0a070000026f0dff0ffeaf1900806f11010000"
        "8011fcff3f00000040000000400600e05b04"
    ),
}


def test_pinned_bytes() -> None:
    """Words written down once: a change of the format shows here and nowhere quietly."""
    symbols = np.array([0, -1, 1, 0, 5, 0, -70000, 1003, 0, 1006, INT32.max, INT32.min, 0, 0, -1], np.int32)
    indices = np.array([0, 0, 0, 1, 1, 0, 0, 2, 0, 2, 2, 1, 0, 1, 0], np.uint8)
    calls = [(symbols, indices), (symbols[3:9], indices[3:9])]
    for lanes, text in PINNED.items():
        assert encode(SMALL, calls, lanes=lanes).hex() == text
        check_decode(SMALL, bytes.fromhex(text), calls, PATHS[-1])


def test_nothing_costs_one_byte() -> None:
    assert Encoder(SMALL).finish() == b"\0"
    Decoder(SMALL, b"\0").finish()
    empty = np.zeros(0, np.uint8)
    assert Decoder(SMALL, b"\0").get(empty).shape == (0,)


def test_certain_symbols_cost_next_to_nothing() -> None:
    zeros = np.zeros(100_000, np.int32)
    data = encode(SMALL, [(zeros, np.ones(100_000, np.uint8))])
    assert len(data) <= 1 + 2 + 100_000 * 0.000353 / 8 + 2


def test_every_int32_is_exact() -> None:
    near = np.concatenate([low + np.arange(-3, 12) for low in (-1, 0, 1000)])
    powers = np.array([s * (1 << k) + d for k in range(31) for s in (1, -1) for d in (-1, 0, 1)])
    symbols = np.concatenate([near, powers, [INT32.min, INT32.max]]).astype(np.int32)
    for table, path in itertools.product(range(3), PATHS):
        indices = np.full(len(symbols), table, np.uint8)
        check_decode(SMALL, encode(SMALL, [(symbols, indices)], path=path), [(symbols, indices)], path)


@pytest.mark.parametrize("low", [INT32.min, INT32.min + 1, INT32.max - 2])
def test_tables_at_the_ends_of_int32(low: int) -> None:
    tables = Tables.stack([(np.array([2000, 1000, 1000, 96], np.uint16), low)])
    symbols = np.array([INT32.min, INT32.max, 0, low, low + 1, low + 2, -1], np.int64).astype(np.int32)
    indices = np.zeros(len(symbols), np.uint8)
    for path in PATHS:
        check_decode(tables, encode(tables, [(symbols, indices)], path=path), [(symbols, indices)], path)


def test_size_is_what_the_tables_say() -> None:
    """Estimated bits against real bytes: within 3 bytes for one lane, and 0.1 % for many."""
    rng = np.random.default_rng(3)
    x = np.arange(-200, 201)
    tables = Tables.stack([fit_table(np.exp(-0.5 * (x / s) ** 2), -200) for s in (0.2, 0.6, 2.0, 7.0, 30.0)])
    for n in (1, 20, 1000, 5000, 200_000, 1_000_000):
        indices = rng.integers(0, 5, n).astype(np.uint8)
        symbols = np.rint(rng.normal(size=n) * np.array([0.2, 0.6, 2.0, 7.0, 30.0])[indices]).astype(np.int32)
        size, ideal = len(encode(tables, [(symbols, indices)])), tables.bits(symbols, indices).sum(dtype=float) / 8
        assert ideal - 1 <= size <= ideal * 1.001 + 6


def test_calls_start_at_lane_zero() -> None:
    rng = np.random.default_rng(4)
    tables = random_tables(rng, 4, wide=False)
    ((symbols, indices),) = random_calls(rng, tables, [1000], 0.01)
    steps = [(symbols[a : a + 7], indices[a : a + 7]) for a in range(0, 1000, 7)]
    data = encode(tables, steps, lanes=16)
    check_decode(tables, data, steps, PATHS[-1])
    with pytest.raises(CorruptStream):
        decoder = Decoder(tables, data)
        decoder.get(indices)
        decoder.finish()


def test_encoder_and_decoder_take_any_shape_layout_and_integer_type() -> None:
    rng = np.random.default_rng(5)
    tables = random_tables(rng, 4, wide=False)
    symbols = rng.integers(-5, 6, (6, 8, 4))
    indices = rng.integers(0, 4, (6, 8, 4))
    flat = [(symbols.reshape(-1).astype(np.int32), indices.reshape(-1).astype(np.uint8))]
    data = encode(tables, flat)
    variants = (symbols, symbols.astype(np.int8), np.asfortranarray(symbols), symbols.astype(">i4"), symbols.tolist())
    for variant in variants:
        encoder = Encoder(tables)
        encoder.put(variant, indices)  # type: ignore[arg-type]
        assert encoder.finish() == data
    out = np.empty((6, 8, 4), np.int32)
    for buffer in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        assert Decoder(tables, buffer).get(indices.astype(np.uint8), out) is out
        np.testing.assert_array_equal(out, symbols)


def test_an_encoder_can_be_used_again() -> None:
    encoder = Encoder(SMALL)
    ones = np.ones(5, np.int32)
    encoder.put(ones, np.zeros(5, np.uint8))
    first = encoder.finish()
    encoder.put(ones, np.zeros(5, np.uint8))
    assert encoder.finish() == first
    assert encoder.finish() == b"\0"


@pytest.mark.parametrize(
    ("symbols", "indices", "message"),
    [
        (np.zeros(3, np.float32), np.zeros(3, np.uint8), "symbols must be integers"),
        (np.array([1 << 31]), np.zeros(1, np.uint8), "symbols must fit in int32"),
        (np.zeros(1, np.int32), np.array([256]), "indices must fit in uint8"),
        (np.zeros(1, np.int32), np.array([-1]), "indices must fit in uint8"),
        (np.zeros(3, np.int32), np.zeros(4, np.uint8), "have shape"),
        (np.zeros(3, np.int32), np.full(3, 3, np.uint8), "index 3 has no table"),
    ],
)
def test_put_refuses(symbols: NDArray[Any], indices: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Encoder(SMALL).put(symbols, indices)


def test_get_refuses() -> None:
    data = encode(SMALL, [(np.zeros(4, np.int32), np.zeros(4, np.uint8))])
    indices = np.zeros(4, np.uint8)
    with pytest.raises(ValueError, match="no table"):
        Decoder(SMALL, data).get(np.full(4, 9, np.uint8))
    read_only = np.zeros(4, np.int32)
    read_only.setflags(write=False)
    for out in (np.zeros(5, np.int32), np.zeros(4, np.int64), np.zeros(8, np.int32)[::2], read_only):
        with pytest.raises(ValueError, match="out must be"):
            Decoder(SMALL, data).get(indices, out)  # type: ignore[arg-type]


def test_paths_and_lanes_are_checked() -> None:
    with pytest.raises(ValueError, match="path must be"):
        Encoder(SMALL, path="sse9")
    with pytest.raises(ValueError, match="power of two"):
        Encoder(SMALL, lanes=3)
    assert cpu_path() in PATHS and cpu_path("scalar") == "scalar"


def test_threads_share_tables_and_get_the_same_bytes() -> None:
    rng = np.random.default_rng(6)
    tables = random_tables(rng, 8, wide=False)
    calls = random_calls(rng, tables, [100_000], 0.001)
    expected, results = encode(tables, calls), []
    threads = [threading.Thread(target=lambda: results.append(encode(tables, calls))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


def test_two_threads_on_one_encoder_are_refused() -> None:
    encoder = Encoder(SMALL)
    symbols, indices = np.zeros(1 << 20, np.int32), np.zeros(1 << 20, np.uint8)
    refused = threading.Event()

    def put() -> None:
        for _ in range(60):
            try:
                encoder.put(symbols, indices)
            except RuntimeError:
                refused.set()
            if refused.is_set():
                return

    threads = [threading.Thread(target=put) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused.is_set()


def test_crc32c() -> None:
    """The check value of the polynomial, the vectors of RFC 3720 B.4, and both paths against the twin."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    data = np.random.default_rng(8).bytes(300)
    for start, stop in [(0, 0), (0, 1), (1, 8), (3, 20), (5, 300)]:
        part = data[start:stop]
        twin = reference_crc32c(part)
        assert crc32c(part) == crc32c(part, table=True) == twin
        assert crc32c(part[9:], crc32c(part[:9])) == twin
