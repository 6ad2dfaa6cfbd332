"""The encoder's network: its twin, its training task, and that no decoder needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tessera
from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.base.ports import Nowhere
from tessera.models.base.task import arrays_of
from tessera.models.prior.native import pass_order
from tessera.models.prior.rounding import round_along
from tessera.models.training.analysis import AnalysisTraining, Rounding
from tessera.models.training.exporting import Tensors
from tessera.models.training.wavelet import still_model
from tessera.models.transform.bands import GRAY_SLICES, RATE_WEIGHT
from tessera.models.transform.gains import Bands, step_size
from tessera.models.wavelet.analysis import moves
from tessera.models.wavelet.base_still import MOVE_REACH
from tessera.models.wavelet.family import WaveletFamily

from ...support.small_wavelet import pictures, small_arrays, small_weights, train


def companion(loud: float) -> Tensors:
    """An analysis network for `small_weights`; loud: deviation of its last convolution."""
    torch.manual_seed(4)
    task = AnalysisTraining(small_weights(), width=8, blocks=1)
    torch.nn.init.normal_(task.network.leave.weight, std=loud)
    return task.export([pictures(1)[0].to(torch.uint8)])[0]


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    return WaveletFamily(arrays_of(small_weights() | companion(0.3)), {})


@pytest.mark.parametrize("size", [(40, 56), (17, 90), (8, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_kernels_move_as_the_model_does(family: WaveletFamily, size: tuple[int, int], channels: int) -> None:
    pixels = procedural.picture(*size)[..., :channels].copy()
    spec = GroupSpec(frames=1, height=size[0], width=size[1], channels=channels, quality=2500)
    still, model, quality = family.still, still_model(small_weights() | companion(0.3))[0], torch.tensor([2500])
    model.bf16 = False
    scaled, low = still.bands_to_round(pixels, spec, "fast")
    moved, _ = still.bands_to_round(pixels, spec, "medium")
    found = moved[0] - scaled[0]

    coded = still.trial.code(scaled, low, spec, Nowhere())
    assert coded is not None
    packet, details, low_band = coded.packet, [walk.values for walk in coded.pyramid], coded.low
    trial = Bands(*(batch(part) for part in (packet, details, low_band)))
    exact = np.empty(packet.shape, np.float32)
    order = pass_order(*packet.shape[1:])
    exact.reshape(len(exact), -1)[:, order] = scaled[0]
    expected = moves(model, batch(exact), trial, batch(coded.rungs), quality)[0].flatten(1)[:, order].numpy()
    assert 0.02 < float(np.abs(expected).mean()) and float(np.abs(expected).max()) <= MOVE_REACH
    assert float(np.abs(found - expected).max()) < 0.01  # of roundings between layers


def batch(planes: Any) -> Any:
    """One frame's planes as floats of a batch."""
    if isinstance(planes, list):
        return [batch(plane) for plane in planes]
    return torch.from_numpy(planes)[None].float()


def test_effort_fast_asks_no_network(family: WaveletFamily) -> None:
    pixels = procedural.picture(40, 56)
    spec = GroupSpec(frames=1, height=40, width=56, channels=3, quality=2500)
    plain, _ = WaveletFamily(small_arrays(), {}).still.bands_to_round(pixels, spec, "medium")
    fast, _ = family.still.bands_to_round(pixels, spec, "fast")
    medium, _ = family.still.bands_to_round(pixels, spec, "medium")
    assert all(np.array_equal(a, b) for a, b in zip(plain, fast, strict=True))
    assert not np.array_equal(plain[0], medium[0])
    assert all(np.array_equal(a, b) for a, b in zip(plain[1:], medium[1:], strict=True))


def test_files_need_no_network_to_be_decoded(weights_folder: Path) -> None:
    name = weights.write(weights_folder / "wavelet.safetensors", small_arrays(), {})
    photo = procedural.picture(40, 56)
    plain = tessera.encode(photo, codec="wavelet")
    weights.write(weights.companion_file("wavelet", "analysis"), arrays_of(companion(0.3)), {"of": name.hex()})
    weights._families.clear()
    moved = tessera.encode(photo, codec="wavelet")
    assert moved != plain
    assert tessera.encode(photo, codec="wavelet", effort="fast") == plain
    shown = tessera.decode(moved)
    weights.companion_file("wavelet", "analysis").unlink()
    weights._families.clear()
    assert np.array_equal(tessera.decode(moved), shown)


def test_training_moves_the_network_alone() -> None:
    task = AnalysisTraining(small_weights(0.05), width=8, blocks=1)
    logged, changed = train(task, pictures(2, 96), 40)
    assert logged[0]["left"] == pytest.approx(1.0) and logged[-1]["left"] < 0.97
    assert {name.split(".")[1] for name in changed if name.startswith("model.")} == {"analysis"}
    tensors, _ = task.export([pictures(1)[0].to(torch.uint8)])
    again = AnalysisTraining(small_weights(0.05), width=8, blocks=1)
    again.restore(tensors)
    picture = pictures(1, 96)
    (rate, shown), (same, also) = (one.rate_distortion(picture, 3000) for one in (task, again))
    assert rate == pytest.approx(same, rel=0.01) and float((shown - also).abs().mean()) < 0.5


def test_decoders_are_trained_beside_it() -> None:
    task = AnalysisTraining(small_weights(0.05), width=8, blocks=1, decoders=1)
    logged, changed = train(task, pictures(2, 96), 12)
    assert logged[-1]["psnr"] > logged[0]["psnr"] + 0.1
    assert {name.split(".")[1] for name in changed if name.startswith("model.")} == {"analysis", "standard", "fast"}
    tensors, _ = task.export([pictures(1)[0].to(torch.uint8)])
    assert {name.split(".")[0] for name in tensors} == {"analysis", "standard", "fast"}


def test_training_rounds_as_the_model_does() -> None:
    model = AnalysisTraining(small_weights(), width=8, blocks=1).model
    bands, quality = model.analyse(pictures(2, 72)), torch.tensor([1500, 4000])
    step = step_size(quality)[:, None, None, None]
    scaled = Bands(bands.packet / step, [d / step for d in bands.details], bands.low / step)
    integers, rungs = Rounding(model)(scaled, quality)
    found = round_along(
        model.prior,
        model.ladder.costs,
        [scaled.packet, *scaled.details],
        scaled.low,
        quality,
        weight=RATE_WEIGHT,
        gray_slices=GRAY_SLICES,
    )
    for ours, theirs in zip([integers.packet, *integers.details], found.levels, strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(integers.low, found.low)
    assert torch.equal(rungs, torch.floor(found.rungs[0] + 0.5))
