"""Position ids of the tokens of a set, relative to 0; a caller adds where the vision part begins.

    mrope    (3, N) t, y, x; a model with 3-D rotary positions
    1d       (1, N) 0..N-1
    v2pe     (1, N) steps of `stride` < 1 (V2PE)
    shared   (1, N) exactly `n_pos` different ids, each shared by neighbours (MouSi)
    scaled   (1, N) 0..N-1 multiplied by `factor` (Visual Context Window Extension)

Ids are float32 where they are fractions.  bfloat16 cannot tell them apart (steps of 1/16 from 1000 on: 36 different ids
of 4096), so it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..types import TokenSet


def position_ids(
    tokens: TokenSet,
    scheme: str = "mrope",
    *,
    stride: float = 1.0,
    n_pos: float = 1,
    factor: float = 1.0,
    scale: float = 1.0,
    per_second: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Ids by `scheme`; see the module, and `mrope_ids` for `scale` and `per_second`."""
    if dtype in (torch.bfloat16, torch.float16):
        raise ValueError(f"{dtype} cannot hold position ids; use float32 or integers")
    if scheme == "mrope":
        return mrope_ids(tokens, scale, per_second).to(dtype)
    row = torch.arange(len(tokens), device=tokens.x.device)
    if scheme == "1d":
        return row[None].to(dtype)
    if scheme == "v2pe":
        return (row.double() * stride)[None].to(dtype)
    if scheme == "scaled":
        return (row.double() * factor)[None].to(dtype)
    if scheme == "shared":
        count = min(int(n_pos), len(tokens))
        return (row * count // len(tokens))[None].to(dtype)
    raise ValueError(f"there is no position scheme {scheme!r}")


def mrope_ids(tokens: TokenSet, scale: float = 1.0, per_second: float | None = None) -> Tensor:
    """(3, N) int64 t, y, x in the units of a model.

    scale         steps of y and x per cell of the grid; a merged token stands at its mean position, halves round up
    per_second    steps of t per second since the first frame, rounded down; None counts frames
    """
    t, y, x = tokens.pos.double().unbind(1)
    sides = [max(1, round(side * scale)) for side in tokens.shape[1:]]
    across = [torch.floor((at + 0.5) * scale).clamp(max=side - 1) for at, side in zip((y, x), sides, strict=True)]
    if per_second is None:
        along = torch.floor(t + 0.5)
    else:
        along = torch.floor(seconds_of(tokens) * per_second + 1e-6)
    return torch.stack([along, *across]).long()


def seconds_of(tokens: TokenSet) -> Tensor:
    """(N,) float64 seconds since the first frame, of mean positions between frames, too."""
    t = tokens.pos[:, 0].double()
    times = tokens.times.to(t)
    before = t.floor().long().clamp(0, len(times) - 1)
    after = (before + 1).clamp(max=len(times) - 1)
    return times[before] + (times[after] - times[before]) * (t - before) - times[0]
