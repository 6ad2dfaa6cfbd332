"""Motion compensation against its numpy twin on every path, and motion search against motion that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.models import _kernels
from tessera.models.reference import motion

from ...support.kernel_paths import available_paths

SIZES = [(8, 8), (24, 56), (64, 40), (16, 168)]
Samples = NDArray[np.int16]


@pytest.fixture(scope="module", params=available_paths())
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def blocks(size: tuple[int, int], block: int) -> tuple[int, int]:
    return -(-size[0] // block), -(-size[1] // block)


def noise(rng: np.random.Generator, size: tuple[int, ...]) -> Samples:
    return rng.integers(-motion.LARGEST, motion.LARGEST + 1, size, dtype=np.int16)


def patches(rng: np.random.Generator, shape: tuple[int, int], low: int, high: int) -> NDArray[np.int64]:
    """Pairs that are the same in patches of 3 x 3 blocks, so that every kind of neighbourhood occurs."""
    coarse: NDArray[np.int64] = rng.integers(low, high, (shape[0] // 3 + 1, shape[1] // 3 + 1, 2))
    return coarse.repeat(3, 0).repeat(3, 1)[: shape[0], : shape[1]]


def texture(rng: np.random.Generator, height: int, width: int) -> Samples:
    """Smooth noise of several scales: interpolation keeps it, and every place differs from every other."""
    image = np.zeros((height, width))
    for scale in (4, 16):
        grid = rng.normal(size=(height // scale + 3, width // scale + 3)) * scale
        y, x = np.arange(height) / scale, np.arange(width) / scale
        for axis, at in ((0, y), (1, x)):
            low = at.astype(int)
            part = (1 - np.cos((at - low) * np.pi)) / 2
            part = part[:, None] if axis == 0 else part[None, :]
            grid = grid.take(low, axis) * (1 - part) + grid.take(low + 1, axis) * part
        image += grid
    scaled: Samples = (image / np.abs(image).max() * 3000).astype(np.int16)
    return scaled


def shifted(image: Samples, vector: tuple[int, int], margin: int) -> Samples:
    """`image` moved by quarter samples, without its `margin`."""
    field = np.zeros((1, *blocks((image.shape[0], image.shape[1]), 16), 2), np.int16)
    field[:] = vector
    moved = _kernels.compensate([np.stack([image] * 3)], field, None, 16)
    return np.ascontiguousarray(moved[0, margin:-margin, margin:-margin])


# -- compensation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", [8, 16])
def test_compensation_equals_its_twin(size: tuple[int, int], block: int) -> None:
    """Vectors small, large and such that no sample lies inside; in patches and all mixed."""
    rng = np.random.default_rng([*size, block])
    shape = blocks(size, block)
    references = [noise(rng, (3, *size)) for _ in range(2)]
    modes = patches(rng, shape, 0, 3)[..., 0].astype(np.uint8)
    for count, reach, smooth, chosen in (
        (1, 60, True, None),
        (1, 3, False, np.zeros(shape, np.uint8)),
        (2, 32767, True, None),
        (2, 2000, False, rng.integers(0, 3, shape).astype(np.uint8)),
        (2, 40, True, modes),
    ):
        draw = patches(rng, shape, -reach, reach + 1) if smooth else rng.integers(-reach, reach + 1, (*shape, 2))
        fields = np.stack([draw, draw[::-1] // 2]).astype(np.int16)[:count]
        exact = motion.compensate(references[:count], fields, chosen, block)
        for path in available_paths():
            for threads in (1, 2):
                found = _kernels.compensate(references[:count], fields, chosen, block, threads, path)
                assert np.array_equal(found, exact), (path, threads, count, reach)


def test_compensation_of_known_values(path: str) -> None:
    """One sample of 64 in the middle: the filter's taps appear; without motion the planes come back."""
    plane = np.zeros((3, 24, 24), np.int16)
    plane[:, 12, 12] = 64
    for phase in range(4):
        field = np.zeros((1, 3, 3, 2), np.int16)
        field[..., 1] = phase
        out = _kernels.compensate([plane], field, None, 8, 1, path)
        expected = np.zeros_like(plane)
        expected[:, 12, 8:16] = motion.FILTERS[phase][::-1]
        assert np.array_equal(out, expected)
        across = _kernels.compensate([plane], field[..., ::-1].copy(), None, 8, 1, path)
        assert np.array_equal(across, expected.transpose(0, 2, 1))


