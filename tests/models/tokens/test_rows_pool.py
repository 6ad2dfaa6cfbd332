"""Published systems that pool or transform: each row of docs/tokens.md against means and sums written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.models.tokens import reduce, start
from tessera.models.tokens.cosine import dct
from tessera.models.tokens.methods.budget import proportional
from tessera.models.tokens.methods.pool import bricks, fuse, slow_frames, weighted_pool
from tessera.models.tokens.methods.scores import Context
from tessera.models.tokens.methods.transform import cosine_of, progressive, rebuild

from ...support.token_references import cosine, rows_of
from ...support.token_samples import cut_grid, grid_of, random_grid, run, static_grid


def boxes(t: int, h: int, w: int, sides: tuple[int, int, int]) -> list[list[int]]:
    """Cells of each window when a raster is cut into equal windows of these sides."""
    dt, dh, dw = sides
    return [
        [(z * h + y) * w + x for z in range(a, a + dt) for y in range(b, b + dh) for x in range(c, c + dw)]
        for a, b, c in itertools.product(range(0, t, dt), range(0, h, dh), range(0, w, dw))
    ]


def test_row_1_ppllava() -> None:
    """Means of windows weighted by exp of 5 (cosine to the query - 1)."""
    grid = random_grid(4, 4, 6, 5)
    query = torch.randn(5, generator=torch.Generator().manual_seed(3))
    x, asked = rows_of(grid.x), query.double().numpy()
    weight = [np.exp(5 * (cosine(cell, asked) - 1)) for cell in x]
    wanted = [np.average(x[box], axis=0, weights=[weight[n] for n in box]) for box in boxes(4, 4, 6, (2, 2, 3))]
    found = run("qpool", grid, (2, 2, 2), query=query)
    assert np.allclose(found.x, wanted, atol=1e-5)
    tokens = start(grid)
    flat = weighted_pool(tokens, (2, 2, 2), Context(grid), torch.ones(96))
    assert torch.allclose(flat.x, run("pool", grid, (2, 2, 2)).x, atol=1e-6)
    one_hot = torch.zeros(96)
    one_hot[30] = 1  # the other windows hold no relevance and are means
    sharp = weighted_pool(tokens, (2, 2, 2), Context(grid), one_hot)
    assert torch.equal(sharp.x[sharp.assign[30]], tokens.x[30])


def test_row_12_pool_is_the_mean_of_windows() -> None:
    grid = random_grid(4, 4, 6, 5)
    wanted = [rows_of(grid.x)[box].mean(0) for box in boxes(4, 4, 6, (2, 2, 3))]
    assert np.allclose(run("pool", grid, (2, 2, 2)).x, wanted, atol=1e-5)
    frames = [rows_of(grid.x)[box].mean(0) for box in boxes(4, 4, 6, (1, 2, 2))]
    assert np.allclose(run("pool", grid, 24).x, frames, atol=1e-5)


def test_bricks_are_rectangles_of_like_size() -> None:
    for height, width, count in ((4, 6, 6), (5, 7, 9), (8, 10, 37), (3, 40, 11), (1, 9, 4)):
        labels = bricks(height, width, count).view(height, width)
        sizes = torch.bincount(labels.flatten(), minlength=count)
        assert len(sizes) == count and int(sizes.min()) >= 1 and int(sizes.max()) <= 4 * int(sizes.min())
        for label in range(count):
            ys, xs = (labels == label).nonzero(as_tuple=True)
            assert int(sizes[label]) == (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1)


def test_row_2_pvc() -> None:
    """Each frame sends other frequencies, of what the frames before do not give; nothing depends on later frames."""
    still = random_grid(1, 8, 8, 4)
    grid = grid_of(still.x.expand(4, 8, 8, 4).clone())
    values, places = progressive(grid, 16, 4)
    assert len({tuple(p.tolist()) for p in places}) == 4
    errors = [(frame - grid.x[0]).square().sum().item() for frame in rebuild(values, places, 8, 8)]
    assert all(b < a for a, b in itertools.pairwise(errors)) and errors[-1] < 1e-8
    assert places[0].max() < places[3].max() and {0, 1, 8, 24, 32} <= set(places[0].tolist()), "low frequencies first"
    moving = random_grid(6, 8, 8, 4)
    few, many = progressive(grid_of(moving.x[:3]), 16, 2), progressive(moving, 16, 2)
    assert torch.equal(few[0], many[0][:3])
    spectra = [dct(frame, (0, 1)).reshape(64, 4) for frame in moving.x]
    for t, frame in enumerate(rebuild(*many, 8, 8)):
        place = many[1][t]
        assert torch.allclose(dct(frame, (0, 1)).reshape(64, 4)[place], spectra[t][place], atol=1e-5)
    assert torch.allclose(many[0][2], (spectra[2] - spectra[0])[many[1][2]], atol=1e-5)


def lowest(h: int, w: int, count: int) -> list[int]:
    """Places of the lowest frequencies, by the sum of both relative to the sides."""
    return sorted(sorted(range(h * w), key=lambda n: (n // w / h + n % w / w, n))[:count])


def test_row_14_fourier() -> None:
    grid = random_grid(3, 4, 6, 4)
    x = grid.x.double()
    spectrum = dct(x, (1, 2))
    for u, v in ((0, 0), (1, 3), (3, 5)):
        a = [np.cos(np.pi * (2 * i + 1) * u / 8) * (2 / 4) ** 0.5 for i in range(4)]
        b = [np.cos(np.pi * (2 * j + 1) * v / 12) * (2 / 6) ** 0.5 for j in range(6)]
        wanted = np.einsum("i,j,tijc->tc", a, b, x.numpy()) * (0.5**0.5) ** ((u == 0) + (v == 0))
        assert np.allclose(spectrum[:, u, v], wanted, atol=1e-12)
    assert float((dct(spectrum, (1, 2), inverse=True) - x).abs().max()) < 1e-12
    found = run("dct", grid, 27)
    assert torch.allclose(found.x[:9].double(), spectrum[0].reshape(24, 4)[lowest(4, 6, 9)], atol=1e-5)
    for domain, dims in (("coeff", 2), ("coeff", 3), ("grid", 2), ("grid", 3)):
        full = cosine_of(grid, (3, 4, 6), domain, dims)
        assert float((full.unmerge() - grid.x).abs().max()) < 1e-5
    low = cosine_of(grid, (3, 2, 3), "grid")
    assert low.lattice == (3, 2, 3)
    assert torch.allclose(low.x.view(3, 6, 4).mean(1), grid.x.flatten(1, 2).mean(1), atol=1e-6)
    kept, all_ = cosine_of(grid, (3, 2, 3)), cosine_of(grid, 1.0)
    assert torch.allclose(kept.x.double(), spectrum[:, :2, :3].reshape(18, 4), atol=1e-5)
    total = float(kept.x.square().sum() + (grid.x - kept.unmerge()).square().sum())
    assert total == pytest.approx(float(all_.x.square().sum()), rel=1e-5)
    clip = dct(x, (0, 1, 2))[:2, :2, :3].reshape(12, 4)
    assert torch.allclose(cosine_of(grid, (2, 2, 3), dims=3).x.double(), clip, atol=1e-5)


def test_row_18_tsllava() -> None:
    """Four frames at equal steps, pooled and tiled two by two, and cells at equal steps through the clip."""
    grid = random_grid(10, 8, 8, 4)
    tokens = run("thumbnail", grid, 160)
    small = tokens.level == 0
    assert len(tokens) == 160 and int(small.sum()) == 64
    pooled = grid.x[[0, 3, 6, 9]].view(4, 4, 2, 4, 2, 4).mean((2, 4))  # (frame, y, x, channel)
    top, low = torch.cat([pooled[0], pooled[1]], 1), torch.cat([pooled[2], pooled[3]], 1)
    assert torch.allclose(tokens.x[small], torch.cat([top, low]).view(64, 4), atol=1e-6)
    tiles = tokens.pos[small, 0].view(8, 8)
    assert [tiles[0, 0], tiles[0, 7], tiles[7, 0], tiles[7, 7]] == [0, 3, 6, 9]
    assert tokens.index[~small].tolist() == [k * 639 // 95 for k in range(96)]


def test_row_32_mousi_fuse() -> None:
    fine, coarse = random_grid(4, 8, 8, 6), random_grid(4, 4, 4, 10, seed=1)
    both = fuse([fine, coarse])
    assert both.x.shape == (4, 8, 8, 16)
    assert torch.equal(both.x[..., :6], fine.x)
    for y, x in itertools.product((0, 1), (0, 1)):
        assert torch.equal(both.x[:, y::2, x::2, 6:], coarse.x)


def test_row_32_mousi_positions() -> None:
    tokens = run("bits", random_grid(4, 8, 8, 2), 100)
    for count in (1, 7, 100, 500):
        ids = tokens.position_ids("shared", n_pos=count)[0]
        least = min(count, 100)
        assert ids.tolist() == [row * least // 100 for row in range(100)]


def slow(means: list[Tensor], threshold: float) -> list[int]:
    """Frames whose mean cosine, cell by cell, to the last slow frame is below the threshold."""
    found = [0]
    for t in range(1, len(means)):
        a, b = rows_of(means[t]), rows_of(means[found[-1]])
        if np.mean([cosine(p, q) for p, q in zip(a, b, strict=True)]) < threshold:
            found.append(t)
    return found


def test_row_48_keye() -> None:
    grid = cut_grid()
    assert [t for t, one in enumerate(slow_frames(start(grid), Context(grid))) if one] == [0, 6, 13, 19]
    tokens = run("slowfast", grid, 120)
    splits = tokens.frame_splits.tolist()
    shares = [1.0 if t in (0, 6, 13, 19) else 0.3 for t in range(24)]
    assert len(tokens) == 120 and splits == proportional(120, shares, 1, [16] * 24)
    assert {int(level) for level in tokens.level[tokens.frames == 6]} == {0}
    assert {int(level) for level in tokens.level[tokens.frames == 7]} == {1}
    by_bits = slow_frames(start(grid), Context(grid), by="bits", threshold=0.3)
    assert [t for t, one in enumerate(by_bits) if one] == [0, 6, 13, 19]


def test_row_48_frames_are_compared_with_the_last_slow_one() -> None:
    """A slow drift never differs much from the frame before; bits add up in the same way."""
    drift = random_grid(12, 2, 2, 6, seed=1).x.cumsum(0) * 0.4 + random_grid(1, 2, 2, 6, seed=4).x
    bits = torch.ones(12, 2, 2)
    bits[0], bits[7] = 10.0, 30.0
    grid = grid_of(drift, bits)
    wanted = slow(list(drift), 0.9)
    assert wanted == [0, 4, 8] and all(slow([a, b], 0.9) == [0] for a, b in itertools.pairwise(drift))
    assert [t for t, one in enumerate(slow_frames(start(grid), Context(grid))) if one] == wanted
    spent = slow_frames(start(grid), Context(grid), by="bits", threshold=0.65)
    assert [t for t, one in enumerate(spent) if one] == [0, 4, 5, 6, 7]


def test_row_49_videogpt() -> None:
    """Pooled frames, and for each segment the mean change from its first frame."""
    grid = random_grid(8, 4, 4, 3)
    tokens = run("dual", grid, 64, segments=2)
    assert tokens.level.bincount().tolist() == [32, 32]
    still = torch.stack([frame.view(2, 2, 2, 2, 3).mean((1, 3)).view(4, 3) for frame in grid.x]).view(32, 3)
    assert torch.allclose(tokens.x[:32], still, atol=1e-5)
    change = [(grid.x[a : a + 4] - grid.x[a]).mean(0).view(16, 3) for a in (0, 4)]
    assert torch.allclose(tokens.x[32:], torch.cat(change), atol=1e-5)
    nothing = run("dual", static_grid(8), 64, segments=4)
    assert float(nothing.x[nothing.level == 1].abs().max()) == 0, "nothing moves"


def test_row_73_visual_context_window() -> None:
    grid = random_grid(8, 4, 4, 4)
    tokens = run("firstfull", grid, 56)
    assert tokens.frame_splits.tolist() == [16, 4, 4, 4, 16, 4, 4, 4]
    assert torch.equal(tokens.x[:16], grid.x[0].view(16, 4))
    assert torch.allclose(tokens.x[16:20], grid.x[1].view(2, 2, 2, 2, 4).mean((1, 3)).view(4, 4), atol=1e-6)
    scaled, plain = tokens.position_ids("scaled", factor=0.25), tokens.position_ids("1d")
    assert plain[0].tolist() == list(range(56)) and torch.equal(scaled, plain * 0.25)
    assert torch.equal(tokens.position_ids("scaled", factor=1.0), plain)


def test_proportional_is_exact() -> None:
    assert proportional(10, [1, 1, 1]) == [4, 3, 3]
    assert proportional(7, [0, 0, 5], floor=1) == [1, 1, 5]
    assert proportional(9, [100, 1, 1], cap=[3, 10, 10]) == [3, 3, 3]
    assert proportional(64, [3.0, 1.0, 2.0], 1) == [32, 11, 21]
    with pytest.raises(ValueError, match="cannot be split"):
        proportional(2, [1, 1, 1], floor=1)


def test_a_budget_of_one_number_per_frame() -> None:
    assert reduce(random_grid(3), "pool", [5, 0, 9]).frame_splits.tolist() == [5, 0, 9]
