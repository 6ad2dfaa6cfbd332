"""Frames on their own as a dyadic pyramid, with the interface of `NativePrior`, for weights that hold such a prior.

pixels -> planes -> pyramid -> rounded along the prior's walk -> planes -> packet bands
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.configure import changed
from ..base.family import GroupSpec, SymbolPort
from ..base.kernels import Integers, Planes
from ..prior.dyadic import DyadicCoder, Pyramid
from ..prior.native import CodedFrame
from ..prior.offsets import Offsets
from ..transform.bands import LEVELS
from ..transform.dyadic import DEPTH
from ..transform.levels import ORDER
from ..transform.steps import STEP_BITS

# levels whose details an encoder moves, those within a cell: with four the gain of effort slow was the same, with all
# seven a third of it
MOVED_LEVELS = LEVELS


class DyadicIntra:
    """Stateless between calls."""

    def __init__(self, coder: DyadicCoder) -> None:
        self.coder = coder

    @property
    def multiplications(self) -> int:
        return self.coder.multiplications

    def weighing(self, rate_weight: float) -> DyadicIntra:
        return changed(self, coder=self.coder.weighing(rate_weight))

    def code(self, planes: Planes, spec: GroupSpec, port: SymbolPort) -> CodedFrame:
        """Put padded planes (3, 8h, 8w), and return what a decoder reads."""
        return self.code_pyramid(self.pyramid(planes, spec), spec, port)

    def pyramid(self, planes: Planes, spec: GroupSpec) -> Pyramid:
        """Lifted details and low band of padded planes."""
        kernels = self.coder.kernels
        return kernels.pyramid(kernels.cropped(planes, spec.height, spec.width), DEPTH)

    def code_pyramid(self, pyramid: Pyramid, spec: GroupSpec, port: SymbolPort, given: Offsets = ()) -> CodedFrame:
        """Put a pyramid with offsets of rungs, and return what a decoder reads."""
        return self.coded(self.coder.code_pyramid(pyramid, spec, port, given=given).planes, None)

    def in_steps(self, pyramid: Pyramid, quality: int) -> list[NDArray[np.float32]]:
        """The finest details, those that move, in steps."""
        levels = self.coder.steps.at(quality).levels[:MOVED_LEVELS]
        return [
            details.astype(np.float32) * level.inverse[:, None, None]
            for details, level in zip(pyramid[0], levels, strict=False)
        ]

    def moved(self, pyramid: Pyramid, moves: Sequence[NDArray[np.float32]], quality: int) -> Pyramid:
        """A pyramid with moves (9, ., .), in steps, of its finest details."""
        details, low = pyramid
        changed = [
            d + np.rint(move * (level.steps * 2.0**-STEP_BITS)[:, None, None]).astype(np.int32)
            for d, move, level in zip(details, moves, self.coder.steps.at(quality).levels, strict=False)
        ]
        return [*changed, *details[len(moves) :]], low

    def read(
        self,
        spec: GroupSpec,
        port: SymbolPort,
        hints: None = None,
        most: int | None = None,
        count: Tables | None = None,
        rungs: bool = True,
    ) -> CodedFrame:
        """Get one frame.  It is read to its end whatever is wanted: all packet bands come from one pyramid."""
        frame = self.coder.read(spec, port, count)
        return self.coded(frame.planes, None if count is None else self.coder.bits(frame, spec, count))

    def coded(self, lifted: Integers, bits: NDArray[np.float32] | None) -> CodedFrame:
        """A frame whose lifted planes (3, height, width) were decoded."""
        nothing = np.empty((len(ORDER), 0, 0), np.int32)
        planes = self.coder.kernels.padded(lifted)
        return CodedFrame(nothing, None, [], np.empty((3, 0, 0), np.int32), bits, planes)

    def expected_bits(
        self, spec: GroupSpec, tables: Tables, hints: object, most: int | None = None
    ) -> NDArray[np.float32]:
        """See `NativePrior.expected_bits`; of the whole frame."""
        return self.coder.expected_bits(spec, tables)
