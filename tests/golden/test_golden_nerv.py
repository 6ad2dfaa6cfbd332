"""Fitted streams, pinned: the same integers however torch computes, and the same pixels but for rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import tessera
from tessera.codec.coding import weights
from tessera.models.nerv.family import NervFamily

from ..support.kernel_paths import threads
from .make_golden_nerv import FOLDER, SAMPLES, digest, strip
from .pinned import symbols_of

LINES = [line.split() for line in (FOLDER / "expected.txt").read_text().splitlines()]
PINNED = dict(LINES[1:])


@pytest.fixture(scope="module")
def family() -> NervFamily:
    loaded, weights_id = weights.load("nerv")
    assert weights_id.hex() == LINES[0][1], "new tables: python -m tests.golden.make_golden_nerv"
    assert isinstance(loaded, NervFamily)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(("count", "mkldnn"), [(1, True), (2, True), (1, False)])
def test_integers_and_pixels_are_the_same_everywhere(family: NervFamily, name: str, count: int, mkldnn: bool) -> None:
    shape, _ = SAMPLES[name]
    data = (FOLDER / f"{name}.tsr").read_bytes()
    expected = np.asarray(Image.open(FOLDER / f"{name}.png")).astype(int)
    with threads(count), torch.backends.mkldnn.flags(enabled=mkldnn):
        assert digest(family, *symbols_of(data, shape)) == PINNED[name]
        pixels = strip(tessera.decode(data).reshape(shape)).astype(int)
    apart = np.abs(pixels - expected.reshape(pixels.shape))
    assert apart.max() <= 1 and (apart > 0).mean() < 0.001


def test_every_file_is_listed() -> None:
    names = {path.stem for path in FOLDER.glob("*.tsr")}
    assert names == {path.stem for path in FOLDER.glob("*.png")} == set(PINNED) == set(SAMPLES)
