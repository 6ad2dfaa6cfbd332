"""Codes dyadic frames, where a weights file holds their prior; see `dyadic_intra`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import GroupSpec, Pixels, SymbolPort
from ..base.kernels import Integers, Kernels, Planes, Words
from ..base.ports import Nowhere
from ..engine.network import part_of
from ..engine.painter import Painter
from ..prior.dyadic import DyadicCoder, DyadicFrame, Pyramid
from ..prior.native import CodedFrame
from ..transform.bands import CELL, pyramid_sizes
from ..transform.dyadic import DyadicSteps
from ..transform.levels import EVERY, Levels
from ..transform.steps import HINT_BITS, STEP_BITS, WORD_GAIN, FrameSteps
from .base_still import FARTHEST, MOVE_REACH, SHARPNESS, TRANSFORM_REACH, WINDOW_REACH, BaseStill
from .dyadic_intra import MOVED_LEVELS, DyadicIntra
from .words import COMPANDED_FINE, LOW_WORD, LOWS, WORD_BITS

if TYPE_CHECKING:
    from .dyadic_refinement import DyadicRefinement

TRELLIS_RATE_WEIGHT = 0.085  # squared steps that a bit is worth: 0.08 to 0.1 were as good on held-out pictures


class DyadicStill(BaseStill):
    """Its prior is the arrays "dyadic." of a weights file."""

    prior: DyadicIntra
    rate_weights = (TRELLIS_RATE_WEIGHT, TRELLIS_RATE_WEIGHT)

    def __init__(self, arrays: Mapping[str, NDArray[Any]], tables: Tables, first_sign: int, kernels: Kernels) -> None:
        super().__init__(arrays, kernels)
        prior = part_of(arrays, "dyadic")
        steps = DyadicSteps(prior["steps"], arrays)
        self.prior = DyadicIntra(DyadicCoder(prior, steps, tables, first_sign, TRELLIS_RATE_WEIGHT, kernels))
        self.trial = self.prior
        # made when it is first asked for; instances that weigh otherwise share it
        self.refinement = lru_cache(maxsize=1)(lambda: _refinement(part_of(arrays, "standard")))
        self.reciprocals = lru_cache(maxsize=64)(self._reciprocals)

    def put(self, pixels: Pixels, spec: GroupSpec, port: SymbolPort, effort: str) -> CodedFrame:
        """See `BaseStill.put`.

        Effort medium fits offsets of rungs to the picture, and moves details by the encoder's network, where there is
        one, slow by `dyadic_refinement` too.
        """
        planes = self.kernels.planes(pixels)
        pyramid, moves = self.prior.pyramid(planes, spec), None
        if effort == "fast":
            return self.prior.code_pyramid(pyramid, spec, port)
        trial = self.tried(pyramid, spec)
        offsets = self.trial.coder.offsets_of(trial)
        if self.analysis is not None:
            moves = self.moves(self.analysis, pyramid, trial, spec)
        if effort == "slow":
            start = None if moves is None else in_planes(moves, spec)
            found = self.refinement().moves(self, planes, pyramid, spec, start)
            pyramid = self.prior.moved(pyramid, found, spec.quality)
        elif moves is not None:
            pyramid = self.moved(pyramid, moves, spec.quality)
        return self.prior.code_pyramid(pyramid, spec, port, offsets)

    def tried(self, pyramid: Pyramid, spec: GroupSpec) -> DyadicFrame:
        """What a pyramid is coded as that nothing moves, its details kept and weighed."""
        return self.trial.coder.code_pyramid(pyramid, spec, Nowhere(), keep=True, weigh=True)

    def moves(self, network: Painter, pyramid: Pyramid, trial: DyadicFrame, spec: GroupSpec) -> Words:
        """Moves of the finest details, (h, w, channels) as `to_cells` has them, in 2^-WORD_BITS steps.

        What passes MOVE_REACH counts as that.
        """
        return network(self.trial_words(pyramid, trial, spec), spec.quality)

    def moved(self, pyramid: Pyramid, moves: Words, quality: int) -> Pyramid:
        """A pyramid with what `moves` gives."""
        details, low = pyramid
        levels = self.prior.coder.steps.at(quality).levels[:MOVED_LEVELS]
        factors = [level.steps * 2.0 ** -(STEP_BITS + WORD_BITS) for level in levels]
        found = self.kernels.moved(details[:MOVED_LEVELS], factors, moves, int(MOVE_REACH * (1 << WORD_BITS)))
        return [*found, *details[MOVED_LEVELS:]], low

    def trial_words(self, pyramid: Pyramid, trial: DyadicFrame, spec: GroupSpec) -> Words:
        """What the encoder's network reads: a trial as decoders read it, see `tried`, and the remainders of that."""
        words = self.words(self.kernels.padded(trial.planes), spec.quality, moved_channels())
        levels = self.prior.coder.steps.at(spec.quality).levels[:MOVED_LEVELS]
        self.kernels.describe_remainders(
            pyramid[0][:MOVED_LEVELS],
            trial.details[:MOVED_LEVELS],
            [2 * level.inverse for level in levels],  # both in half steps
            SHARPNESS * (1 << WORD_BITS) / 2,
            int(FARTHEST) << WORD_BITS,
            words,
            words.shape[2] - moved_channels(),
        )
        return words

    def words(self, shown: Planes, quality: int, more: int = 0) -> Words:
        """What decoders' networks read of a frame's decoded planes, and `more` channels of zeros."""
        return self.describe(*self.kernels.analyse(shown, EVERY), quality, self.steps.at(quality), more)

    def planes(self, coded: CodedFrame, quality: int, decoder: str, latents: Levels) -> Planes:
        assert coded.planes is not None
        return self._strip(coded.planes, quality, decoder, slice(0, coded.planes.shape[1] // CELL))

    def strips(self, coded: CodedFrame, quality: int, decoder: str) -> Callable[[slice], Planes]:
        assert coded.planes is not None
        return partial(self._strip, coded.planes, quality, decoder)

    def _strip(self, planes: Planes, quality: int, decoder: str, rows: slice) -> Planes:
        """The planes of some rows of cells, each array dropped as soon as it has been used: they are large."""
        if decoder not in self.painters:
            return planes[:, CELL * rows.start : CELL * rows.stop]
        # what the network reads depends on these rows besides
        beside = TRANSFORM_REACH + WINDOW_REACH
        first, last = max(0, rows.start - beside), min(planes.shape[1] // CELL, rows.stop + beside)
        steps = self.steps.at(quality)
        part = np.ascontiguousarray(planes[:, CELL * first : CELL * last])
        packet, low = self.kernels.analyse(part, EVERY)
        del part
        inner = slice(rows.start - first, rows.stop - first)
        words = np.ascontiguousarray(self.describe(packet, low, quality, steps)[inner])
        correction = self.painters[decoder](words, quality)
        del words
        packet, low = (np.ascontiguousarray(bands[:, inner]) for bands in (packet, low))
        every, low = self.kernels.corrected(packet, EVERY, low, correction, steps.every)
        del packet, correction
        return self.kernels.synthesise(every, low, EVERY)

    def describe(self, packet: Integers, low: Integers, quality: int, steps: FrameSteps, more: int = 0) -> Words:
        """What the decoders' networks read: all packet bands in sixteenths of a step, companded, and the low bands."""
        count, h, w = packet.shape
        words = np.zeros((h, w, count + LOWS + more), np.int16)
        self.kernels.describe_scaled(packet, self.reciprocals(quality), COMPANDED_FINE, words, 0)
        self.kernels.describe_low(low, steps.low_words, COMPANDED_FINE, LOW_WORD, words, count)
        return words

    def _reciprocals(self, quality: int) -> NDArray[np.int64]:
        steps = self.steps.at(quality).every[EVERY].tolist()
        return np.array([(WORD_GAIN << HINT_BITS + STEP_BITS) // step for step in steps], np.int64)


def moved_channels() -> int:
    """Details of a cell that an encoder moves."""
    return sum(9 * (CELL >> level) ** 2 for level in range(1, MOVED_LEVELS + 1))


def in_planes(moves: Words, spec: GroupSpec) -> list[NDArray[np.float32]]:
    """Moves in steps, (9, ., .) of each level, of what `DyadicStill.moves` gives."""
    steps = np.clip(moves.astype(np.float32) * np.float32(2.0**-WORD_BITS), -MOVE_REACH, MOVE_REACH)
    return from_cells(steps, pyramid_sizes(spec.height, spec.width, MOVED_LEVELS)[1:])


def to_cells(details: Sequence[NDArray[Any]], height: int, width: int) -> NDArray[Any]:
    """The finest details (9, ., .), finest first, cell by cell: (height, width, channels), zeros beyond a picture.

    A level's channels are ordered by band, row and column within the cell.
    """
    parts = []
    for level, plane in enumerate(details, 1):
        side = CELL >> level
        whole = np.zeros((9, height * side, width * side), plane.dtype)
        whole[:, : plane.shape[1], : plane.shape[2]] = plane
        split = whole.reshape(9, height, side, width, side).transpose(1, 3, 0, 2, 4)
        parts.append(split.reshape(height, width, -1))
    return np.concatenate(parts, 2)


def from_cells(cells: NDArray[Any], sizes: Sequence[tuple[int, int]]) -> list[NDArray[Any]]:
    """The inverse of `to_cells`, for details of those sizes."""
    (height, width), first, details = cells.shape[:2], 0, []
    for level, size in enumerate(sizes, 1):
        side = CELL >> level
        part = cells[..., first : first + 9 * side * side].reshape(height, width, 9, side, side)
        whole = part.transpose(2, 0, 3, 1, 4).reshape(9, height * side, width * side)
        details.append(np.ascontiguousarray(whole[:, : size[0], : size[1]]))
        first += 9 * side * side
    return details


def _refinement(arrays: Mapping[str, NDArray[Any]]) -> DyadicRefinement:
    from .dyadic_refinement import DyadicRefinement

    return DyadicRefinement(arrays)
