"""Family `vqgan`: round trips, integers that are the same everywhere, bits that are bytes, forged streams, training."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tessera.codec.coding.ports import BitMeter, DecoderPort
from tessera.codec.errors import FormatError
from tessera.data import procedural
from tessera.models.base.family import GroupSpec, Pixels, SymbolPort, Symbols, TableIndices
from tessera.models.base.quality import MAX_FINE
from tessera.models.base.task import tensors_of
from tessera.models.prior.fixed_point import ACCUMULATOR_LIMIT
from tessera.models.prior.ladder import COST_UNIT, TABLE_NAMES
from tessera.models.reference import vqgan as reference
from tessera.models.registry import build
from tessera.models.training import vqgan as training
from tessera.models.training.vqgan import VqganTask
from tessera.models.vqgan.family import VqganFamily
from tessera.models.vqgan.ids import IDS, frame_nodes
from tessera.models.vqgan.index_prior import path
from tessera.models.vqgan.prior import StagePrior
from tessera.models.vqgan.restoration import CHANCE_BITS, probabilities
from tessera.models.vqgan.stages import DEPTH, NODES, STAGES, depths, full_quality, grid_of
from tessera.models.vqgan.tables import read_tables, turn_costs, turn_tables
from tessera.models.vqgan.words import COMPANDED, ENTRIES_PER_GRAY, LOGARITHMS, WORD_BITS

from ...support import vqgan_tiny as tiny
from ...support.kernel_paths import available_paths, threads


@pytest.fixture(scope="module")
def family() -> VqganFamily:
    return tiny.family()


@pytest.fixture(scope="module")
def clip() -> Pixels:
    return procedural.clip(3, 40, 56)


@pytest.fixture(scope="module")
def coded(family: VqganFamily, clip: Pixels) -> tuple[bytes, GroupSpec]:
    return tiny.encode(family, clip, MAX_FINE)


# -- frames and bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (8, 70)])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip_of_any_size(family: VqganFamily, size: tuple[int, int], channels: int) -> None:
    frames = np.ascontiguousarray(procedural.picture(64, 96)[None, : size[0], : size[1], :channels])
    lengths = []
    for quality in (0, full_quality(1), MAX_FINE):
        data, spec = tiny.encode(family, frames, quality)
        out = tiny.decode(family, data, spec)
        assert out.shape == frames.shape and out.dtype == np.uint8
        found = tiny.ids(family, data, spec)
        assert found.shape == (1, *grid_of(*size, 16), IDS)
        assert np.array_equal(family.from_ids(found, spec), out)
        lengths.append(len(data))
    assert lengths[0] <= lengths[1] <= lengths[2]


def test_stages_fill_up_with_quality() -> None:
    assert depths(0) == (8, 0, 0, 0, 0) and depths(MAX_FINE) == (DEPTH,) * 5
    totals = [sum(depths(quality)) for quality in range(0, MAX_FINE + 1, 16)]
    assert totals == sorted(totals) and set(totals) == set(range(8, 51))
    for stage in range(len(STAGES)):
        full = full_quality(stage)
        assert depths(full)[: stage + 1] == (DEPTH,) * (stage + 1) and depths(max(full - 1, 0))[stage] < DEPTH
    assert all(depths(q) == tuple(reference.depth_of(s, q) for s in range(5)) for q in range(0, MAX_FINE + 1, 37))


def test_estimated_bits_are_the_bytes(family: VqganFamily, clip: Pixels, coded: tuple[bytes, GroupSpec]) -> None:
    data, spec = coded
    meter = BitMeter(family.tables)
    family.encode(clip, spec, meter)
    assert meter.bits / 8 <= len(data) <= meter.bits / 8 + 24
    port = DecoderPort(family.tables, data)
    grid = family.latents(spec, port)
    assert grid.bits is not None and grid.codes is not None
    assert float(grid.bits.sum()) == pytest.approx(meter.bits, rel=1e-3)
    assert np.array_equal(grid.codes, tiny.ids(family, data, spec))
    assert grid.x.shape == (3, 3, 4, family.channels) and grid.frame_type.tolist() == [0, 1, 1]


def test_a_bit_that_costs_more_is_chosen_less(family: VqganFamily, clip: Pixels) -> None:
    free = family.configure("medium", rate_weight=0)
    assert len(tiny.encode(free, clip[:1], 3000)[0]) >= len(tiny.encode(family, clip[:1], 3000)[0])
    for options in ({"rate_weight": 9}, {"speed": 1}):
        with pytest.raises(ValueError, match="rate_weight"):
            family.configure("medium", **options)


# -- exactness ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "channels", "quality"), [((40, 24), 3, 5700), ((17, 33), 1, MAX_FINE), ((1, 1), 3, 0)]
)
def test_the_reference_decoder_agrees(size: tuple[int, int], channels: int, quality: int) -> None:
    """Loops over integers, by nothing but the format's text: every call of the coder, every index, every pixel."""
    made = tiny.trained()
    frames = np.ascontiguousarray(procedural.clip(2, 40, 40)[:, : size[0], : size[1], :channels])
    data, spec = tiny.encode(made, frames, quality)
    ours, theirs = (Recorder(DecoderPort(made.tables, data)) for _ in range(2))
    assert np.array_equal(reference.VqganDecoder(made.arrays).decode(spec, theirs), made.decode(spec, ours, "standard"))
    assert ours.calls == theirs.calls
    assert len({table for call in ours.calls for table in call}) > (20 if quality else 1), "the tables differ"


