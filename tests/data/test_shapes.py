"""Clips of moving shapes: the answers to their questions are what a look at the pixels' masks says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tessera.data import shapes


@pytest.fixture(scope="module")
def clips() -> list[shapes.ShapeClip]:
    return [shapes.clip(seed) for seed in range(120)]


def test_equal_seeds_give_equal_clips() -> None:
    first, again, other = shapes.clip(5), shapes.clip(5), shapes.clip(6)
    assert first.pixels.shape == (shapes.FRAMES, shapes.SIDE, shapes.SIDE, 3) and first.pixels.dtype == np.uint8
    assert np.array_equal(first.pixels, again.pixels) and first.questions == again.questions
    assert not np.array_equal(first.pixels, other.pixels)


def test_answers_are_what_the_masks_say(clips: list[shapes.ShapeClip]) -> None:
    for clip in clips:
        assert len(clip.shapes) == len(clip.masks) <= 3
        colours = [shape.colour for shape in clip.shapes]
        for question in clip.questions:
            there = [k for k, colour in enumerate(colours) if colour in question.colours]
            if question.kind == "count":
                assert question.answer == str(len(there))
            elif question.kind == "place":
                y, x = np.argwhere(clip.masks[there[0], -1]).mean(0) + 0.5
                nearly = abs(y - shapes.SIDE / 2) < 3 or abs(x - shapes.SIDE / 2) < 3  # a triangle's middle is low
                assert nearly or question.answer == shapes.PLACES[2 * (y > shapes.SIDE / 2) + (x > shapes.SIDE / 2)]
            elif question.kind == "direction":
                (number,) = there
                assert question.answer == _moved(clip.masks[number])
            else:
                begun = {colours[k]: int(clip.masks[k].any((1, 2)).argmax()) for k in there}
                first = begun[question.colours[0]] < begun[question.colours[1]]
                assert question.answer == ("former" if first else "latter")


def _moved(mask: np.ndarray) -> str:  # type: ignore[type-arg]
    """Which way the middle of a mask (T, H, W) went."""
    frames = mask.any((1, 2)).nonzero()[0]
    (y, x), (v, u) = (np.argwhere(mask[t]).mean(0) for t in (frames[0], frames[-1]))
    if abs(v - y) > abs(u - x):
        return "down" if v > y else "up"
    return "right" if u > x else "left"


def test_shapes_stay_apart_and_in_the_picture(clips: list[shapes.ShapeClip]) -> None:
    for clip in clips:
        assert (clip.masks.sum(0) <= 1).all()
        assert (clip.masks.any((2, 3)).sum(1) >= 4).all(), "every shape shows in four frames or more"
        assert not clip.masks[:, :, 0].any() and not clip.masks[:, :, :, -1].any()
        shown = clip.pixels[clip.masks.any(0)].astype(int)
        assert (shown.max(1) - shown.min(1)).mean() > 100, "shapes are coloured, the ground is not"


def test_answers_are_spread(clips: list[shapes.ShapeClip]) -> None:
    given = Counter((question.kind, question.answer) for clip in clips for question in clip.questions)
    for kind, answers in shapes.ANSWERS.items():
        total = sum(given[kind, answer] for answer in answers)
        assert total > 40 and max(given[kind, answer] for answer in answers) < 0.6 * total


def test_lessons_ask_for_every_colour_that_is_there() -> None:
    for seed in range(20):
        clip = shapes.clip(seed, every=True)
        assert np.array_equal(clip.pixels, shapes.clip(seed).pixels)
        counted = {q.colours[0]: q.answer for q in clip.questions if q.kind == "count"}
        assert {shape.colour for shape in clip.shapes} < set(counted) and "0" in counted.values()
