"""Groups read by several threads: the order, errors and results of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

import tessera
from tessera.codec.errors import FormatError
from tessera.codec.reading.side_by_side import in_order
from tessera.data import procedural
from tessera.models import _kernels
from tessera.models.base import kernels
from tessera.models.base.ahead import one_ahead

from ..support.kernel_paths import available_paths


@pytest.fixture(params=[1, 3])
def count(request: pytest.FixtureRequest) -> Iterator[int]:
    kernels.set_threads(request.param)
    yield int(request.param)
    kernels.set_threads(0)


def test_order_and_threads(count: int) -> None:
    """Later work that ends first waits its turn; the source is asked here, work is done on threads of its own."""
    here, asked, seen = threading.get_ident(), [], set()

    def given() -> Iterator[int]:
        for number in range(12):
            asked.append(threading.get_ident())
            yield number

    def work(number: int) -> int:
        seen.add((threading.get_ident() == here, kernels.threads()))
        time.sleep(0.002 * (number % 3 == 0))
        return number * number

    assert list(in_order(work, given(), 12)) == [n * n for n in range(12)]
    assert set(asked) == {here}
    assert seen == ({(True, 1)} if count == 1 else {(False, 1)})
    assert kernels.threads() == count


def test_one_ahead(count: int) -> None:
    """The next thing is made on another thread while one is worked on; order and errors stay."""
    here, seen = threading.get_ident(), set()

    def given() -> Iterator[int]:
        for number in range(5):
            seen.add((threading.get_ident() == here, kernels.threads()))
            yield number
        raise ValueError("number 5")

    made: list[int] = []
    with pytest.raises(ValueError, match="number 5"), one_ahead(given(), 6) as items:
        for item in items:
            made.append(item)
            assert kernels.threads() == (1 if count == 1 else 2)
    assert made == [0, 1, 2, 3, 4] and kernels.threads() == count
    assert seen == ({(True, 1)} if count == 1 else {(False, 1)})
    with one_ahead(iter([7]), 1) as items:  # one thing keeps its threads
        assert next(items) == 7 and kernels.threads() == count


def test_frames_do_not_depend_on_threads() -> None:
    data = tessera.encode(procedural.clip(6, 40, 72), codec="spatiotemporal", fps=25)
    found = []
    for number in (1, 2, 5):
        kernels.set_threads(number)
        found.append(tessera.decode(data))
    kernels.set_threads(0)
    assert all(np.array_equal(found[0], other) for other in found[1:])


def test_one_thing_keeps_its_threads() -> None:
    kernels.set_threads(3)
    try:
        assert list(in_order(lambda _: kernels.threads(), [0], 1)) == [3]
    finally:
        kernels.set_threads(0)


def test_the_first_error_is_raised(count: int) -> None:
    def work(number: int) -> int:
        if number in (4, 5):
            raise ValueError(f"number {number}")
        return number

    made = []
    with pytest.raises(ValueError, match="number 4"):
        for one in in_order(work, range(40), 40):
            made.append(one)
    assert made == [0, 1, 2, 3]


def test_latents_do_not_depend_on_threads() -> None:
    data = bytearray(tessera.encode(procedural.clip(5, 40, 72), codec="wavelet", fps=25, gop=1))
    found = []
    for number in (1, 4):
        kernels.set_threads(number)
        with tessera.open(bytes(data)) as clip:
            found.append(clip.latents())
            last = clip.reader.entries[-1]
    assert np.array_equal(found[0].x, found[1].x) 
    assert found[0].bits is not None and found[1].bits is not None and np.array_equal(found[0].bits, found[1].bits)
    assert found[0].times.tolist() == found[1].times.tolist()
    assert last.offset is not None
    data[last.offset + last.size // 2] ^= 255
    try:
        with tessera.open(bytes(data)) as clip, pytest.raises(FormatError, match="group 4"):
            clip.latents()
    finally:
        kernels.set_threads(0)


def test_latents_of_cells_together() -> None:
    """Every number of channels, cells that fill no whole block."""
    random = np.random.default_rng(1)
    low = random.integers(-70000, 70000, (3, 7, 13), np.int32)
    bands = random.integers(-70000, 70000, (20, 7, 13), np.int32)
    units = random.random(20, np.float32)
    whole = np.concatenate([low.astype(np.float32) * np.float32(0.3), bands.astype(np.float32) * units[:, None, None]])
    for path in available_paths():
        for channels in (1, 2, 3, 4, 23):
            out = np.full((7, 13, channels), np.nan, np.float32)
            _kernels.to_cells(low, 0.3, bands, units, out, 1, path)
            assert np.array_equal(out, whole[:channels].transpose(1, 2, 0))
    with pytest.raises(ValueError, match="out must be"):
        _kernels.to_cells(low, 0.3, bands, units, np.empty((7, 13, 24), np.float32))
    with pytest.raises(ValueError, match="units"):
        _kernels.to_cells(low, 0.3, bands, units[:4], np.empty((7, 13, 5), np.float32))
