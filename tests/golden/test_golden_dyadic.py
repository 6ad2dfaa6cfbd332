"""Streams of small weights whose frames on their own are dyadic pyramids, pinned: the same integers and pixels on every
path and thread count, and those of the second decoder.
"""

from __future__ import annotations

import pytest

from tessera.codec.coding import weights
from tessera.models.spatiotemporal.family import SpatiotemporalFamily

from ..support import small_dyadic
from ..support.kernel_paths import available_paths, threads
from . import pinned
from .make_golden_dyadic import FOLDER, SAMPLES
from .make_golden_spatiotemporal import integers
from .pinned import Streams

STREAMS = Streams("spatiotemporal", FOLDER, {name: sample[0] for name, sample in SAMPLES.items()})
WITHOUT_NETWORK = ("low", "gray")  # the second decoder is slow: it decodes each stream once


@pytest.fixture(scope="module")
def family() -> SpatiotemporalFamily:
    found = weights.identify(small_dyadic.arrays()).hex()
    assert found == pinned.read(FOLDER)[0], "other weights: python -m tests.golden.make_golden_dyadic"
    return small_dyadic.family()


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("count", [1, 2])
def test_the_same_everywhere(family: SpatiotemporalFamily, path: str, count: int) -> None:
    other = family.using(path)
    with threads(count):
        for name in SAMPLES:
            STREAMS.check(other, name, integers(other, *STREAMS.stream(name)))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_second_decoder_makes_the_same_pixels(family: SpatiotemporalFamily, name: str) -> None:
    STREAMS.check_second_decoder(family.arrays, name, "fast" if name in WITHOUT_NETWORK else "standard")


def test_every_file_is_listed(family: SpatiotemporalFamily) -> None:
    STREAMS.check_list(family.decoders)
