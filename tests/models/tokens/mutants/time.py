"""Memory, streams, segments, slices and search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ....support.mutation import Mutant, always, asking, drawn
from .. import test_helpers as helpers


def fifo(f: Any) -> Any:
    return lambda self, key, value, score: f(self, key, value, float(key))


def even_cuts(f: Any) -> Any:
    def run(values: Tensor, parts: int) -> list[tuple[int, int]]:
        cuts = [k * len(values) // parts for k in range(parts + 1)]
        return list(zip(cuts[:-1], cuts[1:], strict=True))

    return run


MUTANTS = (
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
