"""Published systems that select tokens or frames: each row of docs/tokens.md against a plain reading of its paper."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tessera.models.tokens import METHODS, TokenSet, list_methods, reduce, start
from tessera.models.tokens.methods.cluster import kcenter_rows
from tessera.models.tokens.methods.frames import keep_frames
from tessera.models.tokens.methods.registry import MECHANISMS
from tessera.models.tokens.methods.scores import Context, score
from tessera.models.tokens.methods.select import gumbel_mask, stages

from ...support.token_references import Rows, best, cosine, k_center, mean_of, rows_of
from ...support.token_samples import cut_grid, grid_of, random_grid, run


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cells_of(tokens: TokenSet) -> list[int]:
    """The cells that a set stands for."""
    found: list[int] = (tokens.assign >= 0).nonzero().flatten().tolist()
    return found


# -- scores ------------------------------------------------------------------------------------------------------------


def test_scores_are_what_their_names_say() -> None:
    grid = random_grid(3, 3, 4, 5)
    query = torch.randn(2, 5, generator=seeded(1))
    context = Context(grid, query=query)
    assert grid.bits is not None and grid.bits_prior is not None
    x, spent = grid.x.double().numpy(), grid.bits.double().numpy()
    found = {name: score(context, name).double().numpy() for name in ("novelty", "temporal", "change", "l2", "query")}
    typical = score(context, "density").double().numpy()
    assert torch.equal(score(context, "bits"), grid.bits) and torch.equal(score(context, "bits_prior"), grid.bits_prior)
    for t, i, j in np.ndindex(3, 3, 4):
        cell = x[t, i, j]
        wanted = {
            "novelty": spent[t, i, j] - spent[t].mean(),
            "temporal": 1 - cosine(cell, x[t - 1, i, j]) if t else 2,
            "change": np.linalg.norm(cell - x[t - 1, i, j]) if t else np.linalg.norm(cell),
            "l2": np.linalg.norm(cell),
            "query": max(cosine(cell, one) for one in query.double().numpy()),
        }
        for name, value in wanted.items():
            assert found[name][t, i, j] == pytest.approx(value, abs=1e-5), name
        near = [(i + a, j + b) for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0)) if 0 <= i + a < 3 and 0 <= j + b < 4]
        assert typical[t, i, j] == pytest.approx(np.mean([cosine(cell, x[t, a, b]) for a, b in near]), abs=1e-5)


def test_scores_multiply_without_turning_an_order_around() -> None:
    grid = random_grid(2, 3, 4, 5)
    found = score(Context(grid, query=torch.ones(5)), "bits^0.5*query").flatten()
    assert grid.bits is not None
    root, near = grid.bits.sqrt().flatten(), score(Context(grid, query=torch.ones(5)), "query").flatten()
    assert torch.allclose(found, (root - root.min()) * (near - near.min()), atol=1e-5)


def test_uniform_and_random_scores_spread() -> None:
    """Evenly spread: no window of the clip is empty.  Random: near the hypergeometric expectation, and by seed."""
    grid = random_grid(4, 8, 8, 2)
    rows = reduce(grid, "uniform", 64).index
    assert torch.bincount(rows // 16, minlength=16).min() >= 3
    hits = sum(len(set(reduce(grid, "random", 64, seed=k).index.tolist()) & set(range(128))) for k in range(50))
    assert 1450 < hits < 1750, "half of 3200"
    assert not torch.equal(reduce(grid, "random", 64, seed=1).index, reduce(grid, "random", 64, seed=2).index)


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_row_5_llmc() -> None:
    """The registry can run everything at one budget; a second question is answered from the same tokens or flagged."""
    grid = random_grid(6, 4, 5)
    entries = list_methods()
    assert {"name", "primitive", "axis", "needs", "stage", "query_dependent"} <= set(entries[0])
    for entry in entries:
        if entry["unit"] == "tokens":
            tokens = run(entry["name"], grid, 12)
            assert 6 <= len(tokens) <= 12
            assert tokens.query_dependent == entry["query_dependent"]


def test_row_5_evs() -> None:
    """Frame 0 whole, then the cells that are least like the frame before."""
    grid = random_grid(4, 3, 4, 6)
    x = grid.x.flatten(1, 2).double().numpy()
    unlike = [2.0] * 12 + [1 - cosine(x[t, n], x[t - 1, n]) for t in range(1, 4) for n in range(12)]
    assert run("evs", grid, 20).index.tolist() == best(unlike, 20)


def test_row_18_linspace() -> None:
    assert run("linspace", random_grid(2, 3, 5, 2), 8).index.tolist() == [0, 4, 8, 12, 16, 20, 24, 29]


def test_row_25_survey() -> None:
    kinds = {method.mechanism for method in METHODS.values()}
    assert kinds == set(MECHANISMS)
    assert all((method.mechanism == "attention") == ("attn" in method.needs) for method in METHODS.values())
    assert all((method.mechanism == "query") == ("query" in method.needs) for method in METHODS.values())


def test_row_26_feather() -> None:
    grid = random_grid(1, 16, 16, 4)
    by_row = torch.arange(16.0)[None, :, None].expand(1, 16, 16)
    plain = run("attn", grid, 64, attn=by_row)
    assert int(plain.pos[:, 1].min()) == 12, "top-k alone keeps the bottom rows"
    steps = {k * 255 // 15 for k in range(16)}
    rest = sorted((n for n in range(256) if n not in steps), key=lambda n: (-(n // 16), n))[:48]
    assert run("feather", grid, 64, attn=by_row).index.tolist() == sorted(steps | set(rest))


def test_row_26_every_square_keeps_its_best() -> None:
    grid = random_grid(1, 16, 16, 4)
    values = torch.rand(1, 16, 16, generator=seeded(2))
    flat = values.flatten().tolist()
    squares: dict[tuple[int, int], list[int]] = {}
    for n in range(256):
        squares.setdefault((n // 16 // 4, n % 16 // 4), []).append(n)
    must = {max(square, key=lambda n: flat[n]) for square in squares.values()}
    rest = best([-1.0 if n in must else flat[n] for n in range(256)], 20 - 16)
    assert reduce(grid, "select", 20, score=values, cell=4).index.tolist() == sorted(must | set(rest))


def test_row_26_both_stages() -> None:
    """The second stage chooses among what the first one kept, by the same score, and again at equal steps."""
    grid = random_grid(1, 8, 8, 4)
    values = torch.rand(1, 8, 8, generator=seeded(3))
    two = stages(start(grid), Context(grid), ((0, 24), (2, 8)), values, uniform=0.25)
    assert two.schedule is not None and set(two.schedule.keep) == {2}

    def kept(flat: list[float], count: int) -> list[int]:
        steps = {k * (len(flat) - 1) // (count // 4 - 1) for k in range(count // 4)}
        rest = best([-1.0 if n in steps else flat[n] for n in range(len(flat))], count - len(steps))
        return sorted(steps | set(rest))

    first = kept(values.flatten().tolist(), 24)
    assert two.index.tolist() == first
    assert two.schedule.keep[2].tolist() == kept(values.flatten()[first].tolist(), 8)


def test_row_36_vtc_cls() -> None:
    grid = random_grid(2, 4, 5)
    attn = torch.rand(5, 4, 40, generator=seeded(8))
    rank = [float(attn[:-1, :, n].mean(1).sum()) for n in range(40)]
    assert run("attn", grid, 12, attn=attn).index.tolist() == best(rank, 12)


def test_row_39_s5() -> None:
    """Exactly k ones, drawn as often as their odds say; gradients are those of the soft choice."""
    logits = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0]).expand(4000, 5).clone().requires_grad_()
    mask = gumbel_mask(logits, 1, seeded(0))
    assert bool((mask.detach().round().sum(-1) == 1).all()) and set(mask.detach().round().unique().tolist()) == {0, 1}
    assert torch.allclose(mask.detach().mean(0), torch.softmax(logits[0].detach(), 0), atol=0.03)
    two = gumbel_mask(logits, 2, seeded(1))
    assert bool((two.detach().round().sum(-1) == 2).all())
    (mask * torch.arange(5.0)).sum().backward()
    assert logits.grad is not None and float(logits.grad.sum().abs()) < 1e-2, "a softmax moves no total"
    assert float(logits.grad.mean(0)[0]) < -0.1 and float(logits.grad.mean(0)[-1]) > 0.1, "toward what counts more"


def test_row_39_tokens_stay_in_the_order_of_time() -> None:
    values = torch.rand(6, 8, 10, generator=seeded(4))
    tokens = reduce(random_grid(), "select", 40, score=values)
    assert tokens.index.tolist() == best(values.flatten().tolist(), 40)


def test_row_50_todre() -> None:
    """The rows that greedy k-center chooses, at most twice as far from the others as the best possible."""
    x = torch.randn(12, 3, generator=seeded(4)).double()
    distance = torch.cdist(x, x)
    radius = min(float(distance[list(c)].amin(0).max()) for c in itertools.combinations(range(12), 4))
    rows = kcenter_rows(x, 4).tolist()
    assert rows == k_center(x.numpy(), 4) and float(distance[rows].amin(0).max()) <= 2 * radius
    grid = random_grid(2, 4, 5, 6)
    cells = rows_of(grid.x)
    longest = int(np.argmax(np.linalg.norm(cells, axis=1)))
    assert run("kcenter", grid, 9).index.tolist() == sorted(k_center(cells, 9, longest))


def test_row_58_recoverable() -> None:
    """The longest vectors, then those nearest to the query, the rest merged into evenly spaced ones."""
    grid = random_grid(1, 6, 6, 8)
    query = torch.randn(8, generator=seeded(6))
    cells, asked = rows_of(grid.x), query.double().numpy()
    visual = best([float(np.linalg.norm(cell)) for cell in cells], 14)
    near = best([-2.0 if n in visual else cosine(cells[n], asked) for n in range(36)], 4)
    single = sorted(visual + near)
    rest = [n for n in range(36) if n not in single]
    centres = [rest[0], rest[-1]]
    tokens = run("recover", grid, 20, query=query)
    assert len(tokens) == 20
    parts = {frozenset({n}) for n in single}
    toward = {n: max(centres, key=lambda c: cosine(cells[n], cells[c])) for n in rest}
    parts |= {frozenset(n for n in rest if toward[n] == c) for c in centres}
    assert {frozenset((tokens.assign == row).nonzero().flatten().tolist()) for row in range(20)} == parts
    without = reduce(grid, "recover", 20)
    assert not without.query_dependent
    assert set(best([float(np.linalg.norm(cell)) for cell in cells], 18)) <= set(without.index.tolist())


def test_row_69_slime() -> None:
    """The global tokens stay whatever is asked; a tile that has nothing to do with the question adds nothing."""
    query = torch.zeros(8)
    query[0] = 1
    view, tiles = random_grid(1, 4, 4, 8), random_grid(4, 4, 4, 8, seed=3)
    tiles.x[2, ..., 0] = -5
    both = reduce(tiles, "query", 20, query=query)
    near = [cosine(cell, query.double().numpy()) for cell in rows_of(tiles.x)]
    assert both.index.tolist() == best(near, 20) and 2 not in both.frames.tolist()
    without = grid_of(tiles.x[[0, 1, 3]])
    assert torch.equal(both.x, reduce(without, "query", 20, query=query).x)
    assert len(start(view)) == 16


def test_row_72_free_video() -> None:
    """The frames nearest to the query, then the box that holds the most of it, found by looking at every box."""
    grid = random_grid(12, 8, 10, 8)
    planted = torch.randn(8, generator=seeded(2))
    grid.x[3:7, 4:6, 6:9] = 4 * planted
    tokens = reduce(grid, "freevideo", (6, 3, 4), query=planted)
    near = score(Context(grid, query=planted), "query")
    frames = best(near.amax((1, 2)).tolist(), 6)
    assert tokens.pos[:, 0].unique().tolist() == frames and {3, 4, 5, 6} <= set(frames), "absolute frames"
    near = near[frames].sum(0)
    boxes = {(y, x): float(near[y : y + 3, x : x + 4].sum()) for y in range(6) for x in range(7)}
    top, left = max(boxes, key=lambda box: boxes[box])
    inside = itertools.product(frames, range(top, top + 3), range(left, left + 4))
    assert tokens.pos.tolist() == [list(map(float, cell)) for cell in inside]


def test_row_74_vts_floor() -> None:
    grid = random_grid()
    values = torch.rand(6, 8, 10, generator=seeded(1))
    above = (values.flatten() >= 0.9).nonzero().flatten().tolist()
    kept = reduce(grid, "select", 100, score=values, floor=0.9)
    assert kept.index.tolist() == best(values.flatten().tolist(), 100) and set(above) <= set(kept.index.tolist())
    with pytest.raises(ValueError, match=f"{len(above)} tokens score at least 0.9"):
        reduce(grid, "select", len(above) - 1, score=values, floor=0.9)


# -- frames ------------------------------------------------------------------------------------------------------------


def test_row_3_kffocus() -> None:
    """Key frames by their bits; tokens of a frame in proportion to its bits, the richest cells of each."""
    grid = cut_grid()
    assert grid.bits is not None
    assert torch.unique(run("frames", grid, 4).frames).tolist() == [0, 6, 13, 19]
    tokens = run("cuts", grid, 60)
    spent = grid.bits.flatten(1).double()
    share = (spent.sum(1) / spent.sum()).tolist()
    splits = tokens.frame_splits.tolist()
    assert sum(splits) == 60 and all(abs(n - 1 - 36 * part) < 1 for n, part in zip(splits, share, strict=True))
    for t, n in enumerate(splits):
        assert (tokens.index[tokens.frames == t] - 16 * t).tolist() == best(spent[t].tolist(), n)


def diverse(vectors: Rows, count: int, even: int) -> list[int]:
    """Frames at equal steps, then one by one the frame of least mean cosine to those chosen."""
    chosen = [k * (len(vectors) - 1) // (even - 1) for k in range(even)]
    while len(chosen) < count:
        mean = {t: np.mean([cosine(vectors[t], vectors[c]) for c in chosen]) for t in range(len(vectors))}
        chosen.append(min((t for t in mean if t not in chosen), key=lambda t: mean[t]))
    return sorted(chosen)


def test_row_4_diverse_frames() -> None:
    grid = random_grid(14, 2, 3, 6)
    means = grid.x.double().mean((1, 2)).numpy()
    assert torch.unique(run("diverse_frames", grid, 8, uniform=0.4).frames).tolist() == diverse(means, 8, 3)
    assert torch.unique(run("uniform_frames", grid, 5).frames).tolist() == [0, 3, 6, 9, 13]


def test_row_4_dcode() -> None:
    """Half of the frames, evenly and by difference; of each the longest vectors; similar ones of these merged."""
    grid = random_grid(12, 3, 3, 6)
    tokens = run("dcode", grid, 24)
    frames = diverse(grid.x.double().mean((1, 2)).numpy(), 6, 5)
    lengths = grid.x.flatten(1, 2).norm(dim=2).tolist()
    wanted = [9 * t + n for t in frames for n in best(lengths[t], 5)]
    assert len(tokens) == 24 and cells_of(tokens) == wanted
    assert tokens.frame_splits[frames].tolist() == [4] * 6


def test_row_11_repeats_are_measured_from_the_last_frame_kept() -> None:
    """A drift of two degrees a frame never differs from the frame before, and still adds up."""
    angle = torch.arange(30) * (torch.pi / 90)
    x = torch.stack([angle.cos(), angle.sin()], 1)[:, None, None].expand(30, 2, 2, 2).clone()
    kept, wanted = [0], torch.cos(torch.tensor(13 * torch.pi / 180))
    for t in range(1, 30):
        if torch.cos(angle[t] - angle[kept[-1]]) < wanted:
            kept.append(t)
    found = run("drop_repeats", grid_of(x), 30, threshold=float(wanted))
    assert len(kept) == 5 and torch.unique(found.frames).tolist() == kept
    assert torch.unique(run("drop_repeats", cut_grid(), 4).frames).tolist() == [0, 6, 13, 19]


def test_row_11_bvllm() -> None:
    """Frames and cells near the query end at an exact count; what is asked for is among them."""
    planted = torch.randn(8, generator=seeded(9))
    for t in (1, 2, 3, 17, 200):
        grid = random_grid(t, 3, 3, 8)
        grid.x[t // 2, 1, 1] = 3 * planted
        tokens = run("bvllm", grid, 6, query=planted)
        assert len(tokens) == 6 and tokens.assign.view(t, 3, 3)[t // 2, 1, 1] >= 0
    near = torch.tensor([cosine(cell, planted.double().numpy()) for cell in rows_of(grid.x)])
    held = near[cells_of(tokens)]
    assert float(held.min()) > float(near.quantile(0.97)), "cells near the query only"


def test_row_45_f2c() -> None:
    """Runs of frames of most bits, none beside another's frame; longer ones at lower resolution."""
    bits = torch.ones(24, 8, 8)
    bits[5:9] = 4.0
    bits[15:19] = 3.0
    bits[10] = 6.0  # one rich frame is less than four
    grid = grid_of(random_grid(24, 8, 8, 4).x, bits)
    two = reduce(grid, "clips", 384, clips=2, length=4)
    sums = [float(bits[t : t + 4].sum()) for t in range(21)]
    chosen: list[int] = []
    for first in sorted(range(21), key=lambda t: -sums[t]):
        if len(chosen) < 2 and all(abs(first - other) >= 4 for other in chosen):
            chosen.append(first)
    assert torch.unique(two.frames).tolist() == sorted(t for first in chosen for t in range(first, first + 4))
    assert two.lattice == (8, 8, 6)
    for clips, length in ((3, 4), (2, 8), (6, 4)):
        tokens = reduce(grid, "clips", 384, clips=clips, length=length)
        frames = torch.unique(tokens.frames).tolist()
        assert len(frames) == clips * length
        assert sum(b - a == 1 for a, b in itertools.pairwise(frames)) >= clips * (length - 1)
        t, h, w = tokens.lattice or (0, 0, 0)
        assert 0 <= min(384, t * 64) - t * h * w < t * max(h, w) + 1
    cell = two.x[0].double().numpy()
    inside = rows_of(grid.x)[(two.assign == 0).nonzero().flatten().tolist()]
    assert np.allclose(cell, mean_of(inside, range(len(inside))), atol=1e-5)


def test_kept_frames_keep_their_raster() -> None:
    tokens = keep_frames(start(random_grid()), [1, 4])
    assert tokens.lattice == (2, 8, 10) and len(tokens) == 160
    assert tokens.frames.unique().tolist() == [1, 4]
