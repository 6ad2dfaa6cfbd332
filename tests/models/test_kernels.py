"""The walk in C++ against `BandPrior.walk` on every path of the processor, and what the kernels refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tessera.data import procedural
from tessera.entropy import Tables
from tessera.models import _kernels
from tessera.models.base import kernels as base
from tessera.models.base.family import GroupSpec, Symbols, TableIndices
from tessera.models.base.kernels import Integers, Kernels
from tessera.models.prior.bands import BandPrior
from tessera.models.prior.fitted import initial_pmf, integer_tables
from tessera.models.prior.fixed_point import QualityTable
from tessera.models.prior.ladder import RUNGS, TABLE_REACH, costs_of
from tessera.models.prior.native import NativePrior, margins, pass_order, sizes_of
from tessera.models.transform.bands import RATE_WEIGHT, REACHES, slice_bands, slices_of

from ..support import prior_twin as twin
from ..support.kernel_paths import available_paths, threads

SIZES = [(1, 1), (1, 9), (17, 3), (63, 130)]
HINTS = 2


@pytest.fixture(scope="module", params=available_paths())
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass
class Made:
    """A small prior with random weights, many beyond a byte, and biases that reach every rung."""

    module: BandPrior
    arrays: dict[str, NDArray[Any]]
    tables: Tables

    def native(self, path: str | None = None) -> NativePrior:
        return NativePrior(self.arrays, costs_of(self.tables), RATE_WEIGHT, Kernels(path))


@lru_cache
def made(hints: int = 0) -> Made:
    torch.manual_seed(21)
    counts = [len(part) for part in slice_bands()]
    module = BandPrior(4, counts, REACHES, 32, hints=hints)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, QualityTable):
                hidden = part.bits == 11  # not an answer
                part.weight.normal_(std=4.0 if hidden else 40.0).add_(0.0 if hidden else 40.0)
        for level in (module.packet, module.pyramid):
            for piece in level.parts():
                piece.first.weight.mul_(3.0)
                piece.second.weight.mul_(3.0)
                if piece.context is not None:
                    piece.context.weight.mul_(2.0)
    module.project()
    module.freeze()
    frequencies, lows, sizes = (t.numpy() for t in integer_tables(initial_pmf()).values())
    arrays = {name: t.detach().numpy().copy() for name, t in module.state_dict().items()}
    return Made(module, arrays, Tables(frequencies.astype(np.uint16), lows, sizes))


class Recorder:
    """A port that keeps what is put, and makes up what is got: small numbers, and some of all that an int32 holds."""

    def __init__(self) -> None:
        self.calls: list[tuple[Symbols, TableIndices]] = []
        self.random = np.random.default_rng(8)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        assert symbols.dtype == np.int32 and indices.dtype == np.uint8 and symbols.shape == indices.shape
        self.calls.append((symbols.copy(), indices.copy()))

    def get(self, indices: TableIndices) -> Symbols:
        assert indices.dtype == np.uint8 and indices.ndim == 1
        n = len(indices)
        small = (self.random.normal(size=n) * 2).astype(np.int64)
        small = np.where(indices >= 72, small & 1, small)
        wild = self.random.integers(-(2**31), 2**31, n)
        ends = np.array([-(2**31), 2**31 - 1])[wild & 1]
        chance = self.random.random(n)
        large = np.where(chance < 0.01, ends, wild >> (wild & 7))
        symbols = np.where(chance < 0.03, large, small).astype(np.int32)
        self.calls.append((symbols.copy(), indices.copy()))
        return symbols


def assert_same_calls(one: Recorder, two: Recorder) -> None:
    assert len(one.calls) == len(two.calls)
    for a, b in zip(one.calls, two.calls, strict=True):
        np.testing.assert_array_equal(a[1], b[1])
        np.testing.assert_array_equal(a[0], b[0])


def heard(spec: GroupSpec, seed: int) -> list[Integers]:
    """Magnitudes 0..255 beside every level but the low one."""
    rng, counts = np.random.default_rng(seed), (125, 9, 9, 9, 9)
    sizes = sizes_of(spec)[: len(counts)]
    return [
        (rng.integers(0, 256, (HINTS * count, *size)) >> rng.integers(0, 9)).astype(np.int32)
        for count, size in zip(counts, sizes, strict=True)
    ]


def bands(spec: GroupSpec) -> tuple[list[NDArray[np.float32]], Integers]:
    """Bands in steps, (channels, cells) in raster order, that grow from coarse to fine; a few of them anything."""
    rng, levels = np.random.default_rng(3), []
    for count, (h, w) in zip((125, 9, 9, 9, 9), sizes_of(spec), strict=False):
        plane = rng.laplace(size=(count, h * w)) * 2.0 ** rng.integers(-3, 9, (count, 1))
        plane[rng.random(plane.shape) < 0.01] *= 1e3
        plane[rng.random(plane.shape) < 0.001] *= 1e30
        levels.append(plane.astype(np.float32))
    low = rng.integers(-3000, 3000, (3, *sizes_of(spec)[-1])).astype(np.int32)
    return levels, low


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "hints"), [(1, 0), (3, 0), (3, HINTS)])
def test_encoding_walk(path: str, size: tuple[int, int], channels: int, hints: int) -> None:
    prior = made(hints)
    for quality, count in ((1000, 1), (5300, 3)):
        spec = GroupSpec(1, *size, channels, quality)
        scaled, low = bands(spec)
        beside = heard(spec, 5) if hints else None
        mine, theirs = Recorder(), Recorder()
        ordered = [np.ascontiguousarray(y[:, pass_order(*s)]) for y, s in zip(scaled, sizes_of(spec), strict=False)]
        with threads(count):
            coded = prior.native(path).code(ordered, low, spec, mine, beside)
        coder = twin.Encoding(theirs, costs_of(prior.tables), scaled, low, RATE_WEIGHT)
        levels, rungs = twin.walk_frame(prior.module, spec, coder, beside)
        assert_same_calls(mine, theirs)
        assert coded is not None
        for one, two in zip(coded.levels(), levels, strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(coded.kept_rungs, rungs)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "hints"), [(1, 0), (3, 0), (3, HINTS)])
def test_decoding_walk(path: str, size: tuple[int, int], channels: int, hints: int) -> None:
    prior = made(hints)
    for quality, count in ((1000, 1), (5300, 3)):
        spec = GroupSpec(1, *size, channels, quality)
        beside = heard(spec, 6) if hints else None
        mine, theirs = Recorder(), Recorder()
        with threads(count):
            coded = prior.native(path).read(spec, mine, beside)
        levels, rungs = twin.walk_frame(prior.module, spec, twin.Decoding(theirs), beside)
        assert_same_calls(mine, theirs)
        for one, two in zip(coded.levels(), levels, strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(coded.kept_rungs, rungs)


def test_the_sample_reaches_wide_rungs_and_wide_weights() -> None:
    """What the tests above are worth: the sample holds every case."""
    port = Recorder()
    made().native().read(GroupSpec(1, 200, 264, 3, 5300), port)
    used = np.unique(np.concatenate([indices for _, indices in port.calls]))
    assert used.min() == 0 and used.max() >= 74 and len(used) > 60
    context = made().module.packet.parts()[1].context
    assert context is not None and float(context.weight.abs().max()) > 127
    assert RUNGS == 120


@pytest.mark.parametrize("wanted", [1, 3, 4, 18, 40, 70, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_reading_stops_after_the_slices_that_are_wanted(channels: int, wanted: int) -> None:
    """The calls of the whole walk, up to where it stops; then the first bands alone."""
    prior, spec, most = made(), GroupSpec(1, 61, 90, channels, 5300), slices_of(wanted)
    ports = Recorder(), Recorder(), Recorder()
    coded = prior.native().read(spec, ports[0], most=most)
    whole = prior.native().read(spec, ports[1])
    twin.walk_frame(prior.module, spec, twin.Decoding(ports[2]), most=most)
    assert_same_calls(ports[0], ports[2])
    stops = wanted <= (38 if channels == 1 else 72)  # before the last slice that is coded
    assert (len(ports[0].calls) < len(ports[1].calls)) == stops
    ports[1].calls = ports[1].calls[: len(ports[0].calls)]
    assert_same_calls(ports[0], ports[1])
    assert len(coded.packet) >= wanted - 3
    np.testing.assert_array_equal(coded.packet, whole.packet[: len(coded.packet)])
    np.testing.assert_array_equal(coded.kept_rungs, whole.kept_rungs[: len(coded.kept_rungs)])


def test_margins_are_what_the_next_smaller_magnitude_saves() -> None:
    costs = costs_of(made().tables)
    rows = margins(costs, RATE_WEIGHT)
    assert rows.shape == (RUNGS, TABLE_REACH + 3) and not rows[:, 0].any() and not rows[:, -1].any()
    for rung in (0, 40, 71, 72, RUNGS - 1):
        for magnitude in (1, 2, TABLE_REACH, TABLE_REACH + 1):
            saved = float(costs[rung, magnitude]) - float(costs[rung, magnitude - 1])
            assert rows[rung, magnitude] == np.float32(RATE_WEIGHT * saved)


def test_packet_bands_are_in_order(path: str) -> None:
    """A single coefficient's pattern comes back in its band: analysis and synthesis number bands alike."""
    every = np.array([band for band in range(192) if band % 64], np.int32)
    kernels = Kernels(path)
    for band in (1, 2, 7, 21, 42, 63, 65, 191):
        packet, low = np.zeros((len(every), 3, 3), np.int32), np.zeros((3, 3, 3), np.int32)
        place = int(np.flatnonzero(every == band)[0])
        packet[place, 1, 1] = 400
        found, _ = kernels.analyse(kernels.synthesise(packet, low, every), every)
        assert int(np.abs(found[:, 1, 1]).argmax()) == place


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    with threads(0):
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert base.threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "5,2")  # of nested loops: the outer ones count
        assert base.threads() == 5
        for nothing in ("", "0", "many"):
            monkeypatch.setenv("OMP_NUM_THREADS", nothing)
            assert base.threads() >= 1
        base.set_threads(2)
        assert base.threads() == 2
        with pytest.raises(ValueError, match="-1"):
            base.set_threads(-1)
        assert base.threads() == 2
        base.set_threads(0)
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        assert base.threads() == 4


