"""Clips of moving coloured shapes with questions about them: where, how many, which way, which one came first.

A clip is 8 frames of 48 x 48 pixels: one to three shapes (disks, squares, triangles) that appear one after the other
and then move at a constant speed over a shaded ground with grain, and in every second clip a patch of texture that
stands still, costs bits and answers nothing.  A question names its kind and one or two colours:

    place      in which quarter of the last frame the shape of this colour is
    count      how many shapes have this colour                       "0".."3"
    direction  which way the shape of this colour moves               "left", "right", "up", "down"
    order      which of two colours appears first                     "former", "latter"

Equal seeds give equal clips.  Right answers are spread evenly over a kind's choices as far as the clips allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FRAMES, SIDE = 8, 48
KINDS = ("place", "count", "direction", "order")
COLOURS = {
    "red": (214, 40, 40),
    "green": (38, 166, 74),
    "blue": (40, 84, 214),
    "yellow": (236, 200, 38),
}
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
PLACES = ("upper left", "upper right", "lower left", "lower right")
ANSWERS = {
    "place": PLACES,
    "count": ("0", "1", "2", "3"),
    "direction": tuple(DIRECTIONS),
    "order": ("former", "latter"),
}
FORMS = ("disk", "square", "triangle")
_NAMES = tuple(COLOURS)
_VISIBLE = 4  # frames that a shape shows at least


@dataclass(frozen=True)
class Shape:
    """One moving shape; centre (y, x) at frame t is start + (t - onset) * speed * direction, in pixels."""

    colour: str
    form: str
    radius: float
    start: tuple[float, float]
    direction: str
    speed: float
    onset: int

    def centre(self, frame: int) -> tuple[float, float]:
        down, right = DIRECTIONS[self.direction]
        gone = (frame - self.onset) * self.speed
        return self.start[0] + gone * down, self.start[1] + gone * right


@dataclass(frozen=True)
class Question:
    """`colours` holds one name, or two for "order"."""

    kind: str
    colours: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class ShapeClip:
    """pixels uint8 (FRAMES, SIDE, SIDE, 3); masks bool (shapes, FRAMES, SIDE, SIDE), where each shape shows."""

    pixels: Pixels
    masks: npt.NDArray[np.bool_]
    shapes: tuple[Shape, ...]
    questions: tuple[Question, ...]


def describe(clip: ShapeClip) -> tuple[tuple[str, str, str], ...]:
    """Colour, form and direction of each shape, in the order in which they appear."""
    return tuple((s.colour, s.form, s.direction) for s in sorted(clip.shapes, key=lambda shape: shape.onset))


def clip(seed: int, *, every: bool = False) -> ShapeClip:
    """The clip of a seed; with `every` it comes with more questions about numbers, as a lesson does."""
    rng = np.random.default_rng(seed)
    shapes = _shapes(rng)
    ground = _ground(rng)
    pixels = np.empty((FRAMES, SIDE, SIDE, 3), np.uint8)
    masks = np.zeros((len(shapes), FRAMES, SIDE, SIDE), bool)
    for frame in range(FRAMES):
        image = ground + rng.normal(0, 2, ground.shape).astype(np.float32)
        for number, shape in enumerate(shapes):
            cover = _cover(shape, frame)
            image += (np.array(COLOURS[shape.colour], np.float32) - image) * cover[..., None]
            masks[:, frame] &= cover <= 0.5  # a later shape hides what lies below it
            masks[number, frame] = cover > 0.5
        pixels[frame] = np.clip(image + 0.5, 0, 255)
    return ShapeClip(pixels, masks, shapes, _questions(rng, shapes, every))


def _shapes(rng: np.random.Generator) -> tuple[Shape, ...]:
    """One to three shapes whose outlines stay apart."""
    wanted = (1, 2, 2, 3, 3, 3)[int(rng.integers(6))]
    onsets = rng.permutation(FRAMES - _VISIBLE + 1)[:wanted]
    found: list[Shape] = []
    while len(found) < wanted:
        for _ in range(60):
            shape = _shape(rng, int(onsets[len(found)]), [other.colour for other in found])
            if all(_apart(shape, other) for other in found):
                found.append(shape)
                break
        else:
            found.pop()  # the board is blocked: the shape before goes elsewhere
    return tuple(found)


def _shape(rng: np.random.Generator, onset: int, taken: list[str]) -> Shape:
    names = taken if taken and rng.random() < 0.35 else [name for name in _NAMES if name not in taken]
    colour = names[int(rng.integers(len(names)))]
    radius, speed = float(rng.uniform(5.5, 6.5)), float(rng.uniform(3.0, 4.0))
    direction = tuple(DIRECTIONS)[int(rng.integers(4))]
    down, right = DIRECTIONS[direction]
    reach = (FRAMES - 1 - onset) * speed

    def place(step: int) -> float:
        low, high = radius + 1 + max(0, -step) * reach, SIDE - radius - 1 - max(0, step) * reach
        return float(rng.uniform(low, high)) if low < high else (low if step < 0 else high)

    return Shape(colour, FORMS[int(rng.integers(3))], radius, (place(down), place(right)), direction, speed, onset)


def _apart(one: Shape, other: Shape) -> bool:
    for frame in range(max(one.onset, other.onset), FRAMES):
        (y, x), (v, u) = one.centre(frame), other.centre(frame)
        if max(abs(y - v), abs(x - u)) < one.radius + other.radius + 1:
            return False
    return True


def _cover(shape: Shape, frame: int) -> Floats:
    """0..1 share of each pixel that the shape covers, edges blended over one pixel; 0 before its onset."""
    if frame < shape.onset:
        return np.zeros((SIDE, SIDE), np.float32)
    y, x = shape.centre(frame)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) + 0.5
    dy, dx = rows - y, columns - x
    if shape.form == "disk":
        distance = shape.radius - np.hypot(dy, dx)
    elif shape.form == "square":
        distance = 0.9 * shape.radius - np.maximum(abs(dy), abs(dx))
    else:  # a triangle that stands on its base
        distance = np.minimum(shape.radius - dy, 0.5 * (dy + shape.radius) - abs(dx))
    return np.asarray(np.clip(distance + 0.5, 0, 1), np.float32)


def _ground(rng: np.random.Generator) -> Floats:
    """(SIDE, SIDE, 3) gray-ish shading with grain, in every second clip with a patch of texture."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    low, high = rng.uniform(50, 200, 2)
    tint = rng.uniform(-14, 14, 3)
    angle = rng.uniform(0, 2 * np.pi)
    shade = 0.5 + 0.5 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    ground = (low + (high - low) * shade)[..., None] + tint
    if rng.random() < 0.5:
        size = int(rng.integers(14, 25))
        top, left = rng.integers(0, SIDE - size, 2)
        ground[top : top + size, left : left + size] += rng.normal(0, 26, (size, size, 1))
    return np.asarray(ground, np.float32)


