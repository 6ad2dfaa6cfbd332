"""How the encoder chooses indices: by the distance of a word and the bits of its path.

Vectors and words are integers in 1 / UNIT gray levels; squared distances, prices and costs are whole numbers below
2**53, which float64 holds, so that a choice is the same on every machine whatever order a library adds in.  Of equal
ones the first is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import GroupSpec, SymbolPort
from ..prior.ladder import COST_UNIT
from .context import Cells, Floats
from .index_prior import IndexPrior, Nodes
from .painting import UNIT, Painting, Targets
from .stages import STAGES, depths
from .tables import turn_costs
from .walk import Coding, put

CHUNK = 512  # cells that are weighed at once

Wide = NDArray[np.float64]  # whole numbers


class Codebook:
    """Words of a stage (NODES, size) in 1 / UNIT gray levels, and the squares of their lengths."""

    def __init__(self, words: Wide) -> None:
        self.words = words
        self.squares = np.square(words).sum(1)

    def distances(self, x: Wide, depth: int) -> Wide:
        """Squared distances of x (n, size) to the words of a depth, less |x|**2: (n, 2**depth)."""
        some = slice(1 << depth, 2 << depth)
        found: Wide = self.squares[some] - 2.0 * (x @ self.words[some].T)
        return found


class Chooser:
    """Codebooks and prices of a weights file.  Stateless between calls."""

    def __init__(self, painting: Painting, slopes: NDArray[np.float32], tables: Tables) -> None:
        self.painting = painting
        self.books = [Codebook(painting.units(stage)) for stage in range(len(STAGES))]
        self.slopes = [float(slope) for slope in slopes]  # squared error that a further bit per vector would save
        self.costs = turn_costs(tables)

    def price(self, quality: int, weight: float) -> float:
        """The price of a bit in squared units: a whole number."""
        least = min(slope for slope, depth in zip(self.slopes, depths(quality), strict=True) if depth)
        return float(np.floor(weight * least * UNIT * UNIT + 0.5))

    def nearest(self, prior: IndexPrior, x: Wide, hidden: Floats, depth: int, price: float) -> Nodes:
        """Nodes (n,) of a depth for vectors x (n, size): the least squared distance plus price times bits."""
        nodes = np.empty(len(x), np.int64)
        for first in range(0, len(x), CHUNK):
            part = slice(first, first + CHUNK)
            total = self.books[prior.stage].distances(x[part], depth)
            if price:
                total *= COST_UNIT
                total += price * self.bits(prior, hidden[part], depth)
            nodes[part] = total.argmin(1) + (1 << depth)
        return nodes

    def bits(self, prior: IndexPrior, hidden: Floats, depth: int) -> Floats:
        """Bits of all words of a depth (n, 2**depth), in 1 / COST_UNIT: at most 12 per turn, which float32 holds."""
        tables = prior.all_tables(hidden, depth)
        left, right = self.costs[0][tables], self.costs[1][tables]
        bits = np.zeros((len(hidden), 1), np.float32)
        for level in range(depth):
            at = slice(1 << level, 2 << level)
            both = np.empty((len(hidden), 1 << level, 2), np.float32)
            np.add(bits, left[:, at], out=both[..., 0])
            np.add(bits, right[:, at], out=both[..., 1])
            bits = both.reshape(len(hidden), -1)
        return bits


class Choosing(Coding):
    """Chooses the nodes of one frame along the walk and puts them to the port."""

    def __init__(self, chooser: Chooser, targets: Targets, spec: GroupSpec, port: SymbolPort, weight: float) -> None:
        self.chooser, self.targets, self.port = chooser, targets, port
        self.price = chooser.price(spec.quality, weight)
        self.rest = np.empty((0, 0))  # what earlier stages left for this one (cells, size)

    def begin(self, stage: int, nodes: Sequence[Nodes]) -> None:
        painting = self.chooser.painting
        if stage and STAGES[stage - 1].stride == STAGES[stage].stride:
            self.rest = self.rest - self.chooser.books[stage - 1].words[nodes[stage - 1].ravel()]
        else:
            self.rest = painting.left(self.targets, painting.sums(nodes))

    def __call__(self, prior: IndexPrior, cells: Cells, hidden: Floats, depth: int) -> Nodes:
        nodes = self.chooser.nearest(prior, self.rest[cells], hidden, depth, self.price)
        put(prior, self.port, nodes, hidden, depth)
        return nodes
