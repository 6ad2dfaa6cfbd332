"""Family `spatiotemporal` with exported weights: frames <-> symbols, one walk for decoding and reading tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.ahead import one_ahead
from ..base.configure import changed, number, refuse_unknown
from ..base.cost import Cost, cost_of_cells
from ..base.family import GroupSpec, Latents, Pixels, SymbolPort
from ..base.kernels import Kernels
from ..engine.network import part_of
from ..engine.painter import Painter
from ..motion.coder import MotionCoder
from ..motion.field import TABLE_NAMES as MOTION_TABLE_NAMES
from ..prior.ladder import TABLE_NAMES, costs_of
from ..prior.native import NativePrior
from ..prior.quantisers import ODD_TABLE_NAMES
from ..prior.signs import SIGN_TABLE_NAMES
from ..transform.bands import CELL, RATE_WEIGHT, slices_of
from ..transform.levels import ORDER, Levels
from ..wavelet.base_still import BaseStill
from ..wavelet.dyadic_still import TRELLIS_RATE_WEIGHT, DyadicStill
from ..wavelet.still import StillCoder
from .encoder import SearchOptions, put_group
from .group import BLOCKS, DEEPEST, INTRA, Prior, read_group
from .painting import FramePainter, GroupPainter
from .wire import FIRST_MOTION_TABLE, FIRST_TABLE, PRIORS

Arrays = Mapping[str, NDArray[Any]]


class SpatiotemporalFamily:
    """See `base.family`.  Latents are the 3 low bands and the 125 packet bands of each 8 x 8 cell, of every frame.

    It runs on the CPU only, because tables and predictions are made from integers of the kernels.
    """

    name: ClassVar[str] = "spatiotemporal"
    stride: ClassVar[int] = CELL
    decoders: tuple[str, ...] = ("standard", "fast")
    exact: ClassVar[bool] = True
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    default_gop: ClassVar[int] = 64
    options: ClassVar[dict[str, str]] = {
        "rate_weight": "squared error in steps that a bit is worth in rounding, 0..1 "
        f"(default {RATE_WEIGHT}, {TRELLIS_RATE_WEIGHT} in frames on their own)",
        "depth": "log2 of the frames between key frames, 0..5; 0: no frame waits for a later one (default 5 where key "
        "frames can be predicted so far, else 4)",
        "block": "side of the blocks that move together, 8 or 16 pixels (default 16)",
        "motion": "how far motion is sought, 0..128 pixels; 0 predicts from the same place (default 64)",
    }

    def __init__(self, arrays: Arrays, metadata: dict[str, str], kernels: Kernels | None = None) -> None:
        self.arrays, kernels = arrays, kernels or Kernels()
        rows = [*rows_of(arrays, TABLE_NAMES), *rows_of(arrays, MOTION_TABLE_NAMES)]
        dyadic = SIGN_TABLE_NAMES[0] in arrays  # frames on their own are pyramids
        more = (SIGN_TABLE_NAMES, ODD_TABLE_NAMES) if dyadic else ()
        self.tables = Tables.stack([*rows, *(row for names in more for row in rows_of(arrays, names))])
        self.channels = 3 + len(ORDER)
        self.search, self.expects = SearchOptions(), False
        steps = {name: array for name, array in arrays.items() if name.startswith("steps.")}
        alone = {**part_of(arrays, "still"), **steps}
        still: BaseStill = (
            DyadicStill(alone, self.tables, len(rows), kernels) if dyadic else StillCoder(alone, self.tables, kernels)
        )
        self.still = still.weighing(still.usual_rate_weight(self.search.effort))
        self.decoders = self.still.decoders
        costs = costs_of(self.tables, FIRST_TABLE)
        one, two = (
            NativePrior(part_of(arrays, f"priors.{name}"), costs, RATE_WEIGHT, kernels, FIRST_TABLE) for name in PRIORS
        )
        motion = MotionCoder(arrays, FIRST_MOTION_TABLE)
        self.prior = Prior(self.still.prior, one, two, motion, self.still.steps, self.still.transform)
        inter = part_of(arrays, "inter")
        self.painter = FramePainter(self.still, Painter(inter, kernels.path) if inter else None)

    def using(self, path: str) -> SpatiotemporalFamily:
        """The same with the kernels of one instruction set, see `_kernels.cpu_path`."""
        other = SpatiotemporalFamily(self.arrays, {}, Kernels(path))
        other.search, other.expects = self.search, self.expects
        return other

    def expecting(self) -> SpatiotemporalFamily:
        """The same, whose latents have `bits_prior`."""
        return changed(self, expects=True)

    def configure(self, effort: str, **options: object) -> SpatiotemporalFamily:
        """Effort fast searches motion in a smaller window and runs no network; slow refines frames on their own."""
        refuse_unknown(self.name, options, self.options)
        alone = number(options, "rate_weight", self.still.usual_rate_weight(effort), 0.0, 1.0)
        predicted = number(options, "rate_weight", RATE_WEIGHT, 0.0, 1.0)
        still = self.still.weighing(alone)
        prior = replace(
            self.prior,
            intra=still.prior,
            unidirectional=self.prior.unidirectional.weighing(predicted),
            bidirectional=self.prior.bidirectional.weighing(predicted),
        )
        search = SearchOptions()
        search = replace(
            search,
            depth=int(number(options, "depth", 0, 0, DEEPEST)) if "depth" in options else None,
            block=int(number(options, "block", search.block, min(BLOCKS), max(BLOCKS))),
            radius=int(number(options, "motion", 16 if effort == "fast" else search.radius, 0, 128)),
            effort=effort,
        )
        if search.block not in BLOCKS:
            raise ValueError(f"block {search.block} is not 8 or 16")
        return changed(self, still=still, prior=prior, search=search)

    # -- the three uses ----------------------------------------------------------------------------------------------

    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        put_group(self.prior, self.still, self.search, frames, spec, port)

    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Pixels:
        frames = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
        if spec.frames == 1:
            (read,) = read_group(self.prior, spec, port)
            self.still.paint(read.coded, replace(spec, quality=read.quality), decoder, frames[0])
            return frames
        painter = GroupPainter(self.painter, spec, decoder)
        with one_ahead(read_group(self.prior, spec, port), spec.frames) as reads:
            for read in reads:
                frames[read.place.number] = painter.paint(read)
        return frames

    def latents(self, spec: GroupSpec, port: SymbolPort) -> Latents:
        """`frame_type` is 1 where latents were coded as a difference; they mean the same in every frame.

        `bits_prior`, see `expecting`, is computed from motion and prediction, for a frame on its own from its place
        alone.  It takes another walk through the prior.
        """
        return self.first_latents(spec, port, self.channels)

    def first_latents(self, spec: GroupSpec, port: SymbolPort, channels: int) -> Latents:
        """All frames but the last in coding order are read to their ends, because others are predicted from them."""
        h, w = -(-spec.height // CELL), -(-spec.width // CELL)
        cells = (spec.frames, h, w)
        x = np.empty((*cells, channels), np.float32)
        bits, expected = np.empty(cells, np.float32), np.empty(cells, np.float32) if self.expects else None
        kinds = np.zeros(spec.frames, np.int64)
        for read in read_group(self.prior, spec, port, self.tables, slices_of(channels)):
            number, at_spec = read.place.number, replace(spec, frames=1, quality=read.quality)
            self.still.latents(read.latents, x[number])
            assert read.coded.bits is not None
            bits[number] = read.coded.bits + np.float32(read.side_bits / (h * w))
            if expected is not None:
                most = slices_of(3 + len(read.coded.packet))  # slices that were read; all, of a pyramid
                expected[number] = read.prior.expected_bits(at_spec, self.tables, read.hints, most)
            kinds[number] = int(read.kind != INTRA)
        return Latents(
            x=x,
            bits=bits,
            bits_prior=expected,
            codes=None,
            times=np.arange(spec.frames, dtype=np.float64),
            frame_type=kinds,
            valid=np.ones(cells, np.bool_),
        )

    def cost(self, spec: GroupSpec) -> Cost:
        """The networks of predicted frames are smaller than those of frames on their own, which any frame may be."""
        return cost_of_cells(spec, self.still.multiplications)

    def integers(self, spec: GroupSpec, port: SymbolPort) -> dict[int, Levels]:
        """The lifted-domain latents of every frame of a group, by its number."""
        return {read.place.number: read.latents for read in read_group(self.prior, spec, port)}


def rows_of(arrays: Arrays, names: tuple[str, str, str]) -> list[tuple[NDArray[np.uint16], int]]:
    """The tables of those names in a weights file, as `Tables.stack` takes them."""
    frequencies, lows, sizes = (arrays[name] for name in names)
    return [(row[:size].astype(np.uint16), int(low)) for row, low, size in zip(frequencies, lows, sizes, strict=True)]
