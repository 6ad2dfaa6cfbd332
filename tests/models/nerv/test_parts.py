"""The parts of family `nerv`: configurations and their bounds, quantisers, the header, fits that can be stopped."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec, Symbols, TableIndices
from tessera.models.base.fitted import FitStatus, quality_of, rate_of
from tessera.models.base.ports import Metered, Nowhere
from tessera.models.base.quality import MAX_FINE, fine
from tessera.models.nerv import config as nerv
from tessera.models.nerv.config import ARCHITECTURES, Config
from tessera.models.nerv.decoder import NervDecoder
from tessera.models.nerv.embedding import ContentEncoder, time_code
from tessera.models.nerv.family import NervFamily
from tessera.models.nerv.fitting import OPTIMISERS, Fit
from tessera.models.nerv.painter import NetworkPainter
from tessera.models.nerv.quantise import LadderCosts, TensorPart
from tessera.models.nerv.schedule import Schedule
from tessera.models.nerv.segments import GroupFit, GroupIntegers, Plan, segment_spans, visit_group
from tessera.models.nerv.wire import IntegerReader, IntegerWriter

SIZES = [(1, 1), (5, 200), (33, 47), (48, 64), (144, 176), (360, 640), (640, 1280), (720, 1280), (1080, 1920)]


def configured(arch: str, frames: int, height: int, width: int, budget: float, channels: int = 3) -> Config:
    strides = nerv.choose_strides(height, width)
    flags = ARCHITECTURES[arch]
    depth = nerv.choose_embedding(height, width, math.prod(strides)) if flags & nerv.CONTENT else 0
    return nerv.fit_width(Config(flags, frames, height, width, channels, strides, depth, nerv.WIDTH_UNIT), budget)


# -- configurations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_are_those_of_the_network(arch: str, channels: int) -> None:
    config = configured(arch, 4, 33, 47, 20e3, channels)
    network = NervDecoder(config)
    assert list(nerv.shapes(config).items()) != []
    assert nerv.shapes(config) == {name: tuple(value.shape) for name, value in network.named_parameters()}
    embeddings = None
    if config.has(nerv.CONTENT):
        rows, columns = (side * config.stride for side in config.grid)
        embeddings = ContentEncoder(config)(torch.zeros(2, channels, rows, columns))
        assert embeddings.shape == (2, config.embedding, *config.grid)
    assert network(torch.tensor([0.0, 2.5]), embeddings).shape == (2, channels, 33, 47)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_strides_pad_little(height: int, width: int) -> None:
    strides = nerv.choose_strides(height, width)
    total = math.prod(strides)
    padded = -(-height // total) * total * -(-width // total) * total
    assert padded <= 1.25 * height * width or min(height, width) < 32
    assert max(strides) <= nerv.MAX_STRIDE and list(strides) == sorted(strides, reverse=True)


@pytest.mark.parametrize("budget", [0.35e6, 0.75e6, 1.5e6, 3e6])
def test_architectures_meet_a_budget_of_parameters_alike(budget: float) -> None:
    """Seed row 21: parameters equal within 2 %."""
    for arch in ARCHITECTURES:
        assert 0.98 <= nerv.parameters(configured(arch, 132, 640, 1280, budget)) / budget <= 1.02


def test_even_widths_spread_the_parameters() -> None:
    """HNeRV's kernels and widths leave no stage with most of the weights; NeRV's first stage has most of them."""

    def share(arch: str) -> float:
        shapes = nerv.shapes(configured(arch, 132, 640, 1280, 1.5e6))
        stages = [math.prod(s) for name, s in shapes.items() if name.startswith("stages.") and name.endswith("weight")]
        return max(stages) / sum(stages)

    assert share("hnerv") < share("nerv")


@pytest.mark.parametrize(
    "change",
    [
        {"flags": 32},
        {"strides": ()},
        {"strides": (6,)},
        {"strides": (0,)},
        {"strides": (2,) * 9},
        {"strides": (5, 5, 5, 5)},
        {"strides": (4, 4, 4, 4)},  # larger than the frame
        {"embedding": 0},
        {"embedding": 65},
        {"width": 0},
        {"width": nerv.MAX_WIDTH + 1},
        {"width": nerv.MAX_WIDTH},  # layers or parameters too many
    ],
)
def test_bounds_are_checked(change: dict[str, object]) -> None:
    config = configured("hnerv", 8, 48, 64, 20e3)
    assert config.check() is config
    with pytest.raises(ValueError, match=r"range|large|unknown|limit"):
        replace(config, **change).check()  # type: ignore[arg-type]


def test_time_code_tells_neighbours_apart() -> None:
    for frames in (1, 2, 132, 65536):
        code = time_code(torch.arange(min(frames, 500)), frames)
        assert code.shape[1] == nerv.TIME_CODE and bool((code.abs() <= 1).all())
        if frames > 1:
            assert float((code[1:] - code[:-1]).norm(dim=1).min()) > 0.3


def test_quality_is_a_rate() -> None:
    assert rate_of(fine(50)) == 0.0625 and rate_of(fine(75)) == 0.25
    assert all(quality_of(rate_of(quality)) == quality for quality in range(0, MAX_FINE + 1, 100))
    assert quality_of(0.0) == 0 and quality_of(1e9) == MAX_FINE


# -- the stream --------------------------------------------------------------------------------------------------------


def test_numbers_and_values_come_back(ladder: LadderCosts) -> None:
    port = EncoderPort(ladder.tables)
    writer = IntegerWriter(port, ladder.costs)
    numbers = [(0, 1), (1, 1), (5, 5), (63, 63), (64, 64), (65535, 65535), (0, 0)]
    generator = torch.Generator().manual_seed(1)
    spread = torch.logspace(-2, 4, 12)[:, None, None, None]
    values = (torch.randn(12, 5, 3, 3, generator=generator) * spread).round().int()
    values[3, 0, 0, 0] = -(1 << 20)
    parts = [TensorPart("a", (12, 5, 3, 3), rows) for rows in (1, 4, 12)]
    for value, largest in numbers:
        writer.number(value, largest)
    for part in parts:
        writer.values(part, values)
    decoder = DecoderPort(ladder.tables, port.finish())
    reader = IntegerReader(decoder)
    assert [reader.number(0, largest) for _, largest in numbers] == [value for value, _ in numbers]
    for part in parts:
        assert torch.equal(reader.values(part, None), values)
    decoder.finish()


def test_a_number_beyond_its_bound_is_refused(ladder: LadderCosts) -> None:
    port = EncoderPort(ladder.tables)
    IntegerWriter(port, ladder.costs).number(60, 63)
    with pytest.raises(ValueError, match="largest allowed is 59"):
        IntegerReader(DecoderPort(ladder.tables, port.finish())).number(0, 59)


class Forged:
    """A port that answers with random symbols around what the tables would name."""

    def __init__(self, seed: int, reach: int) -> None:
        self.generator, self.reach, self.taken = np.random.default_rng(seed), reach, 0

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise AssertionError

    def get(self, indices: TableIndices) -> Symbols:
        self.taken += len(indices)
        assert self.taken < 1 << 22, "far more symbols than a small frame can have"
        small = self.generator.integers(-1, self.reach, indices.shape, dtype=np.int32)
        return small if len(indices) < 100 else small * 1000


@pytest.mark.parametrize("reach", [2, 4, 8, 40])
def test_forged_symbols_are_refused_or_painted(reach: int) -> None:
    """ValueError, or frames of the right shape; never anything else, and no memory on an unchecked number."""
    family, _ = weights.load("nerv")
    assert isinstance(family, NervFamily)
    spec = GroupSpec(3, 10, 12, 3, 0)
    for seed in range(60):
        try:
            frames = family.decode(spec, Forged(seed, reach), "standard")
        except ValueError:
            continue
        assert frames.shape == (3, 10, 12, 3) and frames.dtype == np.uint8


# -- fits --------------------------------------------------------------------------------------------------------------


FRAMES = torch.from_numpy(np.ascontiguousarray(procedural.clip(6, 24, 32)))


class Memory:
    """A store in memory; it can stop a fit when it has been asked to save so often."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, NDArray[Any]]] = {}

    def load(self, key: str) -> dict[str, NDArray[Any]] | None:
        return self.kept.get(key)

    def save(self, key: str, state: dict[str, NDArray[Any]]) -> None:
        self.kept[key] = {name: value.copy() for name, value in state.items()}


