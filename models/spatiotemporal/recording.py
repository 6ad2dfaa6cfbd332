"""What the priors of predicted frames learn from: residuals and hints met while clips are coded in closed loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..interface import GroupSpec, SymbolPort
from ..motion_field import MotionCoder
from ..motion_tables import Recorded
from ..native import NativeWavelet
from ..ports import Held, Nowhere
from .encoder import FrameEncoder, Search
from .group import PREDICTED, Group, Prior
from .prediction import Modes, Prediction
from .transform import Levels, hints, restore
from .velocity import Field

DEAD_ZONE = 0.38  # added before rounding down, while the priors are not trained


@dataclass(frozen=True)
class Example:
    """One predicted frame.  levels: residuals in steps, packet first, float16 (n, h, w); low (3, ., .); hints uint8."""

    references: int
    quality: int
    levels: list[Tensor]
    low: Tensor
    hints: list[Tensor]


def cropped(example: Example, cells: int, generator: torch.Generator) -> Example:
    """A random square of every level, `cells` a side on level 0, a multiple of 16."""
    h, w = example.levels[0].shape[1:]

    def start(side: int) -> int:
        return 16 * int(torch.randint((side - cells) // 16 + 1, (1,), generator=generator))

    y, x = start(h), start(w)

    def cut(plane: Tensor, level: int) -> Tensor:
        return plane[:, y >> level : (y + cells) >> level, x >> level : (x + cells) >> level]

    return replace(
        example,
        levels=[cut(plane, level) for level, plane in enumerate(example.levels)],
        low=cut(example.low, len(example.levels) - 1),
        hints=[cut(plane, level) for level, plane in enumerate(example.hints)],
    )


class NoMotion(MotionCoder):
    """Stands for a motion coder whose symbols nobody wants; keeps what it is given."""

    def __init__(self) -> None:
        self.recorded: list[Recorded] = []

    def put(
        self, port: SymbolPort, fields: Sequence[Field], modes: Modes | None, guesses: Sequence[Field | None]
    ) -> list[Field]:
        self.recorded.append(Recorded(fields, modes, guesses))
        return list(fields)


class Recorder(FrameEncoder):
    """Codes a frame, with the priors or, before they are trained, with a plain dead zone, and keeps what it met."""

    trained = True
    examples: list[Example]

    def put_predicted(
        self, at: int, offset: int, latents: Levels, prediction: Prediction, fields: list[Field], motion: Held
    ) -> None:
        place = self.group.places[at]
        quality = self.put_head(PREDICTED, offset).quality
        steps = self.prior.steps.at(quality)
        scaled = [
            (known - expected) * level.inverse[:, None, None]
            for known, expected, level in zip(latents, prediction.latents, steps.levels, strict=True)
        ]
        heard = hints([prediction.latents, prediction.doubt], steps)
        self.examples.append(
            Example(
                len(place.references),
                quality,
                [torch.from_numpy(s.astype(np.float16)) for s in scaled[:-1]],
                torch.from_numpy(scaled[-1].astype(np.float16)),
                [torch.from_numpy(h.astype(np.uint8)) for h in heard],
            )
        )
        if self.trained:
            super().put_predicted(at, offset, latents, prediction, fields, motion)
            return
        symbols = [_dead_zone(s) for s in scaled]
        self.group.add(at, restore(symbols, steps, prediction.latents), prediction.latents, fields)


def _dead_zone(scaled: NDArray[np.float32]) -> NDArray[np.int32]:
    rounded: NDArray[np.int32] = (np.sign(scaled) * np.floor(np.abs(scaled) + DEAD_ZONE)).astype(np.int32)
    return rounded


def record(
    prior: Prior, native: NativeWavelet, clips: Sequence[Tensor], trained: bool, generator: torch.Generator
) -> list[Example]:
    """Examples of uint8 clips (T, H, W, 3), each coded once at a random quality, depth and block size."""
    examples: list[Example] = []

    def number(limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=generator))

    for clip in clips:
        search = replace(Search(), depth=(0, 1, 2, 3, 3, 3, 4)[number(7)], block=(8, 16)[number(2)])
        frames = clip[: 8 if search.depth == 0 else None]
        spec = GroupSpec(len(frames), clip.shape[1], clip.shape[2], clip.shape[3], number(6401))
        group = Group(prior, spec, search.depth, search.block)
        for at, place in enumerate(group.places):
            recorder = Recorder(group, native, search, np.ascontiguousarray(frames[place.number].numpy()), Nowhere())
            recorder.trained, recorder.examples = trained, examples
            recorder.put(at)
    return examples
