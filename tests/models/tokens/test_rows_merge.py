"""Published systems that merge tokens: each row of docs/tokens.md against the algorithm written out loop by loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.models.tokens import Adaptive, TokenSet, reduce, start
from tessera.models.tokens.methods.cluster import density_peaks, fill_empty, kmeans
from tessera.models.tokens.methods.matching import bipartite, greedy_labels
from tessera.models.tokens.methods.merge import calibrate
from tessera.models.tokens.methods.select import outlier_ratio

from ...support.token_references import (
    absorbing,
    best,
    cosine,
    followers,
    k_means,
    matching,
    mean_of,
    partition,
    rows_of,
)
from ...support.token_references import density_peaks as peaks
from ...support.token_samples import grid_of, random_grid, run, static_grid


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parts_of(tokens: TokenSet, labels: Tensor | None = None) -> set[frozenset[int]]:
    return partition(tokens.assign if labels is None else labels)


def one_frame(label: Callable[..., Tensor], *rows: Tensor, count: int, **options: Any) -> Tensor:
    """Labels of a batch of one frame without padding."""
    valid = torch.ones(1, len(rows[0]), dtype=torch.bool)
    return label(*(row[None] for row in rows), valid, torch.tensor([count]), **options)[0]


def test_row_41_tome() -> None:
    """Partners and their order in every pass, with sizes as masses; threshold and count."""
    sizes = torch.tensor([1, 9, 1, 1, 5, 1, 1, 1, 7, 1, 1, 1, 1])
    for seed, (count, threshold) in itertools.product((1, 2, 3), ((9, -2.0), (3, -2.0), (1, -2.0), (1, 0.3))):
        x = torch.randn(13, 4, generator=seeded(seed))
        wanted = {frozenset(part) for part in matching(x.double().numpy(), sizes.tolist(), count, threshold)}
        assert partition(one_frame(bipartite, x, sizes, count=count, threshold=threshold)) == wanted
    grid = random_grid(2, 3, 5, 6)
    wanted = set()
    for t, n in ((0, 5), (1, 6)):
        parts = matching(rows_of(grid.x[t]), [1] * 15, n)
        wanted |= {frozenset(15 * t + cell for cell in part) for part in parts}
    tokens = run("tome", grid, 11)
    assert parts_of(tokens) == wanted
    for row, part in ((row, (tokens.assign == row).nonzero().flatten().tolist()) for row in range(11)):
        assert np.allclose(tokens.x[row], mean_of(rows_of(grid.x), part), atol=1e-5)


def test_row_41_dymu_counts() -> None:
    flat = grid_of(torch.ones(1, 6, 6, 8) + 0.01 * random_grid(1, 6, 6, 8).x)
    busy = random_grid(1, 6, 6, 8)
    few, many = (reduce(grid, "tome", Adaptive(0.9, 64)) for grid in (flat, busy))
    assert len(few) == len(matching(rows_of(flat.x), [1] * 36, 1, 0.9)) < len(many) <= 36
    sets = [start(random_grid(1, 6, 6, 8, seed=k)) for k in range(4)]
    for wanted in (12, 24):
        threshold = calibrate(sets, wanted)
        counts = [int(one_frame(bipartite, s.x, s.size, count=1, threshold=threshold).max()) + 1 for s in sets]
        assert abs(sum(counts) / 4 - wanted) < 2


def test_row_4_greedy() -> None:
    grid = random_grid(2, 3, 4, 3)
    wanted = set()
    for t in range(2):
        parts = absorbing(rows_of(grid.x[t]), 0.5)
        wanted |= {frozenset(12 * t + cell for cell in part) for part in parts}
    found = reduce(grid, "greedy", Adaptive(0.5, 24))
    assert 4 < len(wanted) < 20 and parts_of(found) == wanted
    for part in (found.assign[:12] == 0).nonzero().flatten()[None].tolist():
        assert np.allclose(found.x[0], mean_of(rows_of(grid.x), part), atol=1e-5)


def test_row_4_greedy_labels_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1], [0.1, 3.0]])
    assert greedy_labels(x[None], torch.ones(1, 4, dtype=torch.bool), 0.8).tolist() == [[0, 1, 0, 1]]


def test_row_28_vqtoken() -> None:
    """The parts of Lloyd's algorithm; the error falls with their number, far below that of random parts, to 0."""
    grid = random_grid(3, 4, 4, 5)
    x = rows_of(grid.x)
    assert kmeans(grid.x.view(48, 5), 6, 5).tolist() == k_means(x, 6, 5)
    assert parts_of(run("vq", grid, 9, iterations=4)) == partition(k_means(x, 9, 4))
    errors = []
    for count in (4, 12, 24, 48):
        tokens = run("vq", grid, count)
        assert len(tokens) == count and tokens.assign.shape == (48,)
        errors.append(float((tokens.unmerge() - grid.x).square().mean()))
    assert all(b < a for a, b in itertools.pairwise(errors)) and errors[-1] == 0
    at_random = start(grid).x.view(12, 4, 5)
    assert errors[1] < 0.6 * float((at_random - at_random.mean(1, keepdim=True)).square().mean())


