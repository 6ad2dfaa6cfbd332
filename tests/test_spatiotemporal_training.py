"""The training task of family `spatiotemporal`: recording, steps, export, and going on from what was exported."""

from __future__ import annotations

import pytest
import torch

from tessera.codec.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.fixed_point import FixedConv2d, QualityTable
from tessera.models.interface import GroupSpec
from tessera.models.registry import build
from tessera.models.spatiotemporal import training
from tessera.models.spatiotemporal.model import PRIORS
from tessera.models.spatiotemporal.training import SpatiotemporalTask
from tessera.models.wavelet_training import WaveletTask

SIZES = {"width": 8, "blocks": 1, "hidden": 8, "fast_width": 8, "fast_blocks": 1}


def test_a_trained_task_exports_a_family_that_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(training, "CLIPS", 2)
    clips = [torch.from_numpy(procedural.clip(6, 256, 256, seed=seed)) for seed in (1, 2)]
    picture = torch.from_numpy(procedural.picture(64, 96)).permute(2, 0, 1).contiguous()
    still = WaveletTask(**SIZES)
    still.initialise([picture])
    still_tensors, _ = still.export([picture])

    task = SpatiotemporalTask(**SIZES, temporal_hidden=8)
    task.restore(still_tensors)
    optimiser = torch.optim.Adam([p for group in task.groups() for p in group["params"]], 5e-3)
    generator = torch.Generator().manual_seed(0)
    batches = task.batches([*clips, picture], 2, generator)
    fixed = [next(batches) for _ in range(4)]
    rounds = [0.0] * 10
    for step in range(4 * len(rounds)):
        loss, _ = task.loss(fixed[step % 4], generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        task.after_step(step)
        rounds[step // 4] += loss.item()
    assert rounds[-1] < rounds[0] - 0.1

    tensors, options = task.export([picture, *clips])
    assert int(options["largest_accumulator"]) < 1 << 20
    family = build("spatiotemporal", tensors, options)
    spec = GroupSpec(6, 256, 256, 3, 2600)
    port = EncoderPort(family.tables)
    family.encode(clips[0], spec, port)
    decoded = family.decode(spec, DecoderPort(family.tables, port.finish()), "fast")
    assert float((decoded.float() - clips[0].float()).square().mean()) < 120

    again = SpatiotemporalTask(**SIZES, temporal_hidden=8)
    again.restore(tensors)
    assert bool(again.trained)
    for name in PRIORS:
        for key, value in again.model.prior(name).named_parameters():
            owner = again.model.prior(name).get_submodule(key.rpartition(".")[0])
            assert isinstance(owner, FixedConv2d | QualityTable)
            scale = owner.bits
            assert torch.equal(value * 2.0**scale, tensors[f"priors.{name}.{key}"].float()), key
