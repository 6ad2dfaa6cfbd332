"""Fills in lost indices by the prior, which was trained with random patterns of known neighbours.

A cell's lost word becomes the mean of the codebook under the prior's probabilities, which has the least expected
squared error; the likeliest node stands for it in the context of other cells.  The surest cells are filled first
(Chang et al., "MaskGIT", 2022) and are context for the others.

Probabilities are products of the tables' frequencies, rounded to CHANCE_BITS: the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.discrete import Mask
from ..base.kernels import Integers
from .context import Floats
from .index_prior import Nodes, Priors, TableIndices
from .painting import Painting
from .stages import STAGES, depths

ROUNDS = 4  # passes over the lost cells, each filling the surest of those left
CHANCE_BITS = 24  # fraction bits of probabilities
CHUNK = 1024  # cells that are worked on at once

Wide = NDArray[np.float64]  # whole numbers


def probabilities(indices: TableIndices, depth: int, tables: Tables) -> Wide:
    """Tables (n, 2**depth) of the turns at all inner nodes -> chances (n, 2**depth) of the nodes of a depth.

    Chances are whole numbers of 1 / 2**CHANCE_BITS, at least 1.
    """
    shares = tables.frequencies[:, :2] / tables.frequencies[:, :2].sum(1, keepdims=True, dtype=np.float64)
    chance: Wide = np.ones((len(indices), 1))
    for level in range(depth):
        at = indices[:, 1 << level : 2 << level]
        chance = (chance[..., None] * shares[at]).reshape(len(indices), -1)
    rounded: Wide = np.maximum(np.floor(chance * float(1 << CHANCE_BITS) + 0.5), 1.0)
    return rounded


class Restorer:
    """Stateless between calls."""

    def __init__(self, priors: Priors, painting: Painting, tables: Tables) -> None:
        self.priors, self.painting, self.tables = priors, painting, tables

    def restore(
        self, nodes: Sequence[Nodes], lost: Sequence[Mask], quality: int, before: Sequence[Nodes] | None
    ) -> tuple[list[Nodes], list[Integers]]:
        """Fill the nodes (h, w) where `lost` is True: all nodes, and the words (size, h, w) of every stage."""
        filled: list[Nodes] = []
        words: list[Integers] = []
        for stage, depth in enumerate(depths(quality)):
            found = np.where(lost[stage], 0, nodes[stage]) if depth else np.zeros_like(nodes[stage])
            vectors = self.painting.codebooks[stage][found].reshape(-1, STAGES[stage].size)
            if depth:
                past = np.zeros_like(found) if before is None else before[stage]
                self.fill(stage, found, vectors, self.priors.context(stage, filled, past), quality)
            filled.append(found)
            words.append(np.ascontiguousarray(vectors.T.reshape(-1, *found.shape)))
        return filled, words

    def fill(self, stage: int, found: Nodes, vectors: Integers, context: Floats, quality: int) -> None:
        """Fill the nodes (h, w) that are 0, and their words (cells, size), in place."""
        prior, depth = self.priors[stage], depths(quality)[stage]
        for turn in range(ROUNDS):
            cells = np.flatnonzero(found == 0)
            if len(cells) == 0:
                break
            surest, node, mean = self.guess(stage, prior.hidden(context, found, cells, quality), depth)
            count = -(-len(cells) // (ROUNDS - turn))
            chosen = np.argsort(-surest, kind="stable")[:count]  # of equally sure ones the first
            found.ravel()[cells[chosen]] = node[chosen]
            vectors[cells[chosen]] = mean[chosen]

    def guess(self, stage: int, hidden: Floats, depth: int) -> tuple[Wide, Nodes, Integers]:
        """The likeliest node (n,) for hidden vectors (n, ...), how likely it is, and the mean word (n, size)."""
        prior = self.priors[stage]
        words = self.painting.codebooks[stage][1 << depth : 2 << depth].astype(np.float64)
        surest, node = np.empty(len(hidden)), np.empty(len(hidden), np.int64)
        mean = np.empty((len(hidden), words.shape[1]), np.int32)
        for first in range(0, len(hidden), CHUNK):
            part = slice(first, first + CHUNK)
            chance = probabilities(prior.all_tables(hidden[part], depth), depth, self.tables)
            likeliest = chance.argmax(1)
            surest[part], node[part] = chance.max(1), likeliest + (1 << depth)
            # whole numbers below 2**53: exact in whatever order they are added
            mean[part] = np.floor((chance @ words) / chance.sum(1, keepdims=True) + 0.5)
        return surest, node, mean
