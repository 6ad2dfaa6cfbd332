"""The order in which a frame's indices are coded: stages coarse to fine, two passes over a checkerboard each.

    each stage that has a depth at this quality
        each pass (cells with even y + x, then odd)
            each depth: one call of the port, a turn (0 left, 1 right) for every cell of the pass, in raster order

The table of a turn is LOGITS + the logit in eighths that the stage's prior answers for the node, see `prior`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...entropy import Tables
from ..base.family import GroupSpec, SymbolPort
from ..prior.bands import parity_mask
from .model import VqganModel
from .prior import LOGITS, StagePrior, path
from .stages import STAGES, depths, grid_of

# code(stage, cells, hidden, depth) -> nodes (n,) of that depth at flat `cells` (n,), hidden vectors (n, hidden + 1)
Code = Callable[[int, Tensor, Tensor, int], Tensor]


def walk_frame(model: VqganModel, spec: GroupSpec, before: list[Tensor] | None, code: Code) -> list[Tensor]:
    """Nodes (1, h, w) of every stage of one frame; `before`: of the previous one."""
    quality = torch.tensor([spec.quality])
    nodes: list[Tensor] = []
    for stage, (spec_of, depth) in enumerate(zip(STAGES, depths(spec.quality), strict=True)):
        grid = grid_of(spec.height, spec.width, spec_of.stride)
        found = torch.zeros(1, *grid, dtype=torch.int64)
        if depth:
            prior, earlier = model.prior(stage), model.told(stage, nodes, grid)
            past = torch.zeros_like(found) if before is None else before[stage]
            even = parity_mask(*grid, found.device).flatten()
            for cells in (even.nonzero().squeeze(1), (~even).nonzero().squeeze(1)):
                if len(cells):
                    hidden = prior.hidden(earlier, found, past, quality)[0].flatten(1)[:, cells].T
                    found.view(-1)[cells] = code(stage, cells, hidden, depth)
        nodes.append(found)
    return nodes


def indices_of(logits: Tensor) -> Tensor:
    """The tables of integer logits: uint8."""
    return (logits + LOGITS).to(torch.uint8)


class Putting:
    """Puts known nodes to the port."""

    def __init__(self, model: VqganModel, port: SymbolPort, nodes: list[Tensor]) -> None:
        self.model, self.port, self.nodes = model, port, nodes

    def __call__(self, stage: int, cells: Tensor, hidden: Tensor, depth: int) -> Tensor:
        nodes = self.nodes[stage].flatten()[cells]
        passed, turns = path(nodes, depth)
        indices = indices_of(self.model.prior(stage).logits(hidden, passed))
        for at in range(depth):
            self.port.put(turns[:, at].to(torch.int32), indices[:, at].contiguous())
        return nodes


class Getting:
    """Gets nodes from the port."""

    def __init__(self, model: VqganModel, port: SymbolPort) -> None:
        self.model, self.port = model, port

    def __call__(self, stage: int, cells: Tensor, hidden: Tensor, depth: int) -> Tensor:
        prior = self.model.prior(stage)
        nodes = torch.ones(len(cells), dtype=torch.int64)
        for _ in range(depth):
            nodes = 2 * nodes + self.turn(prior, stage, cells, hidden, nodes)
        return nodes

    def turn(self, prior: StagePrior, stage: int, cells: Tensor, hidden: Tensor, nodes: Tensor) -> Tensor:
        """The next turns (n,), 0 or 1 whatever a forged stream holds."""
        return self.port.get(indices_of(prior.logits(hidden, nodes))).to(torch.int64) & 1


class Reading(Getting):
    """Gets nodes and adds up the bits of every cell (stage by stage, in `bits`)."""

    def __init__(self, model: VqganModel, port: SymbolPort, tables: Tables, spec: GroupSpec) -> None:
        super().__init__(model, port)
        self.tables = tables
        self.bits = [torch.zeros(grid_of(spec.height, spec.width, stage.stride)) for stage in STAGES]

    def turn(self, prior: StagePrior, stage: int, cells: Tensor, hidden: Tensor, nodes: Tensor) -> Tensor:
        indices = indices_of(prior.logits(hidden, nodes))
        turns = self.port.get(indices)
        spent = self.tables.bits(turns.numpy(), indices.numpy())
        self.bits[stage].view(-1).index_add_(0, cells, torch.from_numpy(spent).float())
        return turns.to(torch.int64) & 1
