"""Fitted pictures, pinned: the same integers and pixels on every path and number of threads, and by the reference."""

from __future__ import annotations

import numpy as np
import pytest

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.models.overfitted.family import OverfittedFamily
from tessera.models.reference import overfitted as reference

from ..support.kernel_paths import available_paths, threads
from . import pinned
from .make_golden_overfitted import FOLDER, SAMPLES, integers

WEIGHTS, PINS = pinned.read(FOLDER)


@pytest.fixture(scope="module")
def family() -> OverfittedFamily:
    loaded, weights_id = weights.load("overfitted")
    assert weights_id.hex() == WEIGHTS, "new tables: python -m tests.golden.make_golden_overfitted"
    assert isinstance(loaded, OverfittedFamily)
    return loaded


def stream(name: str) -> bytes:
    return (FOLDER / f"{name}.tsr").read_bytes()


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_integers_and_pixels_are_the_same_everywhere(
    family: OverfittedFamily, name: str, path: str, count: int
) -> None:
    symbols, spec = pinned.symbols_of(stream(name), SAMPLES[name][0])
    other = family.using(path)
    with threads(count):
        assert integers(other, symbols, spec) == PINS[name, pinned.INTEGERS]
        assert pinned.pixels(other, symbols, spec, "standard") == PINS[name, "standard"]


@pytest.mark.parametrize("name", SAMPLES)
def test_files_decode_to_these_pixels(name: str) -> None:
    shape = SAMPLES[name][0]
    assert pinned.frame_digests(np.reshape(tessera.decode(stream(name)), shape)) == PINS[name, "standard"]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_reference_decoder_makes_the_same_pixels(name: str, family: OverfittedFamily) -> None:
    symbols, spec = pinned.symbols_of(stream(name), SAMPLES[name][0])
    port = DecoderPort(family.tables, symbols)
    assert pinned.frame_digests(reference.decode(spec, port)) == PINS[name, "standard"]
    port.finish()


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.tsr")} == set(SAMPLES) == {name for name, _ in PINS}