def _questions(rng: np.random.Generator, shapes: tuple[Shape, ...], every: bool) -> tuple[Question, ...]:
    """All places, directions and orders; the number of the commonest colour and in some clips of an absent one, with
    `every` of each colour that is there and of an absent one."""
    colours = [shape.colour for shape in shapes]
    single = [shape for shape in shapes if colours.count(shape.colour) == 1]
    present = list(dict.fromkeys(colours))
    absent = [name for name in _NAMES if name not in colours]
    counted = present if every else [max(present, key=colours.count)]
    if rng.random() < 0.35 or every:
        counted = [*counted, absent[int(rng.integers(len(absent)))]]
    found = [Question("count", (name,), str(colours.count(name))) for name in counted]
    found += [Question("place", (shape.colour,), _place(shape)) for shape in single]
    found += [Question("direction", (shape.colour,), shape.direction) for shape in single]
    for number, one in enumerate(single):
        for other in single[number + 1 :]:
            first, second = (one, other) if rng.random() < 0.5 else (other, one)
            answer = "former" if first.onset < second.onset else "latter"
            found.append(Question("order", (first.colour, second.colour), answer))
    return tuple(found)


def _place(shape: Shape) -> str:
    y, x = shape.centre(FRAMES - 1)
    return PLACES[2 * (y > SIDE / 2) + (x > SIDE / 2)]
