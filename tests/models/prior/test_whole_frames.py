"""The walk of a whole frame in one call of the kernels against the loop over its passes: the same of everything."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding.ports import DecoderPort, EncoderPort, OpeningPort
from tessera.codec.errors import FormatError
from tessera.entropy import Tables
from tessera.models.base.family import GroupSpec, NativePort, SymbolPort
from tessera.models.base.kernels import Kernels
from tessera.models.base.ports import Nowhere
from tessera.models.prior.ladder import RUNGS, SHIFTS, SPENT_UNIT, TABLES, spent_units, values_cost
from tessera.models.prior.native import CodedFrame, NativePrior
from tessera.models.spatiotemporal.wire import FIRST_TABLE
from tessera.models.transform.bands import PYRAMID

from ...support.kernel_paths import available_paths

SIZES = [(1, 1), (1, 9), (8, 8), (17, 3), (63, 130), (72, 264)]


class InPasses:
    """A port that has no other way than its calls."""

    def __init__(self, port: SymbolPort) -> None:
        self.put, self.get = port.put, port.get


@cache
def family(name: str) -> Any:
    from tessera.codec.coding.weights import load

    return load(name)[0]


@cache
def priors(path: str) -> dict[str, NativePrior]:
    """That of frames on their own, and one that is given hints and stands elsewhere in the tables."""
    found = {"alone": family("wavelet").still.prior, "told": family("spatiotemporal").prior.bidirectional}
    for prior in found.values():
        prior.kernels = Kernels(path)
    return found


def tables_of(name: str) -> Tables:
    tables: Tables = family("wavelet" if name == "alone" else "spatiotemporal").tables
    return tables


def frame_of(prior: NativePrior, spec: GroupSpec, seed: int) -> tuple[list[NDArray[Any]], NDArray[Any], Any]:
    """Bands with a few large numbers, the low band, hints."""
    from tessera.models.prior.native import sizes_of

    random, sizes = np.random.default_rng(seed), sizes_of(spec)

    def numbers(shape: tuple[int, ...]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = random.laplace(size=shape) * np.exp(random.normal(size=shape) * 1.5)
        return found

    scaled = [numbers((sum(prior.packet.counts), sizes[0][0] * sizes[0][1])).astype(np.float32)]
    scaled += [numbers((9, h * w)).astype(np.float32) * 3 for h, w in sizes[1 : PYRAMID + 1]]
    scaled[0][:, 0] *= 1e5
    low = np.rint(numbers((3, *sizes[-1])) * 2000).astype(np.int32)
    hints = None
    if prior.packet._has("hints"):
        channels = [prior.packet._of("hints").shape[1], *[prior.pyramid._of("hints").shape[1]] * PYRAMID]
        hints = [random.integers(0, 256, (n, *size), np.int32) for n, size in zip(channels, sizes, strict=False)]
    return scaled, low, hints


def same(one: CodedFrame | None, other: CodedFrame | None) -> None:
    assert one is not None and other is not None
    for mine, theirs in zip(one.levels(), other.levels(), strict=True):
        assert np.array_equal(mine, theirs)
    for walk, twin in zip(one.pyramid, other.pyramid, strict=True):
        assert np.array_equal(walk.rungs, twin.rungs)
    if one.rungs is not None and other.rungs is not None:
        assert np.array_equal(one.rungs, other.rungs)
    if one.bits is not None and other.bits is not None:
        assert np.array_equal(one.bits, other.bits)


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["alone", "told"])
def test_both_ways_are_equal(path: str, size: tuple[int, int], channels: int, name: str) -> None:
    prior, tables = priors(path)[name], tables_of(name)
    for quality in (300, 3200, 6000):
        spec = GroupSpec(1, *size, channels, quality)
        scaled, low, hints = frame_of(prior, spec, quality + size[1])
        at_once, in_passes = EncoderPort(tables), EncoderPort(tables)
        assert isinstance(at_once, NativePort) and not isinstance(InPasses(in_passes), NativePort)
        sent = prior.code(scaled, low, spec, at_once, hints)
        same(sent, prior.code(scaled, low, spec, InPasses(in_passes), hints))
        same(sent, prior.code(scaled, low, spec, Nowhere(), hints))
        payload = at_once.finish()
        assert payload == in_passes.finish()

        port = DecoderPort(tables, payload)
        whole = prior.read(spec, port, hints, count=tables)
        port.finish()
        same(whole, sent)
        same(whole, prior.read(spec, InPasses(DecoderPort(tables, payload)), hints, count=tables))
        assert whole.bits is not None and whole.bits.shape == whole.packet.shape[1:]
        for most in range(8):
            first = prior.read(spec, OpeningPort(tables, payload), hints, most, tables)
            same(first, prior.read(spec, InPasses(OpeningPort(tables, payload)), hints, most, tables))
            assert len(first.packet) == sum(prior.packet.counts[:most])
        bare = prior.read(spec, DecoderPort(tables, payload), hints, rungs=False)
        assert bare.rungs is None and bare.bits is None
        same(bare, whole)


@pytest.mark.parametrize("name", ["alone", "told"])
def test_damage_is_found_the_same_way(name: str) -> None:
    """Cut and changed payloads: the same error, or the same integers, of hostile symbols too."""
    prior, tables = priors(available_paths()[-1])[name], tables_of(name)
    spec = GroupSpec(1, 40, 56, 3, 3000)
    scaled, low, hints = frame_of(prior, spec, 5)
    port = EncoderPort(tables)
    prior.code(scaled, low, spec, port, hints)
    payload, random, refused = port.finish(), np.random.default_rng(6), 0
    for turn in range(60):
        damaged = bytearray(payload[: random.integers(1, len(payload))] if turn % 3 == 0 else payload)
        for place in random.integers(0, len(damaged), 1 + turn % 4):
            damaged[place] ^= 1 << random.integers(8)

        def outcome(wrap: Any, damaged: bytes = bytes(damaged)) -> CodedFrame | str:
            try:
                return prior.read(spec, wrap(DecoderPort(tables, damaged)), hints, count=tables)
            except FormatError as error:
                return str(error)

        mine, theirs = outcome(lambda port: port), outcome(InPasses)
        if isinstance(mine, str) or isinstance(theirs, str):
            refused += 1
            assert mine == theirs
        else:
            same(mine, theirs)
    assert refused > 5


def test_a_coder_is_asked_for_what_it_does() -> None:
    prior, tables = priors(available_paths()[0])["alone"], tables_of("alone")
    spec = GroupSpec(1, 8, 8, 3, 3000)
    scaled, low, _ = frame_of(prior, spec, 1)
    with pytest.raises(ValueError, match="takes symbols"):
        prior.read(spec, EncoderPort(tables))
    with pytest.raises(ValueError, match="gives symbols"):
        prior.code(scaled, low, spec, DecoderPort(tables, b"\0"))
    few = Tables(tables.frequencies[:40], tables.lows[:40], tables.sizes[:40])
    with pytest.raises(ValueError, match="has no table"):
        prior.read(GroupSpec(1, 64, 64, 3, 0), DecoderPort(few, bytes(201)))


@pytest.mark.parametrize(("name", "first"), [("alone", 0), ("told", FIRST_TABLE)])
def test_costs_are_those_of_the_coder(name: str, first: int) -> None:
    tables = tables_of(name)
    costs = values_cost(tables, first)
    values = np.array([*range(-140, 140), 5000, -5000, 1 << 24, -(1 << 24)], np.int32)
    for rung in range(RUNGS):
        shift = int(SHIFTS[rung])
        table = first + (rung if rung < TABLES else rung - 8 * shift)
        bits = tables.bits(values >> shift, np.full(values.shape, table, np.uint8)) + shift
        spent = spent_units(costs, values, np.full(values.shape, rung, np.uint8))
        assert np.abs(spent / SPENT_UNIT - bits).max() <= 0.5 / SPENT_UNIT + 2e-5
