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

import math
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
    seconds: float | None = None,
    per_second: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Ids by `scheme`; see the module.

    seconds, per_second   mrope: t counts floor(t * seconds * per_second), seconds of one grid step; None counts frames
    """
    if dtype in (torch.bfloat16, torch.float16):
        raise ValueError(f"{dtype} cannot hold position ids; use float32 or integers")
    if scheme == "mrope":
        return mrope_ids(tokens, seconds, per_second).to(dtype)
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


def mrope_ids(tokens: TokenSet, seconds: float | None = None, per_second: float = 1.0) -> Tensor:
    """(3, N) int64.  Merged tokens get the rounded mean position; halves round up."""
    whole = torch.floor(tokens.pos.double() + 0.5)
    t = whole[:, 0]
    if seconds is not None:
        t = torch.floor(t * seconds * per_second + 1e-9)
    return torch.stack([t, whole[:, 1], whole[:, 2]]).long()


def next_id(ids: Tensor, rule: str = "max") -> int:
    """Where text goes on after vision ids that start at 0: "max" is ceil(last) + 1; "hw" looks at y and x alone."""
    rows = ids[1:] if rule == "hw" and len(ids) == 3 else ids
    return math.ceil(float(rows.max())) + 1