def stopping(after: int) -> tuple[list[FitStatus], object]:
    seen: list[FitStatus] = []

    def watch(status: FitStatus) -> None:
        seen.append(status)
        if len(seen) == after:
            raise KeyboardInterrupt

    return seen, watch


def fit(ladder: LadderCosts, plan: Plan, watch: object = None, store: Memory | None = None) -> dict[str, Tensor]:
    config = configured("hnerv-boost", len(FRAMES), 24, 32, 14e3)
    coded = GroupFit(config, ladder, FRAMES, plan, watch, store).run()  # type: ignore[arg-type]
    return {f"{k}.{name}": value for k, found in enumerate(coded.segments) for name, value in found.items()}


TWO_SEGMENTS = Plan(60e3, 12, length=3)


@pytest.fixture(scope="module")
def whole(ladder: LadderCosts) -> dict[str, Tensor]:
    """A fit that nothing stops."""
    return fit(ladder, TWO_SEGMENTS)


@pytest.mark.parametrize("after", [7, 30, 43])  # before rounding, while rounding, in the second segment
def test_a_stopped_fit_goes_on_where_it_was(ladder: LadderCosts, whole: dict[str, Tensor], after: int) -> None:
    memory = Memory()
    _, watch = stopping(after)
    with pytest.raises(KeyboardInterrupt):
        fit(ladder, TWO_SEGMENTS, watch, memory)
    seen, watch = stopping(-1)
    again = fit(ladder, TWO_SEGMENTS, watch, memory)
    assert len(seen) < 54 - after + 2
    assert whole.keys() == again.keys() and all(torch.equal(whole[name], again[name]) for name in whole)


