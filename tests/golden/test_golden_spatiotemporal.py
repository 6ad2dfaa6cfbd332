"""Streams of the shipped weights, pinned: the same integers on every path and thread count, and pixels as good."""

from __future__ import annotations

import pytest

import tessera
from tessera.codec.coding import weights
from tessera.models.spatiotemporal.family import SpatiotemporalFamily

from ..support.kernel_paths import available_paths, threads
from .make_golden_spatiotemporal import FOLDER, SAMPLES, digest, sample, symbols_of
from .make_golden_wavelet import psnr

LINES = [line.split() for line in (FOLDER / "expected.txt").read_text().splitlines()]
PINNED = {name: (integers, float(least)) for name, integers, least in LINES[1:]}


@pytest.fixture(scope="module")
def family() -> SpatiotemporalFamily:
    loaded, weights_id = weights.load("spatiotemporal")
    assert weights_id.hex() == LINES[0][1], "new weights: python -m tests.golden.make_golden_spatiotemporal"
    assert isinstance(loaded, SpatiotemporalFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("count", [1, 2])
def test_integers_are_the_same_everywhere(family: SpatiotemporalFamily, name: str, count: int) -> None:
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), SAMPLES[name][0])
    with threads(count):
        for path in available_paths():
            assert digest(family.using(path), symbols, spec) == PINNED[name][0], path


@pytest.mark.parametrize("name", SAMPLES)
def test_pixels_are_as_good(name: str) -> None:
    pixels = sample(*SAMPLES[name][0])
    out = tessera.decode(FOLDER / f"{name}.tsr")
    assert psnr(out.reshape(pixels.shape), pixels) >= PINNED[name][1]


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.tsr")} == set(PINNED) == set(SAMPLES)
