"""Pooling, positions and transforms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tessera.models.tokens import TokenSet

from ....support.mutation import Mutant, always, asking, drawn
from .. import test_invariants as invariants
from .. import test_lm as lm
from .. import test_rows_pool as pooling
from .common import random_tokens


def previous_frame(f: Any) -> Any:
    """Slow frames measured from the frame before, not from the last slow one."""

    def run(tokens: TokenSet, context: Any, by: str = "similarity", threshold: float = 0.9) -> list[bool]:
        x = torch.nn.functional.normalize(tokens.x, dim=1).view(tokens.shape[0], -1, tokens.x.shape[1])
        near = (x[1:] * x[:-1]).sum(-1).mean(1)
        return [True, *(near < threshold).tolist()]

    return run


def same_places(f: Any) -> Any:
    def run(grid: Any, count: int, layers: int) -> tuple[Tensor, Tensor]:
        values, places = f(grid, count, layers)
        return values, places[:1].expand_as(places)

    return run


def nothing_known(f: Any) -> Any:
    """Every frame sends its own coefficients, not the difference to what is known."""
    from tessera.models.tokens.cosine import dct

    def run(grid: Any, count: int, layers: int) -> tuple[Tensor, Tensor]:
        _, places = f(grid, count, layers)
        spectra = [dct(frame, (0, 1)).reshape(-1, frame.shape[2]) for frame in grid.x]
        return torch.stack([s[p] for s, p in zip(spectra, places, strict=True)]), places

    return run


def evenly_shared(f: Any) -> Any:
    return lambda total, shares, *given, **options: f(total, [1.0] * len(shares), *given, **options)


P = "methods.pool."
MUTANTS = (
    Mutant("rows.regroup", lambda f: lambda t, labels, weight=None, lattice=None: f(t, labels, None, lattice),
           pooling.test_row_1_ppllava),
    Mutant(P + "query_pool", asking(sharpness=-5.0), pooling.test_row_1_ppllava),
    Mutant(P + "query_pool", asking(sharpness=0.0), pooling.test_row_1_ppllava),
    Mutant(P + "weighted_pool", lambda f: lambda t, b, c, w: f(t, b, c, w.flip(0)), pooling.test_row_1_ppllava),
    Mutant(P + "pool", random_tokens, pooling.test_row_12_pool_is_the_mean_of_windows),
    Mutant("raster.windows", lambda f: lambda *given: f(*given)[drawn(f(*given).numel()).argsort()],
           pooling.test_row_12_pool_is_the_mean_of_windows),
    Mutant(P + "bricks", lambda f: lambda h, w, n: torch.arange(h * w) % n,
           pooling.test_bricks_are_rectangles_of_like_size),
    Mutant(P + "bricks", lambda f: lambda h, w, n: torch.arange(h * w) * n // (h * w),
           pooling.test_row_12_pool_is_the_mean_of_windows),
    Mutant(P + "slow_frames", previous_frame, pooling.test_row_48_frames_are_compared_with_the_last_slow_one),
    Mutant(P + "slow_frames", lambda f: lambda t, c, *g, **o: [k % 6 == 0 for k in range(t.shape[0])],
           pooling.test_row_48_keye),
    Mutant(P + "_by_bits", lambda f: lambda spent, t: [True, *(b > (1 - t) * spent[0] for b in spent[1:])],
           pooling.test_row_48_frames_are_compared_with_the_last_slow_one),
    Mutant(P + "slowfast", asking(fast_ratio=1.0), pooling.test_row_48_keye),
    Mutant(P + "first_full", asking(group=3), pooling.test_row_73_visual_context_window),
    Mutant(P + "thumbnail", random_tokens, pooling.test_row_18_tsllava),
    Mutant(P + "_tiled", lambda f: lambda small, *given: small, pooling.test_row_18_tsllava),
    Mutant(P + "dual", asking(segments=1), pooling.test_row_49_videogpt),
    Mutant(P + "dual", random_tokens, pooling.test_row_49_videogpt),
    Mutant(P + "fuse", lambda f: lambda grids: replace(f(grids), x=f(grids).x.roll(1, 2)),
           pooling.test_row_32_mousi_fuse),
    Mutant("prompt.positions.position_ids", lambda f: lambda t, scheme="mrope", **o: f(t, "1d"),
           pooling.test_row_32_mousi_positions),
    Mutant("prompt.positions.position_ids", lambda f: lambda t, scheme="mrope", **o: f(t, "1d"), lm.test_row_20_v2pe),
    Mutant("prompt.positions.position_ids", lambda f: lambda t, scheme="mrope", **o: f(t, scheme),
           pooling.test_row_73_visual_context_window),
    Mutant("methods.budget.proportional", evenly_shared,
           pooling.test_proportional_is_exact),
    Mutant("cosine.dct", lambda f: lambda x, axes, inverse=False: x, pooling.test_row_14_fourier),
    Mutant("cosine.Basis.gain", always(1.0), pooling.test_row_14_fourier),
    Mutant("methods.transform.cosine", random_tokens, pooling.test_row_14_fourier),
    Mutant("methods.transform.zigzag", lambda f: lambda full: f(full).flip(0), pooling.test_row_14_fourier),
    Mutant("methods.transform.progressive", same_places, pooling.test_row_2_pvc),
    Mutant("methods.transform.progressive", nothing_known, pooling.test_row_2_pvc),
    Mutant("methods.transform.zigzag", lambda f: lambda full: torch.arange(full[0] * full[1] * full[2]),
           pooling.test_row_2_pvc),
    Mutant("methods.transform.rebuild", lambda f: lambda values, *g: f(values, *g).flip(0), pooling.test_row_2_pvc),
    Mutant("types.fill_dropped", lambda f: lambda assign, fill: assign, invariants.test_dropped_cells_can_be_filled),
)  # fmt: skip