class Recorder:
    def __init__(self, port: SymbolPort) -> None:
        self.port = port
        self.calls: list[list[int]] = []

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        assert symbols.dtype == np.int32 and indices.dtype == np.uint8
        self.port.put(symbols, indices)

    def get(self, indices: TableIndices) -> Symbols:
        self.calls.append(indices.tolist())
        return self.port.get(indices)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("path", available_paths())
def test_bytes_and_pixels_are_the_same_on_every_path(
    family: VqganFamily, clip: Pixels, coded: tuple[bytes, GroupSpec], path: str, count: int
) -> None:
    data, spec = coded
    with threads(count):
        other = family.using(path)
        assert tiny.encode(other, clip, spec.quality)[0] == data
        assert np.array_equal(tiny.decode(other, data, spec), tiny.decode(family, data, spec))


def test_the_prior_in_training_gives_the_same_integers(family: VqganFamily) -> None:
    """torch under fake rounding and numpy with the file's integers, for any nodes and qualities."""
    model = tiny.fresh().model
    generator = torch.Generator().manual_seed(3)
    for stage, size, quality in itertools.product((0, 1, 2, 4), ((6, 7), (1, 2), (8, 16), (13, 9)), (0, MAX_FINE)):
        learned, prior = model.prior(stage), family.priors[stage]
        learned.freeze()
        nodes, past = torch.randint(0, NODES, (2, 1, *size), generator=generator)
        before = []
        for earlier in range(stage):
            model.prior(earlier).freeze()
            times = STAGES[earlier].stride // STAGES[stage].stride
            grid = (-(-size[0] // times), -(-size[1] // times))
            before.append(torch.randint(0, NODES, (1, *grid), generator=generator))
        with torch.no_grad():
            told = model.earlier_embeddings(stage, before, size)
            expected = learned.hidden(told, nodes, past, torch.tensor([quality]))[0]
        context = family.priors.context(stage, [at[0].numpy() for at in before], past[0].numpy())
        cells = np.arange(nodes.numel())
        hidden = prior.hidden(context, nodes[0].numpy(), cells, quality)
        assert np.array_equal(hidden, expected.flatten(1).T.numpy())
        some = torch.randint(1, 1 << DEPTH, (len(cells),), generator=generator)
        logits = learned.logits(torch.from_numpy(hidden), some).detach().numpy()
        tables = prior.tables(hidden, some.numpy())
        assert np.array_equal(tables, logits + 64)
        every = prior.all_tables(hidden, DEPTH)
        assert np.array_equal(np.take_along_axis(every, some.numpy()[:, None], 1)[:, 0], tables)


def test_a_choice_is_the_cheapest_word(family: VqganFamily) -> None:
    """Against plain Python over every word: distance plus price times the tables' costs of the path."""
    generator = np.random.default_rng(5)
    for stage, depth in ((0, 8), (2, DEPTH), (4, 3)):
        prior, book = family.priors[stage], family.chooser.books[stage]
        near = book.words[generator.integers(1 << depth, 2 << depth, 4)]
        x = np.rint(near + generator.normal(0, 90, near.shape))
        hidden = generator.integers(0, 256, (4, prior.heads.shape[1])).astype(np.float32)
        for price in (0.0, float(np.floor(300.0 * 256))):
            chosen = family.chooser.nearest(prior, x, hidden, depth, price)
            for row, vector in enumerate(x.astype(int)):
                costs = []
                for node in range(1 << depth, 2 << depth):
                    passed, turns = path(np.array([node]), depth)
                    tables = [int(prior.tables(hidden[row : row + 1], at)[0]) for at in passed]
                    pairs = zip(turns[:, 0], tables, strict=True)
                    bits = sum(int(family.chooser.costs[turn, table]) for turn, table in pairs)
                    far = sum((int(a) - int(b)) ** 2 for a, b in zip(vector, book.words[node], strict=True))
                    costs.append(far * COST_UNIT + int(price) * bits)
                assert chosen[row] == (1 << depth) + int(np.argmin(costs))


def test_no_rounding_of_a_logarithm_can_change_a_table(family: VqganFamily) -> None:
    """Words and costs are roundings of logarithms, none of which comes near a half."""
    places = np.arange(len(LOGARITHMS))
    exact = np.log1p(places / (ENTRIES_PER_GRAY * COMPANDED)) * (1 << WORD_BITS)
    assert np.array_equal(LOGARITHMS, np.floor(exact + 0.5))
    assert np.abs(exact % 1 - 0.5).min() > 1e-7
    costs = (12 - np.log2(family.tables.frequencies[:, :2].T.astype(np.float64))) * COST_UNIT
    assert np.array_equal(turn_costs(family.tables), np.floor(costs + 0.5))
    assert np.abs(costs % 1 - 0.5).min() > 1e-7


def test_networks_in_integers_paint_as_in_training(family: VqganFamily) -> None:
    model = tiny.fresh().model
    frame = procedural.picture(72, 88)
    data, spec = tiny.encode(family, frame[None], MAX_FINE)
    nodes = next(iter(family.read(spec, DecoderPort(family.tables, data))))
    quality = torch.tensor([spec.quality])
    with torch.no_grad():
        sums = model.sums([torch.from_numpy(at)[None] for at in nodes])
        plain = model.to_pixels(model.described(sums)[0])
        painted = model.synthesise(sums, quality)
    out = family.painting.paint(family.painting.sums(nodes), spec)

    def off(pixels: torch.Tensor) -> float:
        return float(np.abs(pixels[0].permute(1, 2, 0).clamp(0, 255).numpy()[:72, :88] - out).mean())

    assert off(painted) < 0.4 and off(plain) > 2 * off(painted), "a quarter is what rounding to bytes makes"


def test_accumulators_stay_below_their_limit() -> None:
    torch.manual_seed(0)
    prior = StagePrior(2, 16)
    for parameter in prior.parameters():
        parameter.data.mul_(400.0)
    assert prior.largest_accumulator() > ACCUMULATOR_LIMIT
    prior.project()
    assert prior.largest_accumulator() < ACCUMULATOR_LIMIT
    prior.freeze()
    assert prior.largest_accumulator() < ACCUMULATOR_LIMIT
    assert int(tiny.exported()[1]["largest_accumulator"]) < ACCUMULATOR_LIMIT


def test_tables_are_integers_of_the_weights_file() -> None:
    tensors, metadata = tiny.exported()
    tables = read_tables(tensors)
    assert len(tables) == 129 and all(np.array_equal(tensors[n], t) for n, t in turn_tables().items())
    p = tables.frequencies[:, 1] / 4096
    assert np.allclose(p, 1 / (1 + np.exp(-np.arange(-64, 65) / 8)), atol=1e-3)
    with pytest.raises(KeyError):
        build("vqgan", {name: t for name, t in tensors.items() if name not in TABLE_NAMES}, metadata)
    with pytest.raises(KeyError):
        build("vqgan", {name: t for name, t in tensors.items() if name != "priors.3.heads.weight"}, metadata)
    with pytest.raises(ValueError, match="wrong shape"):
        build("vqgan", tensors | {"priors.3.context.weight": tensors["priors.2.context.weight"]}, metadata)


# -- time --------------------------------------------------------------------------------------------------------------


def test_row_52_phenaki(family: VqganFamily, clip: Pixels, coded: tuple[bytes, GroupSpec]) -> None:
    """Ids of a prefix are the prefix of the ids; one frame is a picture; other futures change nothing."""
    whole = tiny.ids(family, *coded)
    for count in (1, 2):
        assert np.array_equal(tiny.ids(family, *tiny.encode(family, clip[:count], MAX_FINE)), whole[:count])
    other = np.concatenate([clip[:2], 255 - clip[2:]])
    changed = tiny.ids(family, *tiny.encode(family, other, MAX_FINE))
    assert np.array_equal(changed[:2], whole[:2]) and not np.array_equal(changed[2], whole[2])


# -- hostile streams ---------------------------------------------------------------------------------------------------


def test_forged_streams_end_in_an_error_or_in_frames(family: VqganFamily) -> None:
    frames = procedural.clip(2, 17, 33)
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
    indices = np.random.default_rng(1).integers(0, 129, (3, 1 << DEPTH)).astype(np.uint8)
    found = probabilities(indices, 6, family.tables)
    assert np.array_equal(found, np.rint(found)) and np.allclose(found.sum(1), 1 << CHANCE_BITS, rtol=1e-5)
    passed, turns = path(np.arange(64, 128), 6)
    bits = np.array([family.tables.bits(turns, row[passed]).sum(0) for row in indices])
    assert np.allclose(found / (1 << CHANCE_BITS), 2.0**-bits, rtol=0.003, atol=1e-6)


def test_lost_indices_are_restored_better_than_by_the_most_frequent() -> None:
    """A prior trained for a moment beats fills that know nothing; nothing lost changes nothing."""
    family = tiny.trained()
    frame = procedural.clip(2, 64, 96)[1:]
    data, spec = tiny.encode(family.configure("medium", rate_weight=0), frame, MAX_FINE)
    whole, codes = tiny.decode(family, data, spec), tiny.ids(family, data, spec)
    generator = np.random.default_rng(0)
    errors = {}
    for share in (0.0, 0.2, 0.4):
        mask = generator.random((1, 4, 6)) < share
        lost = family.lost(mask, spec)
        found = family.conceal(spec, DecoderPort(family.tables, data), lost)
        if share == 0:
            assert np.array_equal(found, whole)
            continue
        with threads(2):
            again = family.using(available_paths()[0]).conceal(spec, DecoderPort(family.tables, data), lost)
        assert np.array_equal(found, again)
        nodes = frame_nodes(codes[0], spec)
        for at, gone in zip(nodes, lost, strict=True):
            values, counts = np.unique(at[~gone[0]], return_counts=True)
            at[gone[0]] = values[counts.argmax()]
        filled = family.painting.paint(family.painting.sums(nodes), spec)[None]
        errors[share] = [float(np.square(x.astype(float) - whole).mean()) for x in (found, filled)]
        assert errors[share][0] < errors[share][1]
    assert errors[0.2][0] < errors[0.4][0]


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adversarial", [0, 1])
def test_training_steps_export_and_going_on(monkeypatch: pytest.MonkeyPatch, adversarial: int) -> None:
    monkeypatch.setattr(training, "CROP", 64)
    torch.manual_seed(0)
    task = VqganTask(adversarial=adversarial, **tiny.SIZES)
    task.restore(tensors_of(tiny.exported()[0]))
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
    tensors, metadata = tiny.in_arrays(task)
    family = build("vqgan", tensors, metadata)
    assert isinstance(family, VqganFamily) and int(metadata["largest_accumulator"]) < ACCUMULATOR_LIMIT
    data, spec = tiny.encode(family, procedural.picture(24, 40)[None], 4000)
    assert tiny.decode(family, data, spec).shape == (1, 24, 40, 3)
    if adversarial:
        same = [name for name in tensors if not name.startswith(("analysis", "synthesis"))]
        assert all(np.array_equal(tensors[name], tiny.exported()[0][name]) for name in same)


def test_restoring_an_export_gives_the_same_export() -> None:
    """Everything but the networks, whose integers stand for the same functions but for rounding."""
    task = tiny.restored()
    tensors, metadata = tiny.in_arrays(task)
    assert metadata == tiny.exported()[1] and tensors.keys() == tiny.exported()[0].keys()
    same = [name for name in tensors if not name.startswith(("analysis", "synthesis"))]
    assert all(np.array_equal(tensors[name], tiny.exported()[0][name]) for name in same)
    model, first = task.model, tiny.fresh().model
    for name, channels in (("analysis", 192), ("synthesis", 54)):
        words = torch.randn(1, channels, 9, 11, generator=torch.Generator().manual_seed(1))
        for quality in (0, 700, MAX_FINE):
            with torch.no_grad():
                new, old = (getattr(each, name)(words, torch.tensor([quality])) for each in (model, first))
            assert float((new - old).abs().max()) < 0.05 * float(old.abs().max())
    with pytest.raises(ValueError, match="calibrated on held-out pictures"):
        task.export([])


def test_examination_names_rate_and_quality_of_every_stage() -> None:
    task = tiny.restored()
    found = task.examine([tiny.chw(48, 64)])
    assert all(f"{name}_{stage}" in found for name in ("bpp", "psnr", "used") for stage in range(5))
    assert found["bpp_0"] < found["bpp_4"] and found["psnr_0"] < found["psnr_4"]
