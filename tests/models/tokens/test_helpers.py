"""Time, budgets over clips, slices, memory, retrieval: one test per row of docs/tokens.md."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tessera.models.tokens import TokenGrid, reduce
from tessera.models.tokens.modules.memory import MemoryBank, MemoryToken, propagate
from tessera.models.tokens.modules.search import embed, find, search, segment_index
from tessera.models.tokens.modules.slices import allocate, slice_markers, slice_plan
from tessera.models.tokens.modules.timeline import StreamReader, cut, partition_bits, segments

from ...support.token_references import best, cosine, rows_of
from ...support.token_samples import cut_grid, grid_of, random_grid


def test_row_24_quicksviewer() -> None:
    grid = cut_grid()
    assert grid.bits is not None
    spent = grid.bits.flatten(1).sum(1)
    runs = partition_bits(spent, 4)
    assert [start for start, _ in runs] == [0, *(stop for _, stop in runs[:-1])] and runs[-1][1] == 24
    assert all(min(abs(start - c) for start, _ in runs) <= 1 for c in (6, 13, 19))
    even = torch.rand(1000, generator=torch.Generator().manual_seed(0)) + 0.5
    sums = [float(even[a:b].sum()) for a, b in partition_bits(even, 10)]
    assert max(sums) < 1.05 * min(sums)
    total = spent.double().cumsum(0)
    for k, (_, stop) in enumerate(runs[:-1], 1):
        assert total[stop - 2] < total[-1] * k / 4 <= total[stop - 1], "the frame that reaches a quarter is the last"
    cubes = [reduce(cut(grid, a, b), "pool", 6) for a, b in runs]
    assert sum(map(len, cubes)) == 4 * 6


def test_row_24_every_cube_has_a_frame() -> None:
    assert partition_bits(torch.tensor([100.0, 0, 0, 0]), 4) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert partition_bits(torch.tensor([0.0, 0, 0, 100]), 3) == [(0, 2), (2, 3), (3, 4)]


def test_row_46_tdc() -> None:
    """Segments begin at the planted cuts; each gives the tokens of its first frame and a few for the rest."""
    parts = list(segments(cut_grid(), 4))
    assert [float(part.times[0]) * 25 for part in parts] == [0, 6, 13, 19]
    assert [len(part.x) for part in parts] == [6, 7, 6, 5]
    lengths = [len(part.x) for part in segments(cut_grid(), 4, by="bits")]
    assert sum(lengths) == 24 and all(abs(a - b) <= 1 for a, b in zip(lengths, (6, 7, 6, 5), strict=True))
    sets = [reduce(part, "pool", [16, *_shared(3, len(part.x) - 1)]) for part in parts]
    assert [len(tokens) for tokens in sets] == [16 + 3] * 4
    assert torch.equal(sets[1].x[:16], parts[1].x[0].flatten(0, 1))


def _shared(total: int, frames: int) -> list[int]:
    return [int(k < total) for k in range(frames)]


def test_row_31_leopard() -> None:
    pictures = [random_grid(1, h, w, 4) for h, w in ((8, 8), (16, 16), (4, 32), (2, 2))]
    pictures[0].bits = torch.full((1, 8, 8), 1000.0)  # how rich a picture is does not matter
    found = allocate(pictures, 200, by="area", floor=3)
    shares = [188 * cells / 452 for cells in (64, 256, 128, 4)]
    assert sum(found) == 200 and min(found) >= 3
    assert all(abs(n - 3 - share) < 3 for n, share in zip(found, shares, strict=True))
    assert found[1] > found[2] > found[0] > found[3]
    wide = reduce(pictures[2], "dctgrid", found[2]).lattice
    assert wide is not None and abs(wide[2] - 8 * wide[1]) <= 8
    assert sum(allocate(pictures, 10_000)) == 64 + 256 + 128 + 4, "never more than there is"


def test_row_44_llava_uhd() -> None:
    for height, width in ((672, 1088), (333, 1001), (1, 700), (700, 1), (17, 23), (2000, 300)):
        plan = slice_plan(height, width)
        seen = torch.zeros(height, width, dtype=torch.int32)
        for one in plan:
            seen[one.top : one.bottom, one.left : one.right] += 1
        assert bool((seen == 1).all()) and len(plan) <= 9
        badness = abs(math.log(width * (plan[-1].row + 1) / (height * (plan[-1].column + 1))))
        ideal = min(9, math.ceil(height * width / 336**2))
        shapes = [(n // c, c) for n in (ideal - 1, ideal, ideal + 1) for c in range(1, 10) if 0 < n < 10 and n % c == 0]
        shapes = [(r, c) for r, c in shapes if r <= height and c <= width and (ideal > 1 or r * c == 1)]
        assert badness == pytest.approx(min(abs(math.log(width * r / (height * c))) for r, c in shapes), abs=1e-9)
    assert {(one.row, one.column) for one in slice_plan(672, 1008)} == {(r, c) for r in range(2) for c in range(3)}
    assert slice_markers(slice_plan(672, 1008)) == [0, ",", 1, ",", 2, "\n", 3, ",", 4, ",", 5, "\n"]


def test_row_75_adaptvision() -> None:
    counts = [len(slice_plan(side, side)) for side in range(40, 2000, 8)]
    assert counts == sorted(counts) and counts[-1] == 9
    assert {len(slice_plan(side, side)) for side in (1008, 1500, 4000)} == {9}
    for height, width in ((1, 1), (1, 5000), (20, 4000)):
        assert 1 <= len(slice_plan(height, width)) <= 9


def pooled(grid: TokenGrid) -> Tensor:
    return reduce(grid, "pool", 4).x


def test_row_27_videostreaming() -> None:
    grid = random_grid(40, 4, 4, 8)
    whole, pieces = StreamReader(pooled, memory=3), StreamReader(pooled, memory=3)
    at_once = whole.push(grid)
    later = [tokens for k in range(0, 40, 8) for tokens in pieces.push(cut(grid, k, k + 8))]
    assert all(torch.equal(a, b) for a, b in zip(at_once, later, strict=True))
    assert len(whole.memory.keys) == 3 and whole.memory.keys == pieces.memory.keys
    spread = [float(torch.cat(at_once[k : k + 8]).var(0).sum()) for k in range(0, 40, 8)]
    assert whole.memory.keys == best(spread, 3), "the clips of most variance"
    query = torch.randn(8, generator=torch.Generator().manual_seed(1))
    near = [max(cosine(row, query.double().numpy()) for row in rows_of(value)) for value in whole.memory.values]
    assert whole.memory.select(query, 2) == [whole.memory.keys[k] for k in best(near, 2)]
    for clip in whole.memory.keys[:2]:
        planted = whole.memory.values[whole.memory.keys.index(clip)][3]
        assert clip in whole.memory.select(planted, 1), "two questions, nothing is encoded again"


def test_row_76_longva() -> None:
    """2,000 frames in pieces give the tokens of one run; a needle is found at every depth."""
    reader = StreamReader(lambda grid: grid.x.mean((1, 2)), memory=2)
    x = torch.randn(2000, 2, 2, 8, generator=torch.Generator().manual_seed(0))
    needle = 9 * torch.ones(8)
    for depth in (0, 500, 1000, 1999):
        x[depth] = needle
    rows = [row for k in range(0, 2000, 250) for row in reader.push(grid_of(x[k : k + 250]))]
    found = torch.cat(rows)
    assert found.shape == (2000, 8) and len(reader.memory.keys) == 2
    assert torch.equal(found, x.mean((1, 2)))
    near = torch.nn.functional.cosine_similarity(found, needle[None]).topk(4).indices
    assert sorted(near.tolist()) == [0, 500, 1000, 1999]


def moving_square() -> tuple[Tensor, Tensor]:
    """16 frames of latents (12, 12, 8) and masks: a square of its own vector crosses a noisy ground."""
    generator = torch.Generator().manual_seed(1)
    ground, own = torch.randn(8, generator=generator), torch.randn(8, generator=generator)
    masks = torch.zeros(16, 12, 12, dtype=torch.bool)
    for t in range(16):
        masks[t, 3 + t // 4 : 7 + t // 4, t // 2 : t // 2 + 4] = True
    x = torch.where(masks[..., None], own, ground) + 0.2 * torch.randn(16, 12, 12, 8, generator=generator)
    return x, masks


def overlap(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_row_53_sam_i2v() -> None:
    bank = MemoryBank(3)
    for key, value in enumerate((0.5, 0.9, 0.9, 0.1, 0.9, 0.2)):
        bank.push(key, torch.zeros(1, 2), value)
    assert bank.keys == [1, 2, 4], "the most relevant; of equal ones the earlier"
    x, masks = moving_square()
    found = propagate(x, masks[0])
    assert min(overlap(a, b) for a, b in zip(found, masks, strict=True)) >= 0.8
    tokens = reduce(grid_of(x), "bits", 1.0)
    t, y, c = 7, 4, 5
    row = int(tokens.assign.view(16, 12, 12)[t, y, c])
    assert tokens.pos[row].tolist() == [t, y, c], "a click and back"


def test_row_55_jointformer() -> None:
    x, masks = moving_square()
    memory = MemoryToken.of(x[0], masks[0])
    before = memory.object.clone()
    found = [memory.update(x[1])]
    assert torch.allclose(memory.object, 0.9 * before + 0.1 * x[1][found[0]].mean(0), atol=1e-6)
    found += [memory.update(frame) for frame in x[2:]]
    assert overlap(found[-1], masks[-1]) >= 0.8
    for _ in range(100):
        memory.update(x[3])
    assert torch.allclose(memory.object, x[3][memory.update(x[3])].mean(0), atol=1e-3), "it follows what it sees"
    assert memory.object.shape == memory.background.shape == (8,)


def test_row_43_vdi() -> None:
    """A moving segment is told from its static twin by its dynamics, and only by them."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 6, 6, 8, generator=generator).expand(30, 6, 6, 8).clone()
    for t in range(10, 20):
        x[t] = x[0].roll(t, 1)
    runs = [(0, 10), (10, 20), (20, 30)]
    moving = torch.cat([x[0].flatten(0, 1).mean(0), torch.ones(8)])
    with_dynamics = segment_index(grid_of(x), runs)
    assert find(with_dynamics, moving) == 1
    without = segment_index(grid_of(x), runs, dynamics=False)
    assert torch.allclose(without, without[0].expand(3, -1), atol=1e-6)


