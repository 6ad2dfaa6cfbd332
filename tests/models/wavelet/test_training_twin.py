"""What training computes in floats against what runs in integers: words of networks, and gains of a task."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.base.ports import Nowhere
from tessera.models.training.gains import TrainedGains
from tessera.models.transform.gains import Bands, step_size
from tessera.models.wavelet.family import WaveletFamily
from tessera.models.wavelet.model import WORD_UNIT, WaveletModel, companded
from tessera.models.wavelet.task_gains import NAME, SHAPE, TaskGains


@pytest.mark.parametrize("quality", [0, 2500, 6400])
def test_networks_are_trained_on_the_words_that_they_read(quality: int) -> None:
    """Symbols and rungs exactly; low bands but for the last bit, of the transforms' rounding."""
    family, _ = weights.load("wavelet")
    assert isinstance(family, WaveletFamily)
    still, pixels = family.still, procedural.picture(200, 264)
    spec = GroupSpec(1, 200, 264, 3, quality)
    coded = still.prior.code(*still.bands_to_round(pixels, spec, "fast"), spec, Nowhere())
    assert coded is not None
    steps = still.steps.at(quality)
    low = still.low_plane(coded, steps)
    expected = still.describe(coded, low, steps).astype(np.float32) / WORD_UNIT

    model = WaveletModel(width=8, blocks=0, hidden=8)
    packet, *details, last = (torch.from_numpy(level)[None].float() for level in coded.levels())
    step = step_size(torch.tensor([quality]))[:, None, None, None]
    integers, rungs = Bands(packet, details, last), torch.from_numpy(coded.rungs)[None].float()
    plain = model.dequantise(integers, step)[:, ::64]
    found = model.describe(integers, rungs, plain, step)[0].permute(1, 2, 0).numpy()
    exact = 2 * len(coded.packet)
    assert np.array_equal(found[..., :exact], expected[..., :exact])
    apart = np.abs(found[..., exact:] - expected[..., exact:])
    assert float(apart[..., 3:].max()) <= 4 / WORD_UNIT  # raw: units of half a gray level
    assert float(apart[..., :3].max()) < 0.1  # high-passed: logarithms of sixteenths of a step


def test_companded_words_are_clamped_and_pass_the_logarithm_s_gradient() -> None:
    x = torch.tensor([-3000.0, -1023.0, -2.0, 0.0, 1.0, 5.0], requires_grad=True)
    found = companded(x)
    words = found.detach()
    assert float(words[0]) == float(words[1]) < -6.9
    assert float(words[4]) == pytest.approx(np.log(2), abs=0.5 / WORD_UNIT)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.allclose(gradient[2:], torch.tensor([1 / 3, 0.0, 1 / 2, 1 / 6]), atol=1e-6)


def test_gains_of_both_kinds_are_alike() -> None:
    given = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    gains, trained = TaskGains.of({NAME: given}), TrainedGains()
    trained.weight.data = torch.from_numpy(given)
    for quality in (0, 1, 1600, 2900, 6400):
        for ours, theirs in zip(gains.at(quality), trained.at(torch.tensor([quality])), strict=True):
            assert np.allclose(ours, theirs.detach().flatten().numpy(), atol=1e-6)
