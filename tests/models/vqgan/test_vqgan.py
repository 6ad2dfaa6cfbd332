"""Family `vqgan`: round trips, integers that are the same everywhere, bits that are bytes, forged streams, training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.codec.coding.ports import BitMeter, DecoderPort
from tessera.codec.errors import FormatError
from tessera.data import procedural
from tessera.models.base.family import MAX_QUALITY, GroupSpec
from tessera.models.prior.fixed_point import ACCUMULATOR_LIMIT
from tessera.models.prior.ladder import TABLE_NAMES
from tessera.models.registry import build
from tessera.models.training import vqgan as training
from tessera.models.training.vqgan import VqganTask
from tessera.models.vqgan.codebook import DEPTH, NODES
from tessera.models.vqgan.family import VqganFamily
from tessera.models.vqgan.ids import IDS, cell_nodes, frame_nodes
from tessera.models.vqgan.prior import StagePrior, bits_of, path
from tessera.models.vqgan.restoration import probabilities
from tessera.models.vqgan.stages import STAGES, depths, full_quality, grid_of
from tessera.models.vqgan.tables import read_tables, turn_tables

from ...support import vqgan_tiny as tiny
from ...support.kernel_paths import threads
from ...support.vqgan_twin import Twin, depth_of


@pytest.fixture(scope="module")
def family() -> VqganFamily:
    return tiny.family()


@pytest.fixture(scope="module")
def clip() -> Tensor:
    return torch.from_numpy(procedural.clip(3, 40, 56))


@pytest.fixture(scope="module")
def coded(family: VqganFamily, clip: Tensor) -> tuple[bytes, GroupSpec]:
    return tiny.encode(family, clip, MAX_QUALITY)


# -- frames and bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (8, 70)])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip_of_any_size(family: VqganFamily, size: tuple[int, int], channels: int) -> None:
    frames = torch.from_numpy(procedural.picture(64, 96))[None, : size[0], : size[1], :channels].contiguous()
    lengths = []
    for quality in (0, full_quality(1), MAX_QUALITY):
        data, spec = tiny.encode(family, frames, quality)
        out = tiny.decode(family, data, spec)
        assert out.shape == frames.shape and out.dtype == torch.uint8
        found = tiny.ids(family, data, spec)
        assert found.shape == (1, *grid_of(*size, 16), IDS)
        assert torch.equal(family.from_ids(found, spec), out)
        lengths.append(len(data))
    assert lengths[0] <= lengths[1] <= lengths[2]


def test_stages_fill_up_with_quality() -> None:
    assert depths(0) == (8, 0, 0, 0, 0) and depths(MAX_QUALITY) == (DEPTH,) * 5
    totals = [sum(depths(quality)) for quality in range(0, MAX_QUALITY + 1, 16)]
    assert totals == sorted(totals) and set(totals) == set(range(8, 51))
    for stage in range(len(STAGES)):
        full = full_quality(stage)
        assert depths(full)[: stage + 1] == (DEPTH,) * (stage + 1) and depths(max(full - 1, 0))[stage] < DEPTH
    assert all(depths(q) == tuple(depth_of(s, q) for s in range(5)) for q in range(0, MAX_QUALITY + 1, 37))


def test_estimated_bits_are_the_bytes(family: VqganFamily, clip: Tensor, coded: tuple[bytes, GroupSpec]) -> None:
    data, spec = coded
    meter = BitMeter(family.tables)
    family.encode(clip, spec, meter)
    assert meter.bits / 8 <= len(data) <= meter.bits / 8 + 24
    port = DecoderPort(family.tables, data)
    grid = family.latents(spec, port)
    assert grid.bits is not None and grid.codes is not None
    assert float(grid.bits.sum()) == pytest.approx(meter.bits, rel=1e-3)
    assert torch.equal(grid.codes, tiny.ids(family, data, spec))
    assert grid.x.shape == (3, 3, 4, family.channels) and grid.frame_type.tolist() == [0, 1, 1]


def test_a_bit_that_costs_more_is_chosen_less(family: VqganFamily, clip: Tensor) -> None:
    free = family.configure("medium", rate_weight=0)
    assert len(tiny.encode(free, clip[:1], 3000)[0]) >= len(tiny.encode(family, clip[:1], 3000)[0])
    for options in ({"rate_weight": 9}, {"speed": 1}):
        with pytest.raises(ValueError, match="rate_weight"):
            family.configure("medium", **options)


# -- exactness ---------------------------------------------------------------------------------------------------------


def test_the_plain_twin_makes_the_same_calls(family: VqganFamily) -> None:
    """Symbols and tables of two frames by loops over integers, by nothing but the format's text."""
    generator = torch.Generator().manual_seed(2)
    size, quality = (40, 24), full_quality(3) + 700
    spec = GroupSpec(2, *size, 3, quality)
    frames = []
    for _ in range(2):
        grids = [grid_of(*size, stage.stride) for stage in STAGES]
        deep = zip(grids, depths(quality), strict=True)
        frames.append([torch.randint(1 << d, 2 << d, (1, *grid), generator=generator) for grid, d in deep])
    recorder = Recorder()
    family.put_ids(torch.stack([cell_nodes(nodes) for nodes in frames]), spec, recorder)
    twin = Twin(tiny.exported()[0], quality)
    arrays = [[nodes[0].numpy() for nodes in frame] for frame in frames]
    expected = twin.calls(arrays[0], [np.zeros_like(a) for a in arrays[0]]) + twin.calls(arrays[1], arrays[0])
    assert recorder.calls == expected
    assert len({table for _, tables in expected for table in tables}) > 20, "the tables differ"


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[list[int], list[int]]] = []

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        assert symbols.dtype == torch.int32 and indices.dtype == torch.uint8
        self.calls.append((symbols.tolist(), indices.tolist()))

    def get(self, indices: Tensor) -> Tensor:
        raise TypeError


