"""What a language model or a learned module does with tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from tessera.models.tokens import TokenSet
from tessera.models.tokens.modules.schedule import causal_mask
from tessera.models.tokens.raster import pool_raster
from tessera.models.tokens.rows import take
from tessera.models.tokens.types import LayerSchedule

from ....support.mutation import Mutant, always, drawn
from .. import test_lm as lm
from .. import test_modules as modules


def zeros(f: Any) -> Any:
    def draft(self: TokenSet, count: int) -> TokenSet:
        found: TokenSet = f(self, count)
        return replace(found, x=torch.zeros_like(found.x))

    return draft


def whole_memory(f: Any) -> Any:
    return lambda self, queries, memory, mask=None: f(self, queries, memory, None)


def shuffled_schedule(f: Any) -> Any:
    def run(tokens: TokenSet, ratios: dict[int, float]) -> TokenSet:
        return f(replace(tokens, weight=tokens.weight.flip(0)), ratios)  # type: ignore[no-any-return]

    return run


MUTANTS = (
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
