"""Groups of predicted frames: which frame comes next, what it is predicted from, how it is painted (FORMAT.md 15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base.family import GroupSpec
from . import dyadic, lifting, motion, words
from .bands import CODED
from .field import Field, Modes, MotionReader, array_of
from .steps import QualitySteps
from .still import Levels, every_band, inverse, low_bands, paint, paint_pyramid, paint_still, restore, transform
from .symbols import Arrays, Symbols
from .walk import Walk, Walked

Planes = NDArray[np.int16]

FIRST_PREDICTED = 78  # table of rung 0 of predicted frames
OWNERS = ("priors.unidirectional", "priors.bidirectional")
SAMPLE_LIMIT = 4095


@dataclass
class KeptFrame:
    """A decoded frame, as later ones need it."""

    planes: Planes  # exact
    doubt: Levels  # how far the latents lay from their prediction
    fields: dict[int, Field]  # number of the reference -> field
    addition: Planes


def coding_order(frames: int, depth: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Numbers of the frames and of their references."""
    yield 0, ()
    for a in range(0, frames - 1, 1 << depth):
        b = min(a + (1 << depth), frames - 1)
        yield b, (a,)
        yield from between_frames(a, b)


def between_frames(a: int, b: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    if b - a > 1:
        middle = (a + b) // 2
        yield middle, (a, b)
        yield from between_frames(a, middle)
        yield from between_frames(middle, b)


def decode_clip(arrays: Arrays, spec: GroupSpec, symbols: Symbols, decoder: str) -> NDArray[np.uint8]:
    depth, block = symbols.number(3), 16 if symbols.number(1) else 8
    if depth > 5:
        raise ValueError(f"a group of depth {depth}")
    pixels = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
    group = GroupFrames(arrays, spec, symbols, block, decoder)
    for number, references in coding_order(spec.frames, depth):
        pixels[number] = lifting.exact_pixels(group.next(number, references), spec.height, spec.width, spec.channels)
    return pixels


class GroupFrames:
    """The frames decoded so far; all are kept, which is simple and needs much memory."""

    def __init__(self, arrays: Arrays, spec: GroupSpec, symbols: Symbols, block: int, decoder: str) -> None:
        self.arrays, self.spec, self.symbols, self.block, self.decoder = arrays, spec, symbols, block, decoder
        self.cells = -(-spec.height // 8), -(-spec.width // 8)
        self.grid = tuple(-(-8 * side // block) for side in self.cells)
        self.frames: dict[int, KeptFrame] = {}

    def next(self, number: int, references: tuple[int, ...]) -> Planes:
        """Read a frame; returns its planes as painted."""
        kind, offset = self.symbols.number(2), self.symbols.number(5)
        if kind > 1 or (kind == 1 and not references):
            raise ValueError(f"frame {number} is of type {kind}")
        quality = max(0, min(self.spec.quality - 164 * (offset - 8), 6400))
        return self.predicted(number, references, quality) if kind else self.alone(number, quality)

    def walk(self, owner: str, first: int, quality: int, hints: Levels | None = None) -> Walked:
        walk = Walk(self.arrays, owner, first, self.spec.channels, quality, self.symbols)
        return walk.read(*self.cells, hints)

    def alone(self, number: int, quality: int) -> Planes:
        owner = f"still.{self.decoder}"
        if "signs.sizes" in self.arrays:
            planes = dyadic.read(self.arrays, replace(self.spec, quality=quality), self.symbols)
            latents, painted = transform(planes), paint_pyramid(self.arrays, owner, quality, planes)
        else:
            walked = self.walk("still.prior", 0, quality)
            latents = restore(walked, QualitySteps(self.arrays, quality), None)
            painted = paint_still(self.arrays, owner, quality, walked)
        exact = inverse(latents)
        addition = painted.astype(np.int32) - exact
        nothing = [np.zeros_like(level) for level in latents]
        self.frames[number] = KeptFrame(exact, nothing, {}, limited(addition))
        return painted

    def predicted(self, number: int, references: tuple[int, ...], quality: int) -> Planes:
        steps = QualitySteps(self.arrays, quality)
        reader = MotionReader(self.arrays, self.symbols, *self.grid)
        fields, modes = reader.frame(self.guesses(number, references))
        exact = [self.frames[reference].planes for reference in references]
        prediction, doubt = transform(self.moved(exact, fields, modes)), self.frames[references[0]].doubt
        if len(references) == 2:
            first, second = (self.moved([planes], [field], None) for planes, field in zip(exact, fields, strict=True))
            doubt = transform(first - second)
        hints = [
            np.concatenate([lifting.hints(level, (1 << 50) // step) for level in (p, d)])
            for p, d, step in zip(prediction[:-1], doubt[:-1], steps.levels[:-1], strict=True)
        ]
        walked = self.walk(OWNERS[len(references) - 1], FIRST_PREDICTED, quality, hints)
        latents = restore(walked, steps, prediction)
        addition = self.moved([self.frames[reference].addition for reference in references], fields, modes)
        surprise = [known - expected for known, expected in zip(latents, prediction, strict=True)]
        moves = dict(zip(references, fields, strict=True))
        self.frames[number] = KeptFrame(inverse(latents), surprise, moves, addition)
        return self.paint(number, references, quality, walked, latents)

    def paint(self, number: int, references: tuple[int, ...], quality: int, walked: Walked, latents: Levels) -> Planes:
        frame, steps = self.frames[number], QualitySteps(self.arrays, quality)
        if "inter.plan" not in self.arrays:
            return limited(frame.planes.astype(np.int32) + frame.addition)
        added, added_low = lifting.exact_analyse(frame.addition, CODED)
        packet, low = latents[0] + added, low_bands(latents) + added_low
        read = words.of_frame(walked.levels[0], walked.rungs, low, steps)
        read = np.concatenate([read, words.of_predicted(packet, number, references, steps)], 2)
        return paint(self.arrays, "inter", quality, read, every_band(packet, low))

    def moved(self, planes: list[Planes], fields: list[Field], modes: Modes | None) -> Planes:
        """What the blocks take from the planes of one or two frames."""
        rows, columns = self.grid
        vectors = np.stack([array_of(field, rows, columns) for field in fields])
        chosen = None
        if modes is not None:
            chosen = np.array([[modes[y, x] for x in range(columns)] for y in range(rows)], np.uint8)
        return motion.compensate(planes, vectors, chosen, self.block)

    def guesses(self, number: int, references: tuple[int, ...]) -> list[Field | None]:
        """The caller's guess of a field towards each reference."""
        first, *others = references
        ways = [(others[0], first), (first, others[0])] if others else [(first, a) for a in self.frames[first].fields]
        for b, a in ways:
            if a in self.frames[b].fields:
                return [scaled(self.frames[b].fields[a], reference - number, a - b) for reference in references]
        return [None for _ in references]


def scaled(field: Field, d: int, n: int) -> Field:
    d, n = (d, n) if n > 0 else (-d, -n)

    def one(f: int) -> int:
        return max(-2048, min((2 * f * d + n) // (2 * n), 2047))

    return {block: (one(dy), one(dx)) for block, (dy, dx) in field.items()}


def limited(planes: NDArray[np.int32]) -> Planes:
    return planes.clip(-SAMPLE_LIMIT, SAMPLE_LIMIT).astype(np.int16)
