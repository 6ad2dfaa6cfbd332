"""What holds for every method and recipe of the registry."""

from __future__ import annotations

import resource
from typing import Any

import pytest
import torch

from tessera.models.tokens import METHODS, RECIPES, SCORES, Bits, TokenGrid, reduce
from tessera.models.tokens.methods.scores import Context, score
from tessera.models.tokens.modules.timeline import cut
from tessera.models.tokens.reduce import parse

from ...support.token_samples import (
    ENTRIES,
    NAMES,
    TOKEN_NAMES,
    grid_of,
    helpers,
    means_of_cells,
    random_grid,
    run,
    static_grid,
)

LOOSE = {name for name in NAMES if name in METHODS and not METHODS[name].exact} | {"freevideo"}
EXACT = [name for name in TOKEN_NAMES if name not in LOOSE]
MIXED = {"thumbnail", "tsllava", "dual"}  # sets of two levels over the same cells
SYNTHETIC = {"dct", "dct3", "dctgrid", "fourier"}
CAUSAL = [name for name in NAMES if name in METHODS and METHODS[name].causal]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("budget", [1, 7, 37, 0.25, 10_000, (3, 4, 5), [5, 0, 9, 3, 2, 6]])
def test_1_the_budget_is_met(name: str, budget: object) -> None:
    grid = random_grid()
    wanted = {10_000: 480, 0.25: 120, (3, 4, 5): 60}.get(budget, budget) if not isinstance(budget, list) else 25
    if isinstance(budget, list) and not all(METHODS[step].listed for step, _ in parse(name)):
        with pytest.raises(ValueError, match="takes no budget of one number per frame"):
            run(name, grid, budget)
        return
    if isinstance(budget, tuple) and name in {"dct", "fourier"}:
        wanted = 120  # the two-dimensional transform keeps every frame
    tokens = run(name, grid, budget)
    assert len(tokens) == wanted
    assert not isinstance(budget, list) or tokens.frame_splits.tolist() == budget


@pytest.mark.parametrize("name", sorted(LOOSE))
@pytest.mark.parametrize("budget", [7, 37, 120, 200])
def test_1_rasters_are_at_most_the_budget(name: str, budget: int) -> None:
    assert 6 <= len(run(name, random_grid(), budget)) <= budget


@pytest.mark.parametrize("name", [name for name in TOKEN_NAMES if name not in SYNTHETIC])
def test_1_everything_is_the_identity(name: str) -> None:
    grid = random_grid(4, 4, 4)
    tokens = run(name, grid, 1.0)
    if ENTRIES[name]["needs"] == ["query"] and name == "freevideo":
        return  # half of the frames are left out first
    if name in {"dcode", "bvllm", "thumbnail", "tsllava", "dual"}:
        return  # frames are left out, or cells appear twice, whatever the budget
    assert torch.equal(tokens.x, grid.x.reshape(-1, 16))
    assert torch.equal(tokens.pos[:, 0] * 16 + tokens.pos[:, 1] * 4 + tokens.pos[:, 2], torch.arange(64.0))


@pytest.mark.parametrize("name", NAMES)
def test_2_assign_is_total_and_rows_are_means(name: str) -> None:
    grid = random_grid()
    tokens = run(name, grid, 4 if ENTRIES[name]["unit"] == "frames" else 40)
    held = torch.cat([tokens.assign, *tokens.layers])
    assert set(held[held >= 0].tolist()) == set(range(len(tokens)))
    if name in MIXED:
        return
    assert torch.equal(torch.bincount(tokens.assign[tokens.assign >= 0]), tokens.size)
    shares = torch.zeros(len(tokens)).index_add(0, tokens.assign.clamp_min(0), tokens.share)
    assert torch.allclose(shares, torch.ones(1))
    if name not in SYNTHETIC:
        assert torch.allclose(tokens.x.double(), means_of_cells(tokens, grid), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in TOKEN_NAMES if name not in SYNTHETIC | MIXED])
def test_3_unmerge_is_exact_where_it_can_be(name: str) -> None:
    grid = static_grid() if ENTRIES[name]["primitive"] == "merge" else random_grid()
    tokens = run(name, grid, 40)
    back, kept = tokens.unmerge().flatten(0, 2), tokens.assign >= 0
    cells = grid.x.flatten(0, 2)
    alone = kept & (tokens.size[tokens.assign.clamp_min(0)] == 1)
    assert torch.equal(back[alone], cells[alone])
    assert torch.equal(back[~kept], torch.zeros_like(back[~kept]))


