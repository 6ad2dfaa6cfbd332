"""Published systems as methods on a grid: one test per row of docs/tokens.md."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from tessera.models.tokens import METHODS, Adaptive, list_methods, reduce, start
from tessera.models.tokens.cosine import dct
from tessera.models.tokens.methods.budget import proportional
from tessera.models.tokens.methods.cluster import kcenter_rows
from tessera.models.tokens.methods.frames import keep_frames
from tessera.models.tokens.methods.merge import bipartite, calibrate, greedy_labels
from tessera.models.tokens.methods.pool import fuse, slow_frames, weighted_pool
from tessera.models.tokens.methods.registry import MECHANISMS
from tessera.models.tokens.methods.scores import Context, unit
from tessera.models.tokens.methods.select import gumbel_mask, outlier_ratio, stages
from tessera.models.tokens.methods.transform import cosine_of, progressive, rebuild

from ...support.token_samples import cut_grid, grid_of, random_grid, run, static_grid


def test_row_1_ppllava() -> None:
    grid = random_grid()
    tokens = start(grid)
    assert len(run("qpool", grid, (3, 4, 5))) == 60
    flat = weighted_pool(tokens, (3, 4, 5), Context(grid), torch.ones(480))
    assert torch.allclose(flat.x, run("pool", grid, (3, 4, 5)).x, atol=1e-6)
    one_hot = torch.zeros(480)
    one_hot[100] = 1  # the other windows hold no relevance and are means
    sharp = weighted_pool(tokens, (3, 4, 5), Context(grid), one_hot)
    assert torch.equal(sharp.x[sharp.assign[100]], tokens.x[100])


def test_row_2_pvc() -> None:
    still = random_grid(1, 8, 8, 4)
    grid = grid_of(still.x.expand(4, 8, 8, 4).clone())
    values, places = progressive(grid, 16, 4)
    assert len({tuple(p.tolist()) for p in places}) == 4
    errors = [(frame - grid.x[0]).square().sum().item() for frame in rebuild(values, places, 8, 8)]
    assert all(b < a for a, b in itertools.pairwise(errors)) and errors[-1] < 1e-8
    moving = random_grid(6, 8, 8, 4)
    few, many = progressive(grid_of(moving.x[:3]), 16, 4), progressive(moving, 16, 4)
    assert torch.equal(few[0], many[0][:3])


def test_row_3_kffocus() -> None:
    grid = cut_grid()
    assert torch.unique(run("frames", grid, 4).frames).tolist() == [0, 6, 13, 19]
    splits = run("cuts", grid, 100).frame_splits
    assert int(splits.sum()) == 100
    still = [t for t in range(24) if t not in (0, 6, 13, 19)]
    assert int(splits[[0, 6, 13, 19]].min()) >= 2 * int(splits[still].max())


def test_row_4_dcode() -> None:
    grid = random_grid(1, 3, 3, 4)
    tokens = start(grid)
    kept = torch.sort(tokens.x.norm(dim=1), descending=True, stable=True).indices[:6].sort().values
    rows = tokens.x[kept]
    parts: list[list[int]] = []
    free = list(range(6))
    while free:
        head = free[0]
        near = [i for i in free if i == head or float(unit(rows[i]) @ unit(rows[head])) >= 0.3]
        parts.append(near)
        free = [i for i in free if i not in near]
    found = reduce(grid, [("l2", {"budget": 6}), ("greedy", {})], Adaptive(0.3, 6))
    assert torch.allclose(found.x, torch.stack([rows[part].mean(0) for part in parts]), atol=1e-6)
    assert len(run("dcode", random_grid(20), 64)) == 64


def test_row_4_greedy_labels_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1], [0.1, 3.0]])
    assert greedy_labels(x, 0.8).tolist() == [0, 1, 0, 1]


def test_row_5_llmc() -> None:
    """The registry can run everything at one budget; a second question is answered from the same tokens or flagged."""
    grid = random_grid()
    entries = list_methods()
    assert {"name", "primitive", "axis", "needs", "stage", "query_dependent"} <= set(entries[0])
    for entry in entries:
        if entry["unit"] == "tokens":
            tokens = run(entry["name"], grid, 48)
            space, frames = 1 - len(tokens) / 480, len(torch.unique(tokens.frames)) / 6
            assert space >= 0.9 and 0 < frames <= 1
            assert tokens.query_dependent == entry["query_dependent"]


def test_row_11_bvllm() -> None:
    planted = torch.randn(8, generator=torch.Generator().manual_seed(9))
    for t in (1, 2, 3, 17, 100, 500):
        grid = random_grid(t, 4, 4, 8)
        grid.x[t // 2, 1, 1] = 3 * planted
        tokens = run("bvllm", grid, 12, query=planted)
        assert len(tokens) == 12
        assert tokens.assign.view(t, 4, 4)[t // 2, 1, 1] >= 0


def test_row_14_fourier() -> None:
    grid = random_grid(3, 6, 8, 4)
    x = grid.x.double()
    spectrum = dct(x, (1, 2))
    assert float((dct(spectrum, (1, 2), inverse=True) - x).abs().max()) < 1e-12
    assert float(spectrum.square().sum()) == pytest.approx(float(x.square().sum()), rel=1e-12)
    for domain, dims in (("coeff", 2), ("coeff", 3), ("grid", 2), ("grid", 3)):
        full = cosine_of(grid, (3, 6, 8), domain, dims)
        assert float((full.unmerge() - grid.x).abs().max()) < 1e-5
    low = cosine_of(grid, (3, 3, 4), "grid")
    assert low.lattice == (3, 3, 4)
    assert torch.allclose(low.x.view(3, 12, 4).mean(1), grid.x.flatten(1, 2).mean(1), atol=1e-6)
    kept, all_ = cosine_of(grid, (3, 3, 4)), cosine_of(grid, 1.0)
    dropped = grid.x - kept.unmerge()
    total = float(kept.x.square().sum() + dropped.square().sum())
    assert total == pytest.approx(float(all_.x.square().sum()), rel=1e-5)


def test_row_18_tsllava() -> None:
    grid = random_grid(10, 8, 8, 4)
    tokens = run("thumbnail", grid, 160)
    small = tokens.level == 0
    assert len(tokens) == 160 and int(small.sum()) == 64
    tiles = tokens.pos[small, 0].view(8, 8)
    assert [tiles[0, 0], tiles[0, 7], tiles[7, 0], tiles[7, 7]] == [0, 3, 6, 9]
    samples = tokens.index[~small]
    assert samples[0] == 0 and samples[-1] == 639


def test_row_26_feather() -> None:
    grid = random_grid(1, 16, 16, 4)
    by_row = torch.arange(16.0)[None, :, None].expand(1, 16, 16)
    plain = run("attn", grid, 64, attn=by_row)
    assert int(plain.pos[:, 1].min()) == 12, "top-k alone keeps the bottom rows"
    found = run("feather", grid, 64, attn=by_row)
    assert set(found.pos[:, 1].tolist()) >= set(range(0, 16))
    squares = reduce(grid, "select", 64, score=by_row, cell=4)
    assert len({(int(y) // 4, int(x) // 4) for _, y, x in squares.pos.tolist()}) == 16
    two = stages(start(grid), Context(grid), ((0, 64), (2, 16)), by_row, uniform=0.25)
    assert two.schedule is not None
    assert len(two) == 64 and two.schedule.keep[2].numel() == 16


def test_row_28_vqtoken() -> None:
    grid = random_grid(4, 6, 6, 8)
    errors = []
    for count in (4, 16, 64, 144):
        tokens = run("vq", grid, count)
        assert len(tokens) == count and tokens.assign.shape == (144,)
        errors.append(float((tokens.unmerge() - grid.x).square().mean()))
    assert all(b < a for a, b in itertools.pairwise(errors)) and errors[-1] == 0


def test_row_32_mousi_fuse() -> None:
    fine, coarse = random_grid(4, 8, 8, 6), random_grid(4, 4, 4, 10, seed=1)
    both = fuse([fine, coarse])
    assert both.x.shape == (4, 8, 8, 16)
    assert torch.equal(both.x[..., :6], fine.x)
    assert torch.equal(both.x[:, ::2, ::2, 6:], coarse.x)
    tokens = run("bits", fine, 100)
    for count in (1, 7, 100, 500):
        ids = tokens.position_ids("shared", n_pos=count)
        assert len(ids.unique()) == min(count, 100)


def test_row_36_vtc_cls() -> None:
    grid = random_grid()
    attn = torch.rand(5, 4, 480, generator=torch.Generator().manual_seed(8))
    rank = [float(attn[:-1, :, n].mean(1).sum()) for n in range(480)]
    best = sorted(sorted(range(480), key=lambda n: -rank[n])[:50])
    assert run("attn", grid, 50, attn=attn).index.tolist() == best


def test_row_39_s5() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 40, requires_grad=True)
    mask = gumbel_mask(logits, 10, generator)
    assert mask.detach().round().sum(-1).tolist() == [10, 10, 10]
    (mask * torch.arange(40.0)).sum().backward()
    assert logits.grad is not None and float(logits.grad.abs().sum()) > 0
    tokens = reduce(random_grid(), "select", 40, score=torch.rand(6, 8, 10))
    assert bool((tokens.pos[1:, 0] >= tokens.pos[:-1, 0]).all()), "time order"


def test_row_41_dymu_counts() -> None:
    flat = grid_of(torch.ones(1, 8, 8, 8) + 0.01 * random_grid(1, 8, 8, 8).x)
    busy = random_grid(1, 8, 8, 8)
    few, many = (reduce(grid, "tome", Adaptive(0.9, 64)) for grid in (flat, busy))
    assert len(few) < len(many) <= 64
    sets = [start(random_grid(1, 8, 8, 8, seed=k)) for k in range(4)]
    threshold = calibrate(sets, 40)
    counts = [int(bipartite(s.x, s.size, 1, threshold).max()) + 1 for s in sets]
    assert abs(sum(counts) / 4 - 40) < 2


def test_row_45_f2c() -> None:
    grid = cut_grid(24, h=8, w=8)
    for clips, length in ((1, 4), (2, 4), (3, 4), (2, 8), (6, 4)):
        tokens = reduce(grid, "clips", 384, clips=clips, length=length)
        frames = torch.unique(tokens.frames).tolist()
        assert len(frames) == clips * length
        assert sum(b - a == 1 for a, b in itertools.pairwise(frames)) >= clips * (length - 1)
        t, h, w = tokens.lattice or (0, 0, 0)
        assert 0 <= min(384, t * 64) - t * h * w < t * max(h, w) + 1
    short, long = (reduce(grid, "clips", 192, clips=2, length=n).lattice or (0, 0, 0) for n in (4, 8))
    assert long[1] * long[2] < short[1] * short[2]


def test_row_48_keye() -> None:
    grid = cut_grid()
    assert [t for t, slow in enumerate(slow_frames(start(grid), Context(grid))) if slow] == [0, 6, 13, 19]
    tokens = run("slowfast", grid, 120)
    assert len(tokens) == 120
    per = tokens.frame_splits.tolist()
    assert min(per[t] for t in (0, 6, 13, 19)) > max(per[t] for t in range(24) if t not in (0, 6, 13, 19))
    assert {int(level) for level in tokens.level[tokens.frames == 6]} == {0}
    assert tokens.times.shape == (24,)
    by_bits = slow_frames(start(grid), Context(grid), by="bits", threshold=0.3)
    assert [t for t, slow in enumerate(by_bits) if slow] == [0, 6, 13, 19]


def test_row_49_videogpt() -> None:
    grid = random_grid(8, 6, 6, 4)
    tokens = run("dual", grid, 128, segments=4)
    assert tokens.level.bincount().tolist() == [64, 64]
    still = run("dual", static_grid(8), 64, segments=4)
    assert float(still.x[still.level == 1].abs().max()) == 0, "nothing moves"


def test_row_50_todre() -> None:
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(4)).double()
    distance = torch.cdist(x, x)
    best = min(float(distance[list(c)].amin(0).max()) for c in itertools.combinations(range(12), 4))
    rows = kcenter_rows(x, 4)
    assert float(distance[rows].amin(0).max()) <= 2 * best
    grid = random_grid()
    assert torch.equal(run("kcenter", grid, 30).index, run("kcenter", grid, 30).index)


def test_row_58_recoverable() -> None:
    grid = random_grid(1, 8, 8, 8)
    planted = torch.randn(8, generator=torch.Generator().manual_seed(6))
    grid.x[0, 5, 5] = 0.01 * planted  # hardly salient, but what is asked for
    with_query = run("recover", grid, 20, query=planted)
    assert len(with_query) == 20
    assert 45 in with_query.index[with_query.size == 1].tolist()
    without = reduce(grid, "recover", 20)
    assert not without.query_dependent and 45 not in without.index[without.size == 1].tolist()
    assert bool((with_query.assign >= 0).all()), "what was dropped is merged"


def test_row_65_tempme() -> None:
    grid = random_grid(16, 4, 5, 8)
    for count in (160, 80, 40, 20, 16):  # 16 is 5 %
        tokens = run("tempme", grid, count)
        assert len(tokens) == count and int(tokens.size.sum()) == 320
    still = grid_of(static_grid(8, 4, 4).x)
    assert torch.allclose(run("tempme", still, 16).x, still.x[0].flatten(0, 1), atol=1e-6)


def test_row_69_slime() -> None:
    """The global tokens stay whatever is asked; a tile that has nothing to do with the question adds nothing."""
    query = torch.zeros(8)
    query[0] = 1
    view, tiles = random_grid(1, 4, 4, 8), random_grid(4, 4, 4, 8, seed=3)
    tiles.x[2, ..., 0] = -5
    both = reduce(tiles, "query", 20, query=query)
    without = grid_of(tiles.x[[0, 1, 3]])
    assert 2 not in both.frames.tolist()
    assert torch.equal(both.x, reduce(without, "query", 20, query=query).x)
    assert len(start(view)) == 16


def test_row_72_free_video() -> None:
    grid = random_grid(12, 8, 10, 8)
    planted = torch.randn(8, generator=torch.Generator().manual_seed(2))
    grid.x[3:7, 4:6, 6:9] = 4 * planted
    tokens = reduce(grid, [("frames", {"score": "query", "budget": 4}), ("crop", {})], (4, 3, 4), query=planted)
    assert len(tokens) == 48
    assert tokens.pos[:, 0].unique().tolist() == [3, 4, 5, 6], "absolute frames"
    assert int(tokens.pos[:, 1].min()) <= 4 and int(tokens.pos[:, 1].max()) >= 5
    assert int(tokens.pos[:, 2].min()) <= 6 and int(tokens.pos[:, 2].max()) >= 8


def test_row_73_visual_context_window() -> None:
    grid = random_grid(8, 4, 4, 4)
    tokens = run("firstfull", grid, 56)
    assert tokens.frame_splits.tolist() == [16, 4, 4, 4, 16, 4, 4, 4]
    scaled, plain = tokens.position_ids("scaled", factor=0.25), tokens.position_ids("1d")
    assert torch.equal(scaled, plain * 0.25)
    assert torch.equal(tokens.position_ids("scaled", factor=1.0), plain)


def test_row_74_vts_floor() -> None:
    grid = random_grid()
    score = torch.rand(6, 8, 10, generator=torch.Generator().manual_seed(1))
    above = int((score >= 0.9).sum())
    kept = reduce(grid, "select", 100, score=score, floor=0.9)
    assert len(kept) == 100 and set((score.flatten() >= 0.9).nonzero().flatten().tolist()) <= set(kept.index.tolist())
    with pytest.raises(ValueError, match=f"{above} tokens score at least 0.9"):
        reduce(grid, "select", above - 1, score=score, floor=0.9)


def test_row_78_setok() -> None:
    """More different objects on a plain ground make more units; every cell is in exactly one."""
    counts = []
    for objects in (1, 3, 5):
        x = torch.zeros(1, 12, 12, 8)
        for k in range(objects):
            x[0, 2 * k + 1 : 2 * k + 3, 3:9] = 4 * torch.eye(8)[k]
        x = x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(k))
        tokens = reduce(grid_of(x), "dpc", Adaptive(0.3, 40))
        assert bool((tokens.assign >= 0).all()) and int(tokens.size.sum()) == 144
        counts.append(len(tokens))
    assert counts == [2, 4, 6]


def test_row_79_prumerge() -> None:
    grid = random_grid(1, 10, 10, 8)
    attn = torch.rand(100, generator=torch.Generator().manual_seed(3))
    attn[[5, 50, 77]] = 9.0
    assert outlier_ratio(attn) == pytest.approx(0.03)
    assert outlier_ratio(torch.ones(100)) == 0 and len(run("prumerge", grid, 0.001, attn=attn)) == 1
    tokens = run("prumerge", grid, 10, attn=attn, uniform=0.4, neighbours=8)
    assert {5, 50, 77} <= set(tokens.index.tolist())
    assert bool((tokens.index[1:] > tokens.index[:-1]).all()) and int(tokens.size.max()) <= 9
    shares = torch.zeros(10).index_add(0, tokens.assign.clamp_min(0), tokens.share)
    assert torch.allclose(shares, torch.ones(10)) and bool((tokens.share >= 0).all()), "convex"
    evenly_kept = {0, 33, 66, 99}
    assert evenly_kept <= set(tokens.index.tolist())


def test_row_25_survey() -> None:
    kinds = {method.mechanism for method in METHODS.values()}
    assert kinds == set(MECHANISMS)


def test_proportional_is_exact() -> None:
    assert proportional(10, [1, 1, 1]) == [4, 3, 3]
    assert proportional(7, [0, 0, 5], floor=1) == [1, 1, 5]
    assert proportional(9, [100, 1, 1], cap=[3, 10, 10]) == [3, 3, 3]
    with pytest.raises(ValueError, match="cannot be split"):
        proportional(2, [1, 1, 1], floor=1)


def test_wrong_words_are_named() -> None:
    grid = random_grid()
    for steps, message in (
        ("tomme", "there is no method 'tomme'"),
        ("select(score='loud')", "there is no score 'loud'"),
        ("bits(loud=1)", "unexpected keyword"),
        ("frames | tome", "says neither `budget` nor `times`"),
        ("l2(times=2)|tome|pool", "neither `budget`"),
        ("query", "needs a query"),
        ("attn", "needs attn"),
        ("l2(budget=50) | dct", "needs whole frames"),
        ("l2(0.5)", "not option=value"),
    ):
        with pytest.raises(ValueError, match=message.replace("(", r"\(")):
            reduce(grid, steps, 40)
    wrong: tuple[Any, ...] = (0, -3, 0.0, 1.5, (0, 2, 2), [])
    for budget in wrong:
        with pytest.raises(ValueError):
            reduce(grid, "bits", budget)


def test_kept_frames_keep_their_raster() -> None:
    tokens = keep_frames(start(random_grid()), [1, 4])
    assert tokens.lattice == (2, 8, 10) and len(tokens) == 160
