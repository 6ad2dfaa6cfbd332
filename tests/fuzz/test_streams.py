"""A slice of the mutated files that `python -m tests.fuzz.streams` makes by the million."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import tessera

from . import streams
from .invent import invented
from .mutate import join, mutated, reindexed, split

EXACT = ("wavelet", "spatiotemporal", "vqgan", "overfitted")


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return streams.seeds(EXACT)


def test_no_finding_among_the_first_cases(files: dict[str, bytes]) -> None:
    found = streams.Findings()
    cases = streams.Cases(files)
    for number in range(250):
        cases.run(number, found)
    assert found.found == []
    made = {outcome.split()[0] for outcome in found.outcomes}
    assert made == {"damaged", "repaired", "invented"}
    assert {outcome.split()[2] for outcome in found.outcomes} >= {"accepted", "refused"}


def test_a_case_is_its_number(files: dict[str, bytes]) -> None:
    one, other = streams.Cases(files), streams.Cases(files)
    assert all(one.make(number).data == other.make(number).data for number in range(20))


def test_a_fault_is_found(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An exception that is no CodecError, in one of the ways of reading."""

    def broken(data: bytes) -> None:
        raise IndexError("a fault")

    monkeypatch.setattr(streams, "WAYS", dict.fromkeys(streams.WAYS, broken))
    found = streams.Findings()
    streams.Cases(files, keep=tmp_path).run(0, found)
    assert [one["case"] for one in found.found] == [0]
    assert "IndexError: a fault" in found.found[0]["what"]
    assert len(list(tmp_path.iterdir())) == 1


def test_other_pixels_are_found(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_plain", lambda data: np.zeros((1, 1), np.uint8))
    cases, found = streams.Cases(files), streams.Findings()
    damaged = next(number for number in range(100) if cases.make(number).kind == "damaged")
    cases.run(damaged, found)
    assert "other pixels" in found.found[0]["what"]


def test_a_child_that_dies_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case at fault is named, and the cases around it are run all the same."""
    (tmp_path / "wavelet-still.tsr").write_bytes(streams.seeds(("wavelet",))["wavelet-still"])
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if '--child' in sys.argv:\n"
        "    real = os.pwrite\n"
        "    def pwrite(fd, data, at):\n"
        "        real(fd, data, at)\n"
        "        if int(data) == 3: os.abort()\n"
        "    os.pwrite = pwrite\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    found = streams.batch(tmp_path, 0, 0, 6, None)
    assert found["cases"] == 6
    assert [one["case"] for one in found["found"]] == [3]
    assert "status -6" in found["found"][0]["what"]


@pytest.mark.parametrize("name", ["wavelet-clip", "wavelet-alpha-clip", "vqgan-still"])
def test_sound_files_stay_as_they_are(files: dict[str, bytes], name: str) -> None:
    """Splitting, indexing anew and joining changes no byte, so that damage is all that changes."""
    assert join(reindexed(split(files[name]))) == files[name]


def test_every_case_is_damaged(files: dict[str, bytes]) -> None:
    rng, seed = random.Random(1), files["wavelet-clip"]
    same = sum(mutated(rng, seed, [seed])[0] == seed for _ in range(200))
    assert same < 40


@pytest.mark.parametrize("codec", EXACT[:3])  # overfitted reads grids through the coder alone
def test_invented_symbols_decode_to_the_same_pixels(codec: str) -> None:
    """What a family made of symbols as it asked for them, it makes again of their stream."""
    accepted = 0
    for number in range(12):
        data, frames = invented(random.Random(number), codec)
        if frames is not None:
            assert np.array_equal(tessera.decode(data).ravel(), frames.ravel())
            accepted += 1
    assert accepted
