"""Family `wavelet` with exported weights: frames <-> symbols, every frame on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.configure import changed, number, refuse_unknown
from ..base.cost import Cost, cost_of_cells
from ..base.family import GroupSpec, Latents, Pixels, SymbolPort
from ..base.kernels import Integers, Kernels
from ..prior.ladder import TABLE_NAMES
from ..transform.bands import CELL, RATE_WEIGHT, slices_of
from ..transform.levels import ORDER
from .base_still import MOVED_RATE_WEIGHT
from .still import Scaled, StillCoder
from .task_gains import TaskGains


class WaveletFamily:
    """See `base.family.Family`.  Latents are the 3 low bands and the 125 packet bands of each 8 x 8 cell."""

    name: ClassVar[str] = "wavelet"
    stride: ClassVar[int] = CELL
    decoders: tuple[str, ...] = ("standard", "fast")
    exact: ClassVar[bool] = True
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    default_gop: ClassVar[int] = 1
    options: ClassVar[dict[str, str]] = {
        "rate_weight": "squared error in steps that a bit is worth in rounding, 0..1 "
        f"(default {RATE_WEIGHT}, {MOVED_RATE_WEIGHT} where the effort moves coefficients)",
        "task": "file of `tessera train wavelet --objective task`: spends bits where its network needs them",
    }

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], metadata: dict[str, str], kernels: Kernels | None = None
    ) -> None:
        self.arrays = arrays
        frequencies, lows, sizes = (arrays[name] for name in TABLE_NAMES)
        self.tables = Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))
        self.channels = 3 + len(ORDER)
        self.effort = "medium"
        self.gains: TaskGains | None = None
        self.still = StillCoder(arrays, self.tables, kernels or Kernels())
        self.still = self.still.weighing(self.still.usual_rate_weight(self.effort))
        self.decoders = self.still.decoders

    gains: TaskGains | None

    def using(self, path: str) -> WaveletFamily:
        """The same with the kernels of one instruction set, see `_kernels.cpu_path`."""
        other = WaveletFamily(self.arrays, {}, Kernels(path))
        other.effort, other.gains = self.effort, self.gains
        other.still = other.still.weighing(self.still.rate_weight)
        return other

    def configure(self, effort: str, **options: object) -> WaveletFamily:
        """`rate_weight`: how roundings weigh error against bits.  `task`: the arrays of `task_gains`.

        With a task, effort changes nothing: it serves pictures for people.
        """
        refuse_unknown(self.name, options, self.options)
        gains: TaskGains | None = None
        if "task" in options:
            gains, effort = TaskGains.of(options["task"]), "fast"
        weight = number(options, "rate_weight", self.still.usual_rate_weight(effort), 0.0, 1.0)
        return changed(self, effort=effort, gains=gains, still=self.still.weighing(weight))

    # -- the three uses ----------------------------------------------------------------------------------------------

    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        for frame in frames:
            scaled, low = self.bands_to_round(frame, spec)
            self.still.prior.code(scaled, low, spec, port, keep=False)

    def bands_to_round(self, frame: Pixels, spec: GroupSpec) -> tuple[Scaled, Integers]:
        """As `StillCoder.bands_to_round`, with the gains of a task."""
        scaled, low = self.still.bands_to_round(frame, spec, self.effort)
        if self.gains is not None:
            gains = self.gains.at(spec.quality)
            scaled = [y * gain[:, None] for y, gain in zip(scaled, gains, strict=True)]
        return scaled, low

    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Pixels:
        frames = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
        for frame in frames:
            self.still.paint(self.still.read(spec, port), spec, decoder, frame)
        return frames

    def latents(self, spec: GroupSpec, port: SymbolPort) -> Latents:
        return self.first_latents(spec, port, self.channels)

    def first_latents(self, spec: GroupSpec, port: SymbolPort, channels: int) -> Latents:
        """All frames but the last are read to their ends, because the next ones begin there."""
        steps, most = self.still.steps.at(spec.quality), slices_of(channels)
        cells = (spec.frames, -(-spec.height // CELL), -(-spec.width // CELL))
        x, bits = np.empty((*cells, channels), np.float32), np.empty(cells, np.float32)
        for frame in range(spec.frames):
            enough = most if frame == spec.frames - 1 else None
            coded = self.still.prior.read(spec, port, most=enough, count=self.tables, rungs=False)
            lifted = self.still.transform.restore(coded.levels(), steps, None)
            self.still.latents(lifted, x[frame])
            bits[frame] = coded.bits
        return Latents(
            x=x,
            bits=bits,
            bits_prior=None,
            codes=None,
            times=np.arange(spec.frames, dtype=np.float64),
            frame_type=np.zeros(spec.frames, np.int64),
            valid=np.ones(cells, np.bool_),
        )

    def cost(self, spec: GroupSpec) -> Cost:
        return cost_of_cells(spec, self.still.multiplications)

    def integers(self, spec: GroupSpec, port: SymbolPort) -> list[Integers]:
        """Get one frame's integers: packet bands (125, h, w), details finest first (9, ., .), low band (3, ., .)."""
        return self.still.read(spec, port).levels()
