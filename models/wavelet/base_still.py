"""What both ways of coding frames on their own share: steps, networks that paint, strips of large frames, latents."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..base.configure import changed
from ..base.family import GroupSpec, Pixels, SymbolPort
from ..base.kernels import Kernels, Planes
from ..engine.network import part_of
from ..engine.painter import Painter
from ..prior.native import CodedFrame, NativePrior
from ..transform.bands import CELL, LARGEST_STEP, RATE_WEIGHT
from ..transform.levels import Levels, LevelTransform
from ..transform.lifted import LOW_FACTOR
from ..transform.steps import STEP_BITS, Steps
from .dyadic_intra import DyadicIntra

MOVED_RATE_WEIGHT = 0.11  # RATE_WEIGHT of moved coefficients: 0.10 to 0.12 were best on held-out pictures
MOVE_REACH = 0.5  # steps that a coefficient may be moved
SHARPNESS = 2.0  # factor of the remainders that the analysis network reads
FARTHEST = 4.0  # remainders times SHARPNESS are clipped to this
LARGEST_AT_ONCE = 1 << 17  # cells of a frame that is painted as a whole
STRIP_CELLS = 1 << 16  # of a strip of a larger one, without what overlaps
TRANSFORM_REACH = 4  # cells: the filters of the packet and of its inverse reach 28 pixels
WINDOW_REACH = 1  # cells: of the low bands that a network reads
NETWORKS = ("standard", "fast", "perceptual")  # synthesis networks, best first, by the names of their decoders

Arrays = Mapping[str, NDArray[Any]]
Still = TypeVar("Still", bound="BaseStill")


class BaseStill(ABC):
    """Stateless between calls.

    rate_weights: default prices of a bit, in squared steps: of coefficients, and of those that an effort moves first.
    """

    prior: NativePrior | DyadicIntra
    rate_weights: ClassVar[tuple[float, float]] = (RATE_WEIGHT, MOVED_RATE_WEIGHT)

    def __init__(self, arrays: Arrays, kernels: Kernels) -> None:
        self.kernels, self.transform, self.steps = kernels, LevelTransform(kernels), Steps(arrays)
        found = {name: part_of(arrays, name) for name in NETWORKS}
        self.painters = {name: Painter(part, kernels.path) for name, part in found.items() if part}
        analysis = part_of(arrays, "analysis")
        self.analysis = Painter(analysis, kernels.path) if analysis else None
        self.rate_weight = self.rate_weights[0]
        self.units = (LARGEST_STEP * 2.0**STEP_BITS / self.steps.bases[0]).astype(np.float32)  # of packet bands

    @property
    def multiplications(self) -> int:
        """A cell, of the prior and the largest synthesis network."""
        painting = max((painter.multiplications for painter in self.painters.values()), default=0)
        return self.prior.multiplications + painting

    @property
    def decoders(self) -> tuple[str, ...]:
        """Without a network of its own, decoder fast shows what was decoded as it is."""
        return (*self.painters, *(("fast",) if "fast" not in self.painters else ()))

    def weighing(self: Still, rate_weight: float) -> Still:
        """The same with another price of a bit in rounding."""
        return changed(self, rate_weight=rate_weight, prior=self.prior.weighing(rate_weight))

    def usual_rate_weight(self, effort: str) -> float:
        """The default price of a bit in rounding with this effort.

        ValueError for an effort that this install lacks a package for.
        """
        if effort == "slow" and importlib.util.find_spec("torch") is None:
            raise ValueError("effort slow needs PyTorch, which is not installed: pip install 'tessera-codec[torch]'")
        moved = effort == "slow" or (effort == "medium" and self.analysis is not None)
        return self.rate_weights[moved]

    @abstractmethod
    def put(self, pixels: Pixels, spec: GroupSpec, port: SymbolPort, effort: str) -> CodedFrame:
        """Put uint8 `pixels` (H, W, channels), and return what a decoder reads."""

    @abstractmethod
    def planes(self, coded: CodedFrame, quality: int, decoder: str, latents: Levels) -> Planes:
        """The planes of a frame as a decoder shows them; one without a network adds nothing."""

    def paint(self, coded: CodedFrame, spec: GroupSpec, decoder: str, out: Pixels) -> None:
        """Paint a frame into `out`, uint8 (H, W, channels), a large one in strips that overlap.

        What lies beyond a strip is taken for the edge of the picture: `halo` cells there are painted and dropped.
        """
        height, width = -(-spec.height // CELL), -(-spec.width // CELL)
        rows = height if height * width <= LARGEST_AT_ONCE else max(1, STRIP_CELLS // width)
        halo, strips = self.halo(decoder), self.strips(coded, spec.quality, decoder)
        for top in range(0, height, rows):
            bottom = min(height, top + rows)
            first, last = max(0, top - halo), min(height, bottom + halo)
            planes = strips(slice(first, last))
            part = np.ascontiguousarray(planes[:, CELL * (top - first) : CELL * (bottom - first)])
            strip = out[CELL * top : CELL * bottom]
            strip[...] = self.kernels.pixels(part, len(strip), spec.width, spec.channels)

    def halo(self, decoder: str) -> int:
        """Rows of cells beyond a strip that its pixels depend on."""
        return TRANSFORM_REACH + (self.painters[decoder].reach + WINDOW_REACH if decoder in self.painters else 0)

    @abstractmethod
    def strips(self, coded: CodedFrame, quality: int, decoder: str) -> Callable[[slice], Planes]:
        """What makes the planes of some rows of cells, with errors in the `halo` beside rows that are left out."""

    def latents(self, latents: Levels, out: NDArray[np.float32]) -> None:
        """Lifted levels to `out` (h, w, C): the low packet bands, then the others at unit synthesis gain.

        The first C of them; of a frame that was not read to its end there are fewer packet bands.
        """
        packet, low = latents[0], self.transform.low_plane(latents)
        self.kernels.to_cells(low, LOW_FACTOR, packet, self.units[: len(packet)], out)
