"""Codes frames on their own as a dyadic pyramid, where a weights file holds its prior; see `dyadic_intra`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import GroupSpec, Pixels, SymbolPort
from ..base.kernels import Integers, Kernels, Planes, Words
from ..engine.painter import Painter
from ..prior.dyadic import DyadicCoder
from ..prior.native import CodedFrame
from ..transform.bands import LARGEST_STEP, RATE_WEIGHT
from ..transform.dyadic import DyadicSteps
from ..transform.levels import EVERY, Levels, LevelTransform
from ..transform.lifted import LOW_FACTOR
from ..transform.steps import HINT_BITS, STEP_BITS, WORD_GAIN, FrameSteps, Steps
from .dyadic_intra import DyadicIntra
from .still import MOVED_RATE_WEIGHT, NETWORKS, needs_torch, part_of
from .words import COMPANDED_FINE, LOW_WORD, LOWS

if TYPE_CHECKING:
    from .dyadic_refinement import DyadicRefinement


class DyadicStill:
    """What predicted frames and painting need of `StillCoder`, by the arrays "dyadic." of a weights file."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], tables: Tables, first_sign: int, kernels: Kernels) -> None:
        self.kernels, self.transform, self.steps = kernels, LevelTransform(kernels), Steps(arrays)
        prior = part_of(arrays, "dyadic")
        steps = DyadicSteps(prior["steps"], arrays)
        self.prior = DyadicIntra(DyadicCoder(prior, steps, tables, first_sign, RATE_WEIGHT, kernels))
        found = {name: part_of(arrays, name) for name in NETWORKS}
        self.painters = {name: Painter(part, kernels.path) for name, part in found.items() if part}
        self.rate_weight = RATE_WEIGHT
        # made when it is first asked for; instances that weigh otherwise share it
        self.refinement = lru_cache(maxsize=1)(lambda: _refinement(found["standard"]))
        self.units = (LARGEST_STEP * 2.0**STEP_BITS / self.steps.bases[0]).astype(np.float32)  # of packet bands
        self.reciprocals = lru_cache(maxsize=64)(self._reciprocals)

    @property
    def multiplications(self) -> int:
        """A cell, of the prior and the largest synthesis network."""
        painting = max((painter.multiplications for painter in self.painters.values()), default=0)
        return self.prior.multiplications + painting

    @property
    def decoders(self) -> tuple[str, ...]:
        """Without a network of its own, decoder fast shows the pyramid's own planes."""
        return (*self.painters, *(("fast",) if "fast" not in self.painters else ()))

    def usual_rate_weight(self, effort: str) -> float:
        """See `StillCoder.usual_rate_weight`."""
        needs_torch(effort)
        return MOVED_RATE_WEIGHT if effort == "slow" else RATE_WEIGHT

    def weighing(self, rate_weight: float) -> DyadicStill:
        """The same with another price of a bit in rounding."""
        other = copy.copy(self)
        other.rate_weight, other.prior = rate_weight, self.prior.weighing(rate_weight)
        return other

    def put(self, pixels: Pixels, spec: GroupSpec, port: SymbolPort, effort: str) -> CodedFrame:
        """Put uint8 `pixels` (H, W, channels), and return what a decoder reads.

        Effort slow moves details by `dyadic_refinement`.
        """
        planes = self.kernels.planes(pixels)
        pyramid = self.prior.pyramid(planes, spec)
        if effort == "slow":
            pyramid = self.prior.moved(pyramid, self.refinement().moves(self, planes, pyramid, spec), spec.quality)
        return self.prior.code_pyramid(pyramid, spec, port)

    def planes(self, coded: CodedFrame, quality: int, decoder: str, latents: Levels) -> Planes:
        """The planes of a frame; a decoder without a network shows the pyramid's own."""
        assert coded.planes is not None
        if decoder not in self.painters:
            return coded.planes
        steps = self.steps.at(quality)
        packet, low = self.kernels.analyse(coded.planes, EVERY)
        correction = self.painters[decoder](self.describe(packet, low, quality, steps), quality)
        full, low = self.kernels.corrected(packet, EVERY, low, correction, steps.every)
        return self.kernels.synthesise(full, low, EVERY)

    def paint(self, coded: CodedFrame, spec: GroupSpec, decoder: str, out: Pixels) -> None:
        """Paint a frame into `out`, uint8 (H, W, channels), as a whole."""
        planes = self.planes(coded, spec.quality, decoder, [])
        out[...] = self.kernels.pixels(planes, spec.height, spec.width, spec.channels)

    def describe(self, packet: Integers, low: Integers, quality: int, steps: FrameSteps) -> Words:
        """What the decoders' networks read: all packet bands in sixteenths of a step, companded, and the low bands."""
        count, h, w = packet.shape
        words = np.zeros((h, w, count + LOWS), np.int16)
        self.kernels.describe_scaled(packet, self.reciprocals(quality), COMPANDED_FINE, words, 0)
        self.kernels.describe_low(low, steps.low_words, COMPANDED_FINE, LOW_WORD, words, count)
        return words

    def _reciprocals(self, quality: int) -> NDArray[np.int64]:
        steps = self.steps.at(quality).every[EVERY].tolist()
        return np.array([(WORD_GAIN << HINT_BITS + STEP_BITS) // step for step in steps], np.int64)

    def latents(self, latents: Levels, out: NDArray[np.float32]) -> None:
        """See `StillCoder.latents`."""
        packet, low = latents[0], self.transform.low_plane(latents)
        self.kernels.to_cells(low, LOW_FACTOR, packet, self.units[: len(packet)], out)


def _refinement(arrays: Mapping[str, NDArray[Any]]) -> DyadicRefinement:
    from .dyadic_refinement import DyadicRefinement

    return DyadicRefinement(arrays)
