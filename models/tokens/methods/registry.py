"""Every method by name: what it does, what it needs, which published systems it serves.

A method reduces a TokenSet to a budget.  A recipe is a chain of methods.  Both are called by name in `reduce`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..types import TokenSet
from . import frames, merge, pool, select, transform
from .budget import Budget
from .recipes import RECIPES, Recipe
from .scores import NEEDS, Context

Run = Callable[..., TokenSet]
MECHANISMS = ("transform", "similarity", "attention", "query", "rate", "position")


@dataclass(frozen=True)
class Method:
    """
    primitive   select, merge, pool or transform; resamplers and schedules are modules and data of their own
    mechanism   what decides: one of MECHANISMS
    axis        space, time or both
    needs       bits, bits_prior, attn, query
    unit        what the budget counts: tokens or frames
    causal      tokens of a frame do not depend on later frames when each frame has its own budget
    listed      takes a budget of one number per frame
    raster      needs whole frames
    exact       a number as the budget is met; else it is the most, short by less than a row of each frame
    rows        numbers of the systems that it serves (docs/tokens.md)
    """

    name: str
    summary: str
    primitive: str
    mechanism: str
    axis: str
    run: Run
    rows: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()
    unit: str = "tokens"
    causal: bool = False
    listed: bool = False
    raster: bool = False
    exact: bool = True

    @property
    def frames_only(self) -> bool:
        """Whether its scores are one number per frame."""
        return self.unit == "frames" or self.name == "clips"

    @property
    def query_dependent(self) -> bool:
        return "query" in self.needs

    def __call__(self, tokens: TokenSet, budget: Budget, context: Context, **options: Any) -> TokenSet:
        return self.run(tokens, budget, context, **options)


def _m(name: str, kind: str, run: Run, rows: tuple[int, ...], summary: str, flags: str = "", needs: str = "") -> Method:
    """`kind` is "primitive axis mechanism"; `flags` of: causal, listed, raster, loose, frames."""
    primitive, axis, mechanism = kind.split()
    said = set(flags.split())
    return Method(
        name=name,
        summary=summary,
        primitive=primitive,
        mechanism=mechanism,
        axis=axis,
        run=run,
        rows=rows,
        needs=tuple(needs.split()),
        unit="frames" if "frames" in said else "tokens",
        causal="causal" in said,
        listed="listed" in said,
        raster="raster" in said,
        exact="loose" not in said,
    )


def _s(name: str, mechanism: str, rows: tuple[int, ...], summary: str, flags: str = "causal listed") -> Method:
    """A plain selection by one score."""
    run = partial(select.select, score=name)
    return _m(name, f"select both {mechanism}", run, rows, summary, flags, " ".join(NEEDS.get(name, ())))


_SELECT = (
    _m("select", "select both rate", select.select, (3, 39, 74),
       "highest score, `score=` of your choice", "listed", "bits"),
    _s("bits", "rate", (3, 24), "most coded bits"),
    _s("bits_prior", "rate", (), "most bits expected before decoding"),
    _s("novelty", "rate", (), "most bits above the frame's mean"),
    _s("temporal", "similarity", (5,), "least like the same cell of the frame before"),
    _s("change", "similarity", (), "farthest from the same cell of the frame before"),
    _s("l2", "similarity", (4, 74), "longest vectors"),
    _s("attn", "attention", (36,), "most attention, summed over layers and heads", "listed"),
    _s("query", "query", (69, 72), "nearest to the query"),
    _s("density", "similarity", (), "most like the neighbours"),
    _s("uniform", "position", (), "evenly spread, whatever the content", "listed"),
    _s("random", "position", (5,), "at random, by seed", "listed"),
    _m("linspace", "select both position", select.linspace, (18,), "equal steps, first and last included"),
    _m("kcenter", "select both similarity", select.kcenter, (50,), "greedy k-center: the farthest next"),
    _m("feather", "select space attention", partial(select.select, score="attn", uniform=0.25), (26,),
       "a score, a quarter at equal steps whatever it says", "listed", "attn"),
    _m("recover", "select both query", merge.recover, (58,),
       "a visual score, then what is near the query, the rest merged", "", "query"),
    _m("crop", "select space query", select.crop, (72,), "the box nearest to the query", "raster loose", "query"),
    _m("frames", "select time rate", frames.select_frames, (3, 11),
       "whole frames of the highest score", "frames", "bits"),
    _m("uniform_frames", "select time position", frames.uniform_frames, (4,), "whole frames at equal steps", "frames"),
    _m("diverse_frames", "select time similarity", frames.diverse_frames, (4,),
       "frames at equal steps, then those least like them", "frames"),
    _m("drop_repeats", "select time similarity", frames.drop_repeats, (11,),
       "frames unlike the last one kept", "frames"),
    _m("cuts", "select both rate", select.cut_budget, (3,),
       "tokens per frame by its bits, the richest of each", "", "bits"),
    _m("clips", "select both rate", frames.select_clips, (45,),
       "runs of frames, longer ones at lower resolution", "raster loose", "bits"),
)  # fmt: skip
_MERGE = (
    _m("tome", "merge space similarity", merge.tome, (41,), "bipartite soft matching in every frame", "causal listed"),
    _m("greedy", "merge space similarity", merge.greedy, (4,),
       "each token absorbs those above a cosine", "causal listed"),
    _m("vq", "merge both similarity", merge.vq, (28,), "k-means: codebook and index map"),
    _m("dpc", "merge space similarity", merge.dpc, (78,), "density peaks in every frame", "causal listed"),
    _m("runs", "merge time similarity", merge.runs, (5,), "cells merge along time while they change least", "raster"),
    _m("tempme", "merge both similarity", merge.temporal_pairs, (65,),
       "neighbouring frames merge, level by level, then space", "raster"),
    _m("prumerge", "merge both attention", merge.keep_and_absorb, (79,),
       "most attention, each with its nearest dropped ones merged in", "", "attn"),
    _m("visionzip", "merge both attention", merge.dominant, (5,),
       "most attention, the others merged into a few", "", "attn"),
)  # fmt: skip
_POOL = (
    _m("pool", "pool both transform", pool.pool, (1, 12, 49, 66), "means over windows", "causal listed raster"),
    _m("qpool", "pool both query", pool.query_pool, (1,), "means weighted by nearness to the query",
       "causal listed raster", "query"),
    _m("slowfast", "pool both similarity", pool.slowfast, (48,),
       "frames that change fine, the others coarse", "raster"),
    _m("firstfull", "pool both position", pool.first_full, (73,),
       "first frame of a group whole, the others coarse", "raster"),
    _m("thumbnail", "pool both position", pool.thumbnail, (18,),
       "a tiled picture of a few frames, and tokens at equal steps", "raster"),
    _m("dual", "pool both transform", pool.dual, (49,), "pooled frames, and pooled changes of segments", "raster"),
)  # fmt: skip
_TRANSFORM = (
    _m("dct", "transform space transform", transform.cosine, (14,), "lowest cosine coefficients of every frame",
       "causal listed raster"),
    _m("dct3", "transform both transform", partial(transform.cosine, dims=3), (14,),
       "lowest cosine coefficients of the clip", "raster"),
    _m("dctgrid", "transform space transform", partial(transform.cosine, domain="grid"), (14,),
       "a smaller raster from the lowest coefficients", "raster loose"),
)  # fmt: skip
METHODS: dict[str, Method] = {method.name: method for method in (*_SELECT, *_MERGE, *_POOL, *_TRANSFORM)}


def list_methods() -> list[dict[str, Any]]:
    """List every method and recipe.

    Returns:
        One entry per method or recipe: name, primitive, mechanism, axis, needs, unit, rows, summary.
    """
    return [*map(_entry, METHODS.values()), *map(_recipe_entry, RECIPES.values())]


def _entry(method: Method) -> dict[str, Any]:
    names = ("name", "primitive", "mechanism", "axis", "unit", "query_dependent", "summary")
    found = {name: getattr(method, name) for name in names}
    return {**found, "needs": list(method.needs), "rows": list(method.rows), "stage": "adapter"}


def _recipe_entry(recipe: Recipe) -> dict[str, Any]:
    parts = [METHODS[name] for name, _ in recipe.steps]
    chosen = zip(parts, recipe.steps, strict=True)
    needs = sorted({need for part, (_, options) in chosen for need in step_needs(part, options)})
    axes = {part.axis for part in parts}
    return {
        **_entry(parts[-1]),
        "name": recipe.name,
        "primitive": " + ".join(dict.fromkeys(part.primitive for part in parts)),
        "axis": axes.pop() if len(axes) == 1 else "both",
        "needs": needs,
        "query_dependent": "query" in needs,
        "rows": list(recipe.rows),
        "summary": recipe.summary,
    }


def step_needs(method: Method, options: dict[str, Any]) -> tuple[str, ...]:
    """What one step needs, its own `score` counted."""
    score = options.get("score")
    if not isinstance(score, str):
        return method.needs
    names = [word.partition("^")[0].strip() for word in score.split("*")]
    return tuple(need for name in names for need in NEEDS.get(name, ()))
