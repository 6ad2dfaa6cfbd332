"""Ids of a frame in three forms, see `discrete`; each is made of the nodes (1, h, w) of every stage.

    codes      (h, w, IDS) at cells of 1/16: nodes of stages 0, 1, 2, four of stage 3, four of stage 4 (rows first);
               0 where a stage is absent and where an odd grid of 1/8 ends
    sequence   (n,) stage * NODES + node, stage by stage in raster order, absent stages left out
    packed     (bytes,) the turns of every node from the root, in the order of the sequence, eight a byte, the first
               turn in the highest bit; the last byte is filled up with zeros

The node MASK, the root, is no index: where it stands nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..base.family import GroupSpec
from .codebook import NODES
from .model import enlarged
from .prior import path
from .stages import STAGES, depths, grid_of

STRIDE = 16
IDS = 3 + 2 * 4  # of a cell: two of 1/32, one of 1/16, four each of two stages at 1/8
VOCABULARY = len(STAGES) * NODES
MASK = 1


def even(x: Tensor) -> Tensor:
    """(B, C, h, w) with a row and a column of zeros where a side is odd."""
    return F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))


def cell_nodes(nodes: list[Tensor]) -> Tensor:
    """Nodes (1, ., .) of every stage -> codes (h, w, IDS)."""
    h, w = nodes[2].shape[1:]
    parts = [enlarged(at[:, None], 2)[:, :, :h, :w] for at in nodes[:2]]
    parts += [nodes[2][:, None], *(F.pixel_unshuffle(even(at[:, None]), 2) for at in nodes[3:])]
    return torch.cat(parts, 1)[0].permute(1, 2, 0)


def frame_nodes(codes: Tensor, spec: GroupSpec) -> list[Tensor]:
    """The inverse of `cell_nodes`.  ValueError for codes of another size, or that no frame of this quality has."""
    found = codes_nodes(codes, spec)
    check(found, spec.quality)
    return found


def codes_nodes(codes: Tensor, spec: GroupSpec) -> list[Tensor]:
    """Nodes of every stage, of whatever depth.  ValueError for codes of another size or that contradict each other."""
    h, w = grid_of(spec.height, spec.width, STRIDE)
    if codes.shape != (h, w, IDS) or codes.is_floating_point():
        raise ValueError(f"codes of a frame are integers {(h, w, IDS)}, not {codes.dtype} {tuple(codes.shape)}")
    planes = codes.permute(2, 0, 1)[None].long()
    coarse = planes[:, :2, ::2, ::2]
    if not torch.equal(enlarged(coarse, 2)[:, :, :h, :w], planes[:, :2]):
        raise ValueError("cells that share an index of 1/32 differ in it")
    fine = [F.pixel_shuffle(part, 2) for part in (planes[:, 3:7], planes[:, 7:11])]
    rows, columns = grid_of(spec.height, spec.width, STAGES[-1].stride)
    found = [coarse[:, 0], coarse[:, 1], planes[:, 2], *(at[:, 0, :rows, :columns] for at in fine)]
    return [nodes.contiguous() for nodes in found]


def check(nodes: list[Tensor], quality: int) -> None:
    """ValueError unless every node is one of its stage's depth."""
    for stage, depth in enumerate(depths(quality)):
        low, high = ((1 << depth), (2 << depth) - 1) if depth else (0, 0)
        if int(nodes[stage].min()) < low or int(nodes[stage].max()) > high:
            raise ValueError(f"ids of stage {stage} are not in {low}..{high}, as quality {quality / 64:g} has them")


def counts(spec: GroupSpec) -> list[tuple[int, int, int, int]]:
    """(stage, depth, rows, columns) of every stage that is present."""
    grids = (grid_of(spec.height, spec.width, stage.stride) for stage in STAGES)
    return [(s, d, *grid) for s, (d, grid) in enumerate(zip(depths(spec.quality), grids, strict=True)) if d]


