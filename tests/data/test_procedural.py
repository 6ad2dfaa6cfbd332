from __future__ import annotations

import numpy as np
import pytest

from tessera.data import procedural


def test_equal_arguments_give_equal_pixels() -> None:
    first, second = procedural.picture(40, 60, seed=3), procedural.picture(40, 60, seed=3)
    assert first.dtype == np.uint8 and first.shape == (40, 60, 3)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, procedural.picture(40, 60, seed=4))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (17, 33)])
def test_any_size(size: tuple[int, int]) -> None:
    assert procedural.picture(*size).shape == (*size, 3)


def test_a_clip_starts_with_the_picture_and_moves() -> None:
    clip = procedural.clip(4, 48, 80)
    assert clip.shape == (4, 48, 80, 3)
    assert np.array_equal(clip[0], procedural.picture(48, 80))
    changes = np.abs(np.diff(clip.astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert (changes > 0.5).all() and (changes < 30).all()  # grey levels: it moves, and it is no cut


def test_the_picture_holds_smooth_and_busy_parts() -> None:
    gray = procedural.picture(256, 384).astype(float).mean(axis=2)
    steps = np.abs(np.diff(gray, axis=1))
    assert steps[:20].mean() < 1  # the sky
    assert steps[-60:].mean() > 8  # the wall of tiles
    assert gray.min() < 20 and gray.max() > 230


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_no_pixels_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        procedural.picture(*size)
    with pytest.raises(ValueError, match="at least one frame"):
        procedural.clip(0, 4, 4)
