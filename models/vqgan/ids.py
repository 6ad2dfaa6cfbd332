"""Ids of a frame in three forms, see `base.discrete`; each is made of the nodes (h, w) of every stage.

    codes      (h, w, IDS) at cells of 1/16: nodes of stages 0, 1, 2, four of stage 3, four of stage 4 (rows first);
               0 where a stage is absent and where an odd grid of 1/8 ends
    sequence   (n,) stage * NODES + node, stage by stage in raster order, absent stages left out
    packed     (bytes,) the turns of every node from the root, in the order of the sequence, eight per byte, the first
               turn in the highest bit; the last byte is filled up with zeros

The node MASK, the root, is no index: where it stands nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.discrete import Codes, Erasures, Mask
from ..base.family import GroupSpec
from ..base.quality import shown
from .index_prior import Nodes, enlarged, path
from .painting import unshuffled
from .stages import NODES, STAGES, depths, grid_of

STRIDE = 16
IDS = 3 + 2 * 4  # ids per cell: two of 1/32, one of 1/16, four each of two stages at 1/8
VOCABULARY = len(STAGES) * NODES
MASK = 1


def cell_nodes(nodes: Sequence[Nodes]) -> Codes:
    """Nodes of every stage -> codes (h, w, IDS)."""
    h, w = nodes[2].shape
    parts = [enlarged(at, 2)[:h, :w, None] for at in nodes[:2]]
    parts += [nodes[2][..., None], *(unshuffled(at[..., None]) for at in nodes[3:])]
    return np.concatenate(parts, -1)


def frame_nodes(codes: NDArray[Any], spec: GroupSpec) -> list[Nodes]:
    """The inverse of `cell_nodes`.  ValueError for codes of another size, or that no frame of this quality has."""
    found = codes_nodes(codes, spec)
    check(found, spec.quality)
    return found


def codes_nodes(codes: NDArray[Any], spec: GroupSpec) -> list[Nodes]:
    """Nodes of every stage, of whatever depth.  ValueError for codes of another size or that contradict each other."""
    h, w = grid_of(spec.height, spec.width, STRIDE)
    if codes.shape != (h, w, IDS) or codes.dtype.kind not in "iu":
        raise ValueError(f"codes of a frame are integers {(h, w, IDS)}, not {codes.dtype} {tuple(codes.shape)}")
    codes = codes.astype(np.int64)
    coarse = codes[::2, ::2, :2]
    if not np.array_equal(enlarged(coarse, 2)[:h, :w], codes[..., :2]):
        raise ValueError("cells that share an index of 1/32 differ in it")
    rows, columns = grid_of(spec.height, spec.width, STAGES[-1].stride)
    fine = [shuffled(part)[:rows, :columns] for part in (codes[..., 3:7], codes[..., 7:11])]
    return [np.ascontiguousarray(nodes) for nodes in (coarse[..., 0], coarse[..., 1], codes[..., 2], *fine)]


def shuffled(cells: NDArray[Any]) -> NDArray[Any]:
    """(h, w, 4) -> (2h, 2w)."""
    h, w, _ = cells.shape
    return cells.reshape(h, w, 2, 2).transpose(0, 2, 1, 3).reshape(2 * h, 2 * w)


def check(nodes: Sequence[Nodes], quality: int) -> None:
    """ValueError unless every node is one of its stage's depth."""
    for stage, depth in enumerate(depths(quality)):
        low, high = ((1 << depth), (2 << depth) - 1) if depth else (0, 0)
        if int(nodes[stage].min()) < low or int(nodes[stage].max()) > high:
            raise ValueError(f"ids of stage {stage} are not in {low}..{high}, as quality {shown(quality):g} has them")


def counts(spec: GroupSpec) -> list[tuple[int, int, int, int]]:
    """(stage, depth, rows, columns) of every stage that is present."""
    grids = (grid_of(spec.height, spec.width, stage.stride) for stage in STAGES)
    return [(s, d, *grid) for s, (d, grid) in enumerate(zip(depths(spec.quality), grids, strict=True)) if d]


