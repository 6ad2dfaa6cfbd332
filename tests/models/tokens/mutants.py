"""Ideas taken out one at a time, and the test that must notice: the evidence that the tests of tokens test something.

Each entry replaces one function by something trivial: at random, at equal steps, upside down, nothing at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tessera.models.tokens import TokenSet
from tessera.models.tokens.methods.frames import keep_frames, tokens_wanted
from tessera.models.tokens.modules.schedule import causal_mask
from tessera.models.tokens.raster import pool_raster
from tessera.models.tokens.rows import evenly, take
from tessera.models.tokens.types import LayerSchedule

from ...support.mutation import Mutant, always, asking, drawn, upside_down, without
from . import test_helpers as helpers
from . import test_invariants as invariants
from . import test_lm as lm
from . import test_modules as modules
from . import test_nearby as nearby
from . import test_rows_merge as merging
from . import test_rows_pool as pooling
from . import test_rows_select as selecting


def random_score(f: Any) -> Any:
    return lambda context, *given: drawn(*context.grid.valid.shape)


def random_tokens(f: Any) -> Any:
    """A random subset of the right number, whatever the method."""

    def run(tokens: TokenSet, budget: Any, context: Any, **options: Any) -> TokenSet:
        count = tokens_wanted(budget, tokens, context)
        return take(tokens, drawn(len(tokens)).argsort()[:count].sort().values)

    return run


def even_frames(f: Any) -> Any:
    def run(tokens: TokenSet, budget: Any, context: Any, *given: Any, **options: Any) -> TokenSet:
        return keep_frames(tokens, evenly(int(budget), tokens.shape[0]))

    return run


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


def previous_frame(f: Any) -> Any:
    """Slow frames measured from the frame before, not from the last slow one."""

    def run(tokens: TokenSet, context: Any, by: str = "similarity", threshold: float = 0.9) -> list[bool]:
        x = torch.nn.functional.normalize(tokens.x, dim=1).view(tokens.shape[0], -1, tokens.x.shape[1])
        near = (x[1:] * x[:-1]).sum(-1).mean(1)
        return [True, *(near < threshold).tolist()]

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


def kept_alone(f: Any) -> Any:
    """Nothing is absorbed."""
    return lambda tokens, kept, *given: take(tokens, kept)


def one_group(f: Any) -> Any:
    return lambda tokens, kept, groups: f(tokens, kept, 1)


def zeros(f: Any) -> Any:
    def draft(self: TokenSet, count: int) -> TokenSet:
        found: TokenSet = f(self, count)
        return replace(found, x=torch.zeros_like(found.x))

    return draft


def first_rows(f: Any) -> Any:
    return lambda score, count: torch.arange(count)


def same_places(f: Any) -> Any:
    def run(grid: Any, count: int, layers: int) -> tuple[Tensor, Tensor]:
        values, places = f(grid, count, layers)
        return values, places[:1].expand_as(places)

    return run


def nothing_known(f: Any) -> Any:
    """Every frame sends its own coefficients, not the difference to what is known."""
    from tessera.models.tokens.cosine import dct

    def run(grid: Any, count: int, layers: int) -> tuple[Tensor, Tensor]:
        _, places = f(grid, count, layers)
        spectra = [dct(frame, (0, 1)).reshape(-1, frame.shape[2]) for frame in grid.x]
        return torch.stack([s[p] for s, p in zip(spectra, places, strict=True)]), places

    return run


def whole_memory(f: Any) -> Any:
    return lambda self, queries, memory, mask=None: f(self, queries, memory, None)


def fifo(f: Any) -> Any:
    return lambda self, key, value, score: f(self, key, value, float(key))


def even_cuts(f: Any) -> Any:
    def run(values: Tensor, parts: int) -> list[tuple[int, int]]:
        cuts = [k * len(values) // parts for k in range(parts + 1)]
        return list(zip(cuts[:-1], cuts[1:], strict=True))

    return run


def evenly_shared(f: Any) -> Any:
    return lambda total, shares, *given, **options: f(total, [1.0] * len(shares), *given, **options)


def shuffled_schedule(f: Any) -> Any:
    def run(tokens: TokenSet, ratios: dict[int, float]) -> TokenSet:
        return f(replace(tokens, weight=tokens.weight.flip(0)), ratios)  # type: ignore[no-any-return]

    return run


S, M, P = "methods.select.", "methods.merge.", "methods.pool."
_SCORES = tuple(
    Mutant(f"methods.scores.{name}", change, selecting.test_scores_are_what_their_names_say)
    for name in ("novelty", "temporal", "change", "l2", "query", "density", "bits", "bits_prior")
    for change in (random_score, upside_down)
)
_SELECT = (
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
_MERGE = (
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
_POOL = (
    Mutant("rows.regroup", lambda f: lambda t, labels, weight=None, lattice=None: f(t, labels, None, lattice),
           pooling.test_row_1_ppllava),
    Mutant(P + "query_pool", asking(sharpness=-5.0), pooling.test_row_1_ppllava),
    Mutant(P + "query_pool", asking(sharpness=0.0), pooling.test_row_1_ppllava),
    Mutant(P + "weighted_pool", lambda f: lambda t, b, c, w: f(t, b, c, w.flip(0)), pooling.test_row_1_ppllava),
    Mutant(P + "pool", random_tokens, pooling.test_row_12_pool_is_the_mean_of_windows),
    Mutant("raster.windows", lambda f: lambda *given: f(*given)[drawn(f(*given).numel()).argsort()],
           pooling.test_row_12_pool_is_the_mean_of_windows),
    Mutant(P + "bricks", lambda f: lambda h, w, n: torch.arange(h * w) % n,
           pooling.test_bricks_are_rectangles_of_like_size),
    Mutant(P + "bricks", lambda f: lambda h, w, n: torch.arange(h * w) * n // (h * w),
           pooling.test_row_12_pool_is_the_mean_of_windows),
    Mutant(P + "slow_frames", previous_frame, pooling.test_row_48_frames_are_compared_with_the_last_slow_one),
    Mutant(P + "slow_frames", lambda f: lambda t, c, *g, **o: [k % 6 == 0 for k in range(t.shape[0])],
           pooling.test_row_48_keye),
    Mutant(P + "_by_bits", lambda f: lambda spent, t: [True, *(b > (1 - t) * spent[0] for b in spent[1:])],
           pooling.test_row_48_frames_are_compared_with_the_last_slow_one),
    Mutant(P + "slowfast", asking(fast_ratio=1.0), pooling.test_row_48_keye),
    Mutant(P + "first_full", asking(group=3), pooling.test_row_73_visual_context_window),
    Mutant(P + "thumbnail", random_tokens, pooling.test_row_18_tsllava),
    Mutant(P + "_tiled", lambda f: lambda small, *given: small, pooling.test_row_18_tsllava),
    Mutant(P + "dual", asking(segments=1), pooling.test_row_49_videogpt),
    Mutant(P + "dual", random_tokens, pooling.test_row_49_videogpt),
    Mutant(P + "fuse", lambda f: lambda grids: replace(f(grids), x=f(grids).x.roll(1, 2)),
           pooling.test_row_32_mousi_fuse),
    Mutant("prompt.positions.position_ids", lambda f: lambda t, scheme="mrope", **o: f(t, "1d"),
           pooling.test_row_32_mousi_positions),
    Mutant("prompt.positions.position_ids", lambda f: lambda t, scheme="mrope", **o: f(t, "1d"), lm.test_row_20_v2pe),
    Mutant("prompt.positions.position_ids", lambda f: lambda t, scheme="mrope", **o: f(t, scheme),
           pooling.test_row_73_visual_context_window),
    Mutant("methods.budget.proportional", evenly_shared,
           pooling.test_proportional_is_exact),
    Mutant("cosine.dct", lambda f: lambda x, axes, inverse=False: x, pooling.test_row_14_fourier),
    Mutant("cosine.Basis.gain", always(1.0), pooling.test_row_14_fourier),
    Mutant("methods.transform.cosine", random_tokens, pooling.test_row_14_fourier),
    Mutant("methods.transform.zigzag", lambda f: lambda full: f(full).flip(0), pooling.test_row_14_fourier),
    Mutant("methods.transform.progressive", same_places, pooling.test_row_2_pvc),
    Mutant("methods.transform.progressive", nothing_known, pooling.test_row_2_pvc),
    Mutant("methods.transform.zigzag", lambda f: lambda full: torch.arange(full[0] * full[1] * full[2]),
           pooling.test_row_2_pvc),
    Mutant("methods.transform.rebuild", lambda f: lambda values, *g: f(values, *g).flip(0), pooling.test_row_2_pvc),
    Mutant("types.fill_dropped", lambda f: lambda assign, fill: assign, invariants.test_dropped_cells_can_be_filled),
)  # fmt: skip
_LAYERS = (
    Mutant("types.TokenSet.draft", zeros, lm.test_row_19_flash_and_row_54_vispec),
    Mutant("types.TokenSet.draft", lambda f: lambda self, n: take(self, torch.arange(n)),
           lm.test_row_19_flash_and_row_54_vispec),
    Mutant("types.TokenSet.global_vec", lambda f: lambda self: self.x.mean(0), lm.test_row_19_flash_and_row_54_vispec),
    Mutant("types.TokenSet.top_mass", lambda f: lambda self, share: torch.arange(int(share * len(self))),
           lm.test_row_34_zipvl),
    Mutant("modules.schedule.pyramid", shuffled_schedule, lm.test_row_26_stages_run_in_the_model),
    Mutant("modules.schedule.drop_after", lambda f: lambda tokens, layer: tokens,
           lm.test_row_50_all_tokens_go_after_a_layer),
    Mutant("modules.schedule.layer_masks", lambda f: lambda w, ratios: f(-w, ratios), lm.test_row_71_mixture_of_depths),
    Mutant("modules.schedule.layer_masks", lambda f: lambda w, ratios: f(drawn(len(w)), ratios),
           lm.test_row_71_mixture_of_depths),
    Mutant("modules.schedule.pool_plan", always(LayerSchedule()), lm.test_row_59_dpn),
    Mutant("modules.schedule.budget_plan", always(1.0), lm.test_row_12_llavolta),
    Mutant("modules.schedule.voco_mask", lambda f: lambda v, c, t: causal_mask(v + c + t), lm.test_row_13_voco),
    Mutant("modules.schedule.voco_clips_mask", lambda f: lambda v, c, n, t: causal_mask(n * (v + c) + t),
           lm.test_row_77_voco_over_clips),
    Mutant("modules.schedule.attention_pattern", lambda f: lambda shape, kind, *g, **o: f(shape, "diagonal", *g, **o),
           lm.test_row_61_sparse_vdit),
    Mutant("modules.schedule.cache_bits", lambda f: lambda *given: 10 - f(*given), lm.test_row_34_zipvl),
    Mutant("modules.schedule.cache_bits", lambda f: lambda w, mass: f(drawn(len(w)), mass), lm.test_row_34_zipvl),
    Mutant("modules.schedule.quantise", lambda f: lambda values, bits: values, lm.test_row_34_zipvl),
    Mutant("modules.resample.CrossAttention.forward", lambda f: lambda self, queries, memory, mask=None: queries,
           modules.test_cross_attention_by_hand),
    Mutant("modules.resample.CrossAttention.forward", whole_memory, modules.test_row_22_vision_remember),
    Mutant("modules.resample.Resampler.forward", lambda f: lambda self, t, kept, text=None: replace(
           pool_raster(t, kept), memory=t.x), modules.test_row_8_crosslmm),
    Mutant("modules.resample.Resampler.forward", lambda f: lambda self, t, kept, text=None: f(self, t, kept),
           modules.test_row_42_hicom_and_row_46_tdc),
    Mutant("modules.resample.append_free", lambda f: lambda t, x: f(t, torch.zeros_like(x)),
           modules.test_row_42_hicom_and_row_46_tdc),
    Mutant("modules.resample.prefuse", lambda f: lambda look, text, tokens: text, modules.test_row_23_llava_mini),
    Mutant("modules.resample.Registers.forward",
           lambda f: lambda self, tiles: self.registers.expand(len(tiles), *self.registers.shape),
           modules.test_row_40_falcon),
    Mutant("modules.resample.Registers.forward",
           lambda f: lambda self, tiles: torch.stack([self.read(self.registers, tile) for tile in tiles]),
           modules.test_row_40_falcon),
    Mutant("modules.resample.Lookup.forward", lambda f: lambda self, x, side: (f(self, x, side)[0], x),
           modules.test_row_67_lookupvit),
    Mutant("modules.resample.Lookup.forward", lambda f: lambda self, x, side: (x[: side * side], x),
           modules.test_row_67_lookupvit),
    Mutant("modules.resample.PatchMerge.forward", lambda f: lambda self, x, query=None: f(self, x),
           modules.test_row_51_visfocus),
)  # fmt: skip
_TIME = (
    Mutant("modules.memory.MemoryBank.push", fifo, helpers.test_row_27_videostreaming),
    Mutant("modules.memory.MemoryBank.push", fifo, helpers.test_row_53_sam_i2v),
    Mutant("modules.memory.MemoryBank.select", lambda f: lambda self, query, n: self.keys[:n],
           helpers.test_row_27_videostreaming),
    Mutant("modules.memory.MemoryToken.update", lambda f: lambda self, frame: f(replace(self), frame),
           helpers.test_row_55_jointformer),
    Mutant("modules.memory.propagate", lambda f: lambda frames, mask, size=4: mask.expand(len(frames), -1, -1),
           helpers.test_row_53_sam_i2v),
    Mutant("modules.timeline.StreamReader._remember", lambda f: lambda self: (
           self.memory.push(self.frames // 8 - 1, torch.cat(self._held), 0.0), self._held.clear()),
           helpers.test_row_27_videostreaming),
    Mutant("modules.timeline.StreamReader.push", lambda f: lambda self, grid: f(self, grid)[::-1],
           helpers.test_row_76_longva),
    Mutant("modules.timeline.partition_bits", even_cuts, helpers.test_row_24_quicksviewer),
    Mutant("modules.timeline.partition_change", even_cuts, helpers.test_row_46_tdc),
    Mutant("modules.timeline.frame_change", lambda f: lambda grid: drawn(len(grid.x)), helpers.test_row_46_tdc),
    Mutant("modules.slices.allocate", lambda f: lambda grids, n, by="bits", floor=1: [n // len(grids)] * len(grids),
           helpers.test_row_10_langdc_floor),
    Mutant("modules.slices.allocate", lambda f: lambda grids, n, by="bits", floor=1: f(grids, n, "bits", floor),
           helpers.test_row_31_leopard),
    Mutant("modules.slices.slice_plan", lambda f: lambda h, w, side=336, most=9: f(h, w, side, 1),
           helpers.test_row_44_llava_uhd),
    Mutant("modules.slices.slice_plan", lambda f: lambda h, w, side=336, most=9: f(h, w, side, 16),
           helpers.test_row_75_adaptvision),
    Mutant("modules.slices.slice_markers", lambda f: lambda plan: list(range(len(plan))),
           helpers.test_row_44_llava_uhd),
    Mutant("modules.search.segment_index", asking(dynamics=False), helpers.test_row_43_vdi),
    Mutant("modules.search.find", lambda f: lambda index, query: int((index - query).square().sum(1).argmax()),
           helpers.test_row_43_vdi),
    Mutant("modules.search.embed", lambda f: lambda grid, frames=None: f(grid, [0]),
           helpers.test_row_66_vifi_clip_and_row_57_frozen_in_time),
    Mutant("modules.search.search", lambda f: lambda read, prior, picks, *g: list(range(picks)),
           helpers.test_row_38_search_looks_at_few),
    Mutant("modules.search._believe_neighbours", always(None), helpers.test_row_38_search_looks_at_few),
    Mutant("modules.search._most_promising", lambda f: lambda belief, found, n: f(torch.zeros_like(belief), found, n),
           helpers.test_row_38_search_looks_at_few),
)  # fmt: skip
MUTANTS = (*_SCORES, *_SELECT, *_MERGE, *_POOL, *_LAYERS, *_TIME)