def absent(spec: GroupSpec) -> list[Tensor]:
    return [torch.zeros(1, *grid_of(spec.height, spec.width, stage.stride), dtype=torch.int64) for stage in STAGES]


def sequence_of(nodes: list[Tensor], spec: GroupSpec) -> Tensor:
    """Nodes of every stage -> (n,)."""
    return torch.cat([stage * NODES + nodes[stage].flatten() for stage, *_ in counts(spec)])


def sequence_nodes(ids: Tensor, spec: GroupSpec) -> list[Tensor]:
    """The inverse of `sequence_of`.  ValueError for what is no sequence of a frame."""
    sizes = [rows * columns for *_, rows, columns in counts(spec)]
    if ids.shape != (sum(sizes),) or ids.is_floating_point():
        raise ValueError(f"a frame has {sum(sizes)} ids, not {tuple(ids.shape)} of {ids.dtype}")
    nodes = absent(spec)
    for (stage, _, rows, columns), part in zip(counts(spec), ids.long().split(sizes), strict=True):
        nodes[stage] = (part - stage * NODES).view(1, rows, columns)
    check(nodes, spec.quality)
    return nodes


def packed_of(nodes: list[Tensor], spec: GroupSpec) -> Tensor:
    """Nodes of every stage -> bytes (n,) uint8."""
    turns = [path(nodes[stage].flatten(), depth)[1].flatten() for stage, depth, *_ in counts(spec)]
    return torch.from_numpy(np.packbits(torch.cat(turns).numpy().astype(np.uint8)))


def packed_nodes(data: Tensor, spec: GroupSpec) -> list[Tensor]:
    """The inverse of `packed_of`.  ValueError for another number of bytes, or bits past the last index."""
    sizes = [rows * columns * depth for _, depth, rows, columns in counts(spec)]
    total = -(-sum(sizes) // 8)
    if data.shape != (total,) or data.dtype != torch.uint8:
        raise ValueError(f"a frame's ids have {total} bytes, not {tuple(data.shape)} of {data.dtype}")
    turns = torch.from_numpy(np.unpackbits(data.numpy()))
    if bool(turns[sum(sizes) :].any()):
        raise ValueError("there are bits past the last index")
    nodes = absent(spec)
    for (stage, depth, rows, columns), part in zip(counts(spec), turns[: sum(sizes)].split(sizes), strict=True):
        words = part.view(-1, depth).long() << torch.arange(depth - 1, -1, -1)
        nodes[stage] = (words.sum(1) + (1 << depth)).view(1, rows, columns)
    return nodes


def lost_nodes(erasures: Tensor | Sequence[Tensor], spec: GroupSpec) -> list[Tensor]:
    """Bool masks (T, h, w) of every stage, from one of the cells of 1/16 or from one a stage.

    A lost cell loses its index of stage 2 and the four of stages 3 and 4 under it; an index of 1/32 is lost with the
    last of its cells.
    """
    grids = [grid_of(spec.height, spec.width, stage.stride) for stage in STAGES]
    if isinstance(erasures, Tensor):
        mask = checked(erasures, (spec.frames, *grids[2]))
        coarse = ~F.max_pool2d((~mask).float()[:, None], 2, ceil_mode=True)[:, 0].bool()
        rows, columns = grids[-1]
        fine = enlarged(mask[:, None], 2)[:, 0, :rows, :columns]
        return [coarse, coarse, mask, fine, fine]
    if len(erasures) != len(STAGES):
        raise ValueError(f"there are {len(erasures)} masks for {len(STAGES)} stages")
    return [checked(mask, (spec.frames, *grid)) for mask, grid in zip(erasures, grids, strict=True)]


def checked(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    if mask.shape != shape or mask.dtype != torch.bool:
        raise ValueError(f"a mask of what is lost is bool {shape}, not {mask.dtype} {tuple(mask.shape)}")
    return mask
