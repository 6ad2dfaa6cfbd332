"""What the prior expects of every index, at work: integers of a weights file, evaluated in numpy.

A word is coded as its path through the codebook's tree, a turn at every node.  At each cell a small network over what
is known there and around it answers with a hidden vector; the product of that vector with a node's own vector is the
logit of turning right at the node, in eighths, and names the CDF table.  `prior` is the same in training.

Integers are held in float32.  No sum of magnitudes reaches 2**20 (export proves it), so every partial sum is exact in
whatever order a library adds, on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.quality import at_quality
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
REACH = 5  # cells of the window, both ways
CHUNK = 1024  # cells whose windows are gathered at once

Floats = NDArray[np.float32]
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
        self.own[0] = 0  # no node, nothing told
        context = of("context").astype(np.float32)  # (hidden, inputs, REACH, REACH)
        inputs = EMBEDDING * (stage + 2) + 2
        if context.shape[1:] != (inputs, REACH, REACH) or self.own.shape != (NODES, EMBEDDING):
            raise ValueError(f"the prior of stage {stage} has the wrong shape")
        self.context = np.ascontiguousarray(context.transpose(2, 3, 1, 0).reshape(REACH * REACH * inputs, -1))
        self.mix = np.ascontiguousarray(of("mix").astype(np.float32)[:, :, 0, 0].T)
        self.bias = of("bias").astype(np.int64)
        self.heads = of("heads").astype(np.float32)  # (2**DEPTH, hidden + 1)

    def told(self, earlier: Sequence[Floats], before: Nodes) -> Floats:
        """What cells are told, without what is known of the stage itself: (h + 4, w + 4, inputs), framed by zeros.

        earlier   embeddings (h, w, EMBEDDING) of the earlier stages on this grid
        before    nodes of the previous frame
        """
        h, w = before.shape
        frame = REACH // 2
        told = np.zeros((h + 2 * frame, w + 2 * frame, EMBEDDING * (len(earlier) + 2) + 2), np.float32)
        inside = told[frame : frame + h, frame : frame + w]
        for at, part in enumerate(earlier):
            inside[..., EMBEDDING * at : EMBEDDING * (at + 1)] = part
        after = EMBEDDING * (len(earlier) + 1)
        inside[..., after : after + EMBEDDING] = self.own[before]
        inside[..., -1] = EMBEDDING_MAX * (before > 0)
        return told

    def tell(self, told: Floats, known: Nodes) -> None:
        """Put the nodes (h, w) that are known of the stage into `told`."""
        frame, first = REACH // 2, told.shape[2] - 2 - 2 * EMBEDDING
        inside = told[frame:-frame, frame:-frame]
        inside[..., first : first + EMBEDDING] = self.own[known]
        inside[..., -2] = EMBEDDING_MAX * (known > 0)

    def hidden(self, told: Floats, cells: NDArray[np.intp], quality: int) -> Floats:
        """Hidden vectors (n, hidden + 1) of flat `cells` (n,): integers 0..ACTIVATION_MAX."""
        columns, inputs = told.shape[1] - REACH + 1, told.shape[2]
        bias = at_quality(self.bias, quality).astype(np.float32)
        hidden = np.full((len(cells), self.mix.shape[1] + 1), ACTIVATION_MAX, np.float32)
        flat = told.reshape(-1, inputs)
        corners = cells // columns * told.shape[1] + cells % columns
        window = (np.arange(REACH)[:, None] * told.shape[1] + np.arange(REACH)).ravel()
        for first in range(0, len(cells), CHUNK):
            part = slice(first, first + CHUNK)
            around = flat[corners[part, None] + window].reshape(-1, REACH * REACH * inputs)
            hidden[part, :-1] = _activated(_activated(around @ self.context + bias) @ self.mix)
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

    def __getitem__(self, stage: int) -> IndexPrior:
        return self.stages[stage]

    def told(self, stage: int, nodes: Sequence[Nodes], before: Nodes) -> Floats:
        """See `IndexPrior.told`; nodes: of the earlier stages, each on its own grid."""
        h, w = before.shape
        parts = []
        for at in range(stage):
            times = STAGES[at].stride // STAGES[stage].stride
            parts.append(enlarged(self.stages[at].own[nodes[at]], times)[:h, :w])
        return self.stages[stage].told(parts, before)


def enlarged(x: NDArray[Any], times: int) -> NDArray[Any]:
    """Each cell of (h, w, ...) repeated `times` in both directions."""
    return x.repeat(times, 0).repeat(times, 1) if times > 1 else x


def path(nodes: Nodes, depth: int) -> tuple[Nodes, NDArray[np.int32]]:
    """Nodes (n,) of a depth -> the nodes passed on the way and the turns taken: (depth, n)."""
    shifts = np.arange(depth, 0, -1)[:, None]
    return nodes >> shifts, (nodes >> shifts - 1 & 1).astype(np.int32)


def _activated(accumulator: Floats) -> Floats:
    scaled = np.floor(accumulator * np.float32(2.0**-SHIFT) + np.float32(0.5))
    return np.minimum(np.maximum(scaled, np.float32(0)), np.float32(ACTIVATION_MAX), out=scaled)


def _tables_of(accumulator: Floats) -> TableIndices:
    """Table LOGITS + l of each logit l in eighths."""
    logits = np.floor(accumulator * np.float32(2.0**-LOGIT_SHIFT) + np.float32(0.5))
    limit = np.float32(LOGITS)
    indices: TableIndices = (np.clip(logits, -limit, limit, out=logits) + limit).astype(np.uint8)
    return indices