@pytest.mark.parametrize("name", ["runs", "tempme", "vq"])
def test_3_unmerge_of_identical_cells_is_exact(name: str) -> None:
    grid = static_grid()
    tokens = run(name, grid, 36)  # one frame's worth of five equal ones
    assert torch.allclose(tokens.unmerge(), grid.x, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_4_positions_and_frame_splits(name: str) -> None:
    grid = random_grid()
    tokens = run(name, grid, 4 if ENTRIES[name]["unit"] == "frames" else 40)
    assert int(tokens.frame_splits.sum()) == len(tokens)
    assert tokens.frame_splits.shape == (6,)
    pos = torch.stack(torch.meshgrid(*[torch.arange(n).float() for n in (6, 8, 10)], indexing="ij"), -1).view(-1, 3)
    for row in range(len(tokens)):
        held = torch.cat([pos[layer == row] for layer in (tokens.assign, *tokens.layers)])
        assert bool((tokens.pos[row] >= held.amin(0) - 1e-4).all() and (tokens.pos[row] <= held.amax(0) + 1e-4).all())
    assert float(tokens.weight.sum()) == pytest.approx(1, abs=1e-4)
    if name not in MIXED:
        assert bool((tokens.anchor[1:] > tokens.anchor[:-1]).all()), "raster order"


def padded(grid: TokenGrid, filler: float) -> TokenGrid:
    """The same grid with a row and a column of padding."""
    t, h, w, c = grid.x.shape
    x = torch.full((t, h + 1, w + 1, c), filler)
    bits, valid = torch.full((t, h + 1, w + 1), 1e3), torch.zeros(t, h + 1, w + 1, dtype=torch.bool)
    assert grid.bits is not None
    x[:, :h, :w], bits[:, :h, :w], valid[:, :h, :w] = grid.x, grid.bits, True
    return grid_of(x, bits, valid)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"random", "uniform"}])
def test_5_padding_is_never_kept_and_changes_nothing(name: str) -> None:
    grid = random_grid()
    attn = torch.rand(6, 8, 10, generator=torch.Generator().manual_seed(2))
    wide = torch.ones(6, 9, 11)
    wide[:, :8, :10] = attn
    budget = 4 if ENTRIES[name]["unit"] == "frames" else 40
    plain = run(name, grid, budget, attn=attn)
    for filler in (0.0, 50.0):
        tokens = run(name, padded(grid, filler), budget, attn=wide)
        assert torch.allclose(tokens.x, plain.x, atol=1e-5)
        assert torch.equal(tokens.pos, plain.pos)


@pytest.mark.parametrize("name", CAUSAL)
def test_6_later_frames_change_nothing_when_causal(name: str) -> None:
    grid = random_grid()
    few = run(name, cut(grid, 0, 4), [5, 6, 7, 8])
    many = run(name, grid, [5, 6, 7, 8, 9, 3])
    first = many.frames < 4
    assert torch.equal(many.x[first], few.x) and torch.equal(many.pos[first], few.pos)


@pytest.mark.parametrize("name", ["temporal", "evs", "bits", "runs", "change"])
def test_7_a_static_clip_keeps_one_frame(name: str) -> None:
    grid = static_grid()
    assert run(name, grid, 36).frame_splits.tolist() == [36, 0, 0, 0, 0]
    assert run(name, grid, 40).frame_splits[0] == 36


@pytest.mark.parametrize("name", ["cuts", "slowfast"])
def test_7_later_frames_of_a_static_clip_get_the_floor(name: str) -> None:
    splits = run(name, static_grid(), 40).frame_splits.tolist()
    assert sum(splits) == 40 and splits[0] > max(splits[1:]) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_8_the_query_matters_only_where_it_is_said(name: str) -> None:
    grid = random_grid()
    budget = 3 if ENTRIES[name]["unit"] == "frames" else 24
    a, b = (run(name, grid, budget, query=query) for query in (torch.ones(16), -torch.ones(16)))
    assert a.query_dependent == b.query_dependent == ENTRIES[name]["query_dependent"]
    same = torch.equal(a.x, b.x) and torch.equal(a.assign, b.assign)
    assert same != a.query_dependent


