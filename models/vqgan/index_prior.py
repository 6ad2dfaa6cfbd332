"""The prior of indices, evaluated in numpy with the integers of a weights file.

A word is coded as its path through the codebook's tree, one turn at each node.  At each cell a small network reads the
known indices there and around it, and answers with a hidden vector.  The product of that vector with a node's own
vector is the logit of turning right at the node, in eighths, and names the CDF table.  `prior` is the same in training.

Integers are held in float32.  No sum of magnitudes reaches 2**20 (export proves it), so every partial sum is exact in
whatever order a library adds, on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.cost import convolutions
from ..base.quality import at_quality
from .context import WINDOW, Cells, Floats, WindowConvolution, framed
from .stages import NODES, STAGES

EMBEDDING_BITS = 4  # embeddings in 1/16, at most EMBEDDING_MAX of them
EMBEDDING_MAX = 127
WEIGHT_BITS = 6
SHIFT = 6  # accumulators in 1/1024 -> activations in 1/16
ACTIVATION_MAX = 255
LOGIT_SHIFT = 7  # accumulators in 1/1024 -> logits in eighths
LOGITS = 64  # largest logit, in eighths
PER_UNIT = 8
EMBEDDING = 12

Nodes = NDArray[np.int64]  # (h, w) of a stage, or (n,) at some of its cells; 0 where nothing is known
TableIndices = NDArray[np.uint8]
Arrays = Mapping[str, NDArray[Any]]


class IndexPrior:
    """The prior of one stage.  Stateless between calls."""

    def __init__(self, arrays: Arrays, stage: int) -> None:
        def of(name: str) -> NDArray[Any]:
            return arrays[f"priors.{stage}.{name}.weight"]

        self.stage = stage
        self.own = of("own").astype(np.float32)
        self.own[0] = 0  # no node
        context = of("context").astype(np.float32)  # (hidden, inputs, WINDOW, WINDOW)
        inputs = EMBEDDING * (stage + 2) + 2
        if context.shape[1:] != (inputs, WINDOW, WINDOW) or self.own.shape != (NODES, EMBEDDING):
            raise ValueError(f"the prior of stage {stage} has the wrong shape")
        blocks = [list(range(EMBEDDING * at, EMBEDDING * (at + 1))) for at in range(stage + 2)]
        ratios = [STAGES[at].stride // STAGES[stage].stride for at in range(stage)]
        mapped = zip(blocks, ratios, strict=False)
        self.earlier = [WindowConvolution(context[:, block], ratio) for block, ratio in mapped]
        self.known, self.past = (WindowConvolution(context[:, [*blocks[at], at]]) for at in (-2, -1))  # flags are last
        self.mix = np.ascontiguousarray(of("mix").astype(np.float32)[:, :, 0, 0].T)
        self.bias = of("bias").astype(np.int64)
        self.heads = of("heads").astype(np.float32)  # (2**DEPTH, hidden + 1)

    def seen(self, nodes: Nodes) -> Floats:
        """Inputs that nodes (h, w) of the stage give its prior: their embeddings, and whether there are any."""
        return np.concatenate([self.own[nodes], EMBEDDING_MAX * (nodes > 0)[..., None].astype(np.float32)], -1)

    def context(self, earlier: Sequence[Floats], before: Nodes) -> Floats:
        """Sums (h, w, hidden) of each cell over all inputs but the stage itself.

        earlier   embeddings of the earlier stages, each on its own grid
        before    nodes of the previous frame
        """
        sums = np.zeros((*before.shape, self.mix.shape[0]), np.float32)
        for part, map_of in zip(self.earlier, earlier, strict=True):
            part.add(sums, map_of)
        if before.any():
            self.past.add(sums, self.seen(before))
        return sums

    def hidden(self, context: Floats, known: Nodes, cells: Cells, quality: int) -> Floats:
        """Hidden vectors (n, hidden + 1) of flat `cells` (n,): integers 0..ACTIVATION_MAX.

        known: nodes (h, w) of the stage, 0 where they are not known.
        """
        sums = context.reshape(-1, context.shape[2])[cells] + at_quality(self.bias, quality).astype(np.float32)
        if known.any():
            sums += self.known.at(framed(self.seen(known)), cells, known.shape[1])
        hidden = np.full((len(cells), self.mix.shape[1] + 1), ACTIVATION_MAX, np.float32)
        hidden[:, :-1] = _activated(_activated(sums) @ self.mix)
        return hidden

    def tables(self, hidden: Floats, nodes: Nodes) -> TableIndices:
        """Tables of the turns at `nodes` (n,) for hidden vectors (n, hidden + 1)."""
        return _tables_of(np.einsum("ij,ij->i", self.heads[nodes], hidden))

    def all_tables(self, hidden: Floats, depth: int) -> TableIndices:
        """The same at all nodes above a depth: (n, 2**depth), entry 0 unused."""
        return _tables_of(hidden @ self.heads[: 1 << depth].T)


class Priors:
    """The priors of all stages."""

    def __init__(self, arrays: Arrays) -> None:
        self.stages = [IndexPrior(arrays, stage) for stage in range(len(STAGES))]
        own = {name: array for name, array in arrays.items() if name.startswith("priors.")}
        self.multiplications = convolutions(own)  # a cell of the finest grid; no stage has a finer one

    def __getitem__(self, stage: int) -> IndexPrior:
        return self.stages[stage]

    def context(self, stage: int, nodes: Sequence[Nodes], before: Nodes) -> Floats:
        """See `IndexPrior.context`; nodes: of the earlier stages."""
        return self.stages[stage].context([self.stages[at].own[nodes[at]] for at in range(stage)], before)


def enlarged(x: NDArray[Any], times: int) -> NDArray[Any]:
    """Each cell of (h, w, ...) repeated `times` in both directions."""
    return x.repeat(times, 0).repeat(times, 1) if times > 1 else x


def path(nodes: Nodes, depth: int) -> tuple[Nodes, NDArray[np.int32]]:
    """Nodes (n,) of a depth -> the nodes passed on the way and the turns taken: (depth, n)."""
    shifts = np.arange(depth, 0, -1)[:, None]
    return nodes >> shifts, (nodes >> shifts - 1 & 1).astype(np.int32)


def _activated(accumulator: Floats) -> Floats:
    scaled: Floats = np.floor(accumulator * np.float32(2.0**-SHIFT) + np.float32(0.5))
    return np.clip(scaled, np.float32(0), np.float32(ACTIVATION_MAX), out=scaled)


def _tables_of(accumulator: Floats) -> TableIndices:
    """Table LOGITS + l of each logit l in eighths."""
    logits = np.floor(accumulator * np.float32(2.0**-LOGIT_SHIFT) + np.float32(0.5))
    limit = np.float32(LOGITS)
    indices: TableIndices = (np.clip(logits, -limit, limit, out=logits) + limit).astype(np.uint8)
    return indices
