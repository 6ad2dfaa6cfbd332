"""Streams of the shipped weights, pinned: the same integers and pixels on every path and thread count, and those of the
second decoder.
"""

from __future__ import annotations

import numpy as np
import pytest

import tessera
from tessera.codec.coding import weights
from tessera.models.reference.decoder import decode
from tessera.models.wavelet.family import WaveletFamily

from ..support.kernel_paths import available_paths, threads
from . import pinned
from .make_golden_wavelet import FOLDER, SAMPLES, sample
from .pinned import INTEGERS, psnr, symbols_of

WEIGHTS, PINS = pinned.read(FOLDER)
BY_REFERENCE = {"gray": "standard", "high": "standard", "one-pixel": "fast", "thin": "fast"}  # small ones: it is slow


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    loaded, weights_id = weights.load("wavelet")
    assert weights_id.hex() == WEIGHTS, "new weights: python -m tests.golden.make_golden_wavelet"
    assert isinstance(loaded, WaveletFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_the_same_everywhere(family: WaveletFamily, name: str, path: str, count: int) -> None:
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), SAMPLES[name][0])
    other = family.using(path)
    with threads(count):
        assert pinned.integers(other, symbols, spec, other.integers) == PINS[name, INTEGERS]
        for decoder in other.decoders:
            assert pinned.pixels(other, symbols, spec, decoder) == PINS[name, decoder], decoder


@pytest.mark.parametrize("name", BY_REFERENCE)
def test_the_second_decoder_makes_the_same_pixels(family: WaveletFamily, name: str) -> None:
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), SAMPLES[name][0])
    frames = decode("wavelet", family.arrays, spec, symbols, BY_REFERENCE[name])
    assert pinned.frame_digests(frames) == PINS[name, BY_REFERENCE[name]]


def test_pixels_are_those_of_the_picture() -> None:
    pixels = sample(*SAMPLES["high"][0][1:])
    assert psnr(tessera.decode(FOLDER / "high.tsr"), pixels) > 38


def test_every_file_is_listed(family: WaveletFamily) -> None:
    assert {path.stem for path in FOLDER.glob("*.tsr")} == set(SAMPLES)
    assert set(PINS) == {(name, what) for name in SAMPLES for what in (INTEGERS, *family.decoders)}


def test_a_flipped_byte_is_named_as_damage() -> None:
    data = bytearray((FOLDER / "middle.tsr").read_bytes())
    for place in np.linspace(8, len(data) - 1, 40).astype(int):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(tessera.CodecError):
            tessera.decode(bytes(damaged))
