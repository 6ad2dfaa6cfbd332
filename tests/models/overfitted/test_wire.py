"""The numbers of a fitted picture through the port, and the reference decoder on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tessera.codec.coding.ports import BitMeter, DecoderPort, EncoderPort
from tessera.entropy import Tables
from tessera.models.overfitted import tables, wire
from tessera.models.overfitted.shape import POINTS, IntegerTensor, grid_shapes, tensor_shapes
from tessera.models.reference import overfitted as reference

from ...support.overfitted_pictures import TABLES, as_reference, coded, random_picture, spec_of

CASES = [((17, 33), 1, 0, 3), ((20, 13), 3, 1, 6), ((9, 40), 3, 2, 7), ((1, 1), 3, 1, 1), ((5, 2), 1, 2, 9)]


@pytest.mark.parametrize(("sides", "channels", "point", "levels"), CASES)
def test_the_reference_decoder_reads_what_was_put(
    sides: tuple[int, int], channels: int, point: int, levels: int
) -> None:
    pictures = [random_picture(sides, channels, point, levels, seed) for seed in (1, 2)]
    port = DecoderPort(TABLES, coded(*pictures))
    found = list(reference.read(spec_of(pictures[0], 2), port))
    port.finish()
    for picture, read in zip(pictures, found, strict=True):
        wanted = as_reference(picture)
        assert all(np.array_equal(wanted.grids[key], grid) for key, grid in read.grids.items())
        assert list(read.tensors) == [shape.name for shape in picture.tensor_shapes()]
        for name, numbers in read.tensors.items():
            assert numbers.bits == wanted.tensors[name].bits
            assert np.array_equal(numbers.values, wanted.tensors[name].values)
        assert reference.paint(read).std() > 1 or sides == (1, 1), "the networks answer one thing everywhere"


@pytest.mark.parametrize(("sides", "channels", "point", "levels"), CASES)
def test_numbers_come_back(sides: tuple[int, int], channels: int, point: int, levels: int) -> None:
    picture = random_picture(sides, channels, point, levels, 3)
    port = EncoderPort(TABLES)
    wire.put_numbers(port, picture, TABLES)
    data = port.finish()
    read = DecoderPort(TABLES, data)
    found = wire.get_numbers(read, spec_of(picture))
    read.finish()
    assert (found.point, found.levels) == (point, levels)
    for shape in picture.tensor_shapes():
        assert found.tensors[shape.name].bits == picture.tensors[shape.name].bits
        assert np.array_equal(found.tensors[shape.name].values, picture.tensors[shape.name].values)
    meter = BitMeter(TABLES)
    wire.put_numbers(meter, picture, TABLES)
    assert wire.number_bits(picture, TABLES) == meter.bits
    assert meter.bits / 8 <= len(data) <= meter.bits / 8 + 5


@pytest.mark.parametrize("s", [4, 20, 40])
def test_a_tensor_names_the_table_of_its_distribution(s: int) -> None:
    values = np.rint(np.random.default_rng(s).laplace(0, tables.scale_of(s), 4000)).astype(np.int32)
    assert abs(wire._cheapest(values, s, TABLES) - s) <= 2


BAD = {
    "operating point": (0, 2),
    "levels": (1, 3),
    "fraction bits of context.1.weight": (2, 9),
    "table of context.1.weight": (3, 30),
    "largest magnitude of context.1.weight": (4, 40000),
}


class Forged:
    """A port whose call number `at` answers `value`, the others 0."""

    def __init__(self, at: int, value: int) -> None:
        self.at, self.value, self.calls = at, value, -1

    def get(self, indices: Any) -> Any:
        self.calls += 1
        return np.full(len(indices), self.value if self.calls == self.at else 0, np.int32)

    def put(self, symbols: Any, indices: Any) -> None:
        raise TypeError


@pytest.mark.parametrize("name", BAD)
def test_numbers_out_of_bounds_are_refused(name: str) -> None:
    spec = spec_of(random_picture((8, 8), 3, 1, 7, 0))
    wire.get_numbers(Forged(0, 0), spec)
    with pytest.raises(ValueError, match=name):
        wire.get_numbers(Forged(*BAD[name]), spec)
    with pytest.raises(ValueError):
        reference.read_numbers(Forged(*BAD[name]), spec)


def test_the_reference_decoder_refuses_sums_that_may_overflow() -> None:
    picture = random_picture((8, 8), 3, 1, 3, 0)
    largest = np.full((3, 16), 32767, np.int32)
    picture.tensors["synthesis.2.weight"] = IntegerTensor(largest, 8)
    with pytest.raises(ValueError, match="sums of synthesis.2.weight"):
        list(reference.read(spec_of(picture), DecoderPort(TABLES, coded(picture))))


@pytest.mark.parametrize("index", range(0, 240, 17))
def test_the_shipped_tables_are_those_of_the_function(index: int) -> None:
    row, low = tables.make_row(*divmod(index, tables.SCALES))
    assert (low, len(row)) == (TABLES.lows[index], TABLES.sizes[index])
    assert np.array_equal(row, TABLES.frequencies[index, : len(row)])


@pytest.mark.parametrize("s", [0, 7, 20, 40])
@pytest.mark.parametrize("place", [0, 3, 4])
def test_tables_cost_little_more_than_their_distribution(s: int, place: int) -> None:
    chances = tables.laplace(tables.scale_of(s), place / 8)
    values = np.arange(-tables.REACH, tables.REACH + 1, dtype=np.int32)
    bits = TABLES.bits(values, np.full(values.size, tables.SCALES * place + s, np.uint8))
    entropy = -np.sum(chances * np.log2(np.maximum(chances, 1e-300)))
    assert chances.sum() == pytest.approx(1, abs=1e-5)
    assert entropy - 1e-6 <= float(chances @ bits) <= 1.003 * entropy + 0.001
    assert isinstance(TABLES, Tables) and len(TABLES) == tables.SCALES * tables.PLACES


def test_grids_and_tensors_in_order() -> None:
    assert [(shape.level, shape.hyper) for shape in grid_shapes(100, 30, 6)] == [
        (5, True), (5, False), (4, True), (4, False), (3, False), (2, False), (1, False), (0, False),
    ]  # fmt: skip
    assert grid_shapes(100, 30, 6)[0][2:] == (4, 1)
    for point in range(len(POINTS)):
        assert sum(shape.size for shape in tensor_shapes(point, 7, 3)) < 2200
