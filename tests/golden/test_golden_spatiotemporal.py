"""Streams of the shipped weights, pinned: the same integers and pixels on every path and thread count, and those of the
second decoder.
"""

from __future__ import annotations

import pytest

import tessera
from tessera.codec.coding import weights
from tessera.models.reference.decoder import decode
from tessera.models.spatiotemporal.family import SpatiotemporalFamily

from ..support.kernel_paths import available_paths, threads
from . import pinned
from .make_golden_spatiotemporal import FOLDER, SAMPLES, integers, sample
from .pinned import INTEGERS, psnr, symbols_of

WEIGHTS, PINS = pinned.read(FOLDER)
BY_REFERENCE = {"small": "standard", "gray": "fast", "one-pixel": "standard"}  # small ones: it is slow


@pytest.fixture(scope="module")
def family() -> SpatiotemporalFamily:
    loaded, weights_id = weights.load("spatiotemporal")
    assert weights_id.hex() == WEIGHTS, "new weights: python -m tests.golden.make_golden_spatiotemporal"
    assert isinstance(loaded, SpatiotemporalFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_the_same_everywhere(family: SpatiotemporalFamily, name: str, path: str, count: int) -> None:
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), SAMPLES[name][0])
    other = family.using(path)
    with threads(count):
        assert integers(other, symbols, spec) == PINS[name, INTEGERS]
        for decoder in other.decoders:
            assert pinned.pixels(other, symbols, spec, decoder) == PINS[name, decoder], decoder


@pytest.mark.parametrize("name", BY_REFERENCE)
def test_the_second_decoder_makes_the_same_pixels(family: SpatiotemporalFamily, name: str) -> None:
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), SAMPLES[name][0])
    frames = decode("spatiotemporal", family.arrays, spec, symbols, BY_REFERENCE[name])
    assert pinned.frame_digests(frames) == PINS[name, BY_REFERENCE[name]]


def test_pixels_are_those_of_the_clip() -> None:
    pixels = sample(*SAMPLES["forward"][0])
    assert psnr(tessera.decode(FOLDER / "forward.tsr").reshape(pixels.shape), pixels) > 32


def test_every_file_is_listed(family: SpatiotemporalFamily) -> None:
    assert {path.stem for path in FOLDER.glob("*.tsr")} == set(SAMPLES)
    assert set(PINS) == {(name, what) for name in SAMPLES for what in (INTEGERS, *family.decoders)}
