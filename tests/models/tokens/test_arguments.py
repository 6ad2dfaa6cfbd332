"""Bad arguments are refused by one error that names the argument, even where everything fits; near misses work."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import tessera
from tessera import ParameterError
from tessera.data import procedural
from tessera.models.tokens import METHODS, Adaptive, Bits, TokenGrid, parse_budget, reduce, start
from tessera.models.tokens.methods.options import RULES, options_of
from tessera.models.tokens.methods.select import gumbel_mask, stages
from tessera.models.tokens.modules.memory import MemoryBank
from tessera.models.tokens.modules.schedule import budget_plan, cache_bits, drop_after, layer_masks, pyramid
from tessera.models.tokens.modules.search import search
from tessera.models.tokens.modules.slices import allocate, slice_plan
from tessera.models.tokens.modules.timeline import StreamReader, partition_bits, segments

from ...support.token_samples import random_grid, run

NAN = float("nan")


@pytest.fixture
def grid() -> TokenGrid:
    return random_grid(3, 4, 5, 6)


def refused(grid: TokenGrid, message: str, steps: Any = "bits", budget: Any = 1.0, **options: Any) -> None:
    with pytest.raises(ParameterError, match=message):
        reduce(grid, steps, budget, **options)


@pytest.mark.parametrize("name", METHODS)
def test_an_unknown_option_is_an_error_though_everything_fits(name: str, grid: TokenGrid) -> None:
    for budget in (1.0, 2):
        refused(grid, f"method {name} has no option 'bduget' .did you mean budget", name, budget, bduget=8)
        refused(grid, f"method {name} has no option 'loud'", f"{name}(loud=1)", budget)
        refused(grid, f"method {name} has no option 'tokens'", name, budget, tokens=1)


def test_every_option_of_every_method_has_a_rule() -> None:
    assert {option for method in METHODS.values() for option in options_of(method.run)} == set(RULES)


@pytest.mark.parametrize(
    "steps, options, message",
    [
        ("select", {"uniform": 1.5}, "option uniform of select is a share of 0 to 1, not 1.5"),
        ("select", {"uniform": NAN}, "uniform of select is a finite number"),
        ("select", {"cell": -1}, "cell of select is at least 0, not -1"),
        ("select", {"cell": True}, "cell of select is a whole number, not True"),
        ("select", {"floor": "high"}, "floor of select is a number, not 'high'"),
        ("select", {"each": 1}, "each of select is True or False, not 1"),
        ("select", {"score": "loud"}, "score of select: there is no score 'loud'; there are bits"),
        ("select", {"score": "bits^x*l2"}, "'x' in 'bits.x.l2' is not a power"),
        ("select", {"score": 3}, "score of select is the name of a score or a tensor"),
        ("select", {"score": torch.zeros(3, 4)}, r"score of select is \(3, 4, 5\) or \(60,\), not \(3, 4\)"),
        ("select", {"score": torch.full((3, 4, 5), NAN)}, "score of select holds NaN"),
        ("frames", {"score": torch.zeros(3, 4, 5)}, r"score of frames is \(3,\), not \(3, 4, 5\)"),
        ("clips", {"clips": 0}, "clips of clips is at least 1, not 0"),
        ("clips", {"length": 2.0}, "length of clips is a whole number, not 2.0"),
        ("clips", {"length": 9}, "runs of 9 frames do not fit"),
        ("tome", {"scope": "video"}, "scope of tome is frame or clip, not 'video'"),
        ("slowfast", {"by": "motion"}, "by of slowfast is similarity or bits, not 'motion'"),
        ("slowfast", {"threshold": math.inf}, "threshold of slowfast is a finite number, not inf"),
        ("dct", {"dims": 4}, "dims of dct is 2 or 3, not 4"),
        ("dct", {"domain": "time"}, "domain of dct is coeff or grid, not 'time'"),
        ("firstfull", {"group": 0}, "group of firstfull is at least 1"),
        ("vq", {"iterations": -1}, "iterations of vq is at least 0"),
        ("dpc", {"neighbours": "5"}, "neighbours of dpc is a whole number, not '5'"),
        ("tome(times=2)", {}, "tome is the last one and takes `budget`, not `times`"),
        ("l2(times=2, budget=4) | tome", {}, "says both `budget` and `times`"),
        ("l2(times=-1) | tome", {}, "times of l2 is above 0, not -1"),
        ("l2(budget=0) | tome", {}, "budget of l2 is at least 1, not 0"),
        ("kcenter(budget=[1,2,3]) | tome", {}, "kcenter takes no budget of one number per frame"),
        ("tomme", {}, "there is no method 'tomme'"),
        ("frames | tome", {}, "says neither `budget` nor `times`"),
        ("l2(0.5)", {}, "not option=value"),
        ("", {}, "is not a step"),
        ([], {}, "there are no steps"),
        ([("l2",)], {}, "is not a step"),
        (7, {}, "steps are a text or a list, not 7"),
        ("bits", {"whiten": "yes"}, "whiten is True or False, not 'yes'"),
        ("random", {"seed": -1}, "seed is at least 0"),
        ("random", {"seed": 1.5}, "seed is a whole number, not 1.5"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_named(steps: Any, options: dict[str, Any], message: str, grid: TokenGrid) -> None:
    refused(grid, message, steps, 7, **options)


@pytest.mark.parametrize(
    "budget, message",
    [
        (0, "budget is at least 1, not 0"),
        (-3, "budget is at least 1, not -3"),
        (np.int64(-3), "budget is at least 1, not -3"),
        (True, "budget is a number, not True"),
        (np.bool_(True), "budget"),
        (torch.tensor(True), "budget"),
        (None, "budget is a number, not None"),
        (NAN, "budget is a finite number, not nan"),
        (math.inf, "budget is a finite number, not inf"),
        (0.0, "a share is above 0 and at most 1, not 0"),
        (1.5, "a share is above 0 and at most 1, not 1.5"),
        (-0.5, "a share is above 0"),
        (64.0, "a number of tokens is whole"),
        ((0, 2, 2), r"a side of the raster \(t, h, w\) is at least 1, not 0"),
        ((2, 2), r"is no raster \(t, h, w\); a number per frame is a list"),
        ((2, 2.5, 2), "a side of the raster .* is a whole number, not 2.5"),
        ([], "names 0 frames of 3"),
        ([1, 2], "names 2 frames of 3"),
        ([1, -2, 3], "a number per frame is at least 0, not -2"),
        ([1, True, 3], "a number per frame is a whole number, not True"),
        ([0, 0, 0], "at least one token"),
        (Bits(NAN, 8), "bits is a finite number"),
        (Bits(0, 8), "bits are above 0"),
        (Bits(10, -8), "max_tokens is at least 1, not -8"),
        (Adaptive(NAN, 8), "threshold is a finite number"),
        (Adaptive(0.9, 0), "max_tokens is at least 1"),
        ("many", "budget 'many' is not one such as"),
        ("150%", "at most 1, not 1.5"),
        ("-4", "budget is at least 1, not -4"),
        ("nan", "finite number"),
        ({1: 2}, "budget is a number"),
    ],
)
def test_budgets_out_of_range_are_named(budget: Any, message: str, grid: TokenGrid) -> None:
    for steps in ("l2", "pool"):
        refused(grid, message, steps, budget)


def test_numbers_of_numpy_and_texts_are_budgets(grid: TokenGrid) -> None:
    eight: Any = np.int64(8)
    half: Any = np.float64(0.5)
    budgets: tuple[tuple[Any, int], ...] = (
        (np.int64(7), 7), (np.uint8(7), 7), (torch.tensor(7), 7), (np.float32(0.5), 30), (torch.tensor(0.5), 30),
        ("50%", 30), ("7", 7), ("0.5", 30), (" 12.5% ", 8), ("3x2x2", 12), ("1,2,3", 6), (np.array([1, 2, 3]), 6),
        (torch.tensor([1, 2, 3]), 6), ([np.int64(1), 2, 3], 6), ((np.int64(3), 2, 2), 12), ((9, 9, 9), 60),
        (Bits(1e9 * half, eight), 8), ("1000000bits:4", 4),
    )  # fmt: skip
    for budget, count in budgets:
        assert len(reduce(grid, "bits", budget)) == count, budget
    assert len(reduce(grid, "frames(budget=50%) | tome", eight)) == 8
    assert len(reduce(grid, "select", 6, score="l2", cell=eight, seed=eight, uniform=half)) == 6
    assert parse_budget("0.9:256") == Adaptive(0.9, 256)
    with pytest.raises(ParameterError, match="not one such as"):
        parse_budget("4x8")


def test_shapes_of_inputs_are_named(grid: TokenGrid) -> None:
    for query in (torch.ones(5), torch.ones(2, 3, 6), torch.ones(0, 6), torch.tensor(1.0)):
        for name in ("query", "text"):
            refused(grid, rf"{name} is \(6,\) or \(M, 6\), as the grid's vectors, not \(", "query", **{name: query})
    refused(grid, "query holds NaN", "query", query=torch.full((6,), NAN))
    refused(grid, "query is a tensor, not 'cat'", "query", query="cat")
    refused(grid, "query holds numbers, not bool", "query", query=torch.ones(6, dtype=torch.bool))
    refused(grid, r"query is \(6,\)", "query", 4, query=torch.ones(7), whiten=True)
    for attn in (torch.rand(59), torch.rand(2, 61), torch.rand(3, 5, 4), torch.rand(1, 2, 3, 60), torch.tensor(1.0)):
        refused(grid, r"attn is \(L, heads, 60\), \(heads, 60\), \(60,\) or \(3, 4, 5\), not", "attn", attn=attn)
    refused(grid, "attn holds NaN", "attn", attn=torch.full((60,), NAN))
    refused(grid, "needs a query", "query", 4)
    refused(grid, "needs attn", "attn", 4)
    refused(grid, "needs whole frames", "l2(budget=20) | dct", 4)
    assert grid.bits is not None
    refused(replace(grid, bits=grid.bits[:2]), r"grid.bits is \(3, 4, 5\), as the cells of grid.x, not \(2, 4, 5\)")
    refused(replace(grid, valid=grid.valid[..., :2]), r"grid.valid is \(3, 4, 5\)")
    refused(replace(grid, x=grid.x[0]), r"grid.x is \(T, H, W, C\), not \(4, 5, 6\)")
    refused(replace(grid, times=grid.times[:1]), "grid.times names 1 frames of 3")
    refused(replace(grid, bits=None), "needs bits", "bits", 4)
    refused(replace(grid, bits=None), "needs bits", "l2", Bits(10, 4))
    with pytest.raises(ParameterError, match="grid is a TokenGrid"):
        reduce(grid.x, "bits", 4)  # type: ignore[arg-type]


def test_inputs_of_numpy_work(grid: TokenGrid) -> None:
    query, attn = np.arange(6.0), np.arange(60.0)
    assert torch.equal(run("query", grid, 4, query=query).index, run("query", grid, 4, query=torch.arange(6.0)).index)
    assert run("attn", grid, 3, attn=attn).index.tolist() == [57, 58, 59]
    assert reduce(grid, "select", 3, score=attn.reshape(3, 4, 5)).index.tolist() == [57, 58, 59]


def test_neighbours_of_reduce_refuse_as_well(grid: TokenGrid) -> None:
    tokens, weight = start(grid), torch.rand(60)
    for message, call in (
        ("count is at least 1, not 0", lambda: tokens.draft(0)),
        ("count is a whole number, not 2.5", lambda: tokens.draft(2.5)),  # type: ignore[arg-type]
        ("share is a share of 0 to 1", lambda: tokens.top_mass(1.5)),
        ("fill is zero, nearest or prev_frame, not 'near'", lambda: tokens.unmerge(fill="near")),
        ("x has 3 rows for 60 tokens", lambda: tokens.unmerge(torch.zeros(3, 2))),
        ("ratio of layer 2 is a share", lambda: pyramid(tokens, {2: 1.5})),
        ("layer is at least 0", lambda: drop_after(tokens, -1)),
        ("ratio of layer 1 is a finite number", lambda: layer_masks(weight, (1.0, NAN))),
        ("mass is a share", lambda: cache_bits(weight, -0.1)),
        ("importance holds NaN", lambda: cache_bits(weight * NAN, 0.9)),
        ("step 3 is before the first stage", lambda: budget_plan(((10, 1.0),), 3)),
        ("the last stage keeps every token", lambda: budget_plan((), 3)),
        ("which does not fall", lambda: stages(tokens, None, ((0, 4), (1, 8)), "l2")),  # type: ignore[arg-type]
        ("count 9 is more than the 8 logits", lambda: gumbel_mask(torch.zeros(8), 9, torch.Generator())),
        ("by is bits or area, not 'size'", lambda: allocate([grid], 8, by="size")),
        ("budget is a whole number", lambda: allocate([grid], 0.5)),  # type: ignore[arg-type]
        ("height is at least 1", lambda: slice_plan(0, 9)),
        ("side is at least 1", lambda: slice_plan(9, 9, side=0)),
        ("parts is at least 1", lambda: partition_bits(weight, 0)),
        ("60 frames cannot be cut into 61 parts", lambda: partition_bits(weight, 61)),
        ("spent holds NaN", lambda: partition_bits(weight * NAN, 2)),
        ("by is similarity or bits, not 'size'", lambda: list(segments(grid, 2, by="size"))),
        ("size is at least 1", lambda: MemoryBank(0)),
        ("clip is at least 1", lambda: StreamReader(lambda one: one.x, clip=0)),
        ("picks is at least 1", lambda: search(lambda group: 0.0, weight, 0)),
        ("prior holds NaN", lambda: search(lambda group: 0.0, weight * NAN, 2)),
    ):
        with pytest.raises(ParameterError, match=message):
            call()


def test_files_refuse_before_they_are_read() -> None:
    data = tessera.encode(procedural.clip(2, 32, 32), codec="wavelet", fps=25)
    with tessera.open(data) as clip:
        before = clip.bytes_read
        for options, message in (
            ({"bduget": 8}, "has no option 'bduget'"),
            ({"reduce": "tome", "budget": -1}, "budget is at least 1"),
            ({"reduce": "l2", "budget": NAN}, "finite"),
            ({"budget": True}, "budget is a number, not True"),
        ):  # fmt: skip
            with pytest.raises(ParameterError, match=message):
                clip.tokens(**options)
        assert clip.bytes_read == before
        assert len(clip.tokens(budget="50%")) == 16