def absent(spec: GroupSpec) -> list[Nodes]:
    return [np.zeros(grid_of(spec.height, spec.width, stage.stride), np.int64) for stage in STAGES]


def sequence_of(nodes: Sequence[Nodes], spec: GroupSpec) -> NDArray[np.int64]:
    """Nodes of every stage -> (n,)."""
    return np.concatenate([stage * NODES + nodes[stage].ravel() for stage, *_ in counts(spec)])


def sequence_nodes(ids: NDArray[Any], spec: GroupSpec) -> list[Nodes]:
    """The inverse of `sequence_of`.  ValueError for what is no sequence of a frame."""
    sizes = [rows * columns for *_, rows, columns in counts(spec)]
    if ids.shape != (sum(sizes),) or ids.dtype.kind not in "iu":
        raise ValueError(f"a frame has {sum(sizes)} ids, not {tuple(ids.shape)} of {ids.dtype}")
    nodes = absent(spec)
    parts = np.split(ids.astype(np.int64), np.cumsum(sizes)[:-1])
    for (stage, _, rows, columns), part in zip(counts(spec), parts, strict=True):
        nodes[stage] = (part - stage * NODES).reshape(rows, columns)
    check(nodes, spec.quality)
    return nodes


def packed_of(nodes: Sequence[Nodes], spec: GroupSpec) -> NDArray[np.uint8]:
    """Nodes of every stage -> bytes (n,)."""
    turns = [path(nodes[stage].ravel(), depth)[1].T.ravel() for stage, depth, *_ in counts(spec)]
    return np.packbits(np.concatenate(turns).astype(np.uint8))


def packed_nodes(data: NDArray[Any], spec: GroupSpec) -> list[Nodes]:
    """The inverse of `packed_of`.  ValueError for another number of bytes, or bits past the last index."""
    sizes = [rows * columns * depth for _, depth, rows, columns in counts(spec)]
    total = -(-sum(sizes) // 8)
    if data.shape != (total,) or data.dtype != np.uint8:
        raise ValueError(f"a frame's ids have {total} bytes, not {tuple(data.shape)} of {data.dtype}")
    turns = np.unpackbits(data)
    if bool(turns[sum(sizes) :].any()):
        raise ValueError("there are bits past the last index")
    nodes = absent(spec)
    parts = np.split(turns[: sum(sizes)], np.cumsum(sizes)[:-1])
    for (stage, depth, rows, columns), part in zip(counts(spec), parts, strict=True):
        words = part.reshape(-1, depth).astype(np.int64) << np.arange(depth - 1, -1, -1)
        nodes[stage] = (words.sum(1) + (1 << depth)).reshape(rows, columns)
    return nodes


def lost_nodes(erasures: Erasures, spec: GroupSpec) -> list[Mask]:
    """Bool masks (T, h, w) of every stage, from one of the cells of 1/16 or from one per stage.

    A lost cell loses its index of stage 2 and the four of stages 3 and 4 under it; an index of 1/32 is lost with the
    last of its cells.
    """
    grids = [grid_of(spec.height, spec.width, stage.stride) for stage in STAGES]
    if isinstance(erasures, np.ndarray):
        mask = checked(erasures, (spec.frames, *grids[2]))
        rows, columns = grids[-1]
        there = np.pad(~mask, ((0, 0), (0, mask.shape[1] % 2), (0, mask.shape[2] % 2)))
        coarse = ~(there.reshape(spec.frames, grids[0][0], 2, grids[0][1], 2).any((2, 4)))
        fine = mask.repeat(2, 1).repeat(2, 2)[:, :rows, :columns]
        return [coarse, coarse, mask, fine, fine]
    if len(erasures) != len(STAGES):
        raise ValueError(f"there are {len(erasures)} masks for {len(STAGES)} stages")
    return [checked(mask, (spec.frames, *grid)) for mask, grid in zip(erasures, grids, strict=True)]


def checked(mask: Mask, shape: tuple[int, ...]) -> Mask:
    if mask.shape != shape or mask.dtype != np.bool_:
        raise ValueError(f"a mask of what is lost is bool {shape}, not {mask.dtype} {tuple(mask.shape)}")
    return mask
