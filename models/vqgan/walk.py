"""The order in which a frame's indices are coded: stages coarse to fine, two passes over a checkerboard each.

    each stage that has a depth at this quality
        each pass (cells with even y + x, then odd)
            each depth: one call of the port, a turn (0 left, 1 right) for every cell of the pass, in raster order

The table of a turn is LOGITS + the logit in eighths that the stage's prior answers for the node, see `index_prior`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.family import GroupSpec, SymbolPort
from .context import Cells, Floats
from .index_prior import IndexPrior, Nodes, Priors, TableIndices, path
from .stages import STAGES, depths, grid_of


class Coding:
    """What is done along the walk."""

    def begin(self, stage: int, nodes: Sequence[Nodes]) -> None:
        """Before a stage that is present; nodes of the stages before it."""

    def __call__(self, prior: IndexPrior, cells: Cells, hidden: Floats, depth: int) -> Nodes:
        """The nodes (n,) of a depth at `cells` (n,), with hidden vectors (n, hidden + 1)."""
        raise NotImplementedError


def walk_frame(priors: Priors, spec: GroupSpec, before: Sequence[Nodes] | None, code: Coding) -> list[Nodes]:
    """Nodes of every stage of one frame; `before`: of the previous one."""
    nodes: list[Nodes] = []
    for stage, depth in enumerate(depths(spec.quality)):
        found = np.zeros(grid_of(spec.height, spec.width, STAGES[stage].stride), np.int64)
        if depth:
            code.begin(stage, nodes)
            prior = priors[stage]
            context = priors.context(stage, nodes, np.zeros_like(found) if before is None else before[stage])
            for cells in passes(*found.shape):
                if len(cells):
                    hidden = prior.hidden(context, found, cells, spec.quality)
                    found.ravel()[cells] = code(prior, cells, hidden, depth)
        nodes.append(found)
    return nodes


def passes(height: int, width: int) -> tuple[Cells, Cells]:
    odd = (np.arange(height)[:, None] + np.arange(width) & 1).ravel()
    return np.flatnonzero(odd == 0), np.flatnonzero(odd)


def put(prior: IndexPrior, port: SymbolPort, nodes: Nodes, hidden: Floats, depth: int) -> None:
    """Put nodes (n,) of a depth, a call of the port a turn."""
    passed, turns = path(nodes, depth)
    for at in range(depth):
        port.put(turns[at], prior.tables(hidden, passed[at]))


class Putting(Coding):
    """Puts known nodes to the port."""

    def __init__(self, port: SymbolPort, nodes: Sequence[Nodes]) -> None:
        self.port, self.nodes = port, nodes

    def __call__(self, prior: IndexPrior, cells: Cells, hidden: Floats, depth: int) -> Nodes:
        nodes = self.nodes[prior.stage].ravel()[cells]
        put(prior, self.port, nodes, hidden, depth)
        return nodes


class Getting(Coding):
    """Gets nodes from the port."""

    def __init__(self, port: SymbolPort) -> None:
        self.port = port

    def __call__(self, prior: IndexPrior, cells: Cells, hidden: Floats, depth: int) -> Nodes:
        nodes = np.ones(len(cells), np.int64)
        for _ in range(depth):
            turns = self.turn(prior.stage, cells, prior.tables(hidden, nodes))
            nodes = 2 * nodes + (turns & 1)  # a forged stream may hold other turns than 0 and 1
        return nodes

    def turn(self, stage: int, cells: Cells, indices: TableIndices) -> NDArray[np.int32]:
        return self.port.get(indices)


class Reading(Getting):
    """Gets nodes and adds up the bits of every cell (stage by stage, in `bits`)."""

    def __init__(self, port: SymbolPort, tables: Tables, spec: GroupSpec) -> None:
        super().__init__(port)
        self.tables = tables
        self.bits = [np.zeros(grid_of(spec.height, spec.width, stage.stride), np.float32) for stage in STAGES]

    def turn(self, stage: int, cells: Cells, indices: TableIndices) -> NDArray[np.int32]:
        turns = self.port.get(indices)
        self.bits[stage].ravel()[cells] += self.tables.bits(turns, indices)
        return turns