def test_compensation_of_two_blocks(path: str) -> None:
    """Weights 1, 3, .. 15 of 16 from the centre of the one to that of the other."""
    first, second = np.zeros((3, 8, 16), np.int16), np.full((3, 8, 16), 160, np.int16)
    fields = np.zeros((2, 1, 2, 2), np.int16)
    out = _kernels.compensate([first, second], fields, np.array([[0, 1]], np.uint8), 8, 1, path)
    row = [0] * 4 + [10 * weight for weight in range(1, 16, 2)] + [160] * 4
    assert np.array_equal(out, np.broadcast_to(np.array(row, np.int16), out.shape))


def test_compensation_refuses_what_does_not_fit() -> None:
    plane, field, modes = np.zeros((3, 16, 24), np.int16), np.zeros((1, 2, 3, 2), np.int16), np.zeros((2, 3), np.uint8)
    both = np.concatenate([field, field])
    _kernels.compensate([plane], field, modes, 8)
    cases: list[tuple[list[Samples], Samples, NDArray[np.uint8] | None, int]] = [
        ([], field, None, 8),
        ([plane] * 3, both, None, 8),
        ([plane], both, None, 8),
        ([plane, plane], field, None, 8),
        ([plane, plane[:, :8].copy()], both, None, 8),
        ([plane[0]], field, None, 8),
        ([plane], field, None, 16),
        ([plane], field, None, 12),
        ([plane], field, modes[:1].copy(), 8),
        ([plane], field, modes + np.uint8(1), 8),
        ([plane, plane], both, modes + np.uint8(3), 8),
        ([plane + np.int16(motion.LARGEST + 1)], field, None, 8),
    ]
    for references, vectors, chosen, block in cases:
        with pytest.raises(ValueError):
            _kernels.compensate(references, vectors, chosen, block)
    with pytest.raises(TypeError):
        wrong: Any = plane.astype(np.int32)
        _kernels.compensate([wrong], field, None, 8)


