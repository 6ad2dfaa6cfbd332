"""One open file for many: threads, forked processes, pickles.  Places are read without a position that they share."""

from __future__ import annotations

import gzip
import io
import multiprocessing
import os
import pickle
import random
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

import tessera
from tessera.codec.format import positioned
from tessera.codec.format.positioned import PositionedFile

from ..support import toy_family

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
FRAMES = 24


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (FRAMES, 8, 8, 3), dtype=np.uint8)
    (tmp_path / "a.tsr").write_bytes(tessera.encode(pixels, codec="toy", quality=60, gop=1))
    return tmp_path / "a.tsr"


class Other(io.BytesIO):
    """A file object of a kind that is not known: it is read under a lock."""


OPENERS: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "bytes": lambda path: path.read_bytes(),
    "file": lambda path: open(path, "rb"),
    "unbuffered": lambda path: open(path, "rb", buffering=0),
    "other": lambda path: Other(path.read_bytes()),
}


@pytest.mark.parametrize("kind", OPENERS)
def test_threads_share_a_clip(path: Path, kind: str, switching: None) -> None:
    whole = tessera.decode(path)
    with tessera.open(OPENERS[kind](path)) as clip, ThreadPoolExecutor(6) as pool:

        def read(seed: int) -> bool:
            chance = random.Random(seed)
            numbers = [chance.randrange(FRAMES) for _ in range(25)]
            return all(np.array_equal(clip[number], whole[number]) for number in numbers)

        assert all(pool.map(read, range(6)))


@pytest.mark.parametrize("kind", ["file", "unbuffered", "other"])
def test_the_position_of_a_file_does_not_matter(path: Path, kind: str) -> None:
    """What threads and processes share: moved between any two reads, and by the reader itself only under its lock."""
    whole, file = tessera.decode(path), OPENERS[kind](path)
    with tessera.open(file) as clip:
        for number in (3, 20, 4):
            file.seek(number)
            assert np.array_equal(clip[number], whole[number])
            assert kind == "other" or file.tell() == number


@pytest.mark.parametrize(("kind", "locked"), [("file", False), ("unbuffered", False), ("other", True)])
def test_plain_files_need_no_lock(path: Path, kind: str, locked: bool) -> None:
    assert (PositionedFile(OPENERS[kind](path)) in positioned._locked) == locked


def test_the_descriptor_of_a_compressed_file_is_not_read(path: Path, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.gz", "wb") as file:
        file.write(path.read_bytes())
    with gzip.open(tmp_path / "a.gz") as packed:
        assert packed.fileno() >= 0
        assert np.array_equal(tessera.decode(packed), tessera.decode(path))  # type: ignore[arg-type]


def test_a_closed_file_is_not_read(path: Path) -> None:
    """Its descriptor may belong to another file by now."""
    clip = tessera.open(path)
    clip.close()
    with open(path, "rb"), pytest.raises(ValueError, match="closed"):
        clip[3]


def test_a_file_in_the_middle_of_another(path: Path) -> None:
    data = path.read_bytes()
    file = io.BytesIO(b"before" + data)
    file.seek(6)
    with tessera.open(file) as clip:
        assert np.array_equal(clip[5], tessera.decode(data)[5])
    assert file.tell() == 6


# -- processes ---------------------------------------------------------------------------------------------------------


def in_fork(work: Callable[[], bool]) -> bool:
    """Whether `work` is true in a forked child; False where it raises, or does not end."""
    import warnings

    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which this is about
        process = context.Process(target=lambda: os._exit(0 if work() else 1))
        process.start()
    process.join(60)
    hangs = process.is_alive()
    if hangs:
        process.kill()
    return not hangs and process.exitcode == 0


@forks
@pytest.mark.parametrize("kind", ["path", "file", "other"])
def test_forked_processes_share_a_clip(path: Path, kind: str) -> None:
    whole = tessera.decode(path)
    with tessera.open(OPENERS[kind](path)) as clip:

        def read(seed: int) -> bool:
            numbers = [random.Random(seed).randrange(FRAMES) for _ in range(200)]
            return all(np.array_equal(clip[number], whole[number]) for number in numbers)

        with ThreadPoolExecutor(3) as pool:
            assert all(pool.map(lambda seed: in_fork(lambda: read(seed)), range(3)))


@forks
def test_a_lock_that_is_held_at_the_fork_is_free_in_the_child(path: Path) -> None:
    file: BinaryIO = Other(path.read_bytes())
    with tessera.open(file) as clip:
        held = threading.Event()
        done = threading.Event()

        def hold() -> None:
            with clip.reader._places._lock:
                held.set()
                done.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        assert in_fork(lambda: clip[2].shape == (8, 8, 3))
        done.set()
        thread.join()


@forks
@pytest.mark.needs("torch")
def test_torch_works_in_a_child_after_threads_ran_in_the_parent() -> None:
    """Its threads do not come along, and it would wait for them."""
    import torch

    clip = np.random.default_rng(1).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    data = tessera.encode(clip, codec="nerv", quality=30, params=3000, epochs=1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        whole = tessera.decode(data)
        (torch.rand(512, 512) @ torch.rand(512, 512)).exp_()  # surely in two threads
        assert in_fork(lambda: tessera.decode(data).shape == whole.shape and torch.get_num_threads() == 1)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_a_clip_can_be_pickled(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(path.parent)
    limits = tessera.Limits(pixels=1 << 10)
    source = Path(path.name) if kind == "path" else path.read_bytes()
    with tessera.open(source, decoder="fast", limits=limits) as clip:
        packed = pickle.dumps(clip)
        expected = clip[7]
    monkeypatch.chdir(tmp_path.parent)
    with pickle.loads(packed) as again:
        assert np.array_equal(again[7], expected)
        assert again.limits == limits


def test_an_open_file_cannot_be_pickled(path: Path) -> None:
    with open(path, "rb") as file, tessera.open(file) as clip, pytest.raises(TypeError, match="by its path"):
        pickle.dumps(clip)