def picture() -> NDArray[np.uint8]:
    return procedural.picture(64, 64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _kernels.cpu_path("sse9"), "path"),
        (lambda: Kernels("sse9").planes(picture()), "path"),
        (lambda: _kernels.Level(np.zeros((3, 9, 3, 3), np.int32)), "multiple of 4"),
        (lambda: _kernels.Level(np.full((4, 9, 3, 3), 2**31 - 1, np.int32)), "too large"),
        (lambda: _kernels.Level(np.zeros((4, 9, 3, 2), np.int32)), "side"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_walks_are_refused() -> None:
    level = _kernels.Level(np.zeros((4, 9, 3, 3), np.int32))
    bias = np.zeros(4, np.int32)
    for wrong in (np.full(4, -(2**31), np.int32), np.zeros(5, np.int32)):
        with pytest.raises(ValueError, match="bias"):
            _kernels.Walk(level, 2, 2, wrong, None, True)
    with pytest.raises(ValueError, match="height"):
        _kernels.Walk(level, 0, 2, bias, None, True)
    with pytest.raises(ValueError, match="coarser"):
        _kernels.Walk(level, 3, 3, bias, np.zeros((9, 1, 1), np.int32), True)
    with pytest.raises(ValueError, match="hints"):
        _kernels.Walk(level, 2, 2, bias, None, True, hints=np.zeros((1, 2, 2), np.int32))
    with pytest.raises(TypeError):
        _kernels.Walk(level, 2, 2, bias.astype(np.int64), None, True)
    walk = _kernels.Walk(level, 2, 2, bias, None, True)
    with pytest.raises(ValueError, match="slice"):
        walk.tables(0, 0, np.zeros(3, np.int32))
    with pytest.raises(RuntimeError, match="no more slices"):
        first, near, second = (np.zeros(shape, np.int32) for shape in ((1, 4, 1, 1), (1, 1, 5, 5), (1, 5, 1, 1)))
        level.add(first, near, second, None)


def test_bad_passes_are_refused() -> None:
    level = _kernels.Level(np.zeros((4, 9, 3, 3), np.int32))
    first, near, second = (np.zeros(shape, np.int32) for shape in ((1, 4, 1, 1), (1, 1, 5, 5), (1, 5, 1, 1)))
    level.add(first, near, second, None)
    walk = _kernels.Walk(level, 2, 2, np.zeros(4, np.int32), None, False)
    bias = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="parity"):
        walk.tables(0, 2, bias)
    with pytest.raises(ValueError, match="bias"):
        walk.tables(0, 0, np.zeros(2, np.int32))
    scaled, rows = np.zeros((1, 4), np.float32), np.zeros((RUNGS, TABLE_REACH + 3), np.float32)
    with pytest.raises(ValueError, match="scaled"):
        walk.round(0, 0, bias, scaled[:, :3].copy(), rows)
    with pytest.raises(ValueError, match="margins"):
        walk.round(0, 0, bias, scaled, rows[:5].copy())
    walk.tables(0, 0, bias)
    with pytest.raises(ValueError, match="symbols"):
        walk.update(np.zeros(3, np.int32), None)
    with pytest.raises(ValueError, match="low"):
        walk.update(np.zeros(2, np.int32), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="keeps no such planes"):
        walk.values  # noqa: B018  # reading it is the test