# -- search ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("vector", [(0, 0), (4, -8), (5, -7), (-2, 3), (-90, 50), (141, 190)])
def test_search_finds_a_translation(block: int, vector: tuple[int, int]) -> None:
    """Blocks whose source lies inside the reference."""
    rng, margin = np.random.default_rng(5), 64
    image = texture(rng, 160 + 2 * margin, 208 + 2 * margin)
    current, reference = shifted(image, vector, margin), shifted(image, (0, 0), margin)
    field = _kernels.search(current, reference, block, None, 50.0, 64)
    found = (field == np.array(vector)).all(-1)
    rows, cols = (abs(component) // (4 * block) + 2 for component in vector)
    assert found[rows:-rows, cols:-cols].all()
    assert np.array_equal(_kernels.search(current, reference, block, None, 50.0, 64, 2), field)


def test_search_follows_a_guess_beyond_its_radius() -> None:
    rng, margin, vector = np.random.default_rng(6), 64, (-80, 170)
    image = texture(rng, 160 + 2 * margin, 208 + 2 * margin)
    current, reference = shifted(image, vector, margin), shifted(image, (0, 0), margin)
    guess = np.empty((10, 13, 2), np.int16)
    guess[:] = vector
    field = _kernels.search(current, reference, 16, guess, 50.0, 4)
    assert (field == np.array(vector)).all(-1)[4:-4, 5:-5].all()


def test_search_prefers_no_motion_to_noise() -> None:
    """Where there is nothing to find, vectors cost more than they bring."""
    flat = np.zeros((64, 96), np.int16)
    assert not _kernels.search(flat, flat, 8, None, 50.0, 64).any()
    small = np.random.default_rng(7).integers(-2, 3, (64, 96)).astype(np.int16)
    assert not _kernels.search(small, flat, 8, None, 50.0, 64).any()


@pytest.mark.parametrize("block", [8, 16])
def test_decision_knows_which_reference_shows_the_picture(block: int) -> None:
    """The left third is in the first reference alone, the right third in the second, the mean of both between."""
    rng, margin, vectors = np.random.default_rng(8), 16, ((4, -6), (-4, 6))
    image = texture(rng, 96 + 2 * margin, 288 + 2 * margin)
    still = shifted(image, (0, 0), margin)
    current = still.copy()
    references = [shifted(image, (-vector[0], -vector[1]), margin) for vector in vectors]
    references[1][:, :96] = 0
    references[0][:, 192:] = 0
    for reference in references:
        reference[:, 96:192] += rng.integers(-400, 401, (96, 96)).astype(np.int16)
    fields = np.stack([_kernels.search(current, r, block, None, 50.0, 32) for r in references])
    joint, modes = _kernels.decide(current, references, fields, block, None, 50.0)
    third, edge = 96 // block, 32 // block
    assert (modes[:, : third - edge] == 0).all()
    assert (modes[:, third + edge : 2 * third - edge] == 2).mean() > 0.9
    assert (modes[:, 2 * third + edge :] == 1).all()
    again = _kernels.decide(current, references, fields, block, None, 50.0, 2)
    assert np.array_equal(again[0], joint) and np.array_equal(again[1], modes)

    def error(vectors: Samples, chosen: NDArray[np.uint8]) -> float:
        out = _kernels.compensate([np.stack([r] * 3) for r in references], vectors, chosen, block)
        return float(np.abs(out[0].astype(np.int32) - current).mean())

    assert error(joint, modes) < min(error(fields, np.full_like(modes, mode)) for mode in range(3))


def test_paths_find_the_same() -> None:
    """Not needed by the format, but it keeps the loops of each set comparable."""
    rng = np.random.default_rng(9)
    current, first, second = (texture(rng, 72, 104) for _ in range(3))
    for block in (8, 16):
        field = _kernels.search(current, first, block, None, 20.0, 20, 1, "scalar")
        both = np.stack([field, field])
        expected, modes = _kernels.decide(current, [first, second], both, block, both, 20.0, 1, "scalar")
        for path in available_paths():
            assert np.array_equal(_kernels.search(current, first, block, None, 20.0, 20, 1, path), field)
            found = _kernels.decide(current, [first, second], both, block, both, 20.0, 1, path)
            assert np.array_equal(found[0], expected) and np.array_equal(found[1], modes)


def test_search_refuses_what_does_not_fit() -> None:
    plane, guess = np.zeros((16, 24), np.int16), np.zeros((2, 3, 2), np.int16)
    _kernels.search(plane, plane, 8, guess, 1.0, 8)
    cases: list[tuple[Samples, Samples, int, Samples | None, float, int]] = [
        (plane[None], plane, 8, None, 1.0, 8),
        (plane, plane[:8].copy(), 8, None, 1.0, 8),
        (plane[:12].copy(), plane[:12].copy(), 8, None, 1.0, 8),
        (plane + np.int16(5000), plane, 8, None, 1.0, 8),
        (plane, plane, 4, None, 1.0, 8),
        (plane, plane, 16, guess, 1.0, 8),
        (plane, plane, 8, None, -1.0, 8),
        (plane, plane, 8, None, float("nan"), 8),
        (plane, plane, 8, None, 1.0, -1),
        (plane, plane, 8, None, 1.0, 1 << 20),
    ]
    for current, reference, block, known, price, radius in cases:
        with pytest.raises(ValueError):
            _kernels.search(current, reference, block, known, price, radius)
    fields = np.stack([guess, guess])
    _kernels.decide(plane, [plane, plane], fields, 8, fields, 1.0)
    for references, vectors in (([plane], fields), ([plane, plane], guess[None]), ([plane, plane], fields[:, :1])):
        with pytest.raises(ValueError):
            _kernels.decide(plane, references, np.ascontiguousarray(vectors), 8, None, 1.0)