def test_row_66_vifi_clip_and_row_57_frozen_in_time() -> None:
    grid = random_grid(16, 4, 4, 8)
    every = torch.stack([embed(cut(grid, t, t + 1)) for t in range(16)])
    assert torch.allclose(embed(grid), every.mean(0), atol=1e-6)
    assert torch.allclose(embed(grid, [3, 9]), every[[3, 9]].mean(0), atol=1e-6)
    assert torch.equal(embed(cut(grid, 5, 6)), embed(grid, [5])), "a picture is a clip of one frame"


def test_row_38_search_looks_at_few() -> None:
    prior = torch.rand(2500, generator=torch.Generator().manual_seed(0))
    targets = [400, 1700, 1701]
    prior[targets[:2]] = 2.0  # the third is found beside the second
    reads: list[int] = []

    def read(group: int) -> float:
        reads.append(group)
        return 1.0 if group in targets else 0.1

    found = search(read, prior, 8)
    assert set(targets) <= set(found) and len(found) == 8
    assert len(reads) == len(set(reads)) <= 32


def test_row_10_langdc_floor() -> None:
    still = grid_of(random_grid(4, 4, 4, 4).x, torch.full((4, 4, 4), 1e-3))
    rich = [grid_of(random_grid(4, 4, 4, 4).x, torch.full((4, 4, 4), float(k))) for k in range(1, 8)]
    found = allocate([still, *rich], 150, floor=4)
    assert sum(found) == 150 and found[0] == 4
    share = [(150 - 32) * k / 28.001 for k in range(8)]
    assert all(abs(n - 4 - part) < 1 for n, part in zip(found, share, strict=True))