def test_an_early_end_keeps_what_is_fitted(ladder: LadderCosts) -> None:
    _, watch = stopping(10)
    assert fit(ladder, Plan(60e3, 12, early=True), watch).keys() == fit(ladder, Plan(60e3, 1)).keys()


def test_bits_never_pass_the_plan(ladder: LadderCosts) -> None:
    """Also where the fit had no time to learn its rate, and for residuals."""
    for plan in (Plan(40e3, 1), Plan(9e3, 2), Plan(60e3, 2, length=2), Plan(60e3, 10)):
        config = configured("hnerv", len(FRAMES), 24, 32, 14e3)
        coded = GroupFit(config, ladder, FRAMES, plan, None, None).run()
        port = Metered(Nowhere(), ladder.tables)
        visit_group(IntegerWriter(port, ladder.costs), GroupSpec(6, 24, 32, 3, 0), coded)
        assert port.spent <= plan.bits


@pytest.mark.parametrize("arch", ["nerv", "hnerv", "nerv++-boost"])
def test_the_decoded_group_is_the_fitted_one(ladder: LadderCosts, arch: str) -> None:
    """PSNR within 0.01 dB of the fitted network's, and near what it has in bf16, in which it was fitted.

    A network that has just learnt with bf16's roundings may be better or worse without: by up to 0.05 dB after 12 to
    120 epochs of these frames.
    """
    config = configured(arch, len(FRAMES), 24, 32, 14e3)
    group = GroupFit(config, ladder, FRAMES, Plan(5.0 * nerv.parameters(config), 12), None, None)
    fitted = Fit(config, ladder, group._segment(0), group._measure())
    fitted.run(Schedule(12 * fitted.steps_an_epoch), lambda status: None)
    painted: list[float] = []  # of the fitted network, in float32 and as it was fitted
    for bf16 in (False, fitted._bf16):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network, _ = fitted._weights()
            embeddings = fitted._embed(fitted._target(torch.arange(len(FRAMES))))
            if embeddings is not None:
                embeddings, _ = fitted._round_embeddings(embeddings)
            frames = functional_call(fitted.decoder, network, (torch.arange(len(FRAMES)), embeddings))
        painted.append(psnr((255 * frames).round().clamp(0, 255).permute(0, 2, 3, 1)))
    coded = GroupIntegers(config, len(FRAMES), fitted.quantiser.levels(), [fitted.integers()])
    times = np.arange(len(FRAMES), dtype=np.float64)
    decoded = torch.from_numpy(NetworkPainter(coded, torch.device("cpu")).paint(times, "standard"))
    assert fitted.rounded
    assert psnr(decoded) == pytest.approx(painted[0], abs=0.01) and psnr(decoded) > painted[1] - 0.1


def psnr(frames: Tensor) -> float:
    """dB of frames 0..255 against FRAMES, mean over frames."""
    error = (frames.double() - FRAMES.double()).square().mean((1, 2, 3))
    return float(10 * (255**2 / error).log10().mean())


def test_adam_alone_learns_another_network(ladder: LadderCosts) -> None:
    """`optimiser=adam` leaves nothing to Muon, and every parameter is in one group of either."""
    config = configured("hnerv", len(FRAMES), 24, 32, 14e3)
    found: list[dict[str, Tensor]] = []
    for optimiser in OPTIMISERS:
        group = GroupFit(config, ladder, FRAMES, Plan(60e3, 2, optimiser=optimiser), None, None)
        fitted = Fit(config, ladder, group._segment(0), group._measure(), 0, optimiser)
        kinds = [g["optimiser"] for g in fitted.optimiser.param_groups]
        assert kinds == (["muon", "adam", "adam"] if optimiser == "muon" else ["adam", "adam"])
        assert len(fitted._trained()) == len(list(fitted.parameters())) and len(set(map(id, fitted._trained()))) > 10
        found.append(group.run().segments[0])
    assert any(not torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_segments_cover_the_group() -> None:
    assert segment_spans(7, 3) == [(0, 3), (3, 3), (6, 1)] and segment_spans(2, 9) == [(0, 2)]
