"""Effort slow: pictures whose roundings follow gradients of the decoder."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

import tessera
from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.base.ports import Nowhere
from tessera.models.transform.lifted import LOW_FACTOR, UNITS
from tessera.models.wavelet import refinement
from tessera.models.wavelet.family import WaveletFamily
from tessera.models.wavelet.refinement import Refinement


@pytest.mark.parametrize("codec", ["wavelet", "spatiotemporal"])
@pytest.mark.parametrize("shape", [(120, 160, 3), (41, 90, 1)])
def test_slow_makes_a_smaller_error_of_as_many_bytes(codec: str, shape: tuple[int, int, int]) -> None:
    pixels = procedural.picture(*shape[:2])[..., : shape[2]].copy()
    sizes, errors = [], []
    for effort in ("fast", "slow"):
        data = tessera.encode(pixels, codec=codec, quality=50, effort=effort, rate_weight=0.11)
        sizes.append(len(data))
        back = tessera.decode(data).astype(np.float64).reshape(shape)
        errors.append(float(np.square(back - pixels).mean()))
    assert sizes[1] < 1.02 * sizes[0]
    assert errors[1] * sizes[1] < 0.985 * errors[0] * sizes[0]  # at these rates 1 % of either is worth about the same


def test_the_copy_paints_as_the_decoder_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to roundings; and tiles that see their surroundings ascend as one whole picture does."""
    family, _ = weights.load("wavelet")
    assert isinstance(family, WaveletFamily)
    still, spec = family.still, GroupSpec(1, 200, 264, 3, 3200)
    pixels = procedural.picture(200, 264)
    scaled, low = still.bands_to_round(pixels, spec, "fast")
    coded = still.prior.code(scaled, low, spec, Nowhere())
    assert coded is not None
    copy, steps, planes = still.refinement(), still.steps.at(3200), still.kernels.planes(pixels)
    assert isinstance(copy, Refinement) and still.weighing(0.1).refinement() is copy
    whole = copy.ascent(still, coded, planes, spec)
    monkeypatch.setattr(refinement, "TILE", 16)
    monkeypatch.setattr(refinement, "MARGIN", 12)
    tiled = copy.ascent(still, coded, planes, spec)
    assert whole.shape == coded.packet.shape
    assert float(np.abs(tiled - whole).mean()) < 0.02 * float(np.abs(whole).mean())

    words = still.describe(coded, still.low_plane(coded, steps), steps)
    lows = still.low_plane(coded, steps) * np.float32(LOW_FACTOR)
    packet = torch.from_numpy(coded.packet.astype(np.float32))
    painted = copy.paint(packet, words, lows, 3200, steps.size).numpy()
    expected = still.planes(coded, 3200, "standard", still.transform.restore(coded.levels(), steps, None)) / UNITS
    assert float(np.abs(painted - expected).mean()) < 0.2


@pytest.mark.parametrize("codec", ["wavelet", "spatiotemporal"])
def test_without_torch_it_is_refused_in_one_line(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else found(name, *rest)
    )
    pixels = procedural.picture(16, 24)
    with pytest.raises(tessera.ParameterError, match="effort slow needs PyTorch, which is not installed: pip install"):
        tessera.encode(pixels, codec=codec, effort="slow")
    assert tessera.encode(pixels, codec=codec, effort="medium")
