"""The encoder's network: its twin, its training task, and that no decoder needs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import BitMeter
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.base.ports import Nowhere
from tessera.models.prior.rounding import round_along
from tessera.models.training.analysis import AnalysisTraining, Rounding
from tessera.models.transform.bands import GRAY_SLICES, RATE_WEIGHT
from tessera.models.transform.gains import Bands, step_size
from tessera.models.wavelet.analysis import REACH, moves
from tessera.models.wavelet.family import WaveletFamily
from tessera.models.wavelet.walk import Encoding

from ...support.small_wavelet import pictures, small_weights, train


def companion(loud: float) -> dict[str, torch.Tensor]:
    """An analysis network for `small_weights`; loud: deviation of its last convolution."""
    torch.manual_seed(4)
    task = AnalysisTraining(small_weights(), width=8, blocks=1)
    torch.nn.init.normal_(task.network.leave.weight, std=loud)
    return task.export([])[0]


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    return WaveletFamily(small_weights() | companion(0.3), {})


@pytest.mark.parametrize("size", [(40, 56), (17, 90), (8, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_kernels_move_as_the_model_does(family: WaveletFamily, size: tuple[int, int], channels: int) -> None:
    frame = torch.from_numpy(procedural.picture(*size))[..., :channels].contiguous()
    spec = GroupSpec(frames=1, height=size[0], width=size[1], channels=channels, quality=2500)
    native, model, quality = family.native, family.model, torch.tensor([2500])
    assert native is not None and native.analysis is not None
    found = native.moves(native.analysis, *native.scaled_bands(frame, 2500), spec)

    bands = model.analyse(frame.permute(2, 0, 1)[None].float().expand(-1, 3, -1, -1))
    coder = Encoding(Nowhere(), model.ladder.costs, bands, 2500, RATE_WEIGHT)
    trial, rungs = family._walk(spec, coder)
    expected = moves(model, bands.packet / step_size(quality), trial, rungs, quality)[0]
    assert 0.02 < float(expected.abs().mean()) and float(expected.abs().max()) <= REACH
    assert float((found - expected).abs().max()) < 0.03  # of half precision

    torch_path = WaveletFamily(small_weights() | companion(0.3), {})
    torch_path.native = None
    spent = []
    for one in (family, torch_path):
        meter = BitMeter(one.tables)
        one.encode(frame[None], spec, meter)
        spent.append(meter.bits)
    assert spent[1] == pytest.approx(spent[0], rel=0.01)


def test_effort_fast_asks_no_network(family: WaveletFamily) -> None:
    frame = torch.from_numpy(procedural.picture(40, 56))
    spec = GroupSpec(frames=1, height=40, width=56, channels=3, quality=2500)
    native = family.native
    assert native is not None
    plain, _ = native.scaled_bands(frame, 2500)
    fast, _ = native.bands_to_round(frame, spec, "fast")
    medium, _ = native.bands_to_round(frame, spec, "medium")
    assert all(np.array_equal(a, b) for a, b in zip(plain, fast, strict=True))
    assert not np.array_equal(plain[0], medium[0])
    assert all(np.array_equal(a, b) for a, b in zip(plain[1:], medium[1:], strict=True))


def test_files_need_no_network_to_be_decoded(weights_folder: Path) -> None:
    name = weights.write(weights_folder / "wavelet.safetensors", small_weights(), {})
    photo = procedural.picture(40, 56)
    plain = tessera.encode(photo, codec="wavelet")
    weights.write(weights.companion_file("wavelet", "analysis"), companion(0.3), {"of": name.hex()})
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
    assert logged[0]["left"] == 1.0 and logged[-1]["left"] < 0.97
    assert {name.split(".")[0] for name in changed} == {"analysis"}
    tensors, _ = task.export([])
    again = AnalysisTraining(small_weights(0.05), width=8, blocks=1)
    again.restore(tensors)
    picture = pictures(1, 96)
    (rate, shown), (same, also) = (one.rate_distortion(picture, 3000) for one in (task, again))
    assert rate == pytest.approx(same, rel=0.01) and float((shown - also).abs().mean()) < 0.5


def test_decoders_are_trained_beside_it() -> None:
    task = AnalysisTraining(small_weights(0.05), width=8, blocks=1, decoders=1)
    logged, changed = train(task, pictures(2, 96), 12)
    assert logged[-1]["psnr"] > logged[0]["psnr"] + 0.1
    assert {name.split(".")[0] for name in changed} == {"analysis", "synthesis", "fast"}
    assert {name.split(".")[0] for name in task.export([])[0]} == {"analysis", "synthesis", "fast"}


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
