"""Streams of the shipped weights, pinned: the same integers and pixels on every path and thread count, and those of the
second decoder.
"""

from __future__ import annotations

import numpy as np
import pytest

import tessera
from tessera.models.wavelet.family import WaveletFamily

from ..support.kernel_paths import available_paths, threads
from . import pinned
from .make_golden_wavelet import FOLDER, SAMPLES, sample
from .pinned import Streams, psnr

STREAMS = Streams("wavelet", FOLDER, {name: sample[0] for name, sample in SAMPLES.items()})
BY_REFERENCE = {"gray": "standard", "high": "standard", "one-pixel": "fast", "thin": "fast"}  # small ones: it is slow


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    loaded = STREAMS.load()
    assert isinstance(loaded, WaveletFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_the_same_everywhere(family: WaveletFamily, name: str, path: str, count: int) -> None:
    other = family.using(path)
    with threads(count):
        STREAMS.check(other, name, pinned.integers(other, *STREAMS.stream(name), other.integers))


@pytest.mark.parametrize("name", BY_REFERENCE)
def test_the_second_decoder_makes_the_same_pixels(family: WaveletFamily, name: str) -> None:
    STREAMS.check_second_decoder(family.arrays, name, BY_REFERENCE[name])


def test_pixels_are_those_of_the_picture() -> None:
    pixels = sample(*SAMPLES["high"][0][1:])
    assert psnr(tessera.decode(FOLDER / "high.tsr"), pixels) > 38


def test_every_file_is_listed(family: WaveletFamily) -> None:
    STREAMS.check_list(family.decoders)


def test_a_flipped_byte_is_named_as_damage() -> None:
    data = bytearray((FOLDER / "middle.tsr").read_bytes())
    for place in np.linspace(8, len(data) - 1, 40).astype(int):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(tessera.CodecError):
            tessera.decode(bytes(damaged))
