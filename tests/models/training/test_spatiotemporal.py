"""The training task of family `spatiotemporal`: recording, steps, export, and going on from what was exported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.base.task import arrays_of
from tessera.models.prior.fixed_point import FixedConv2d, QualityTable
from tessera.models.registry import build
from tessera.models.spatiotemporal.wire import PRIORS
from tessera.models.training import spatiotemporal as training
from tessera.models.training.clip_batches import ClipBatch
from tessera.models.training.exporting import Tensors, real_network
from tessera.models.training.spatiotemporal import SpatiotemporalTask
from tessera.models.training.wavelet import WaveletTask, still_part

Pair = tuple[Tensors, dict[str, str]]  # tensors, options
SIZES = {"width": 8, "blocks": 1, "hidden": 8, "fast_width": 8, "fast_blocks": 1}
INTER = {"temporal_hidden": 8, "inter_width": 8, "inter_blocks": 1}


SIDE = 128  # of clips, in pixels: the squares that the parts are trained on


def samples(side: int = SIDE) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A picture and clips."""
    clips = [torch.from_numpy(procedural.clip(6, side, side, seed=seed)) for seed in (1, 2)]
    return torch.from_numpy(procedural.picture(64, 96)).permute(2, 0, 1).contiguous(), clips


def run(task: SpatiotemporalTask, batches: list[ClipBatch], rounds: int) -> list[float]:
    """Steps on the same batches again and again: their summed loss in each round."""
    optimiser = torch.optim.Adam([p for group in task.groups() for p in group["params"]], 5e-3)
    generator = torch.Generator().manual_seed(0)
    losses = [0.0] * rounds
    for step in range(len(batches) * rounds):
        loss, _ = task.loss(batches[step % len(batches)], generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        task.after_step(step)
        losses[step // len(batches)] += loss.item()
    return losses


@pytest.fixture(scope="module")
def exported() -> Pair:
    """What a task makes whose priors were trained a little."""
    torch.manual_seed(0)
    picture, clips = samples()
    still = WaveletTask(**SIZES)
    still.initialise([picture])
    still_tensors, _ = still.export([picture])

    task = SpatiotemporalTask(decoders=0, **INTER)
    with pytest.raises(ValueError, match="frames on their own need weights"):
        next(task.batches(clips, 2, torch.Generator()))
    task.restore(still_tensors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "CLIPS", 2)
        patch.setattr(training, "CELLS", SIDE // 8)
        batches = task.batches([*clips, picture], 2, torch.Generator().manual_seed(0))
        rounds = run(task, [next(batches) for _ in range(4)], 10)
    assert rounds[-1] < rounds[0] - 0.1
    return task.export([picture, *clips])


def test_a_trained_task_exports_a_family_that_codes(exported: Pair) -> None:
    tensors, options = exported
    _, clips = samples()
    assert int(options["largest_accumulator"]) < 1 << 20
    family = build("spatiotemporal", arrays_of(tensors), options)
    spec = GroupSpec(6, SIDE, SIDE, 3, 2600)
    port, frames = EncoderPort(family.tables), clips[0].numpy()
    family.encode(frames, spec, port)
    decoded = family.decode(spec, DecoderPort(family.tables, port.finish()), "fast")
    assert float(np.square(decoded.astype(np.float32) - frames).mean()) < 120

    assert not any(name.startswith("inter.") for name in tensors)
    again = SpatiotemporalTask(**INTER)
    again.restore(tensors)
    assert bool(again.trained)
    for name in PRIORS:
        for key, value in again.model.prior(name).named_parameters():
            owner = again.model.prior(name).get_submodule(key.rpartition(".")[0])
            assert isinstance(owner, FixedConv2d | QualityTable)
            scale = owner.bits
            assert torch.equal(value * 2.0**scale, tensors[f"priors.{name}.{key}"].float()), key


@pytest.mark.parametrize("priors", [0, 1])
def test_networks_are_trained_on_what_the_priors_code(
    exported: Pair, priors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CLIPS", 4)
    monkeypatch.setattr(training, "CELLS", SIDE // 8)
    torch.manual_seed(1)
    picture, clips = samples(2 * SIDE)  # squares lie anywhere in them
    task = SpatiotemporalTask(priors=priors, **INTER)
    task.restore(exported[0])
    assert task.model.inter is not None
    fast = real_network({name[11:]: t for name, t in exported[0].items() if name.startswith("still.fast.")}, 8)
    assert torch.equal(*(n.state_dict()["blocks.0.enter.weight"] for n in (task.model.inter, fast)))
    batches = task.batches(clips, 2, torch.Generator().manual_seed(0))
    before = {name: p.clone() for name, p in task.model.priors.named_parameters()}
    fixed = [next(batches) for _ in range(3)]
    _, scalars = task.loss(fixed[0], torch.Generator())
    assert scalars["gain"] == 0.0  # a silent network
    rounds = run(task, fixed, 16)
    assert rounds[-1] < rounds[0] - 0.02
    same = all(torch.equal(p, before[name]) for name, p in task.model.priors.named_parameters())
    assert same == (not priors)
    _, scalars = task.loss(fixed[0], torch.Generator())
    assert scalars["gain"] > 0.02
    found = task.examine(clips)
    assert found.keys() >= {"psnr_plain", "gain"}
    assert ("bpp_bidirectional" in found) == bool(priors)


def test_networks_alone_leave_the_stream_as_it_is(exported: Pair) -> None:
    """Adopting the file that a task of networks started from changes nothing but these."""
    tensors, options = exported
    _, clips = samples()
    task = SpatiotemporalTask(priors=0, **INTER)
    with pytest.raises(ValueError, match="weights file"):
        next(task.batches(clips, 1, torch.Generator()))
    task.restore(tensors)
    task.adopt(tensors)
    task.calibrate(clips)
    assert task.export([])[0].keys() == tensors.keys()  # silent
    assert task.model.inter is not None
    torch.nn.init.normal_(task.model.inter.leave.weight, std=0.01)
    added, _ = task.export([])
    assert (
        {name for name in added if name not in tensors}
        == {name for name in added if name.startswith("inter.")}
        != set()
    )
    assert all(torch.equal(added[name], tensor) for name, tensor in tensors.items())
    spec = GroupSpec(6, SIDE, SIDE, 3, 2600)
    streams = []
    for weights in (tensors, added):
        family = build("spatiotemporal", arrays_of(weights), options)
        port = EncoderPort(family.tables)
        family.encode(clips[0].numpy(), spec, port)
        streams.append(port.finish())
    assert streams[0] == streams[1]
    again = SpatiotemporalTask(priors=0, **INTER)
    again.restore(added)
    again.adopt(added)
    again.calibrate(clips)
    once_more, _ = again.export([])
    assert once_more.keys() == added.keys()
    assert all(torch.equal(once_more[name], added[name]) for name in added if name.startswith("inter.weights."))
    with pytest.raises(ValueError, match="not replaced"):
        SpatiotemporalTask(**INTER).adopt(tensors)


def test_a_checkpoint_holds_what_frames_on_their_own_need(exported: Pair) -> None:
    task, again = SpatiotemporalTask(**INTER), SpatiotemporalTask(**INTER)
    task.restore(exported[0])
    again.load_state_dict(task.state_dict())
    still, _ = still_part(exported[0])
    assert again.still.keys() == still.keys()
    assert all(torch.equal(again.still[name], tensor) for name, tensor in still.items())
