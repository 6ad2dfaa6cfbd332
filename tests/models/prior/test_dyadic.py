"""The walk over a dyadic pyramid: the kernels, their numpy twin and the model in training agree on every integer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tessera.entropy import Tables
from tessera.entropy.coder import CorruptStream, Decoder, Encoder
from tessera.models.base.family import GroupSpec
from tessera.models.base.kernels import Kernels
from tessera.models.prior import offsets
from tessera.models.prior.bands import hard
from tessera.models.prior.dyadic import DyadicCoder, slices_of
from tessera.models.prior.dyadic_bands import DyadicPrior, DyadicSlice, joined, parted
from tessera.models.prior.fitted import initial_odd_pmf, initial_pmf, magnitude_tables
from tessera.models.prior.fixed_point import ACCUMULATOR_LIMIT, QualityTable
from tessera.models.prior.ladder import TABLE_NAMES, TABLE_REACH, TABLES
from tessera.models.prior.offsets import OFFSET_REACH, Offsets
from tessera.models.prior.quantisers import ODD_TABLE_NAMES, ODD_TABLES
from tessera.models.prior.signs import SIGN_TABLE_NAMES, SIGN_TABLES
from tessera.models.training.dyadic import SignFit, step_bases
from tessera.models.training.exporting import prior_tensors
from tessera.models.training.steps import step_tensors
from tessera.models.transform import packet
from tessera.models.transform.bands import LOW_GAIN
from tessera.models.transform.dyadic import DEPTH, DyadicSteps
from tessera.models.transform.gains import dyadic_gains
from tessera.models.transform.steps import HINT_BITS, STEP_BITS
from tests.support import kernel_paths
from tests.support.dyadic_twin import Chosen, in_pass, twin_of

FIRST_SIGN = 78
SIZES = [(1, 1), (2, 3), (3, 1), (33, 47), (50, 101)]


class Port:
    """A coder without its native side, which the kernels call back."""

    def __init__(self, coder: Any) -> None:
        self.coder = coder

    def put(self, symbols: NDArray[np.int32], indices: NDArray[np.uint8]) -> None:
        self.coder.put(symbols, indices)

    def get(self, indices: NDArray[np.uint8]) -> NDArray[np.int32]:
        found: NDArray[np.int32] = self.coder.get(indices)
        return found


class NativePort(Port):
    def native(self) -> Any:
        return contextlib.nullcontext(self.coder.native())


@cache
def prior() -> DyadicPrior:
    """Random weights; rungs from the first to wide ones, logits of every table."""
    torch.manual_seed(7)
    found = DyadicPrior()
    with torch.no_grad():
        for module in found.modules():
            if isinstance(module, QualityTable):
                module.weight.normal_(0.0, 2.0)
        for module in found.modules():
            if isinstance(module, DyadicSlice):
                for bias in module.biases.parameters():
                    bias[:, : module.count].uniform_(-10.0, 90.0)
                    bias[:, module.count :].normal_(0.0, 8.0)
        found.low.weight.uniform_(60.0, 100.0)
    found.project()
    found.freeze()
    assert found.largest_accumulator() < ACCUMULATOR_LIMIT
    return found


@cache
def tables() -> Tables:
    arrays = magnitude_tables(initial_pmf(), SignFit().fitted(), initial_odd_pmf())
    rows = []
    for names in (TABLE_NAMES, SIGN_TABLE_NAMES, ODD_TABLE_NAMES):
        frequencies, lows, sizes = (arrays[name].numpy() for name in names)
        rows += [(row[:n].astype(np.uint16), int(low)) for row, low, n in zip(frequencies, lows, sizes, strict=True)]
    assert len(rows) == FIRST_SIGN + SIGN_TABLES + ODD_TABLES
    return Tables.stack(rows)


@cache
def steps() -> DyadicSteps:
    return DyadicSteps(step_bases().numpy(), {name: tensor.numpy() for name, tensor in step_tensors().items()})


def coder(path: str | None = None) -> DyadicCoder:
    arrays = {name: tensor.numpy() for name, tensor in prior_tensors(prior()).items()}
    return DyadicCoder(arrays, steps(), tables(), FIRST_SIGN, 0.14, Kernels(path))


def planes(height: int, width: int, channels: int) -> NDArray[np.int32]:
    random = np.random.default_rng(height * width)
    found = np.zeros((3, height, width), np.int32)
    smooth = np.cumsum(random.normal(0, 60, (channels, height, width)), 2)
    found[:channels] = np.clip(smooth + random.normal(0, 200, smooth.shape), -4000, 4000)
    return found


def encoded(
    chosen: DyadicCoder, spec: GroupSpec, port: type[Port], given: Offsets = (), weigh: bool = False
) -> tuple[bytes, Any]:
    encoder = Encoder(tables())
    pyramid = chosen.kernels.pyramid(planes(spec.height, spec.width, spec.channels), DEPTH)
    frame = chosen.code_pyramid(pyramid, spec, port(encoder), keep=True, given=given, weigh=weigh)
    return encoder.finish(), frame


def same(one: Any, other: Any) -> bool:
    pairs = [*zip(one.details, other.details, strict=True), (one.low, other.low), (one.planes, other.planes)]
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_kernels_and_twin_agree(size: tuple[int, int], channels: int) -> None:
    """The same bytes, the same frame, on every path and with threads, and a decoder reads them back."""
    spec = GroupSpec(1, *size, channels, 3700)
    twin = twin_of(coder())
    data, frame = encoded(twin, spec, Port)
    assert np.abs(frame.details[0]).max() > 0 or max(size) < 4
    decoder = Decoder(tables(), data)
    read = twin.read(spec, Port(decoder), tables())
    assert same(frame, read)
    decoder.finish()
    assert encoded(coder(), spec, Port)[0] == data, "a port that lends no coder takes the same symbols"
    bits = coder().bits(read, spec, tables())
    assert abs(bits.sum() / 8 - len(data)) < 8 and bits.shape == (-(-size[0] // 8), -(-size[1] // 8))
    for path in kernel_paths.available_paths():
        for threads in (1, 3):
            with kernel_paths.threads(threads):
                assert encoded(coder(path), spec, NativePort)[0] == data
                decoder = Decoder(tables(), data)
                again = coder(path).read(spec, NativePort(decoder), tables(), keep=True)
                decoder.finish()
                assert same(frame, again) and np.array_equal(bits, coder().bits(again, spec, tables()))


@pytest.mark.parametrize("channels", [1, 3])
def test_offsets_of_rungs(channels: int) -> None:
    """Kernels and twin code with them, weigh them alike, and weighing chooses what takes fewer bytes."""
    spec, random = GroupSpec(1, 50, 101, channels, 3700), np.random.default_rng(9)
    given = tuple(random.integers(-9, 10, DEPTH * slices_of(spec)).tolist())
    data, frame = encoded(twin_of(coder()), spec, Port, given, weigh=True)
    assert data != encoded(coder(), spec, NativePort)[0]
    for path in kernel_paths.available_paths():
        again, found = encoded(coder(path), spec, NativePort, given, weigh=True)
        assert again == data and np.array_equal(found.weighed, frame.weighed)
        decoder = Decoder(tables(), data)
        assert same(frame, coder(path).read(spec, NativePort(decoder), keep=True))
        decoder.finish()
    decoder = Decoder(tables(), data)
    assert same(frame, twin_of(coder()).read(spec, Port(decoder)))
    better = coder().offsets_of(frame)  # beside those given
    assert better and abs(np.array(better)).max() <= OFFSET_REACH
    both = tuple(one + other for one, other in zip(given, better, strict=True))
    assert len(encoded(coder(), spec, NativePort, both)[0]) < 0.95 * len(data)


def test_offsets_that_save_nothing_are_not_coded() -> None:
    even = np.full((5, 2 * OFFSET_REACH + 1), 1000, np.int64)
    bits = np.arange(1.0, 20.0, dtype=np.float32)
    assert offsets.chosen(even, bits, 10.0) == ()
    even[2, OFFSET_REACH - 3] -= 70  # less than five zeros and a three take
    assert offsets.chosen(even, bits, 10.0) == () and offsets.chosen(even, bits, 5.0) == (0, 0, -3, 0, 0)


def test_runs_that_do_not_stay_blank() -> None:
    """Specks on a plain ground: all is zero until a level, a slice, a pass or a neighbour brings something."""
    spec, random = GroupSpec(1, 24, 400, 3, 3700), np.random.default_rng(5)
    details, low = Kernels().pyramid(np.zeros((3, spec.height, spec.width), np.int32), DEPTH)
    for level, count in ((0, 90), (1, 2), (2, 1)):
        _, h, w = details[level].shape
        for _ in range(count):
            details[level][random.integers(9), random.integers(h), random.integers(w)] = random.integers(-60000, 60000)

    def strong(path: str | None) -> DyadicCoder:
        """Neighbours change many answers: weights are as large as sums allow."""
        arrays = dict(coder().arrays)
        for name, array in arrays.items():
            if largest := 64 * (".near." in name) or 255 * (".heads." in name):
                arrays[name] = array * int(ACCUMULATOR_LIMIT // (largest * np.abs(array).sum((1, 2, 3)).max()))
        return DyadicCoder(arrays, steps(), tables(), FIRST_SIGN, 0.14, Kernels(path))

    written = []
    every = [(twin_of(strong(None)), Port), *((strong(path), NativePort) for path in kernel_paths.available_paths())]
    for chosen, port in every:
        encoder = Encoder(tables())
        chosen.code_pyramid((details, low), spec, port(encoder))
        written.append(encoder.finish())
    assert len(set(written)) == 1 and len(written[0]) > 100


def test_the_model_in_training_names_the_same_tables() -> None:
    spec, quality = GroupSpec(1, 37, 50, 3, 2900), torch.tensor([2900])
    chosen, kernels = coder(), Kernels()
    _, frame = encoded(chosen, spec, NativePort)
    walk = twin_of(chosen).walk(spec)
    seen: list[Any] = []
    expected: list[Any] = []
    values = [np.sign(halves) * (np.abs(halves) + 1 >> 1) for halves in frame.details]

    def visit(level: int, band: slice, parity: int, rungs: NDArray[Any], signs: NDArray[Any]) -> Chosen:
        seen.append((level, band.start, parity, rungs, signs))
        found, halves = (in_pass(of[level - 1][band], parity) for of in (values, frame.details))
        return found, (halves % 2).astype(np.uint8)

    walk.run(37, 50, 3, frame.low, visit)
    at = steps().at(2900)
    plane = kernels.restore(frame.low, at.low, None)

    def differences(level: int, above: Tensor | None) -> Tensor:
        nonlocal plane
        if above is not None:
            known = kernels.restore(frame.details[level], at.levels[level].halves, None)
            h, w = frame.details[level - 1].shape[1:]
            plane = kernels.unpyramid([known], plane, h, w)
        return torch.from_numpy(walk.described(plane, level))[None].float()

    def code(level: int, part: DyadicSlice, parity: int, rung: Tensor, logit: Tensor) -> Tensor:
        signs = (torch.floor(logit * 4) + SIGN_TABLES // 2).clamp(0, SIGN_TABLES - 1) + FIRST_SIGN
        named = (t[0].numpy().astype(np.uint8) for t in (hard(rung), signs))
        expected.append((level, part.start, parity, *named))
        known = values[level - 1][part.start : part.start + part.count]
        return torch.from_numpy(in_pass(known, parity))[None].float()

    prior().walk(quality, differences, code)
    assert len(seen) == len(expected) == DEPTH * 10
    for one, other in zip(seen, expected, strict=True):
        assert one[:3] == other[:3]
        assert np.array_equal(one[3], other[3]) and np.array_equal(one[4], other[4])
    rungs, signs = (np.concatenate([part[k].ravel() for part in seen]) for k in (3, 4))
    assert rungs.min() < 8 and rungs.max() >= TABLES  # narrow and wide ones
    assert len(np.unique(signs)) > SIGN_TABLES // 2


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7)], ids=str)
def test_passes_are_the_cells_of_a_checkerboard_and_so_are_their_gradients(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    parts = parted(x)
    for parity, part in enumerate(parts):
        assert np.array_equal(part[1].detach().numpy(), in_pass(x[1].detach().numpy(), parity))
    one, other = (part.detach() for part in parts)
    assert torch.equal(joined(one, other, *size), x)
    weights = torch.randn_like(x)
    first, second = parted(weights)
    ((parts[0] * first).sum() + 2 * (parts[1] * second).sum()).backward()
    assert x.grad is not None and torch.equal(x.grad, weights + joined(None, second, *size))


def test_forged_streams() -> None:
    """Kernels and twin read the same from any bytes, or both refuse them."""
    spec, random = GroupSpec(1, 21, 34, 3, 5200), np.random.default_rng(3)
    data, _ = encoded(coder(), spec, NativePort)
    for trial in range(6):
        forged = bytearray(data)
        for at in random.integers(4, len(data), 1 + 20 * trial):
            forged[at] = random.integers(256)
        found: list[Any] = []
        for reader, port in ((coder(), NativePort), (coder(), Port), (twin_of(coder()), Port)):
            try:
                found.append(reader.read(spec, port(Decoder(tables(), bytes(forged))), keep=True))
            except CorruptStream:
                found.append(None)
        assert found == [None] * 3 or all(same(found[0], other) for other in found[1:])


def test_every_value_that_a_table_holds_has_its_cost() -> None:
    """Those beyond TABLE_REACH, too: folded tables hold more of them."""
    last = int((tables().lows + tables().sizes - 2)[:TABLES].max())
    assert last > TABLE_REACH
    spec, random = GroupSpec(1, 40, 56, 3, 3700), np.random.default_rng(4)
    details, low = coder().kernels.pyramid(planes(40, 56, 3), DEPTH)
    sizes = [level.steps[:, None, None] / 2**STEP_BITS for level in steps().at(spec.quality).levels]
    large = [(random.uniform(-3, 3, d.shape) * last * s).astype(np.int32) for d, s in zip(details, sizes, strict=True)]
    encoder = Encoder(tables())
    coder().code_pyramid((large, low), spec, NativePort(encoder))
    data = encoder.finish()
    mine, theirs = (
        made.bits(made.read(spec, port(Decoder(tables(), data)), tables()), spec, tables())
        for made, port in ((coder(), NativePort), (twin_of(coder()), Port))
    )
    assert np.array_equal(mine, theirs) and mine.sum() / 8 == pytest.approx(len(data), rel=2e-3)


def test_expected_bits_are_those_of_an_empty_frame() -> None:
    """Of a frame of zeros, whose tables are the same ones, what its symbols cost on average."""
    spec = GroupSpec(1, 19, 26, 3, 1000)
    found = coder().expected_bits(spec, tables())
    assert found.shape == (3, 4) and np.isfinite(found).all() and found.min() > 0


def test_steps_describe_the_low_plane() -> None:
    """What `DyadicSteps` has in integers, from the definition in real numbers."""
    at = steps().at(4321)
    for level in at.levels:
        real = 4 / 9 * LOW_GAIN**2 * 2**STEP_BITS / level.steps[0]
        assert level.reciprocal / 2**HINT_BITS == pytest.approx(real, rel=1e-3)
        assert (level.inverse * level.steps / 2**STEP_BITS).tolist() == pytest.approx([1.0] * 9)


def test_gains_are_norms_of_patterns() -> None:
    """Products of norms along one axis, against the pattern of two axes."""
    gains, _ = dyadic_gains()
    for level in (1, 2, 3):
        sizes = [12 << k for k in range(level - 1, -1, -1)]
        side = 12 << level
        for band in range(3):
            details = [torch.zeros(1, 3, n, n) for n in sizes]
            details[-1][0, band, 6, 6] = 1.0
            pattern = packet.unpyramid(details, torch.zeros(1, 1, 12, 12), side, side)
            assert float(pattern.norm()) == pytest.approx(float(gains[level - 1, band]), rel=1e-5)


def test_tables_of_signs_follow_logits() -> None:
    """Where signs fell, their share; where none did, what the logit of the table says."""
    fit = SignFit()
    fit.count(torch.tensor([1.0, 2.0, -3.0, 0.0]).repeat(1000), torch.full((4000,), 0.1))
    fitted = fit.fitted()
    assert float(fitted[16, 0] / fitted[16].sum()) == pytest.approx(2 / 3, abs=0.01)
    assert float(fitted[20, 0] / fitted[20].sum()) == pytest.approx(1 / (1 + np.exp(-4.5 / 4)), abs=1e-6)


LIMIT = ACCUMULATOR_LIMIT
SUM = LIMIT // 64  # of weights that read features


def changed(name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> DyadicCoder:
    """A coder of weights of which one tensor was changed."""
    arrays = {key: tensor.numpy() for key, tensor in prior_tensors(prior()).items()}
    arrays[name] = change(arrays[name].astype(np.int64))
    return DyadicCoder(arrays, steps(), tables(), FIRST_SIGN, 0.14, Kernels())


def one_of(value: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Zeros but for this."""

    def change(array: NDArray[Any]) -> NDArray[Any]:
        found = np.zeros_like(array)
        found.flat[-1] = value
        return found

    return change


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("low.weight", LIMIT),
        ("levels.3.biases.3.weight", LIMIT),
        ("levels.0.slices.4.views.1.weight", LIMIT),
        ("levels.2.slices.0.biases.0.weight", LIMIT),
        ("levels.1.parent.weight", SUM),
        ("levels.0.low.weight", SUM),
        ("levels.3.slices.3.near.weight", SUM),
        ("levels.0.slices.3.context.weight", SUM),
        ("levels.2.slices.2.view.0.weight", LIMIT // 255),
        ("levels.1.slices.0.heads.1.weight", LIMIT // 255),
    ],
)
def test_what_could_overflow_is_refused_when_it_is_loaded(name: str, largest: int) -> None:
    for value in (largest, -largest):
        changed(name, one_of(value))
        for beyond in (value + np.sign(value), value + np.sign(value) * 2**32):
            with pytest.raises(ValueError, match="tensor|too large"):
                changed(name, one_of(int(beyond)))


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("levels.0.low.weight", lambda a: a.astype(np.float32), "integers"),
        ("levels.0.low.weight", lambda a: a[:, :, :3, :3], "low plane"),
        ("levels.3.parent.weight", lambda a: a[:-4], "coarser details"),
        ("levels.1.biases.0.weight", lambda a: a[:-1], "13 rows"),
        ("levels.1.slices.2.views.0.weight", lambda a: a[:, :-1], "biases"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_loaded(
    name: str, change: Callable[[NDArray[Any]], NDArray[Any]], what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        changed(name, change)


def test_steps_and_tables_are_checked_when_they_are_loaded() -> None:
    arrays = {key: tensor.numpy() for key, tensor in prior_tensors(prior()).items()}
    powers = {name: tensor.numpy() for name, tensor in step_tensors().items()}
    for axis, base, what in ((0, 0, "reciprocal"), (1, 1 << 40, "step")):
        bases = step_bases().numpy().copy()
        bases[2, axis] = base
        with pytest.raises(ValueError, match=what):
            DyadicCoder(arrays, DyadicSteps(bases, powers), tables(), FIRST_SIGN, 0.14, Kernels())
    every = len(tables())
    for first, what in ((every - 5, "tables of signs that code"), (every - ODD_TABLES, "odd quantiser")):
        with pytest.raises(ValueError, match=what):
            DyadicCoder(arrays, steps(), tables(), first, 0.14, Kernels())
