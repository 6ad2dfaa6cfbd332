"""Examples that priors and networks of predicted frames learn from, recorded while clips are coded in closed loop.

An example for priors holds residuals and hints; one for networks holds their words of a decoded frame, and what its
bands lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.family import GroupSpec, SymbolPort
from ..base.kernels import Field, Integers, Kernels, Modes, Planes
from ..base.ports import Nowhere
from ..motion.coder import MotionCoder
from ..networks.synthesis import SynthesisNetwork
from ..spatiotemporal.encoder import FrameEncoder, PredictedFrame, SearchOptions
from ..spatiotemporal.group import INTRA, FrameRead, GroupState, Prior, frame_quality
from ..spatiotemporal.painting import FramePainter, GroupPainter
from ..transform import packet as wp
from ..transform.gains import step_size
from ..transform.levels import EVERY, ORDER
from ..transform.steps import STEP_BITS, FrameSteps
from ..wavelet.dyadic_still import DyadicStill
from ..wavelet.still import StillCoder
from .motion_tables import Recorded

DEAD_ZONE = 0.38  # added before rounding down while the priors are not trained; 0.5 would be plain rounding


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
    """Stands for a motion coder whose symbols are not used; keeps what it is given."""

    def __init__(self) -> None:
        self.recorded: list[Recorded] = []

    def put(
        self, port: SymbolPort, fields: Sequence[Field], modes: Modes | None, guesses: Sequence[Field | None]
    ) -> list[Field]:
        self.recorded.append(Recorded(fields, modes, guesses))
        return list(fields)


@dataclass(frozen=True)
class PaintingExample:
    """A square of one predicted frame, or all of it, as decoded.

    words: int16 (INPUTS, h, w), see `FramePainter.describe`; lacking: float16 (192, h, w), what is to be added to the
    packet bands, in steps.
    """

    quality: int
    words: Tensor
    lacking: Tensor


@dataclass
class ClipRecording:
    """Examples of clips.  painter: where it is given, `paintings` are kept, squares of `cells` per side or whole."""

    generator: torch.Generator
    priors: bool = True
    painter: FramePainter | None = None
    cells: int | None = None
    examples: list[Example] = field(default_factory=list)
    paintings: list[PaintingExample] = field(default_factory=list)

    def number(self, limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=self.generator))

    def keep(self, frame: FrameRead, original: Planes, painter: GroupPainter) -> None:
        """Keep a predicted frame as trained priors code it; painter: of its group."""
        moved = painter.moved(frame)
        painter.keep(frame, moved, moved)
        packet, low = painter.painter.bands(frame, moved)
        words = torch.from_numpy(painter.painter.describe(frame, packet, low)).permute(2, 0, 1)
        lacking = lacking_bands(frame.steps, ORDER, packet, low, original, painter.painter.kernels).half()
        h, w = words.shape[1:]
        if self.cells is not None:
            rows, columns = min(self.cells, h), min(self.cells, w)
            y, x = self.number(h - rows + 1), self.number(w - columns + 1)
            cut = (slice(None), slice(y, y + rows), slice(x, x + columns))
            words, lacking = words[cut].contiguous(), lacking[cut].clone()
        self.paintings.append(PaintingExample(frame.quality, words, lacking))


def lacking_bands(
    steps: FrameSteps, order: Integers, packet: Integers, low: Integers, original: Planes, kernels: Kernels
) -> Tensor:
    """float32 (192, h, w): packet bands of the original less decoded ones, in steps.

    packet, low: of the decoded frame, the packet bands that `order` names.
    """
    bands, plane = kernels.analyse(original, EVERY)
    lifted = np.empty((len(steps.every), *bands.shape[1:]), np.int32)
    lifted[EVERY], lifted[::64] = bands, plane - low
    lifted[order] -= packet
    inverse = (2.0**STEP_BITS / steps.every).astype(np.float32)
    return torch.from_numpy(lifted.astype(np.float32) * inverse[:, None, None])


def painted_error(
    network: SynthesisNetwork | None, words: Tensor, lacking: Tensor, quality: Tensor, gains: Tensor
) -> Tensor:
    """Squared error of a pixel (B,) after a network's correction, or before; not clipped to 0..255.

    gains: norms of the pixel patterns that unit coefficients of the packet bands make, (192,).
    """
    rest = -lacking
    if network is not None:
        rest = rest + network.corrections(words, quality, bf16=True)
    scale = step_size(quality)[:, None, None, None] / gains.view(1, -1, 1, 1)
    # the colour axes are orthonormal: their error is that of red, green and blue
    error: Tensor = wp.unpacket((rest * scale).unflatten(1, (3, 64))).square().mean((1, 2, 3))
    return error


class Recorder(FrameEncoder):
    """Codes a frame, with the priors or, before they are trained, with a plain dead zone, and keeps what it met."""

    recording: ClipRecording
    painter: GroupPainter | None = None  # paints the group, where networks learn
    trained = True

    def put_predicted(self, frame: PredictedFrame) -> None:
        if self.recording.priors or not self.trained:
            self.keep_residual(frame)
        if self.trained:
            super().put_predicted(frame)

    def keep_residual(self, frame: PredictedFrame) -> None:
        quality, prediction = frame_quality(self.group.spec.quality, frame.offset), frame.prediction
        steps = self.prior.steps.at(quality)
        exact = [
            (known - expected) * level.inverse[:, None, None]
            for known, expected, level in zip(frame.latents, prediction.latents, steps.levels, strict=True)
        ]
        transform = self.prior.transform
        hints = transform.hints([prediction.latents, prediction.doubt], steps)
        self.recording.examples.append(
            Example(
                len(self.group.places[frame.at].references),
                quality,
                [torch.from_numpy(s.astype(np.float16)) for s in exact[:-1]],
                torch.from_numpy(exact[-1].astype(np.float16)),
                [torch.from_numpy(h.astype(np.uint8)) for h in hints],
            )
        )
        if not self.trained:
            restored = transform.restore([_dead_zone(s) for s in exact], steps, prediction.latents)
            self.group.add(frame.at, lambda: restored, prediction.latents, frame.fields)

    def add(self, *args: Any) -> FrameRead:
        frame = super().add(*args)
        if self.painter is not None and frame.kind == INTRA:
            self.painter.paint(frame)
        elif self.painter is not None:
            self.recording.keep(frame, self.prior.transform.kernels.planes(self.pixels), self.painter)
        return frame


def _dead_zone(scaled: NDArray[np.float32]) -> NDArray[np.int32]:
    rounded: NDArray[np.int32] = (np.sign(scaled) * np.floor(np.abs(scaled) + DEAD_ZONE)).astype(np.int32)
    return rounded


def record(
    prior: Prior, still: StillCoder | DyadicStill, clips: Sequence[Tensor], trained: bool, recording: ClipRecording
) -> ClipRecording:
    """Fill `recording` from uint8 clips (T, H, W, 3), each coded once at a random quality, depth and block size."""
    number = recording.number
    for clip in clips:
        search = replace(SearchOptions(), depth=(0, 1, 2, 3, 3, 3, 4)[number(7)], block=(8, 16)[number(2)])
        frames = clip[: 8 if search.depth == 0 else None]
        spec = GroupSpec(len(frames), clip.shape[1], clip.shape[2], clip.shape[3], number(6401))
        assert search.depth is not None
        group = GroupState(prior, spec, search.depth, search.block)
        painter = None if recording.painter is None else GroupPainter(recording.painter, spec, "standard")
        for at, place in enumerate(group.places):
            recorder = Recorder(group, still, search, np.ascontiguousarray(frames[place.number].numpy()), Nowhere())
            recorder.trained, recorder.recording, recorder.painter = trained, recording, painter
            recorder.put(at)
    return recording
