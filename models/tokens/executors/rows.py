"""Executors that leave rows out: planned, ranked by attention, or layer by layer (mixture of depths)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..rows import evenly, top_rows
from ..types import LayerSchedule
from .hooks import Executor, rotate


class Following(Executor):
    """What a `LayerSchedule` keeps: `schedule.pyramid`, `schedule.drop_after` (ToDRE's second stage).

    Args:
        places: See `Executor`.
        schedule: Rows are those of the set, in the order of the prompt.
    """

    def __init__(self, places: Tensor, schedule: LayerSchedule) -> None:
        super().__init__(places)
        if schedule.pool:
            raise ValueError("pooling within a model is not carried out here; the schedule may only keep rows")
        for layer, rows in schedule.keep.items():
            if rows.numel() and int(rows.max()) >= len(self.vision):
                raise ValueError(f"layer {layer} keeps row {int(rows.max())} of {len(self.vision)} vision tokens")
        self.stages = dict(sorted(schedule.keep.items()))

    def rows_of(self, layer: int) -> Tensor | None:
        due = [rows for begin, rows in self.stages.items() if begin <= layer]
        return _with_text(self, self.vision[due[-1].to(self.vision.device)]) if due else None


class Skipping(Executor):
    """Mixture of depths: a token passes a layer unchanged unless its mask says so (VideoLLM-MoD).

    Args:
        places: See `Executor`.
        masks: bool (layers, N), from `schedule.layer_masks`; row 0 is all True.
    """

    def __init__(self, places: Tensor, masks: Tensor) -> None:
        super().__init__(places)
        if masks.shape[1] != len(self.vision):
            raise ValueError(f"the masks are for {masks.shape[1]} tokens, the prompt has {len(self.vision)}")
        self.masks = masks

    def rows_of(self, layer: int) -> Tensor | None:
        return _with_text(self, self.vision[self.masks[layer].to(self.vision.device)])


class Ranked(Executor):
    """From each stage's layer on, only the vision tokens that got most attention in the layer before.

    Args:
        places: See `Executor`.
        stages: Layer -> share of all vision tokens, 0..1, or a number of them; later stages rank what is left.
        position_free: Rank by attention without rotary positions, which favour late tokens (FEATHER).
        even: Share of each stage's tokens that is kept at equal steps, whatever their attention.
    """

    def __init__(
        self, places: Tensor, stages: Mapping[int, float], *, position_free: bool = False, even: float = 0.0
    ) -> None:
        super().__init__(places)
        if any(layer < 1 for layer in stages) or any(keep < 0 for keep in stages.values()) or not 0 <= even <= 1:
            raise ValueError("stages begin at layer 1 or later and keep no less than nothing; even is 0..1")
        self.stages, self.position_free, self.even = dict(sorted(stages.items())), position_free, even
        self.kept: dict[int, Tensor] = {}  # layer of a stage -> rows of the prompt

    def watches(self, layer: int) -> bool:
        return layer + 1 in self.stages

    def see(self, layer: int, query: Tensor, key: Tensor) -> None:
        rows = self.keys[layer]
        if self.position_free:
            angles = [part[0] for part in self.rotation[layer]]
            query, key = rotate(query, angles, back=True), rotate(key, angles, back=True)
        score = (query[:, -1:] @ key.transpose(1, 2)).float() / query.shape[-1] ** 0.5
        attention = score.softmax(-1)[:, 0].mean(0)  # of the last token of the prompt, over all heads
        places = self.places.to(rows.device)[rows]
        alive, got = rows[places], attention[places]
        keep = self.stages[layer + 1]
        count = int(keep) if keep > 1 else int(keep * len(self.vision) + 0.5)
        self.kept[layer + 1] = alive[_best(got, min(count, len(alive)), self.even)]

    def rows_of(self, layer: int) -> Tensor | None:
        due = [begin for begin in self.stages if begin <= layer]
        return _with_text(self, self.kept[due[-1]]) if due else None


def _best(score: Tensor, count: int, even: float) -> Tensor:
    """`count` rows, ascending: a share of them at equal steps, the others of highest score."""
    spread = evenly(int(count * even), len(score), score.device) if int(count * even) else score.new_zeros(0).long()
    raised = score.index_fill(0, spread, torch.inf)
    return top_rows(raised, count)


def _with_text(executor: Executor, vision: Tensor) -> Tensor:
    return torch.cat([executor.text.to(vision.device), vision]).sort().values


def fastv(places: Tensor, layer: int = 2, keep: float = 0.5) -> Ranked:
    """Drop the vision tokens of least attention before `layer` (FastV)."""
    return Ranked(places, {layer: keep})


def pyramid_drop(places: Tensor, stages: Mapping[int, float]) -> Ranked:
    """Drop more at every stage, each time by the attention of the layer before (PyramidDrop)."""
    return Ranked(places, stages)


def feather(places: Tensor, early: int, keep: float, late: int, keep_late: float, even: float = 0.25) -> Ranked:
    """Drop in two stages by attention without positions, some tokens kept at equal steps (FEATHER)."""
    return Ranked(places, {early: keep, late: keep_late}, position_free=True, even=even)
