"""The encoder of a group: motion search, the choice between intra and predicted, rounding.  None of it is normative."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from ..base.family import GroupSpec, Pixels, SymbolPort
from ..base.kernels import Field, Integers, Kernels, Modes, Planes
from ..base.ports import Held, Nowhere
from ..prior.native import CodedFrame
from ..prior.ports import put_number
from ..transform.levels import Levels
from ..transform.steps import HINT_GAIN, STEP_BITS, FrameSteps
from ..wavelet.base_still import BaseStill
from .group import BLOCKS, INTRA, NO_OFFSET, PREDICTED, FrameRead, GroupState, Prior, frame_quality, grid_of
from .order import Place
from .prediction import BOTH, Decoded, Prediction, no_surprise
from .velocity import Motion

LONG, SHORT = 5, 4  # depths between which `span_of` chooses
WORTH = 0.95  # see `span_of`
# effort of each magnitude in quarters of a step, in 1/1024 bits; no value lies near a half, so that every mathematics
# library gives the same integers (a test checks it)
EFFORTS = np.array([math.floor(math.log2(1 + n / HINT_GAIN) * 1024 + 0.5) for n in range(256)], np.int32)


@dataclass(frozen=True)
class SearchOptions:
    """What the encoder is free to choose.

    depth: of the group; None takes LONG where key frames so far apart can be predicted, see `span_of`.
    offsets: quality of intra frames, key frames and each level between, in sixths of an octave below the group's.
    """

    depth: int | None = None
    block: int = 16
    radius: int = 64
    motion_weight: float = 9.0  # error in 1/16 gray levels that a bit of motion is worth, in steps
    offsets: tuple[int, ...] = (-3, 0, 2, 3, 4, 5, 5)
    effort: str = "medium"  # how frames on their own are rounded, see `BaseStill.put`

    def offset(self, place: Place, intra: bool) -> int:
        return NO_OFFSET + self.offsets[0 if intra else place.level + 1]


def put_group(
    prior: Prior, still: BaseStill, search: SearchOptions, frames: Pixels, spec: GroupSpec, port: SymbolPort
) -> None:
    """Put the symbols of uint8 `frames` (T, H, W, channels)."""
    depth = span_of(prior, still, search, frames, spec) if search.depth is None else search.depth
    put_number(port, depth, 3)
    put_number(port, BLOCKS.index(search.block), 1)
    group = GroupState(prior, spec, depth, search.block)
    for at, place in enumerate(group.places):
        FrameEncoder(group, still, search, frames[place.number], port).put(at)


def span_of(prior: Prior, still: BaseStill, search: SearchOptions, frames: Pixels, spec: GroupSpec) -> int:
    """The depth for a group: how far apart key frames may stand before predicting them is worth little.

    On 33 training clips of 16 frames, depth 4 took 4 % fewer bits than 3 where the key frame's effort was below WORTH
    of that without prediction, 1 % more where it was above, 2 % fewer on average.
    """
    if spec.frames - 1 <= 1 << SHORT:
        return SHORT  # LONG would give the same group
    group = GroupState(prior, spec, LONG, search.block)
    keys = [place for place in group.places if place.level == 0 and place.references]
    found = [FrameEncoder(group, still, search, frames[key.number], Nowhere()).efforts(key, frames) for key in keys]
    predicted, alone = (sum(part) for part in zip(*found, strict=True))
    return LONG if predicted < WORTH * alone else SHORT


@dataclass(frozen=True)
class PredictedFrame:
    """A frame with its prediction, before it is coded.

    at: its index in the coding order; latents: those of the original; motion: the symbols of the fields, not yet put.
    """

    at: int
    offset: int
    latents: Levels
    prediction: Prediction
    fields: list[Field]
    modes: Modes | None
    motion: Held


class FrameEncoder:
    """One frame on its way into the port."""

    def __init__(
        self, group: GroupState, still: BaseStill, search: SearchOptions, pixels: Pixels, port: SymbolPort
    ) -> None:
        self.group, self.still, self.search, self.pixels, self.port = group, still, search, pixels, port
        self.prior = group.prior

    def put(self, at: int) -> None:
        place = self.group.places[at]
        if not place.references:
            self.put_intra(at)
            return
        planes = self.prior.transform.kernels.planes(self.pixels)
        latents = self.prior.transform.analyse(planes)
        offset = self.search.offset(place, False)
        steps = self.prior.steps.at(frame_quality(self.group.spec.quality, offset))
        found, modes = self.find_motion(place, planes[0], steps)
        held = Held()
        # the decoder's fields differ where no block uses them, but the doubt is computed from them there too
        fields = self.prior.motion.put(held, found, modes, self.group.guesses(place))
        prediction = self.group.predict(place, fields, modes)
        kernels = self.prior.transform.kernels
        if effort(latents, None, steps, kernels) < effort(latents, prediction.latents, steps, kernels):
            self.put_intra(at)
        else:
            self.put_predicted(PredictedFrame(at, offset, latents, prediction, fields, modes, held))

    def efforts(self, place: Place, frames: Pixels) -> tuple[int, int]:
        """Of a key frame: predicted from the one before, as it is before coding, and without prediction."""
        transform, steps = self.prior.transform, self.prior.steps.at(self.group.spec.quality)
        before = transform.kernels.planes(frames[place.references[0]])
        planes = transform.kernels.planes(self.pixels)
        latents = transform.analyse(planes)
        doubt = no_surprise(latents)
        self.group.kept = {place.references[0]: Decoded(before, doubt, Motion({}))}
        fields, modes = self.find_motion(place, planes[0], steps)
        prediction = self.group.predict(place, fields, modes)
        kernels = transform.kernels
        return effort(latents, prediction.latents, steps, kernels), effort(latents, None, steps, kernels)

    def put_intra(self, at: int) -> None:
        place = self.group.places[at]
        # a picture has the quality that was asked for; a frame that others are predicted from is worth more
        offset = NO_OFFSET if self.group.spec.frames == 1 else self.search.offset(place, True)
        spec = self.put_head(INTRA, offset)
        coded = self.still.put(self.pixels, spec, self.port, self.search.effort)
        self.add(at, INTRA, spec.quality, coded, None, [], None, None)

    def put_predicted(self, frame: PredictedFrame) -> None:
        spec = self.put_head(PREDICTED, frame.offset)
        steps, transform, prediction = self.prior.steps.at(spec.quality), self.prior.transform, frame.prediction
        frame.motion.release(self.port)
        hints = transform.hints([prediction.latents, prediction.doubt], steps)
        scaled, low = transform.residual(frame.latents, prediction.latents, steps)
        coded = self.group.prior_of(self.group.places[frame.at]).code(scaled, low, spec, self.port, hints)
        assert coded is not None
        self.add(frame.at, PREDICTED, spec.quality, coded, prediction, frame.fields, frame.modes, hints)

    def add(
        self,
        at: int,
        kind: int,
        quality: int,
        coded: CodedFrame,
        prediction: Prediction | None,
        fields: list[Field],
        modes: Modes | None,
        hints: list[Integers] | None,
    ) -> FrameRead:
        """Restore a frame as the decoder will, for frames predicted from it."""
        place, steps, group = self.group.places[at], self.prior.steps.at(quality), self.group
        predicted = None if prediction is None else prediction.latents
        restored = cache(partial(coded.restored, self.prior.transform, steps, predicted))
        planes = group.add(at, restored, predicted, fields)
        owner = group.prior.intra if kind == INTRA else group.prior_of(place)
        return FrameRead(
            place=place,
            kind=kind,
            quality=quality,
            coded=coded,
            prior=owner,
            restored=restored,
            steps=steps,
            planes=planes,
            fields=fields,
            modes=modes,
            block=group.block,
            needed=group.needed,
            side_bits=0.0,
            hints=hints,
        )

    def put_head(self, kind: int, offset: int) -> GroupSpec:
        put_number(self.port, kind, 2)
        put_number(self.port, offset, 5)
        return replace(self.group.spec, frames=1, quality=frame_quality(self.group.spec.quality, offset))

    def find_motion(self, place: Place, gray: Planes, steps: FrameSteps) -> tuple[list[Field], Modes | None]:
        """Fields towards each reference, and which of two each block is predicted from."""
        search, kernels = self.search, self.prior.transform.kernels
        if search.radius == 0:
            grid = grid_of(self.group.spec, search.block)
            still = [np.zeros((*grid, 2), np.int16) for _ in place.references]
            return still, np.full(grid, BOTH, np.uint8) if len(still) == 2 else None
        price = search.motion_weight * step_of(steps)
        references = [np.ascontiguousarray(reference.planes[0]) for reference in self.group.references(place)]
        fields = [
            kernels.search(gray, reference, search.block, known, price, search.radius)
            for reference, known in zip(references, self.group.guesses(place), strict=True)
        ]
        if len(fields) == 1:
            return fields, None
        both = np.ascontiguousarray(np.stack(fields))
        known = [guess for guess in self.group.guesses(place) if guess is not None]
        guesses = np.ascontiguousarray(np.stack(known)) if len(known) == 2 else None
        joint, modes = kernels.decide(gray, references, both, search.block, guesses, price)
        return list(joint), modes


def step_of(steps: FrameSteps) -> float:
    """The step in gray levels, from a band whose gain is known to be near one."""
    return float(steps.levels[0].steps[0]) / (16 << STEP_BITS)


def effort(latents: Levels, prediction: Levels | None, steps: FrameSteps, kernels: Kernels) -> int:
    """A rough measure of what is left to code, in 1/1024 bits: log2(1 + |residual| / step) over the packet bands.

    It decides between ways of coding, so it is computed in integers, which are the same on every machine.
    """
    known = None if prediction is None else prediction[0]
    return kernels.effort(latents[0], known, steps.levels[0].reciprocals, EFFORTS)
