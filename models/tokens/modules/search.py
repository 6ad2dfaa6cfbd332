"""Finding groups and segments: few reads for a search, one vector a segment for an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..arguments import integer, tensor
from ..grid import TokenGrid


def search(
    read: Callable[[int], float], prior: Tensor, picks: int, rounds: int = 4, reads: int | None = None
) -> list[int]:
    """The `picks` groups of best score out of len(prior), looking into few of them (T*).

    read    the score of one group, read and decoded when called
    prior   (G,) what is known without reading, e.g. coded bits above the neighbours; raises the chance to be looked at
    rounds  each looks where the prior and the scores found so far point; a hit raises its neighbours
    """
    picks, rounds = integer("picks", picks, 1), integer("rounds", rounds, 1)
    total = len(tensor("prior", prior))
    limit = min(total, reads if reads is not None else 4 * picks)
    belief = prior.double().clone()
    found: dict[int, float] = {}
    for turn in range(rounds):
        share = (limit - len(found)) // (rounds - turn)
        for group in _most_promising(belief, found, share):
            found[group] = read(group)
        _believe_neighbours(belief, found)
    best = sorted(found, key=lambda group: (-found[group], group))[:picks]
    return sorted(best)


def _most_promising(belief: Tensor, found: dict[int, float], count: int) -> list[int]:
    """`count` groups not yet read: three quarters by belief, the rest at equal steps."""
    open_ = belief.clone()
    if found:
        open_[list(found)] = -torch.inf
    left = torch.isfinite(open_).nonzero().squeeze(1)
    count = min(count, left.numel())
    by_belief = torch.sort(open_, descending=True, stable=True).indices[: count - count // 4].tolist()
    rest = [int(g) for g in left.tolist() if g not in set(by_belief)]
    extra = count - len(by_belief)
    return by_belief + [rest[k * len(rest) // extra] for k in range(extra)]


def _believe_neighbours(belief: Tensor, found: dict[int, float]) -> None:
    """Groups beside the best scores become more promising."""
    if not found:
        return
    top, low = max(found.values()), min(found.values())
    spread = float(belief.max() - belief.min()) or 1.0
    for group, value in found.items():
        if top > low and value > (top + low) / 2:
            for near in (group - 1, group + 1):
                if 0 <= near < len(belief):
                    belief[near] += spread * (value - low) / (top - low)


def embed(grid: TokenGrid, frames: Sequence[int] | None = None) -> Tensor:
    """(C,) mean over frames of the mean over cells (ViFi-CLIP): any number of frames, one included."""
    x = grid.x.float() if frames is None else grid.x[list(frames)].float()
    return x.flatten(1, 2).mean(1).mean(0)


def segment_index(grid: TokenGrid, runs: Sequence[tuple[int, int]], dynamics: bool = True) -> Tensor:
    """(S, 2C) one row per run of frames: its mean vector and the mean size of its change in each channel (VDI)."""
    x = grid.x.float()
    rows = []
    for start, stop in runs:
        part = x[start:stop]
        moved = (part[1:] - part[:-1]).abs().flatten(0, 2).mean(0) if stop - start > 1 else torch.zeros_like(x[0, 0, 0])
        rows.append(torch.cat([part.flatten(0, 2).mean(0), moved if dynamics else torch.zeros_like(moved)]))
    return torch.stack(rows)


def find(index: Tensor, query: Tensor) -> int:
    """The row of `index` nearest to `query` (2C,); of equal ones the first."""
    return int((index - query).square().sum(1).argmin())
