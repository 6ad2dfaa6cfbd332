"""Codes frames on their own: pixels to symbols and back, all in integers.

pixels -> planes -> lifted bands -> divided by their steps -> rounded along the prior's walk
symbols times steps -> lifted bands + what a network adds -> planes -> pixels
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from ..prior.ladder import costs_of
from ..prior.native import CodedFrame, NativePrior, pass_order
from ..transform.bands import RATE_WEIGHT
from ..transform.levels import EVERY, ORDER, Levels
from ..transform.steps import FrameSteps
from .base_still import FARTHEST, MOVE_REACH, SHARPNESS, BaseStill
from .words import WORD_BITS, describe

if TYPE_CHECKING:
    from .refinement import Refinement

Arrays = Mapping[str, NDArray[Any]]
Scaled = list[NDArray[np.float32]]  # of each level, packet first: (bands, cells) in steps, in the order of the passes


class StillCoder(BaseStill):
    """Transform, prior and networks of a weights file."""

    prior: NativePrior

    def __init__(self, arrays: Arrays, tables: Tables, kernels: Kernels) -> None:
        super().__init__(arrays, kernels)
        self.prior = NativePrior(part_of(arrays, "prior"), costs_of(tables), RATE_WEIGHT, kernels)
        self.trial = self.prior
        # made when it is first asked for; instances that weigh otherwise share it
        self.refinement = lru_cache(maxsize=1)(lambda: _refinement(part_of(arrays, "standard")))

    # -- encoding ----------------------------------------------------------------------------------------------------

    def bands_to_round(self, pixels: Pixels, spec: GroupSpec, effort: str) -> tuple[Scaled, Integers]:
        """Bands of uint8 `pixels` (H, W, channels) as `NativePrior.code` takes them.

        Effort medium moves packet coefficients by the encoder's network, where there is one, slow by `refinement` too.
        """
        steps, planes = self.steps.at(spec.quality), self.kernels.planes(pixels)
        scaled, low = self.transform.residual(self.transform.analyse(planes), None, steps)
        moves: NDArray[np.float32] | None = None
        if effort != "fast" and self.analysis is not None:
            moves = self.moves(self.analysis, scaled, low, spec, steps)
        if effort == "slow":
            moves = self.refinement().moves(self, planes, scaled, low, spec, moves)
        if moves is not None:
            scaled[0] += moves
        return scaled, low

    def moves(
        self, network: Painter, scaled: Scaled, low: Integers, spec: GroupSpec, steps: FrameSteps
    ) -> NDArray[np.float32]:
        """Moves of the packet coefficients in steps, (125, cells) in the order of the passes."""
        trial = self.trial.code(scaled, low, spec, Nowhere())
        assert trial is not None
        bands, h, w = trial.packet.shape
        order = pass_order(h, w)
        words = describe(self.kernels, trial.packet, trial.kept_rungs, self.low_plane(trial, steps), steps, bands)
        rest = scaled[0] - trial.packet.reshape(bands, -1)[:, order].astype(np.float32)
        rest = np.clip(rest * np.float32(SHARPNESS), -FARTHEST, FARTHEST) * np.float32(1 << WORD_BITS)
        words.reshape(h * w, -1)[order, -bands:] = np.floor(rest + np.float32(0.5)).astype(np.int16).T
        moves = network(words, spec.quality).reshape(h * w, bands)[order].T.astype(np.float32)
        return np.clip(moves * np.float32(2.0**-WORD_BITS), -MOVE_REACH, MOVE_REACH)

    def put(self, pixels: Pixels, spec: GroupSpec, port: SymbolPort, effort: str) -> CodedFrame:
        coded = self.prior.code(*self.bands_to_round(pixels, spec, effort), spec, port)
        assert coded is not None
        return coded

    # -- decoding ----------------------------------------------------------------------------------------------------

    def read(self, spec: GroupSpec, port: SymbolPort) -> CodedFrame:
        """Get the integers of one frame, see `NativePrior.read`."""
        return self.prior.read(spec, port)

    def planes(self, coded: CodedFrame, quality: int, decoder: str, latents: Levels) -> Planes:
        if decoder not in self.painters:
            return self.transform.synthesise(latents)
        steps, low = self.steps.at(quality), self.transform.low_plane(latents)
        correction = self.painters[decoder](self.describe(coded, low, steps), quality)
        return self.transform.corrected(latents[0], low, correction, steps.every)

    def strips(self, coded: CodedFrame, quality: int, decoder: str) -> Callable[[slice], Planes]:
        return partial(self._strip, coded, self.low_plane(coded, self.steps.at(quality)), quality, decoder)

    def _strip(self, coded: CodedFrame, low: Integers, quality: int, decoder: str, rows: slice) -> Planes:
        """The planes of some rows of cells, each array dropped as soon as it has been used: they are large."""
        steps, low = self.steps.at(quality), np.ascontiguousarray(low[:, rows])
        symbols = np.ascontiguousarray(coded.packet[:, rows])
        if decoder not in self.painters:
            return self.kernels.synthesise(self.kernels.restore(symbols, steps.levels[0].steps, None), low, ORDER)
        words = describe(self.kernels, symbols, np.ascontiguousarray(coded.kept_rungs[:, rows]), low, steps, 0)
        correction = self.painters[decoder](words, quality)
        del words
        packet = self.kernels.restore(symbols, steps.levels[0].steps, None)
        del symbols
        every, low = self.kernels.corrected(packet, ORDER, low, correction, steps.every)
        del packet, correction
        return self.kernels.synthesise(every, low, EVERY)

    def describe(self, coded: CodedFrame, low: Integers, steps: FrameSteps) -> Words:
        """What the decoders' networks read of a frame; low: its low packet bands."""
        return describe(self.kernels, coded.packet, coded.kept_rungs, low, steps, 0)

    def low_plane(self, coded: CodedFrame, steps: FrameSteps) -> Integers:
        """The lifted low packet band of each axis (3, h, w), from the pyramid."""
        levels = [
            self.kernels.restore(values, level.steps, None)
            for values, level in zip(coded.levels()[1:], steps.levels[1:], strict=True)
        ]
        return self.transform.low_plane([coded.packet, *levels])


def _refinement(arrays: Arrays) -> Refinement:
    from .refinement import Refinement

    return Refinement(arrays)
