"""Streams of the shipped codebooks, pinned: the same indices however torch computes, and pixels as good."""

from __future__ import annotations

import pytest
import torch

import tessera
from tessera.codec.coding import weights
from tessera.models.vqgan.family import VqganFamily

from ..support.kernel_paths import threads
from .make_golden_spatiotemporal import sample
from .make_golden_vqgan import FOLDER, SAMPLES, digest
from .pinned import psnr, symbols_of

LINES = [line.split() for line in (FOLDER / "expected.txt").read_text().splitlines()]
PINNED = {name: (integers, float(least)) for name, integers, least in LINES[1:]}


@pytest.fixture(scope="module")
def family() -> VqganFamily:
    loaded, weights_id = weights.load("vqgan")
    assert weights_id.hex() == LINES[0][1], "new weights: python -m tests.golden.make_golden_vqgan"
    assert isinstance(loaded, VqganFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(("count", "mkldnn"), [(1, True), (2, True), (1, False)])
def test_indices_are_the_same_everywhere(family: VqganFamily, name: str, count: int, mkldnn: bool) -> None:
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), SAMPLES[name][0])
    with threads(count), torch.backends.mkldnn.flags(enabled=mkldnn):
        assert digest(family, symbols, spec) == PINNED[name][0]


@pytest.mark.parametrize("name", SAMPLES)
def test_pixels_are_as_good(name: str) -> None:
    pixels = sample(*SAMPLES[name][0])
    out = tessera.decode(FOLDER / f"{name}.tsr")
    assert psnr(out.reshape(pixels.shape), pixels) >= PINNED[name][1]


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.tsr")} == set(PINNED) == set(SAMPLES)
