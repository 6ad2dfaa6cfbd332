"""Methods that merge tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tessera.models.tokens.rows import take

from ....support.mutation import Mutant, always, asking, drawn, without
from .. import test_nearby as nearby
from .. import test_rows_merge as merging
from .common import random_tokens


def even_parts(x: Tensor, counts: Tensor) -> Tensor:
    """(F, P) labels of rows that stand beside each other."""
    return torch.arange(x.shape[1]) * counts[:, None] // x.shape[1]


def striped(f: Any) -> Any:
    """Labels dealt out in turn."""
    return lambda x, count, *given: torch.arange(len(x)) % count


def random_partners(f: Any) -> Any:
    def match(a: Tensor, b: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        return drawn(*a.shape[:2]), (drawn(*a.shape[:2]) * b.shape[1]).long()

    return match


def kept_alone(f: Any) -> Any:
    """Nothing is absorbed."""
    return lambda tokens, kept, *given: take(tokens, kept)


def one_group(f: Any) -> Any:
    return lambda tokens, kept, groups: f(tokens, kept, 1)


M = "methods.merge."
MUTANTS = (
    Mutant("methods.nearby.best_match", random_partners, merging.test_row_41_tome),
    Mutant("methods.nearby.best_match", random_partners, merging.test_row_79_prumerge),
    Mutant("methods.nearby.best_match", random_partners, merging.test_row_5_visionzip),
    Mutant("methods.matching.bipartite", lambda f: lambda x, size, valid, counts, *g, **o: even_parts(x, counts),
           merging.test_row_41_tome),
    Mutant("methods.matching.bipartite", lambda f: lambda x, size, *g, **o: f(x, torch.ones_like(size), *g, **o),
           merging.test_row_41_tome),
    Mutant("methods.matching.bipartite", without("threshold"), merging.test_row_41_tome),
    Mutant(M + "tome", random_tokens, merging.test_row_41_tome),
    Mutant(M + "calibrate", always(0.5), merging.test_row_41_dymu_counts),
    Mutant(M + "greedy", lambda f: lambda t, b, c: f(t, b.max_tokens // 2, c), merging.test_row_4_greedy),
    Mutant("methods.matching.greedy_labels", lambda f: lambda x, *g: torch.arange(x.shape[1]).expand(x.shape[:2]) // 2,
           merging.test_row_4_greedy_labels_by_hand),
    Mutant("methods.matching.greedy_labels", lambda f: lambda x, *g: torch.arange(x.shape[1]).repeat(len(x), 1),
           merging.test_row_4_greedy),
    Mutant(M + "vq", random_tokens, merging.test_row_28_vqtoken),
    Mutant(M + "vq", asking(iterations=0), merging.test_row_28_vqtoken),
    Mutant("methods.cluster.kmeans", striped, merging.test_row_28_vqtoken),
    Mutant("methods.cluster.fill_empty", lambda f: lambda labels, *given: labels,
           merging.test_row_28_unused_labels_get_the_farthest_rows),
    Mutant("methods.cluster.density_peaks", lambda f: lambda x, valid, counts, *g, **o: even_parts(x, counts),
           merging.test_row_78_setok),
    Mutant("methods.cluster._density", lambda f: lambda far, *g: torch.ones_like(far[..., 0]),
           merging.test_row_78_setok),
    Mutant("methods.cluster._denser_of_all", lambda f: lambda x, valid, rank, row: (torch.ones_like(x[..., 0]).gather(
           1, row), torch.zeros_like(row)), merging.test_row_78_setok),
    Mutant("methods.nearby.row_max", lambda f: lambda x: f(x[..., : x.shape[-1] // 2]),
           nearby.test_blocks_and_groups_find_what_a_whole_matrix_finds),
    Mutant("methods.nearby.row_top", lambda f: lambda x, n: f(x[..., : x.shape[-1] // 2], n),
           nearby.test_blocks_and_groups_find_what_a_whole_matrix_finds),
    Mutant(M + "dpc", random_tokens, merging.test_row_78_setok),
    Mutant(M + "runs", random_tokens, merging.test_row_5_runs),
    Mutant(M + "runs", asking(score="random"), merging.test_row_5_runs),
    Mutant("methods.recipes.RECIPES[fastvid]", lambda r: replace(r, steps=r.steps[1:]),
           merging.test_row_5_fastvid_and_prunevid),
    Mutant("methods.recipes.RECIPES[prunevid]", lambda r: replace(r, steps=(*r.steps[:1], ("l2", {}))),
           merging.test_row_5_fastvid_and_prunevid),
    Mutant(M + "temporal_pairs", random_tokens, merging.test_row_65_tempme),
    Mutant(M + "keep_and_absorb", random_tokens, merging.test_row_79_prumerge),
    Mutant(M + "absorb", kept_alone, merging.test_row_79_prumerge),
    Mutant(M + "absorb", lambda f: lambda tokens, kept, n, weight=None: f(tokens, kept, n),
           merging.test_row_79_prumerge),
    Mutant(M + "absorb", lambda f: lambda tokens, kept, n, weight=None: f(tokens, kept, 99, weight),
           merging.test_row_79_prumerge),
    Mutant(M + "dominant", random_tokens, merging.test_row_5_visionzip),
    Mutant(M + "dominant", asking(score="random"), merging.test_row_5_visionzip),
    Mutant(M + "absorb_groups", one_group, merging.test_row_5_visionzip),
    Mutant("rows.regroup", lambda f: lambda t, labels, weight=None, lattice=None: f(t, labels, None, lattice),
           merging.test_row_79_prumerge),
)  # fmt: skip
