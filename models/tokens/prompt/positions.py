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

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import integer, one_of, options_among, positive

if TYPE_CHECKING:
    from ..types import TokenSet


SCHEMES = {"mrope": ("scale", "per_second"), "1d": (), "v2pe": ("stride",), "shared": ("n_pos",), "scaled": ("factor",)}


def position_ids(tokens: TokenSet, scheme: str = "mrope", **options: Any) -> Tensor:
    """Ids by `scheme`, of `dtype`; see the module for the option of each, and `mrope_ids` for those of mrope."""
    one_of("scheme", scheme, tuple(SCHEMES))
    options_among(f"position scheme {scheme}", options, (*SCHEMES[scheme], "dtype"))
    dtype = options.pop("dtype", torch.float32)
    if not isinstance(dtype, torch.dtype) or dtype in (torch.bfloat16, torch.float16, torch.bool):
        raise ParameterError(f"dtype {dtype} cannot hold position ids; use float32 or integers")
    if scheme == "mrope":
        return mrope_ids(tokens, **options).to(dtype)
    row = torch.arange(len(tokens), device=tokens.x.device)
    if scheme == "v2pe":
        return (row.double() * positive("stride", options.get("stride", 1.0)))[None].to(dtype)
    if scheme == "scaled":
        return (row.double() * positive("factor", options.get("factor", 1.0)))[None].to(dtype)
    if scheme == "shared":
        count = min(integer("n_pos", options.get("n_pos", 1), 1), len(tokens))
        return (row * count // len(tokens))[None].to(dtype)
    return row[None].to(dtype)


def mrope_ids(tokens: TokenSet, scale: float = 1.0, per_second: float | None = None) -> Tensor:
    """(3, N) int64 t, y, x in the units of a model.

    scale         steps of y and x per cell of the grid; a merged token stands at its mean position, halves round up
    per_second    steps of t per second since the first frame, rounded down; None counts frames
    """
    scale = positive("scale", scale)
    t, y, x = tokens.pos.double().unbind(1)
    sides = [max(1, round(side * scale)) for side in tokens.shape[1:]]
    across = [torch.floor((at + 0.5) * scale).clamp(max=side - 1) for at, side in zip((y, x), sides, strict=True)]
    if per_second is None:
        along = torch.floor(t + 0.5)
    else:
        along = torch.floor(seconds_of(tokens) * positive("per_second", per_second) + 1e-6)
    return torch.stack([along, *across]).long()


def seconds_of(tokens: TokenSet) -> Tensor:
    """(N,) float64 seconds since the first frame, of mean positions between frames, too."""
    t = tokens.pos[:, 0].double()
    times = tokens.times.to(t)
    before = t.floor().long().clamp(0, len(times) - 1)
    after = (before + 1).clamp(max=len(times) - 1)
    return times[before] + (times[after] - times[before]) * (t - before) - times[0]
