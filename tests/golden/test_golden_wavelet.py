"""Streams of the shipped weights, pinned: the same integers under every setting there is, and pixels as good."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import tessera
from tessera.codec.coding import weights
from tessera.models.wavelet.family import WaveletFamily
from tessera.models.wavelet.native import NativeWavelet

from ..support.kernel_paths import available_paths, threads
from .make_golden_wavelet import FOLDER, SAMPLES, digest, psnr, sample, symbols_of

LINES = [line.split() for line in (FOLDER / "expected.txt").read_text().splitlines()]
PINNED = {name: (integers, float(least)) for name, integers, least in LINES[1:]}


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    loaded, weights_id = weights.load("wavelet")
    assert weights_id.hex() == LINES[0][1], "new weights: python -m tests.golden.make_golden_wavelet"
    assert isinstance(loaded, WaveletFamily)
    return loaded


def settings(family: WaveletFamily) -> dict[str, WaveletFamily]:
    """The torch path, and the kernels on every path that this processor has."""
    found = {}
    for path in ("torch", *available_paths()):
        other = copy.copy(family)
        other.native = None if path == "torch" else NativeWavelet(family.model, family.rate_weight, path)
        found[path] = other
    return found


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("count", [1, 2])
def test_integers_are_the_same_everywhere(family: WaveletFamily, name: str, count: int) -> None:
    height, width, channels, _ = SAMPLES[name]
    symbols, spec = symbols_of((FOLDER / f"{name}.tsr").read_bytes(), height, width, channels)
    with threads(count):
        for path, other in settings(family).items():
            assert digest(other, symbols, spec) == PINNED[name][0], path
        with torch.backends.mkldnn.flags(enabled=False):
            assert digest(settings(family)["torch"], symbols, spec) == PINNED[name][0]


@pytest.mark.parametrize("name", SAMPLES)
def test_pixels_are_as_good(name: str) -> None:
    height, width, channels, _ = SAMPLES[name]
    pixels = sample(height, width, channels)
    out = tessera.decode(FOLDER / f"{name}.tsr")
    assert out.shape == pixels.shape
    assert psnr(out, pixels) >= PINNED[name][1]


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.tsr")} == set(PINNED) == set(SAMPLES)


def test_a_flipped_byte_is_named_as_damage(family: WaveletFamily) -> None:
    data = bytearray((FOLDER / "middle.tsr").read_bytes())
    for place in np.linspace(8, len(data) - 1, 40).astype(int):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(tessera.CodecError):
            tessera.decode(bytes(damaged))