def test_row_28_unused_labels_get_the_farthest_rows() -> None:
    labels, distance = torch.tensor([0, 0, 0, 2, 2]), torch.tensor([0.1, 3.0, 2.0, 5.0, 4.0])
    assert fill_empty(labels, distance, 4).tolist() == [0, 3, 0, 1, 2]


def test_row_65_tempme() -> None:
    """Frames pair up cell by cell, T -> T/2 -> ..., each level the mean of two; then space, to the exact count."""
    grid = random_grid(8, 3, 4, 6)
    for count, frames in ((48, 2), (24, 4), (12, 8)):
        tokens = run("tempme", grid, count)
        assert torch.allclose(tokens.x, grid.x.view(-1, frames, 12, 6).mean(1).view(-1, 6), atol=1e-5)
    space = run("tempme", grid, 5)
    once = matching(rows_of(grid.x.mean(0)), [8] * 12, 5)
    assert parts_of(space) == {frozenset(12 * t + cell for cell in part for t in range(8)) for part in once}
    still = static_grid(8, 4, 4)
    assert torch.allclose(run("tempme", still, 16).x, still.x[0].flatten(0, 1), atol=1e-6)


def test_row_78_setok() -> None:
    """The parts of density peaks, for a count and by content; more different objects make more units."""
    x = torch.randn(30, 4, generator=seeded(5))
    rows = x.double().numpy()
    assert one_frame(density_peaks, x, count=7, neighbourhood=5).tolist() == peaks(rows, 7, 5)
    assert one_frame(density_peaks, x, count=20, neighbourhood=3, threshold=0.6).tolist() == peaks(rows, 20, 3, 0.6)
    grid = random_grid(2, 4, 4, 3)
    wanted = set()
    for t in range(2):
        wanted |= {frozenset(16 * t + n for n in part) for part in partition(peaks(rows_of(grid.x[t]), 4, 5))}
    assert parts_of(run("dpc", grid, 8)) == wanted
    counts = []
    for objects in (1, 3, 5):
        plain = torch.zeros(1, 12, 12, 8)
        for k in range(objects):
            plain[0, 2 * k + 1 : 2 * k + 3, 3:9] = 4 * torch.eye(8)[k]
        plain = plain + 0.01 * torch.randn(plain.shape, generator=seeded(k))
        tokens = reduce(grid_of(plain), "dpc", Adaptive(0.3, 40))
        assert bool((tokens.assign >= 0).all()) and int(tokens.size.sum()) == 144
        counts.append(len(tokens))
    assert counts == [2, 4, 6]


