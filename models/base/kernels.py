"""The C++ kernels with what every call shares: the instruction set, and the number of threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels

Planes = NDArray[np.int16]  # (3, 8h, 8w), 1/16 gray level along the colour axes
Integers = NDArray[np.int32]
Words = NDArray[np.int16]  # (h, w, channels)
Field = NDArray[np.int16]  # (rows, cols, 2): dy, dx in quarter pixels
Modes = NDArray[np.uint8]  # (rows, cols): 0 first reference, 1 second, 2 both

_threads = 0
_here = threading.local()  # `most`: threads that calls of the kernels from this one may use, 0: all


def threads() -> int:
    """Threads that one call of the kernels may use: what `set_threads` said, else OMP_NUM_THREADS, else every core."""
    most: int = getattr(_here, "most", 0)
    if most == 1:
        return 1
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if _threads:
        found = _threads
    elif given.isdigit() and int(given):
        found = int(given)
    else:
        found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, most) if most else found


def set_threads(count: int) -> None:
    """Use so many threads from now on, in this process; 0: as the environment says.  Results do not depend on it."""
    global _threads
    if count < 0:
        raise ValueError(f"{count} threads")
    _threads = count


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Let calls of the kernels from this thread use `count` threads at most: for work that is already split."""
    before = getattr(_here, "most", 0)
    _here.most = min(before, count) if before else count
    try:
        yield
    finally:
        _here.most = before


