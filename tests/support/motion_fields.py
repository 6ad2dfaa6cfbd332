"""Motion fields for tests: smooth, with few vectors, at random, at the ends of the range; and frames of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tessera.models.motion.field import LIMIT, Field, Modes
from tessera.models.training.motion_tables import Recorded

GRIDS = [(1, 1), (1, 2), (1, 7), (7, 1), (2, 2), (3, 5), (5, 3), (16, 17), (23, 40), (45, 80)]


def smooth(rows: int, columns: int, seed: int) -> Field:
    """A zoom and pan with an object that moves by itself."""
    y, x = np.mgrid[:rows, :columns]
    field = np.stack([y // 3 + seed, 2 * seed - x // 5], -1)
    field[rows // 3 : rows // 2, columns // 4 : columns // 2] = -9, 30
    return np.asarray(field, np.int16)


def rough(rows: int, columns: int, seed: int) -> Field:
    """Few different vectors side by side: every pattern of equal neighbours."""
    generator = np.random.default_rng(seed)
    vectors = np.array([[0, 0], [1, -1], [40, 3]], np.int16)
    return vectors.take(generator.integers(0, 3, (rows, columns)), 0)


def random(rows: int, columns: int, seed: int) -> Field:
    return np.random.default_rng(seed).integers(-LIMIT, LIMIT + 1, (rows, columns, 2)).astype(np.int16)


def extreme(rows: int, columns: int, seed: int) -> Field:
    return np.random.default_rng(seed).choice(np.array([-LIMIT, LIMIT], np.int16), (rows, columns, 2))


KINDS_OF_FIELD = [smooth, rough, random, extreme]


def some_modes(rows: int, columns: int, seed: int) -> Modes:
    return np.random.default_rng(seed).integers(0, 3, (rows, columns)).astype(np.uint8)


def frames(rows: int, columns: int, make: Callable[[int, int, int], Field]) -> Iterator[Recorded]:
    """One field and two, without guesses, with good ones and with bad ones."""
    one, two = make(rows, columns, 1), make(rows, columns, 2)
    near = np.clip(one + np.int16(1), -LIMIT, LIMIT).astype(np.int16)
    yield Recorded([one], None, [None])
    yield Recorded([one], None, [near])
    modes = some_modes(rows, columns, 3)
    yield Recorded([one, -one], np.full((rows, columns), 2, np.uint8), [None, None])
    yield Recorded([one, two], modes, [near, np.full_like(two, -(2**15))])
    yield Recorded([one, two], np.zeros((rows, columns), np.uint8), [two, None])
