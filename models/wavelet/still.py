"""Codes frames on their own: pixels to symbols and back, all in integers.

pixels -> planes -> lifted bands -> divided by their steps -> rounded along the prior's walk
symbols times steps -> lifted bands + what a network adds -> planes -> pixels
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import GroupSpec, Pixels, SymbolPort
from ..base.kernels import Integers, Kernels, Planes, Words
from ..base.ports import Nowhere
from ..engine.painter import Painter
from ..prior.ladder import costs_of
from ..prior.native import CodedFrame, NativePrior, pass_order
from ..transform.bands import CELL, LARGEST_STEP, RATE_WEIGHT
from ..transform.levels import EVERY, ORDER, Levels, LevelTransform
from ..transform.lifted import LOW_FACTOR
from ..transform.steps import STEP_BITS, FrameSteps, Steps
from .words import WORD_BITS, describe

if TYPE_CHECKING:
    from .refinement import Refinement

MOVED_RATE_WEIGHT = 0.11  # RATE_WEIGHT of moved coefficients: 0.10 to 0.12 were best on held-out pictures
MOVE_REACH = 0.5  # steps that a coefficient may be moved
SHARPNESS = 2.0  # factor of the remainders that the analysis network reads
FARTHEST = 4.0  # remainders times SHARPNESS are clipped to this
LARGEST_AT_ONCE = 1 << 17  # cells of a frame that is painted as a whole
STRIP_CELLS = 1 << 16  # of a strip of a larger one, without what overlaps
TRANSFORM_REACH = 4  # cells: the inverse transform's filters reach 28 pixels
WINDOW_REACH = 1  # cells: of the low bands that a network reads
NETWORKS = ("standard", "fast", "perceptual")  # synthesis networks, best first, by the names of their decoders

Arrays = Mapping[str, NDArray[Any]]
Scaled = list[NDArray[np.float32]]  # of each level, packet first: (bands, cells) in steps, in the order of the passes


def part_of(arrays: Arrays, owner: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin with `owner` and a dot, without it."""
    return {name[len(owner) + 1 :]: array for name, array in arrays.items() if name.startswith(owner + ".")}


class StillCoder:
    """Transform, prior and networks of a weights file.  Stateless between calls."""

    def __init__(self, arrays: Arrays, tables: Tables, kernels: Kernels) -> None:
        self.kernels, self.transform, self.steps = kernels, LevelTransform(kernels), Steps(arrays)
        self.prior = NativePrior(part_of(arrays, "prior"), costs_of(tables), RATE_WEIGHT, kernels)
        self.trial = self.prior
        found = {name: part_of(arrays, name) for name in (*NETWORKS, "analysis")}
        self.painters = {name: Painter(part, kernels.path) for name, part in found.items() if part}
        self.analysis = self.painters.pop("analysis", None)
        self.rate_weight = RATE_WEIGHT
        # made when it is first asked for; instances that weigh otherwise share it
        self.refinement = lru_cache(maxsize=1)(lambda: _refinement(found["standard"]))
        self.units = (LARGEST_STEP * 2.0**STEP_BITS / self.steps.bases[0]).astype(np.float32)  # of packet bands

    @property
    def multiplications(self) -> int:
        """A cell, of the prior and the largest synthesis network."""
        painting = max((painter.multiplications for painter in self.painters.values()), default=0)
        return self.prior.multiplications + painting

    @property
    def decoders(self) -> tuple[str, ...]:
        """Without a network of its own, decoder fast is the inverse transform alone."""
        return (*self.painters, *(("fast",) if "fast" not in self.painters else ()))

    def usual_rate_weight(self, effort: str) -> float:
        """The default price of a bit in rounding with this effort.

        ValueError for an effort that this install lacks a package for.
        """
        needs_torch(effort)
        moved = effort == "slow" or (effort == "medium" and self.analysis is not None)
        return MOVED_RATE_WEIGHT if moved else RATE_WEIGHT

    def weighing(self, rate_weight: float) -> StillCoder:
        """The same with another price of a bit in rounding."""
        other = copy.copy(self)
        other.rate_weight, other.prior = rate_weight, self.prior.weighing(rate_weight)
        return other

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
        """Put uint8 `pixels` (H, W, channels), and return what a decoder reads."""
        coded = self.prior.code(*self.bands_to_round(pixels, spec, effort), spec, port)
        assert coded is not None
        return coded

    # -- decoding ----------------------------------------------------------------------------------------------------

    def read(self, spec: GroupSpec, port: SymbolPort) -> CodedFrame:
        """Get the integers of one frame, see `NativePrior.read`."""
        return self.prior.read(spec, port)

    def planes(self, coded: CodedFrame, quality: int, decoder: str, latents: Levels) -> Planes:
        """The planes of a frame; a decoder without a network is the inverse transform alone."""
        if decoder not in self.painters:
            return self.transform.synthesise(latents)
        steps, low = self.steps.at(quality), self.transform.low_plane(latents)
        correction = self.painters[decoder](self.describe(coded, low, steps), quality)
        return self.transform.corrected(latents[0], low, correction, steps.every)

    def paint(self, coded: CodedFrame, spec: GroupSpec, decoder: str, out: Pixels) -> None:
        """Paint a frame into `out`, uint8 (H, W, channels), a large one in strips that overlap.

        What lies beyond a strip is taken for the edge of the picture: `halo` cells there are painted and dropped.
        """
        low, (height, width) = self.low_plane(coded, self.steps.at(spec.quality)), coded.packet.shape[1:]
        rows = height if height * width <= LARGEST_AT_ONCE else max(1, STRIP_CELLS // width)
        halo = TRANSFORM_REACH + (self.painters[decoder].reach + WINDOW_REACH if decoder in self.painters else 0)
        for top in range(0, height, rows):
            bottom = min(height, top + rows)
            first, last = max(0, top - halo), min(height, bottom + halo)
            planes = self._strip(coded, low, spec.quality, decoder, slice(first, last))
            part = np.ascontiguousarray(planes[:, CELL * (top - first) : CELL * (bottom - first)])
            strip = out[CELL * top : CELL * bottom]
            strip[...] = self.kernels.pixels(part, len(strip), spec.width, spec.channels)

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

    # -- latents -----------------------------------------------------------------------------------------------------

    def low_plane(self, coded: CodedFrame, steps: FrameSteps) -> Integers:
        """The lifted low packet band of each axis (3, h, w), from the pyramid."""
        levels = [
            self.kernels.restore(values, level.steps, None)
            for values, level in zip(coded.levels()[1:], steps.levels[1:], strict=True)
        ]
        return self.transform.low_plane([coded.packet, *levels])

    def latents(self, latents: list[Integers], out: NDArray[np.float32]) -> None:
        """Lifted levels to `out` (h, w, C): the low packet bands, then the others at unit synthesis gain.

        The first C of them; of a frame that was not read to its end there are fewer packet bands.
        """
        packet, low = latents[0], self.transform.low_plane(latents)
        self.kernels.to_cells(low, LOW_FACTOR, packet, self.units[: len(packet)], out)


def needs_torch(effort: str) -> None:
    """ValueError for an effort that this install lacks a package for."""
    if effort == "slow" and importlib.util.find_spec("torch") is None:
        raise ValueError("effort slow needs PyTorch, which is not installed: pip install 'tessera-codec[torch]'")


def _refinement(arrays: Arrays) -> Refinement:
    from .refinement import Refinement

    return Refinement(arrays)