@contextmanager
def precision(name: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "one thread": lambda: threads(1),
    "two threads": lambda: threads(2),
    "without mkldnn": lambda: torch.backends.mkldnn.flags(enabled=False),
    "low precision": lambda: precision("medium"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_integers_are_the_same_under_every_setting(
    family: VqganFamily, coded: tuple[bytes, GroupSpec], setting: str
) -> None:
    data, spec = coded
    expected = tiny.ids(family, data, spec)
    with SETTINGS[setting]():
        assert torch.equal(tiny.ids(family, data, spec), expected)


def test_integers_are_the_same_alone_in_a_batch_and_in_any_memory_format(family: VqganFamily) -> None:
    prior = family.model.prior(2)
    nodes = torch.randint(0, NODES, (5, 6, 7), generator=torch.Generator().manual_seed(3))
    earlier = [family.model.prior(j).embed(nodes.roll(j + 1, 0)) for j in range(2)]
    quality = torch.tensor([0, 900, 2000, 4000, MAX_QUALITY])
    batch = prior.hidden(earlier, nodes, nodes.flip(0), quality)
    assert torch.equal(batch, batch.round()) and float(batch.min()) >= 0 and float(batch.max()) <= 255
    for k in range(5):
        alone = prior.hidden(
            [e[k : k + 1] for e in earlier], nodes[k : k + 1], nodes.flip(0)[k : k + 1], quality[k : k + 1]
        )
        assert torch.equal(alone[0], batch[k])
    x = torch.randint(-127, 128, (2, prior.context.weight.shape[1], 6, 7)).float()
    last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(prior.context(x), prior.context(last))
    at = batch.permute(0, 2, 3, 1).flatten(0, 2)
    every = prior.all_logits(at)
    some = torch.randint(1, 1 << DEPTH, (len(at), 4))
    assert torch.equal(prior.logits(at, some), every.gather(1, some))


def test_accumulators_stay_below_their_limit(family: VqganFamily) -> None:
    torch.manual_seed(0)
    prior = StagePrior(2, 16)
    for parameter in prior.parameters():
        parameter.data.mul_(400.0)
    assert prior.largest_accumulator() > ACCUMULATOR_LIMIT
    prior.project()
    assert prior.largest_accumulator() < ACCUMULATOR_LIMIT
    prior.freeze()
    assert prior.largest_accumulator() < ACCUMULATOR_LIMIT
    assert max(family.model.prior(s).largest_accumulator() for s in range(5)) < ACCUMULATOR_LIMIT


def test_tables_are_integers_of_the_weights_file() -> None:
    tensors, metadata = tiny.exported()
    tables = read_tables(tensors)
    assert len(tables) == 129 and all(torch.equal(tensors[n], t) for n, t in turn_tables().items())
    p = tables.frequencies[:, 1] / 4096
    assert np.allclose(p, 1 / (1 + np.exp(-np.arange(-64, 65) / 8)), atol=1e-3)
    with pytest.raises(KeyError):
        build("vqgan", {name: t for name, t in tensors.items() if name not in TABLE_NAMES}, metadata)
    with pytest.raises(ValueError, match="lack"):
        build("vqgan", {name: t for name, t in tensors.items() if name != "priors.3.heads.weight"}, metadata)


# -- time --------------------------------------------------------------------------------------------------------------


def test_row_52_phenaki(family: VqganFamily, clip: Tensor, coded: tuple[bytes, GroupSpec]) -> None:
    """Ids of a prefix are the prefix of the ids; one frame is a picture; other futures change nothing."""
    whole = tiny.ids(family, *coded)
    for count in (1, 2):
        assert torch.equal(tiny.ids(family, *tiny.encode(family, clip[:count], MAX_QUALITY)), whole[:count])
    other = torch.cat([clip[:2], 255 - clip[2:]])
    changed = tiny.ids(family, *tiny.encode(family, other, MAX_QUALITY))
    assert torch.equal(changed[:2], whole[:2]) and not torch.equal(changed[2], whole[2])


# -- hostile streams ---------------------------------------------------------------------------------------------------


def test_forged_streams_end_in_an_error_or_in_frames(family: VqganFamily) -> None:
    frames = torch.from_numpy(procedural.clip(2, 17, 33))
    data, spec = tiny.encode(family, frames, 5000)
    generator = np.random.default_rng(4)
    forged = [data[:k] for k in (0, 1, len(data) // 2, len(data) - 1)] + [data + b"\0", bytes(200), b"\xff" * 99]
    for _ in range(12):
        wrong = bytearray(data)
        for at in generator.integers(len(data), size=3):
            wrong[at] = generator.integers(256)
        forged.append(bytes(wrong))
    refused = 0
    for wrong_data in forged:
        try:
            codes = tiny.ids(family, wrong_data, spec)
        except (FormatError, ValueError):
            refused += 1
            continue
        assert codes.shape == (2, 2, 3, IDS)
        for frame in codes:
            frame_nodes(frame, spec)  # every node is one of its depth
    assert refused >= 4


# -- restoration -------------------------------------------------------------------------------------------------------


def test_probabilities_are_those_of_the_paths(family: VqganFamily) -> None:
    logits = torch.randint(-64, 65, (3, 1 << DEPTH), generator=torch.Generator().manual_seed(1)).float()
    found = probabilities(logits, 6)
    assert torch.allclose(found.sum(1), torch.ones(3), atol=1e-5)
    nodes = torch.arange(64, 128)
    passed, turns = path(nodes, 6)
    for row in range(3):
        assert torch.allclose(-found[row].log2(), bits_of(logits[row, passed], turns).sum(1), atol=1e-3)


def test_lost_indices_are_restored_better_than_by_the_most_frequent() -> None:
    """A prior trained for a moment beats fills that know nothing; nothing lost changes nothing."""
    family = tiny.trained()
    frame = torch.from_numpy(procedural.clip(2, 64, 96))[1:]
    data, spec = tiny.encode(family.configure("medium", rate_weight=0), frame, MAX_QUALITY)
    whole, codes = tiny.decode(family, data, spec), tiny.ids(family, data, spec)
    generator = torch.Generator().manual_seed(0)
    errors = {}
    for share in (0.0, 0.2, 0.4):
        mask = torch.rand(1, 4, 6, generator=generator) < share
        lost = family.lost(mask, spec)
        found = family.conceal(spec, DecoderPort(family.tables, data), lost)
        if share == 0:
            assert torch.equal(found, whole)
            continue
        nodes = frame_nodes(codes[0], spec)
        for at, gone in zip(nodes, lost, strict=True):
            values, counts = at[~gone].unique(return_counts=True)
            at[gone] = values[counts.argmax()]
        filled = family.paint(family.model.sums(nodes), spec)[None]
        errors[share] = [float((x.float() - whole.float()).square().mean()) for x in (found, filled)]
        assert errors[share][0] < errors[share][1]
    assert errors[0.2][0] < errors[0.4][0]


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adversarial", [0, 1])
def test_training_steps_export_and_going_on(monkeypatch: pytest.MonkeyPatch, adversarial: int) -> None:
    monkeypatch.setattr(training, "CROP", 64)
    torch.manual_seed(0)
    task = VqganTask(adversarial=adversarial, **tiny.SIZES)
    task.restore(tiny.exported()[0])
    generator = torch.Generator().manual_seed(0)
    samples = [tiny.chw(72, 88), torch.from_numpy(procedural.clip(2, 64, 72))]
    batches = task.batches(samples, 4, generator)
    parameters = [p for group in task.groups() for p in group["params"] if p.requires_grad]
    before = [p.detach().clone() for p in parameters]
    optimiser = torch.optim.Adam(parameters, 1e-3)
    for step in range(2):
        loss, scalars = task.loss(next(batches), generator)
        assert np.isfinite(list(scalars.values())).all() and bool(loss.isfinite())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        task.after_step(step)
    moved = [not torch.equal(p, old) for p, old in zip(parameters, before, strict=True)]
    assert sum(moved) > 0.6 * len(moved), "zero-initialised layers hold back those before them at first"
    tensors, metadata = task.export([])
    family = build("vqgan", tensors, metadata)
    assert isinstance(family, VqganFamily) and int(metadata["largest_accumulator"]) < ACCUMULATOR_LIMIT
    data, spec = tiny.encode(family, torch.from_numpy(procedural.picture(24, 40))[None], 4000)
    assert tiny.decode(family, data, spec).shape == (1, 24, 40, 3)
    if adversarial:
        same = [name for name in tensors if not name.startswith("synthesis")]
        assert all(torch.equal(tensors[name], tiny.exported()[0][name]) for name in same)


def test_restoring_an_export_gives_the_same_export() -> None:
    task = VqganTask(**tiny.SIZES)
    task.restore(tiny.exported()[0])
    tensors, metadata = task.export([])
    assert metadata == tiny.exported()[1]
    assert all(torch.equal(tensor, tiny.exported()[0][name]) for name, tensor in tensors.items())


def test_examination_names_rate_and_quality_of_every_stage() -> None:
    task = VqganTask(**tiny.SIZES)
    task.restore(tiny.exported()[0])
    found = task.examine([tiny.chw(48, 64)])
    assert all(f"{name}_{stage}" in found for name in ("bpp", "psnr", "used") for stage in range(5))
    assert found["bpp_0"] < found["bpp_4"] and found["psnr_0"] < found["psnr_4"]