@dataclass(frozen=True)
class Kernels:
    """path: of `_kernels.cpu_path`; None takes the fastest.  Results are the same on every path."""

    path: str | None = None

    # -- transform ---------------------------------------------------------------------------------------------------

    def planes(self, pixels: NDArray[np.uint8]) -> Planes:
        """uint8 (H, W, 1 or 3) -> planes."""
        return _kernels.exact_planes(pixels, threads(), self.path)

    def pixels(self, planes: Planes, height: int, width: int, channels: int) -> NDArray[np.uint8]:
        """Planes -> uint8 (height, width, channels)."""
        return _kernels.exact_pixels(planes, height, width, channels, threads(), self.path)

    def analyse(self, planes: Planes, order: Integers) -> tuple[Integers, Integers]:
        """Planes -> packet bands (n, h, w) in `order`, low band (3, h, w)."""
        return _kernels.exact_analyse(planes, order, threads(), self.path)

    def synthesise(self, packet: Integers, low: Integers, order: Integers) -> Planes:
        """The inverse of `analyse`."""
        return _kernels.exact_synthesise(packet, low, order, threads(), self.path)

    def padded(self, lifted: Integers) -> Planes:
        """A lifted picture (3, height, width) -> planes, clipped, its last row and column repeated."""
        return _kernels.exact_pad(lifted, threads(), self.path)

    def cropped(self, planes: Planes, height: int, width: int) -> Integers:
        """Planes -> the lifted picture (3, height, width) that lies in them."""
        return _kernels.exact_crop(planes, height, width, threads())

    def pyramid(self, low: Integers, levels: int) -> tuple[list[Integers], Integers]:
        """Low band (3, h, w) -> details (9, ., .) from fine to coarse, low band (3, ., .)."""
        return _kernels.exact_pyramid(low, levels, threads(), self.path)

    def unpyramid(self, details: Sequence[Integers], low: Integers, height: int, width: int) -> Integers:
        """The inverse of `pyramid`."""
        return _kernels.exact_unpyramid(details, low, height, width, threads(), self.path)

    # -- quantisation ------------------------------------------------------------------------------------------------

    def restore(self, symbols: Integers, steps: NDArray[np.int64], prediction: Integers | None) -> Integers:
        """prediction + symbols * steps."""
        return _kernels.restore(symbols, steps, prediction, threads(), self.path)

    def hints(self, sources: Sequence[Integers], reciprocals: NDArray[np.int64]) -> Integers:
        """Magnitudes of each source (n, h, w) times `reciprocals` (n,), at most 255, one source after the other."""
        return _kernels.hints(sources, reciprocals, threads(), self.path)

    def effort(
        self, bands: Integers, prediction: Integers | None, reciprocals: NDArray[np.int64], costs: Integers
    ) -> int:
        """The sum of costs[hint] (256,) over the hints of bands - prediction (n, h, w)."""
        return _kernels.effort(bands, prediction, reciprocals, costs, threads(), self.path)

    def scaled_residual(
        self, bands: Integers, prediction: Integers | None, inverse: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(bands - prediction) * inverse: (n, h * w), cells in the order of the passes."""
        return _kernels.scaled_residual(bands, prediction, inverse, threads(), self.path)

    # -- words -------------------------------------------------------------------------------------------------------

    def describe_integers(self, values: Integers, table: Words, out: Words, first: int) -> None:
        """Channels of `out` (h, w, channels) from `first` on: table[|value|] of `values` (n, h, w), with its sign."""
        _kernels.describe_integers(values, table, out, first, threads(), self.path)

    def describe_bytes(self, values: NDArray[np.uint8], table: Words, out: Words, first: int) -> None:
        """The same of table[value]."""
        _kernels.describe_bytes(values, table, out, first, threads(), self.path)

    def describe_scaled(
        self, values: Integers, reciprocals: NDArray[np.int64], table: Words, out: Words, first: int
    ) -> None:
        """The same of values times reciprocals (n,)."""
        _kernels.describe_scaled(values, reciprocals, table, out, first, threads(), self.path)

    def describe_low(
        self, low: Integers, reciprocals: NDArray[np.int64], table: Words, factor: int, out: Words, first: int
    ) -> None:
        """Six channels of the low bands (3, h, w); see words.hpp."""
        _kernels.describe_low(low, reciprocals, table, factor, out, first)

    def describe_remainders(
        self,
        details: Sequence[Integers],
        symbols: Sequence[Integers],
        inverses: Sequence[NDArray[np.float32]],
        factor: float,
        limit: int,
        out: Words,
        first: int,
    ) -> None:
        """Channels of `out` from `first` on: (details * inverses - symbols) * factor, clipped to +-limit and rounded.

        details, symbols: (9, ., .) of levels 1 to 3 or fewer; inverses: (9,) of each; see kernels/moves.hpp.
        """
        _kernels.describe_remainders(details, symbols, inverses, factor, limit, out, first, threads(), self.path)

    def moved(
        self, details: Sequence[Integers], factors: Sequence[NDArray[np.float64]], moves: Words, limit: int
    ) -> list[Integers]:
        """Details with `moves` (h, w, channels), clipped to +-limit, times factors (9,) of each level."""
        return _kernels.moved(details, factors, moves, limit, threads(), self.path)

    def add_corrections(self, planes: Integers, corrections: Words, bands: Integers, steps: NDArray[np.int64]) -> None:
        """planes (n, h, w) += corrections (h, w, .) of `bands` (n,) times steps (.,)."""
        _kernels.add_corrections(planes, corrections, bands, steps, threads(), self.path)

    def corrected(
        self, packet: Integers, order: Integers, low: Integers, corrections: Words, steps: NDArray[np.int64]
    ) -> tuple[Integers, Integers]:
        """Packet bands (189, h, w) and low bands (3, h, w) with corrections (h, w, 192) times steps (192,).

        packet: (n, h, w), the bands that `order` names; the others are zero before.
        """
        return _kernels.corrected(packet, order, low, corrections, steps, threads(), self.path)

    def to_cells(
        self, low: Integers, low_unit: float, bands: Integers, units: NDArray[np.float32], out: NDArray[np.float32]
    ) -> None:
        """`out` (h, w, channels): low bands (3, h, w) times `low_unit`, then `bands` (n, h, w) times units (n,).

        Where `out` has fewer channels, the first ones.
        """
        _kernels.to_cells(low, low_unit, bands, units, out, threads(), self.path)

    # -- motion ------------------------------------------------------------------------------------------------------

    def compensate(self, references: list[Planes], fields: Field, modes: Modes | None, block: int) -> Planes:
        """Predict planes: blocks of `block` pixels move by `fields` (references, rows, cols, 2)."""
        return _kernels.compensate(references, fields, modes, block, threads(), self.path)

    def search(
        self, current: Planes, reference: Planes, block: int, guess: Field | None, price: float, radius: int
    ) -> Field:
        """Motion of every block of a gray plane towards a reference."""
        return _kernels.search(current, reference, block, guess, price, radius, threads(), self.path)

    def decide(
        self, current: Planes, references: list[Planes], fields: Field, block: int, guesses: Field | None, price: float
    ) -> tuple[Field, Modes]:
        """Fields towards two references, and which of them every block takes."""
        return _kernels.decide(current, references, fields, block, guesses, price, threads(), self.path)

    # -- prior -------------------------------------------------------------------------------------------------------

    def walk(
        self,
        level: _kernels.Level,
        size: tuple[int, int],
        bias: Integers,
        coarser: Integers | None,
        keep: bool,
        hints: Integers | None,
    ) -> _kernels.Walk:
        """The walk of one level; see prior.hpp."""
        arguments: Any = (level, *size, bias, coarser, keep, threads(), self.path, hints)
        return _kernels.Walk(*arguments)

    def read_frame(
        self,
        plan: _kernels.FramePlan,
        coder: Any,
        hints: Sequence[Integers] | None,
        costs: Integers | None,
        rungs: bool,
    ) -> tuple[list[_kernels.Walk], Integers, NDArray[np.float32] | None]:
        """Walks from coarse to fine, low band (3, ., .), and bits (h, w) by `costs`; see frame.hpp."""
        return plan.read(coder, hints, costs, rungs, threads(), self.path)

    def code_frame(
        self,
        plan: _kernels.FramePlan,
        coder: Any,
        scaled: Sequence[NDArray[np.float32]],
        low: Integers,
        margins: NDArray[np.float32],
        hints: Sequence[Integers] | None,
        keep: bool,
    ) -> tuple[list[_kernels.Walk], Integers]:
        """The same of a frame that is coded."""
        return plan.code(coder, scaled, low, margins, hints, keep, threads(), self.path)

    def read_dyadic(
        self, plan: _kernels.DyadicPlan, coder: Any, keep: bool, costs: tuple[Integers, Integers] | None
    ) -> tuple[list[Integers], Integers, Integers, list[Integers], NDArray[np.int64]]:
        """Details where they are kept, low band (3, ., .), lifted planes (3, height, width), and what cells took.

        Details, in half steps, and what was spent by `costs`, of magnitudes and of signs, come from coarse to fine; see
        dyadic_frame.hpp.  Without a coder all symbols are zero.  The last part is `DyadicFrame.weighed`.
        """
        magnitudes, signs = costs or (None, None)
        return plan.read(coder, keep, magnitudes, signs, threads(), self.path)

    def code_dyadic(
        self,
        plan: _kernels.DyadicPlan,
        coder: Any,
        details: Sequence[Integers],
        low: Integers,
        rates: Integers,
        keep: bool,
        weigh: bool,
    ) -> tuple[list[Integers], Integers, Integers, list[Integers], NDArray[np.int64]]:
        """The same of lifted details, from coarse to fine, whose values are chosen by `rates` and put."""
        return plan.code(coder, details, low, rates, keep, weigh, threads(), self.path)
