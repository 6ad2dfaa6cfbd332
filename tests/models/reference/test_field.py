"""Motion fields of any symbols: the second decoder reads them block by block, the run time a half step at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.models.base.family import Symbols, TableIndices
from tessera.models.motion.coder import MotionCoder
from tessera.models.reference import symbols as reference
from tessera.models.reference.clip import scaled
from tessera.models.reference.field import FIRST, Field, MotionReader, array_of
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.spatiotemporal.velocity import scaled as scaled_at_once


class MadeUp:
    """A port whose symbols depend on their tables, so that a wrong table shows."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise TypeError("this port only gives symbols")

    def get(self, indices: TableIndices) -> Symbols:
        count, tables = len(indices), indices.astype(np.int64)
        near, far = self.rng.integers(0, 6, count), self.rng.integers(-90, 90, count)
        kind = self.rng.random(count)
        found = np.where(kind < 0.7, (near + tables) % 6, far + tables)
        return np.where(kind > 0.99, self.rng.integers(-(1 << 31), 1 << 31, count), found).astype(np.int32)


class SameSymbols(reference.Symbols):
    def __init__(self, seed: int) -> None:
        self.port = MadeUp(seed)

    def get(self, tables: Sequence[int]) -> list[int]:
        found: list[int] = self.port.get(np.array(tables, np.uint8)).tolist()
        return found


def field_of(vectors: NDArray[np.int16]) -> Field:
    rows, columns = vectors.shape[:2]
    return {(y, x): (int(vectors[y, x, 0]), int(vectors[y, x, 1])) for y in range(rows) for x in range(columns)}


@pytest.fixture(scope="module")
def arrays() -> dict[str, NDArray[np.uint8]]:
    family = weights.load("spatiotemporal")[0]
    assert isinstance(family, SpatiotemporalFamily)
    return dict(family.arrays)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 9), (3, 5), (8, 8), (17, 11)])
def test_fields_and_modes(arrays: dict[str, NDArray[np.uint8]], size: tuple[int, int], count: int) -> None:
    rows, columns = size
    for seed in range(30):
        rng = np.random.default_rng(seed)
        guesses = [
            rng.integers(-9, 9, (*size, 2)).astype(np.int16) if rng.random() < 0.7 else None for _ in range(count)
        ]
        fields, modes = MotionCoder(arrays, FIRST).get(MadeUp(seed), rows, columns, count, guesses)
        reader = MotionReader(arrays, SameSymbols(seed), rows, columns)
        others, other_modes = reader.frame([None if guess is None else field_of(guess) for guess in guesses])
        for field, other in zip(fields, others, strict=True):
            assert np.array_equal(field, array_of(other, rows, columns)), seed
        assert (modes is None) == (other_modes is None)
        if modes is not None and other_modes is not None:
            assert all(modes[block] == mode for block, mode in other_modes.items()), seed


@pytest.mark.parametrize(("d", "n"), [(1, 2), (-3, 4), (5, -7), (-2, -2), (31, 1)])
def test_guesses_scale_alike(d: int, n: int) -> None:
    vectors = np.random.default_rng(1).integers(-2048, 2049, (6, 7, 2)).astype(np.int16)
    assert np.array_equal(scaled_at_once(vectors, d, n), array_of(scaled(field_of(vectors), d, n), 6, 7))
