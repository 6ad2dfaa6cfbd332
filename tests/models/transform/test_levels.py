"""Quantisation steps against exact arithmetic, and levels of latents against the slow twin of the transform."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.base.kernels import Integers, Kernels
from tessera.models.base.quality import MAX_FINE
from tessera.models.prior.native import pass_order
from tessera.models.reference import lifting as twin
from tessera.models.transform.bands import AXES, LARGEST_STEP, PYRAMID
from tessera.models.transform.levels import EVERY, ORDER, Levels, LevelTransform
from tessera.models.transform.lifted import MATRIX_BITS, UNITS, matrix
from tessera.models.transform.steps import (
    COARSE,
    FINE,
    HINT_BITS,
    HINT_GAIN,
    LOW_STEP,
    OCTAVE,
    STEP_BITS,
    TABLE_BITS,
    WORD_GAIN,
    Steps,
)

from ...support import words_twin
from ...support.kernel_paths import available_paths

SIZES = [(1, 1), (3, 7), (9, 14)]


@pytest.fixture(scope="module", params=available_paths())
def transform(request: pytest.FixtureRequest) -> LevelTransform:
    return LevelTransform(Kernels(str(request.param)))


@pytest.fixture(scope="module", params=["wavelet", "spatiotemporal"])
def arrays(request: pytest.FixtureRequest) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = weights.read(weights.files(str(request.param))[0])[0]
    return found


@pytest.fixture(scope="module")
def steps(arrays: dict[str, NDArray[Any]]) -> Steps:
    return Steps(arrays)


# -- steps ------------------------------------------------------------------------------------------------------------


def is_rounded_power(found: int, numerator: int, denominator: int) -> bool:
    """Whether `found` is 2**TABLE_BITS * 2**(-numerator / denominator), rounded, by integers alone."""
    power = 1 << (TABLE_BITS + 1) * denominator - numerator  # of twice the exact value, to the power `denominator`
    return bool((2 * found - 1) ** denominator < power < (2 * found + 1) ** denominator)


def test_powers_of_two_are_rounded_exactly(steps: Steps) -> None:
    assert OCTAVE == COARSE * FINE and len(steps.powers.coarse) == COARSE and len(steps.powers.fine) == FINE
    for k, entry in enumerate(steps.powers.coarse.tolist()):
        assert is_rounded_power(entry, k, COARSE)
    for k in (*range(0, FINE, 9), FINE - 1):
        assert is_rounded_power(int(steps.powers.fine[k]), k, OCTAVE)


@pytest.mark.parametrize("quality", [0, 1, 984, 985, 3200, 4567, MAX_FINE - 1, MAX_FINE])
def test_steps_are_those_of_the_format(steps: Steps, quality: int) -> None:
    """320 * 2 ** (-13 q / 12800), within what its two factors and its own fraction bits are rounded by."""
    with localcontext() as context:
        context.prec = 40
        factor = Fraction(Decimal(2) ** (Decimal(-13 * quality) / OCTAVE))
    found = steps.at(quality)
    assert found.size == pytest.approx(LARGEST_STEP * float(factor), rel=4e-6)
    for bases, level in zip(
        [*steps.bases, steps.every], [*(one.steps for one in found.levels), found.every], strict=True
    ):
        for base, step in zip(bases.tolist(), level.tolist(), strict=True):
            assert abs(step - base * factor) <= 1 + base * factor / (1 << TABLE_BITS - 2)


def test_what_is_made_of_steps(steps: Steps) -> None:
    for quality in (0, 2500, MAX_FINE):
        found = steps.at(quality)
        assert len(found.levels) == PYRAMID + 2
        for level in found.levels:
            for step, hint, inverse in zip(
                level.steps.tolist(), level.reciprocals.tolist(), level.inverse, strict=True
            ):
                exact = Fraction(HINT_GAIN << STEP_BITS, step)
                assert hint == int(exact * (1 << HINT_BITS)) and hint < 1 << 40
                assert inverse == np.float32((1 << STEP_BITS) / step)
        words = [int(Fraction(WORD_GAIN << STEP_BITS + HINT_BITS, step)) for step in found.levels[0].steps.tolist()]
        assert found.words.tolist() == words
        assert found.every[ORDER].tolist() == found.levels[0].steps.tolist()
        low = int(found.every[0])
        assert found.every[[64, 128]].tolist() == [low, low]
        assert found.low_words.tolist()[1:] == [(WORD_GAIN << STEP_BITS + HINT_BITS) // (low * n) for n in range(1, 10)]


def test_steps_fall_with_the_quality(steps: Steps) -> None:
    rows = np.array([steps.at(quality).every for quality in range(0, MAX_FINE + 1, 50)])
    assert (np.diff(rows, axis=0) < 0).all()
    assert steps.at(-5) == steps.at(-5) and steps.at(-5).size == steps.at(0).size
    assert steps.at(MAX_FINE + 9).size == steps.at(MAX_FINE).size


def test_constants_that_floats_make_are_rounded_with_a_margin() -> None:
    """No rounding of a mathematics library reaches them."""
    with localcontext() as context:
        context.prec = 40
        gain = Decimal(2).sqrt() / Decimal("1.230174104914001")
        low = Decimal(LARGEST_STEP) / (gain**6 / UNITS) * (1 << STEP_BITS)
        assert abs(low - LOW_STEP) < Decimal("0.499")
        for axis, row in zip(AXES, matrix().tolist(), strict=True):
            norm = sum((Decimal(x) ** 2 for x in axis), Decimal(0)).sqrt()
            for x, found in zip(axis, row, strict=True):
                assert abs(Decimal(x) / norm * UNITS * (1 << MATRIX_BITS) - found) < Decimal("0.499")


# -- levels -----------------------------------------------------------------------------------------------------------


def levels_of(h: int, w: int, seed: int, reach: int) -> Levels:
    rng, levels = np.random.default_rng(seed), [(125, h, w)]
    for _ in range(PYRAMID):
        h, w = (h + 1) // 2, (w + 1) // 2
        levels.append((9, h, w))
    return [
        (rng.integers(-reach, reach + 1, shape) >> rng.integers(0, 8)).astype(np.int32)
        for shape in (*levels, (3, h, w))
    ]


def assert_same(one: Levels, two: Levels) -> None:
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("size", SIZES)
def test_planes_and_levels(transform: LevelTransform, size: tuple[int, int]) -> None:
    pixels = procedural.picture(8 * max(size[0], 8), 8 * max(size[1], 8))[: 8 * size[0], : 8 * size[1]]
    planes = twin.exact_planes(pixels)
    packet, plane = twin.exact_analyse(planes, ORDER)
    details, low = twin.exact_pyramid(plane, PYRAMID)
    levels = [np.ascontiguousarray(level) for level in (packet, *details, low)]
    assert_same(transform.analyse(planes), levels)
    np.testing.assert_array_equal(transform.low_plane(levels), plane, strict=True)
    expected = twin.exact_synthesise(packet, plane, ORDER)
    np.testing.assert_array_equal(transform.synthesise(levels), expected, strict=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("read", [0, 4, 125])
def test_restoring(transform: LevelTransform, steps: Steps, size: tuple[int, int], read: int) -> None:
    """From symbols and a prediction; of the first packet bands where no more were read."""
    at = steps.at(3100)
    symbols, prediction = levels_of(*size, 1, 300), levels_of(*size, 2, 60000)
    symbols[0] = symbols[0][:read].copy()
    for known in (None, prediction):
        expected = [
            twin.restore(values, level.steps[: len(values)], None if known is None else known[k][: len(values)])
            for k, (values, level) in enumerate(zip(symbols, at.levels, strict=True))
        ]
        assert_same(transform.restore(symbols, at, known), expected)


@pytest.mark.parametrize("size", SIZES)
def test_residuals_in_steps(transform: LevelTransform, steps: Steps, size: tuple[int, int]) -> None:
    """In the order of the passes, and the low band rounded, halves up; restored, they come back within half a step."""
    at = steps.at(2000)
    latents, prediction = levels_of(*size, 3, 30000), levels_of(*size, 4, 30000)
    for known in (None, prediction):
        scaled, low = transform.residual(latents, known, at)
        symbols: list[Integers] = []
        for k, (found, level) in enumerate(zip(scaled, at.levels, strict=False)):
            apart = latents[k].astype(np.float32) - np.float32(0 if known is None else known[k])
            exact = (apart * level.inverse[:, None, None]).reshape(len(apart), -1)
            np.testing.assert_array_equal(found, exact[:, pass_order(*latents[k].shape[1:])], strict=True)
            symbols.append(np.floor(exact + 0.5).astype(np.int32).reshape(apart.shape))
        rest = latents[-1] if known is None else latents[-1] - known[-1]
        share = Fraction(1 << STEP_BITS, int(at.levels[-1].steps[0]))
        nearest = [floor(value * share + Fraction(1, 2)) for value in rest.ravel().tolist()]
        assert np.abs(low.ravel() - nearest).max() <= 1 and low.dtype == np.int32
        back = transform.restore([*symbols, low], at, known)
        for a, b, level in zip(back, latents, at.levels, strict=True):
            assert (np.abs(a - b) <= level.steps[:, None, None] / (2 << STEP_BITS) + 1).all()


@pytest.mark.parametrize("size", SIZES)
def test_hints(transform: LevelTransform, steps: Steps, size: tuple[int, int]) -> None:
    at = steps.at(4000)
    sources = [levels_of(*size, 5, 4000), levels_of(*size, 6, 1 << 30)]
    found = transform.hints(sources, at)
    assert len(found) == PYRAMID + 1
    for k, plane in enumerate(found):
        expected = np.concatenate([twin.hints(source[k], at.levels[k].reciprocals) for source in sources])
        np.testing.assert_array_equal(plane, expected, strict=True)
    assert max(int(plane.max()) for plane in found) == 255


@pytest.mark.parametrize("size", SIZES)
def test_corrected_planes(transform: LevelTransform, steps: Steps, size: tuple[int, int]) -> None:
    """A network's answer reaches all 192 bands, those that are not kept too."""
    rng, at = np.random.default_rng(7), steps.at(3000)
    packet, low = levels_of(*size, 8, 3000)[0], rng.integers(-20000, 20000, (3, *size)).astype(np.int32)
    answer = rng.integers(-600, 600, (*size, 192)).astype(np.int16)
    before = packet.copy(), low.copy()
    full = np.zeros((192, *size), np.int32)
    full[ORDER], full[::64] = packet, low
    full = words_twin.add_corrections(full, answer, np.arange(192, dtype=np.int32), at.every)
    expected = twin.exact_synthesise(full[EVERY], full[::64].copy(), EVERY)
    np.testing.assert_array_equal(transform.corrected(packet, low, answer, at.every), expected, strict=True)
    assert_same([packet, low], list(before))
