"""The kernels of fitted pictures against the slow walk and the reference decoder, on every path, on any threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding.ports import BitMeter, DecoderPort, EncoderPort
from tessera.models.base.kernels import Kernels
from tessera.models.base.ports import Held
from tessera.models.overfitted import coding
from tessera.models.overfitted.shape import LARGEST, FittedPicture, IntegerTensor
from tessera.models.reference import overfitted as reference

from ...support.kernel_paths import available_paths, threads
from ...support.overfitted_pictures import TABLES, as_reference, coded, random_picture, same_grids, spec_of

CASES = [
    ((1, 1), 3, 1, 1),
    ((1, 1), 1, 2, 9),
    ((37, 18), 1, 0, 4),
    ((34, 41), 3, 1, 6),
    ((70, 35), 3, 2, 7),
    ((17, 100), 1, 2, 5),
    ((3, 70), 3, 0, 8),
    ((50, 2), 3, 1, 2),
]


def picture_of(case: tuple[tuple[int, int], int, int, int], spread: float = 2.0) -> FittedPicture:
    return random_picture(*case, seed=sum(case[0]) + case[3], spread=spread)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_and_slow_twins_agree(case: tuple[tuple[int, int], int, int, int]) -> None:
    picture = picture_of(case)
    stream, spec, slow = coded(picture), spec_of(picture), reference.paint(as_reference(picture))
    assert len(np.unique(slow)) > 3 or case[0] == (1, 1)
    for path in available_paths():
        kernels = Kernels(path)
        port = EncoderPort(TABLES)
        coding.put_picture(picture, port, TABLES, kernels)
        assert port.finish() == stream, path
        for count in (1, 3):
            with threads(count):
                read = DecoderPort(TABLES, stream)
                assert np.array_equal(coding.get_picture(spec, read, kernels), slow), (path, count)
                read.finish()
                assert np.array_equal(coding.paint(picture, kernels), slow), (path, count)


@pytest.mark.parametrize("spread", [0.0, 40.0, 2000.0])
@pytest.mark.parametrize("path", available_paths())
def test_values_of_every_size(path: str, spread: float) -> None:
    """Up to the largest value, where inputs of the network and planes are clipped."""
    picture = picture_of(((30, 37), 3, 1, 6), spread)
    assert (max(int(abs(grid).max()) for grid in picture.grids) == LARGEST) == (spread == 2000)
    stream = coded(picture)
    read = DecoderPort(TABLES, stream)
    pixels = coding.get_picture(spec_of(picture), read, Kernels(path))
    assert np.array_equal(pixels, reference.paint(as_reference(picture)))


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("point", [0, 1, 2])
def test_networks_at_their_bounds(path: str, point: int) -> None:
    """Weights as large as the sums allow: the largest magnitudes that any step has to hold."""
    picture = random_picture((21, 34), 3, point, 4, 8, spread=900.0)
    draw = np.random.default_rng(point)
    for name, tensor in picture.tensors.items():
        if name.endswith("weight"):
            inputs = tensor.values[0].size
            reach = 32767 if name.startswith("context") else 131071
            bits = 2 if name in ("synthesis.1.weight", "synthesis.beside.weight") else 0
            limit = min(32767, ((1 << 31) - (1 << 18) - (1 << 25)) // (reach * inputs))
            values = draw.choice([-limit, limit], tensor.values.shape).astype(np.int32)
            picture.tensors[name] = IntegerTensor(values, bits)
        elif name.startswith("upsampling"):
            picture.tensors[name] = IntegerTensor(draw.choice([-2047, 2047], tensor.values.shape).astype(np.int32), 0)
        else:
            picture.tensors[name] = IntegerTensor(draw.choice([-32767, 32767], tensor.values.shape).astype(np.int32), 0)
    stream = coded(picture)
    assert np.array_equal(
        coding.get_picture(spec_of(picture), DecoderPort(TABLES, stream), Kernels(path)),
        reference.paint(as_reference(picture)),
    )


def test_what_a_picture_costs() -> None:
    picture = picture_of(((70, 35), 3, 2, 7))
    measured = coding.measure(picture, TABLES, Kernels())
    stream = coded(picture)
    assert measured.bits / 8 <= len(stream) <= 1.002 * measured.bits / 8 + 8
    port = DecoderPort(TABLES, stream)
    found = coding.read_picture(spec_of(picture), port, TABLES, Kernels())
    port.finish()
    assert same_grids(found.picture.grids, picture.grids)
    assert found.number_bits == measured.number_bits
    for a, b in zip(found.grid_bits, measured.grid_bits, strict=True):
        assert np.array_equal(a, b)


def test_ports_of_python_see_the_same_calls() -> None:
    picture = picture_of(((34, 41), 3, 1, 6))
    held, port, meter = Held(), EncoderPort(TABLES), BitMeter(TABLES)
    coding.put_picture(picture, held, TABLES, Kernels())
    held.release(port)
    assert port.finish() == coded(picture)
    coding.put_picture(picture, meter, TABLES, Kernels())
    assert meter.bits == pytest.approx(coding.measure(picture, TABLES, Kernels()).bits, rel=1e-6)

    class Plain:
        """A port without a coder to lend."""

        def __init__(self) -> None:
            self.port, self.calls_left = DecoderPort(TABLES, coded(picture)), 1 << 30

        def get(self, indices: NDArray[Any]) -> NDArray[Any]:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise ZeroDivisionError("no more")
            return self.port.get(indices)

        def put(self, symbols: NDArray[Any], indices: NDArray[Any]) -> None:
            raise TypeError

    pixels = coding.get_picture(spec_of(picture), Plain(), Kernels())
    assert np.array_equal(pixels, reference.paint(as_reference(picture)))
    plain = Plain()
    plain.calls_left = 90
    with pytest.raises(ZeroDivisionError, match="no more"):
        coding.get_picture(spec_of(picture), plain, Kernels())