def test_row_5_runs() -> None:
    """The cells that change most begin a run; each of the others follows the last beginning in its own column."""
    grid = random_grid(5, 2, 3, 4)
    x = grid.x.flatten(1, 2).double().numpy()
    unlike = [2.0] * 6 + [1 - cosine(x[t, n], x[t - 1, n]) for t in range(1, 5) for n in range(6)]
    heads = best(unlike, 13)
    parts: dict[int, list[int]] = {head: [] for head in heads}
    for cell in range(30):
        begun = [head for head in heads if head <= cell and head % 6 == cell % 6]
        parts[begun[-1]].append(cell)
    tokens = run("runs", grid, 13)
    assert parts_of(tokens) == {frozenset(part) for part in parts.values()} and tokens.index.tolist() == heads
    for row, part in enumerate(parts.values()):
        assert np.allclose(tokens.x[row], mean_of(rows_of(grid.x), part), atol=1e-5)
    late = torch.zeros(5, 2, 3)
    late[3, :, :] = 1.0
    assert reduce(grid, "runs", 6, score=late).assign.tolist() == [-1] * 18 + [0, 1, 2, 3, 4, 5] * 2


def test_row_5_fastvid_and_prunevid() -> None:
    """Runs along time first, twice as many as are left in the end, then the merging of each frame."""
    grid = random_grid(4, 3, 3, 4)
    first = run("runs", grid, 24)
    for recipe, second in (("fastvid", "dpc"), ("prunevid", "tome")):
        tokens = run(recipe, grid, 12)
        assert len(tokens) == 12
        inner = {frozenset(part) for part in parts_of(first)}
        assert all(any(small <= part for part in parts_of(tokens)) for small in inner), "runs are never cut"
        assert parts_of(tokens) == parts_of(reduce(grid, [("runs", {"budget": 24}), (second, {})], 12))


def test_row_5_visionzip() -> None:
    """The tokens of most attention alone; the others join whichever of the evenly spaced rest they are most like."""
    grid = random_grid(1, 5, 6, 5)
    attn = torch.rand(30, generator=seeded(3))
    x = rows_of(grid.x)
    kept = best(attn.tolist(), 11)
    rest = [n for n in range(30) if n not in kept]
    centres = [rest[0], rest[-1]]
    toward = {n: n if n in centres else max(centres, key=lambda c: cosine(x[n], x[c])) for n in rest}
    wanted = {frozenset({n}) for n in kept} | {frozenset(n for n in rest if toward[n] == c) for c in centres}
    tokens = run("visionzip", grid, 13, attn=attn)
    assert parts_of(tokens) == wanted
    for row in range(13):
        part = (tokens.assign == row).nonzero().flatten().tolist()
        assert np.allclose(tokens.x[row], mean_of(x, part), atol=1e-5)


def test_row_79_prumerge() -> None:
    """Most attention and equal steps; each takes in its nearest dropped ones, all weighted by attention."""
    grid = random_grid(1, 6, 6, 5)
    attn = torch.rand(36, generator=seeded(3))
    attn[[5, 20, 30]] = 9.0
    assert outlier_ratio(attn) == pytest.approx(3 / 36) and outlier_ratio(torch.ones(100)) == 0
    assert len(run("prumerge", grid, 0.001, attn=attn)) == 1
    x = rows_of(grid.x)
    even = [0, 11, 23, 35]
    kept = sorted(even + best([-1.0 if n in even else float(attn[n]) for n in range(36)], 6))
    wanted = followers(x, kept, 2)
    tokens = run("prumerge", grid, 10, attn=attn, uniform=0.4, neighbours=2)
    assert tokens.index.tolist() == kept and {5, 20, 30} <= set(kept)
    for row, k in enumerate(kept):
        assert set((tokens.assign == row).nonzero().flatten().tolist()) == set(wanted[k])
        assert np.allclose(tokens.x[row], mean_of(x, wanted[k], attn[wanted[k]].tolist()), atol=1e-5)
    shares = torch.zeros(10).index_add(0, tokens.assign.clamp_min(0), tokens.share)
    assert torch.allclose(shares, torch.ones(10)) and bool((tokens.share >= 0).all()), "convex"