@pytest.mark.parametrize("score_name", ["bits", "l2", "random", "uniform", "attn"])
def test_9_coverage_leaves_no_square_empty(score_name: str) -> None:
    tokens = run("select", random_grid(), 96, score=score_name, cell=3)
    t, y, x = tokens.pos.long().unbind(1)
    assert len(set(zip(t.tolist(), (y // 3).tolist(), (x // 3).tolist(), strict=True))) == 6 * 3 * 4


def test_9_a_budget_that_cannot_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="covering needs 72 tokens, the budget is 40"):
        run("select", random_grid(), 40, cell=3)


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_10_no_matrix_of_all_pairs(name: str) -> None:
    """100,352 cells: a matrix of all pairs would take 40 GB."""
    grid = random_grid(98, 32, 32, 4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tokens = run(name, grid, 196)
    assert len(tokens) <= 196
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20, "more than 1 GB"


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in NAMES])
def test_a_recipe_of_one_step_is_its_method(name: str) -> None:
    grid, ((method, options),) = random_grid(3, 4, 5), RECIPES[name].steps
    assert options == {} and torch.equal(run(name, grid, 9).assign, run(method, grid, 9).assign)
    assert set(RECIPES[name].rows) <= {*METHODS[method].rows, 5}, "serves what the method serves"


@pytest.mark.parametrize("name", NAMES)
def test_same_inputs_same_tokens(name: str) -> None:
    grid = random_grid()
    budget = 3 if ENTRIES[name]["unit"] == "frames" else 30
    a, b = run(name, grid, budget, seed=7), run(name, grid, budget, seed=7)
    assert torch.equal(a.assign, b.assign) and torch.equal(a.x, b.x)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_same_tokens_on_a_gpu() -> None:
    grid = random_grid()
    moved: dict[str, Any] = {k: v.cuda() if isinstance(v, torch.Tensor) else v for k, v in vars(grid).items()}
    given = {name: value.cuda() for name, value in helpers(grid).items()}
    for name in NAMES:
        budget = 3 if ENTRIES[name]["unit"] == "frames" else 30
        a, b = run(name, grid, budget), run(name, TokenGrid(**moved), budget, **given)
        assert torch.equal(a.assign, b.assign.cpu()) and torch.allclose(a.x, b.x.cpu(), atol=1e-5), name


@pytest.mark.parametrize("name", ["l2", "tome", "vq", "kcenter", "qpool", "prumerge", "bvllm"])
def test_whitening_changes_the_choice_and_not_the_cells(name: str) -> None:
    grid = random_grid()
    grid.x[..., 0] *= 1000  # one channel outweighs the others
    raw, white = run(name, grid, 30), run(name, grid, 30, whiten=True)
    assert not torch.equal(raw.assign, white.assign) or not torch.equal(raw.share, white.share)
    assert torch.allclose(white.x.double(), means_of_cells(white, grid), rtol=1e-4, atol=1e-2)
    with pytest.raises(ValueError, match="whitened"):
        run("dct", grid, 30, whiten=True)


def test_bits_budget_holds_what_it_says() -> None:
    grid = random_grid()
    assert grid.bits is not None
    for wanted in (50.0, 500.0):
        tokens = reduce(grid, "bits", Bits(wanted, 400))
        held = grid.bits.flatten()[tokens.index]
        assert wanted - 21 < float(held.sum()) <= wanted
    assert len(reduce(grid, "bits", Bits(1e9, 50))) == 50 and len(reduce(grid, "bits", Bits(0.1, 50))) == 1


def test_dropped_cells_can_be_filled() -> None:
    """From the nearest kept cell of the frame, or from the same cell of the frame before."""
    grid = random_grid(3, 4, 5, 2)
    tokens = reduce(grid, "select", 9, score=torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(2)))
    kept, x = (tokens.assign >= 0).view(3, 4, 5), grid.x
    for t, y, c in (~kept).nonzero().tolist():
        found = tokens.unmerge(fill="nearest")[t, y, c]
        away = {(a, b): abs(a - y) + abs(b - c) for a, b in kept[t].nonzero().tolist()}
        nearest = [x[t, a, b] for (a, b), distance in away.items() if distance == min(away.values())]
        assert any(torch.equal(found, one) for one in nearest)
        before = [k for k in range(t + 1) if kept[k, y, c]]
        wanted = x[before[-1], y, c] if before else torch.zeros(2)
        assert torch.equal(tokens.unmerge(fill="prev_frame")[t, y, c], wanted)


def test_ties_go_to_the_lower_cell() -> None:
    grid = grid_of(torch.ones(2, 3, 3, 4))
    assert reduce(grid, "l2", 4).index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", SCORES)
def test_scores_have_the_grids_shape_and_shun_padding(name: str) -> None:
    grid = random_grid()
    grid.valid[:, 0] = False
    context = Context(grid, torch.randn(16), torch.rand(2, 3, 480))
    found = score(context, name)
    assert found.shape == (6, 8, 10) and found.dtype == torch.float32
    assert bool(torch.isinf(found[:, 0]).all()) and bool(torch.isfinite(found[:, 1:]).all())
