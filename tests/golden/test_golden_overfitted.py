"""Fitted pictures, pinned: the same integers and pixels on every path and number of threads, and by the reference."""

from __future__ import annotations

import numpy as np
import pytest

import tessera
from tessera.codec.coding.ports import DecoderPort
from tessera.models.overfitted.family import OverfittedFamily
from tessera.models.reference import overfitted as reference

from ..support.kernel_paths import available_paths, threads
from . import pinned
from .make_golden_overfitted import FOLDER, SAMPLES, integers

STREAMS = pinned.Streams("overfitted", FOLDER, {name: sample[0] for name, sample in SAMPLES.items()})


@pytest.fixture(scope="module")
def family() -> OverfittedFamily:
    loaded = STREAMS.load()
    assert isinstance(loaded, OverfittedFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_integers_and_pixels_are_the_same_everywhere(
    family: OverfittedFamily, name: str, path: str, count: int
) -> None:
    other = family.using(path)
    with threads(count):
        STREAMS.check(other, name, integers(other, *STREAMS.stream(name)))


@pytest.mark.parametrize("name", SAMPLES)
def test_files_decode_to_these_pixels(name: str) -> None:
    frames = np.reshape(tessera.decode(FOLDER / f"{name}.tsr"), STREAMS.shapes[name])
    assert pinned.frame_digests(frames) == STREAMS.pins[name, "standard"]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_reference_decoder_makes_the_same_pixels(name: str, family: OverfittedFamily) -> None:
    symbols, spec = STREAMS.stream(name)
    port = DecoderPort(family.tables, symbols)
    assert pinned.frame_digests(reference.decode(spec, port)) == STREAMS.pins[name, "standard"]
    port.finish()


def test_every_file_is_listed(family: OverfittedFamily) -> None:
    STREAMS.check_list(family.decoders)
