"""What an encoder's network reads of dyadic details and what it answers: the kernels against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.models import _kernels
from tessera.models.base.kernels import Kernels
from tessera.models.wavelet.dyadic_still import from_cells, moved_channels, to_cells

from ...support.kernel_paths import available_paths, threads

CELLS = (3, 5)
SIZES = [[(12, 20), (6, 10), (3, 5)], [(11, 17), (6, 9), (3, 5)], [(9, 20), (5, 10), (3, 5)]]
WIDE = (40, 61)
FACTOR, LIMIT = 2048.0, 4096


def details_of(rng: np.random.Generator, sizes: list[tuple[int, int]], largest: int) -> list[NDArray[np.int32]]:
    """Most are small, as details are."""
    wide = [rng.integers(-largest, largest + 1, (9, *size)) for size in sizes]
    return [(plane >> rng.integers(0, 20, plane.shape)).astype(np.int32) for plane in wide]


def left(plane: NDArray[np.int32], symbols: NDArray[np.int32], inverse: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = plane.astype(np.float32) * inverse[:, None, None] - symbols.astype(np.float32)
    found *= FACTOR
    return found


def cases() -> list[tuple[tuple[int, int], list[tuple[int, int]]]]:
    return [*((CELLS, sizes) for sizes in SIZES), (WIDE, [(159, 241), (80, 121), (40, 61)])]


@pytest.mark.parametrize(("cells", "sizes"), cases())
@pytest.mark.parametrize("path", available_paths())
def test_remainders(cells: tuple[int, int], sizes: list[tuple[int, int]], path: str) -> None:
    rng = np.random.default_rng(sizes[0][1])
    details, symbols = details_of(rng, sizes, 1 << 22), details_of(rng, sizes, 1 << 10)
    inverses = [rng.uniform(1e-3, 1e-1, 9).astype(np.float32) for _ in sizes]
    for plane, known, inverse in zip(details, symbols, inverses, strict=True):  # most are near
        near = rng.random(plane.shape) < 0.8
        known[near] = np.rint(plane * inverse[:, None, None])[near]
    rest = [left(*level) for level in zip(details, symbols, inverses, strict=True)]
    expected = np.floor(np.clip(to_cells(rest, *cells), -LIMIT, LIMIT) + np.float32(0.5)).astype(np.int16)
    assert len(np.unique(expected)) > 500 and (np.abs(expected) == LIMIT).any()
    out = np.full((*cells, 2 + moved_channels()), 7, np.int16)
    with threads(2):
        Kernels(path).describe_remainders(details, symbols, inverses, FACTOR, LIMIT, out, 1)
    np.testing.assert_array_equal(out[..., 1:-1], expected)
    assert (out[..., [0, -1]] == 7).all()


@pytest.mark.parametrize(("cells", "sizes"), cases())
@pytest.mark.parametrize("path", available_paths())
def test_moved(cells: tuple[int, int], sizes: list[tuple[int, int]], path: str) -> None:
    rng = np.random.default_rng(sizes[0][1])
    details = details_of(rng, sizes, 1 << 30)
    moves = rng.integers(-1000, 1001, (*cells, moved_channels())).astype(np.int16)
    factors = [rng.choice([0.25, 0.5, 0.123, 3.0, 2.0**-10], 9) for _ in sizes]
    planes = from_cells(np.clip(moves, -512, 512), sizes)
    with threads(2):
        found = Kernels(path).moved(details, factors, moves, 512)
    for plane, move, factor, result in zip(details, planes, factors, found, strict=True):
        expected = plane + np.rint(move * factor[:, None, None]).astype(np.int32)  # halves to even
        np.testing.assert_array_equal(result, expected, strict=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"details": []}, "levels"),
        ({"details": [np.zeros((8, 4, 8), np.int32)]}, "9, height, width"),
        ({"details": [np.zeros((9, 5, 8), np.int32)]}, "pass their cells"),
        ({"factors": []}, "of every level"),
        ({"factors": [np.full(9, np.inf)]}, "factor is out of range"),
        ({"moves": np.zeros((1, 2, 143), np.int16)}, "moves"),
        ({"limit": -1}, "limit"),
    ],
)
def test_wrong_arguments_raise(change: dict[str, Any], message: str) -> None:
    right = {"details": [np.zeros((9, 4, 8), np.int32)], "factors": [np.ones(9)], "limit": 1}
    right |= {"moves": np.zeros((1, 2, 144), np.int16)}
    call: Callable[..., object] = _kernels.moved
    assert call(**right)
    with pytest.raises(ValueError, match=message):
        call(**(right | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": []}, "symbols of every level"),
        ({"symbols": [np.zeros((9, 4, 7), np.int32)]}, "symbols"),
        ({"first": 1}, "too few channels"),
        ({"first": -1}, "too few channels"),
        ({"factor": np.nan}, "factor or limit"),
    ],
)
def test_wrong_arguments_of_remainders_raise(change: dict[str, Any], message: str) -> None:
    planes = [np.zeros((9, 4, 8), np.int32)]
    right = {"details": planes, "symbols": planes, "inverses": [np.ones(9, np.float32)], "factor": 1.0, "limit": 1}
    right |= {"out": np.zeros((1, 2, 144), np.int16), "first": 0}
    call: Callable[..., object] = _kernels.describe_remainders
    call(**right)
    with pytest.raises(ValueError, match=message):
        call(**(right | change))
