"""One group of frames <-> symbols: the walk over the frames that encoder, decoder and token reader share.

group       depth (3 bits), block (1 bit: 8 or 16 pixels)
each frame in coding order
    type (2 bits), offset (5 bits: quality = group's - (offset - NO_OFFSET) * OFFSET)
    type INTRA      latents on the intra prior, as family `wavelet`, or a dyadic pyramid (`wavelet.dyadic_intra`)
    otherwise       motion fields (motion.field), then latents minus prediction on the unidirectional prior (one
                    reference) or the bidirectional one (two)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

from ...entropy import Tables
from ..base.family import GroupSpec, SymbolPort
from ..base.kernels import Field, Integers, Modes, Planes
from ..base.ports import Metered
from ..base.quality import MAX_FINE
from ..motion.coder import MotionCoder
from ..prior.native import CodedFrame, NativePrior
from ..prior.ports import get_number
from ..transform.levels import Levels, LevelTransform
from ..transform.steps import FrameSteps, Steps
from ..wavelet.dyadic_intra import DyadicIntra
from .order import Place, coding_order, last_uses
from .prediction import Decoded, Prediction, no_surprise, predict, surprise
from .velocity import Motion, guess

INTRA, PREDICTED = 0, 1
OFFSET, NO_OFFSET = 164, 8  # fine quality per unit of offset (a sixth of an octave); what no offset is stored as
DEEPEST = 5  # key frames are at most 32 frames apart
BLOCKS = (8, 16)


@dataclass(frozen=True)
class Prior:
    """Everything that chooses tables, with the integers that latents are restored by.  Stateless."""

    intra: NativePrior | DyadicIntra
    unidirectional: NativePrior
    bidirectional: NativePrior
    motion: MotionCoder
    steps: Steps
    transform: LevelTransform


@dataclass
class FrameRead:
    """A frame as coded, in coding order."""

    place: Place
    kind: int
    quality: int
    coded: CodedFrame
    prior: NativePrior | DyadicIntra
    restored: Callable[[], Levels]  # its latents, made when they are first asked for
    steps: FrameSteps
    planes: Planes | None  # where a later frame needs them
    fields: list[Field]  # motion towards each reference
    modes: Modes | None
    block: int  # side of the blocks that move, in pixels
    needed: frozenset[int]  # numbers of the frames that later ones are predicted from, this one's among them or not
    side_bits: float  # bits of type, offset and motion, where they are metered
    hints: list[Integers] | None  # inputs of the prior of a predicted frame

    @property
    def latents(self) -> Levels:
        return self.restored()


def frame_quality(quality: int, offset: int) -> int:
    return min(max(quality - (offset - NO_OFFSET) * OFFSET, 0), MAX_FINE)


def grid_of(spec: GroupSpec, block: int) -> tuple[int, int]:
    """Rows and columns of blocks over the padded frame."""
    return -(-(-(-spec.height // 8) * 8) // block), -(-(-(-spec.width // 8) * 8) // block)


class GroupState:
    """The decoded frames of a group that are still needed, and the step that adds one."""

    def __init__(self, prior: Prior, spec: GroupSpec, depth: int, block: int) -> None:
        self.prior, self.spec, self.block = prior, spec, block
        self.places = coding_order(spec.frames, depth)
        self.uses = last_uses(self.places)
        self.kept: dict[int, Decoded] = {}
        # the doubt of a frame between two others is their difference, see `predict`
        self.surprising = {place.references[0] for place in self.places if len(place.references) == 1}

    @property
    def needed(self) -> frozenset[int]:
        """Numbers of the frames that later ones are predicted from."""
        return frozenset(self.kept)

    def references(self, place: Place) -> list[Decoded]:
        return [self.kept[number] for number in place.references]

    def guesses(self, place: Place) -> list[Field | None]:
        return guess(place, {number: self.kept[number].motion for number in place.references})

    def predict(self, place: Place, fields: list[Field], modes: Modes | None) -> Prediction:
        return predict(self.references(place), fields, modes, self.block, self.prior.transform)

    def prior_of(self, place: Place) -> NativePrior:
        return self.prior.unidirectional if len(place.references) == 1 else self.prior.bidirectional

    def add(
        self, at: int, restored: Callable[[], Levels], prediction: Levels | None, fields: list[Field]
    ) -> Planes | None:
        """Keep the frame at index `at` of the coding order if it is needed, and drop what no longer is.

        Returns the planes of a frame that is kept.
        """
        place, planes = self.places[at], None
        if self.uses[place.number] > at:
            latents, doubt = restored(), None
            if place.number in self.surprising:
                doubt = no_surprise(latents) if prediction is None else surprise(latents, prediction)
            motion = Motion(dict(zip(place.references, fields, strict=False)))
            planes = self.prior.transform.synthesise(latents)
            self.kept[place.number] = Decoded(planes, doubt, motion)
        for number in [number for number in self.kept if self.uses[number] <= at]:
            del self.kept[number]
        return planes


def read_group(
    prior: Prior, spec: GroupSpec, port: SymbolPort, meter: Tables | None = None, most: int | None = None
) -> Iterator[FrameRead]:
    """Get the frames of a group, in coding order.  ValueError for a forged stream.

    meter: the coder's tables, where frames are read for their latents alone.  Then bits are counted, side bits too, and
    rungs are not kept.  most: slices of the last frame's packet at which to stop, see `NativePrior.read`.
    """
    depth, block = get_number(port, 3), BLOCKS[get_number(port, 1)]
    if depth > DEEPEST:
        raise ValueError(f"a group of depth {depth}")
    group = GroupState(prior, spec, depth, block)
    for at, place in enumerate(group.places):
        side = port if meter is None else Metered(port, meter)
        kind, offset = get_number(side, 2), get_number(side, 5)
        if kind > PREDICTED or (kind == PREDICTED and not place.references):
            raise ValueError(f"frame {place.number} is of type {kind}")
        at_spec = replace(spec, frames=1, quality=frame_quality(spec.quality, offset))
        steps = prior.steps.at(at_spec.quality)
        fields: list[Field] = []
        modes: Modes | None = None
        hints, enough = None, most if place is group.places[-1] else None
        if kind == INTRA:
            owner: NativePrior | DyadicIntra = prior.intra
            predicted = None
            coded = owner.read(at_spec, port, None, enough, meter, meter is None)
        else:
            rows, cols = grid_of(spec, block)
            count = len(place.references)
            fields, modes = prior.motion.get(side, rows, cols, count, group.guesses(place))
            owner, predicted = group.prior_of(place), group.predict(place, fields, modes)
            hints = prior.transform.hints([predicted.latents, predicted.doubt], steps)
            coded = owner.read(at_spec, port, hints, enough, meter, meter is None)
        known = None if predicted is None else predicted.latents
        restored = cache(partial(coded.restored, prior.transform, steps, known))
        planes = group.add(at, restored, known, fields)
        spent = side.spent if isinstance(side, Metered) else 0.0
        yield FrameRead(
            place,
            kind,
            at_spec.quality,
            coded,
            owner,
            restored,
            steps,
            planes,
            fields,
            modes,
            block,
            group.needed,
            spent,
            hints,
        )
