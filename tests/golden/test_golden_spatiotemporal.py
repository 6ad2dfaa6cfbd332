"""Streams of the shipped weights, pinned: the same integers and pixels on every path and thread count, and those of the
second decoder.
"""

from __future__ import annotations

import pytest

import tessera
from tessera.models.spatiotemporal.family import SpatiotemporalFamily

from ..support.kernel_paths import available_paths, threads
from .make_golden_spatiotemporal import FOLDER, SAMPLES, integers, sample
from .pinned import Streams, psnr

STREAMS = Streams("spatiotemporal", FOLDER, {name: sample[0] for name, sample in SAMPLES.items()})
BY_REFERENCE = {"small": "standard", "gray": "fast", "one-pixel": "standard"}  # small ones: it is slow


@pytest.fixture(scope="module")
def family() -> SpatiotemporalFamily:
    loaded = STREAMS.load()
    assert isinstance(loaded, SpatiotemporalFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_the_same_everywhere(family: SpatiotemporalFamily, name: str, path: str, count: int) -> None:
    other = family.using(path)
    with threads(count):
        STREAMS.check(other, name, integers(other, *STREAMS.stream(name)))


@pytest.mark.parametrize("name", BY_REFERENCE)
def test_the_second_decoder_makes_the_same_pixels(family: SpatiotemporalFamily, name: str) -> None:
    STREAMS.check_second_decoder(family.arrays, name, BY_REFERENCE[name])


def test_pixels_are_those_of_the_clip() -> None:
    pixels = sample(*SAMPLES["forward"][0])
    assert psnr(tessera.decode(FOLDER / "forward.tsr").reshape(pixels.shape), pixels) > 32


def test_every_file_is_listed(family: SpatiotemporalFamily) -> None:
    STREAMS.check_list(family.decoders)
