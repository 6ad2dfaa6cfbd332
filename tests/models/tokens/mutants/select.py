"""Scores, and methods that select tokens or frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tessera.models.tokens import TokenSet
from tessera.models.tokens.methods.frames import keep_frames
from tessera.models.tokens.rows import evenly, take
from tessera.models.tokens.types import LayerSchedule

from ....support.mutation import Mutant, always, asking, drawn, upside_down, without
from .. import test_rows_merge as merging
from .. import test_rows_select as selecting
from .common import random_tokens


def random_score(f: Any) -> Any:
    return lambda context, *given: drawn(*context.grid.valid.shape)


def even_frames(f: Any) -> Any:
    def run(tokens: TokenSet, budget: Any, context: Any, *given: Any, **options: Any) -> TokenSet:
        return keep_frames(tokens, evenly(int(budget), tokens.shape[0]))

    return run


def neighbour_repeats(f: Any) -> Any:
    """Repeats measured from the frame before, not from the last one kept."""

    def run(tokens: TokenSet, budget: Any, context: Any, threshold: float = 0.98) -> TokenSet:
        x = torch.nn.functional.normalize(tokens.x.view(tokens.shape[0], -1, tokens.x.shape[1]).mean(1), dim=1)
        return keep_frames(tokens, [0, *((x[1:] * x[:-1]).sum(-1) < threshold).nonzero().flatten().add(1).tolist()])

    return run


def noiseless(f: Any) -> Any:
    def mask(logits: Tensor, count: int, generator: Any, temperature: float = 1.0) -> Tensor:
        soft = torch.softmax(logits / temperature, -1) * count
        hard = torch.zeros_like(logits).scatter(-1, logits.topk(count).indices, 1.0)
        return hard + soft - soft.detach()

    return mask


def second_stage_at_random(f: Any) -> Any:
    def run(*given: Any, **options: Any) -> TokenSet:
        found: TokenSet = f(*given, **options)
        assert found.schedule is not None
        kept = {k: drawn(len(found)).argsort()[: len(v)].sort().values for k, v in found.schedule.keep.items()}
        return replace(found, schedule=LayerSchedule(keep=kept))

    return run


def first_rows(f: Any) -> Any:
    return lambda score, count: torch.arange(count)


S = "methods.select."
M = "methods.merge."
_SCORES = tuple(
    Mutant(f"methods.scores.{name}", change, selecting.test_scores_are_what_their_names_say)
    for name in ("novelty", "temporal", "change", "l2", "query", "density", "bits", "bits_prior")
    for change in (random_score, upside_down)
)
MUTANTS = (
    *_SCORES,
    Mutant("methods.scores.attn", random_score, selecting.test_row_36_vtc_cls),
    Mutant("methods.scores.attn", asking(first=2), selecting.test_row_36_vtc_cls),
    Mutant("methods.scores.uniform", random_score, selecting.test_uniform_and_random_scores_spread),
    Mutant("methods.scores.random", lambda f: lambda c: c.grid.bits, selecting.test_uniform_and_random_scores_spread),
    Mutant("methods.scores._factor", lambda f: lambda c, w: f(c, w.partition("^")[0]),
           selecting.test_scores_multiply_without_turning_an_order_around),
    Mutant("rows.top_rows", first_rows, selecting.test_row_39_tokens_stay_in_the_order_of_time),
    Mutant("rows.evenly", lambda f: lambda n, total, device=None: torch.arange(n), selecting.test_row_18_linspace),
    Mutant(S + "linspace", random_tokens, selecting.test_row_18_linspace),
    Mutant(S + "select", random_tokens, selecting.test_row_5_evs),
    Mutant(S + "select", without("uniform"), selecting.test_row_26_feather),
    Mutant(S + "select", without("cell"), selecting.test_row_26_every_square_keeps_its_best),
    Mutant(S + "select", without("floor"), selecting.test_row_74_vts_floor),
    Mutant(S + "select", lambda f: lambda t, b, c, score="bits", **o: f(t, b, c, "random", **o),
           selecting.test_row_26_both_stages),
    Mutant(S + "stages", second_stage_at_random, selecting.test_row_26_both_stages),
    Mutant(S + "covering", lambda f: lambda tokens, values, cell: f(tokens, -values, cell),
           selecting.test_row_26_every_square_keeps_its_best),
    Mutant("methods.cluster.kcenter_rows", lambda f: lambda x, n, first=0: drawn(len(x)).argsort()[:n],
           selecting.test_row_50_todre),
    Mutant(S + "kcenter", random_tokens, selecting.test_row_50_todre),
    Mutant(S + "kcenter", asking(start="random"), selecting.test_row_50_todre),
    Mutant(S + "best_box", always((0, 0)), selecting.test_row_72_free_video),
    Mutant(S + "crop", asking(score="random"), selecting.test_row_72_free_video),
    Mutant(S + "gumbel_mask", noiseless, selecting.test_row_39_s5),
    Mutant(S + "gumbel_mask", asking(temperature=50.0), selecting.test_row_39_s5),
    Mutant(S + "outlier_ratio", always(3 / 36), merging.test_row_79_prumerge),
    Mutant(S + "cut_budget", lambda f: lambda t, b, c, **o: take(t, evenly(b, len(t))), selecting.test_row_3_kffocus),
    Mutant(S + "cut_budget", asking(score="random"), selecting.test_row_3_kffocus),
    Mutant(M + "recover", asking(share=0.0), selecting.test_row_58_recoverable),
    Mutant(M + "recover", asking(merge=0.0), selecting.test_row_58_recoverable),
    Mutant(M + "recover", asking(visual="random"), selecting.test_row_58_recoverable),
    Mutant("methods.scores.query", upside_down, selecting.test_row_69_slime),
    Mutant("methods.frames.select_frames", even_frames, selecting.test_row_3_kffocus),
    Mutant("methods.frames.uniform_frames", lambda f: lambda t, b, c: keep_frames(t, range(b)),
           selecting.test_row_4_diverse_frames),
    Mutant("methods.frames.diverse_frames", even_frames, selecting.test_row_4_diverse_frames),
    Mutant("methods.frames.diverse_frames", asking(uniform=1.0), selecting.test_row_4_dcode),
    Mutant("methods.frames.drop_repeats", even_frames,
           selecting.test_row_11_repeats_are_measured_from_the_last_frame_kept),
    Mutant("methods.frames.drop_repeats", neighbour_repeats,
           selecting.test_row_11_repeats_are_measured_from_the_last_frame_kept),
    Mutant("methods.frames._runs", lambda f: lambda v, n, length: [k * length for k in range(n)],
           selecting.test_row_45_f2c),
    Mutant("methods.frames.select_clips", asking(score="random"), selecting.test_row_45_f2c),
    Mutant("methods.frames.keep_frames", lambda f: lambda t, numbers: f(t, range(len(numbers))),
           selecting.test_kept_frames_keep_their_raster),
    Mutant("methods.recipes.RECIPES[bvllm]", lambda r: replace(r, steps=(("random", {}),)),
           selecting.test_row_11_bvllm),
    Mutant("methods.recipes.RECIPES[bvllm]", lambda r: replace(r, steps=(*r.steps[:2], ("l2", {"times": 2.0}),
           r.steps[3])), selecting.test_row_11_bvllm),
    Mutant("methods.recipes.RECIPES[dcode]", lambda r: replace(r, steps=r.steps[1:]), selecting.test_row_4_dcode),
    Mutant("methods.recipes.RECIPES[evs]", lambda r: replace(r, steps=(("change", {}),)), selecting.test_row_5_evs),
    Mutant("methods.recipes.RECIPES[freevideo]", lambda r: replace(r, steps=(r.steps[0], ("random", {}))),
           selecting.test_row_72_free_video),
    Mutant("methods.scores.Context.ask", lambda f: lambda self: self.query[None], selecting.test_row_5_llmc),
)  # fmt: skip
