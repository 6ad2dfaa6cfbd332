"""Executors that leave rows out: planned, ranked by attention, or layer by layer (mixture of depths)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import flag, flags, integer, is_whole, share, whole_numbers
from ..rows import evenly, top_rows
from ..types import LayerSchedule
from .hooks import Executor, last_attention, rotate


class Following(Executor):
    """What a `LayerSchedule` keeps: `schedule.pyramid`, `schedule.drop_after` (ToDRE's second stage).

    Args:
        places: See `Executor`.
        schedule: Rows are those of the set, in the order of the prompt.
    """

    def __init__(self, places: Tensor, schedule: LayerSchedule) -> None:
        super().__init__(places)
        if not isinstance(schedule, LayerSchedule):
            raise ParameterError(f"schedule is a LayerSchedule, as `TokenSet.schedule`, not {type(schedule).__name__}")
        if schedule.pool:
            raise ParameterError("pooling within a model is not carried out here; the schedule may only keep rows")
        stages = {}
        for layer, given in schedule.keep.items():
            rows = whole_numbers(f"rows that layer {layer} keeps", given, 1)
            if rows.numel() and int(rows.max()) >= len(self.vision):
                raise ParameterError(f"layer {layer} keeps row {int(rows.max())} of {len(self.vision)} vision tokens")
            if rows.numel() and (int(rows[0]) < 0 or not bool((rows.diff() > 0).all())):
                raise ParameterError(f"rows that layer {layer} keeps ascend from 0, none twice")
            stages[integer("layer", layer)] = rows
        self.stages = dict(sorted(stages.items()))

    def fits(self, layers: int) -> None:
        _has_layer(max(self.stages, default=0), layers)

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
        self.masks = masks = flags("masks", masks, 2)
        if masks.shape[1] != len(self.vision):
            raise ParameterError(f"the masks are for {masks.shape[1]} tokens, the prompt has {len(self.vision)}")

    def fits(self, layers: int) -> None:
        if len(self.masks) != layers:
            raise ParameterError(f"masks are for {len(self.masks)} layers, the model has {layers}")

    def rows_of(self, layer: int) -> Tensor | None:
        return _with_text(self, self.vision[self.masks[layer].to(self.vision.device)])


class Ranked(Executor):
    """From each stage's layer on, only the vision tokens that got most attention in the layer before.

    Args:
        places: See `Executor`.
        stages: Layer -> share of all vision tokens, 0..1, or a whole number of them; later stages rank what is left.
        position_free: Rank by attention without rotary positions, which favour late tokens (FEATHER).
        even: Share of each stage's tokens that is kept at equal steps, whatever their attention.
    """

    def __init__(
        self, places: Tensor, stages: Mapping[int, float], *, position_free: bool = False, even: float = 0.0
    ) -> None:
        super().__init__(places)
        if not isinstance(stages, Mapping):
            raise ParameterError(f"stages name a share for each layer, as {{2: 0.5}}, not {stages!r}")
        counts = {integer("layer", layer, 1): self._count(layer, keep) for layer, keep in stages.items()}
        self.stages, self.position_free = dict(sorted(counts.items())), flag("position_free", position_free)
        self.even = share("even", even)
        self.kept: dict[int, Tensor] = {}  # layer of a stage -> rows of the prompt

    def _count(self, layer: int, keep: float) -> int:
        """Tokens of a stage."""
        if is_whole(keep):
            return integer(f"keep of layer {layer}", keep)
        return int(share(f"keep of layer {layer}", keep) * len(self.vision) + 0.5)

    def fits(self, layers: int) -> None:
        _has_layer(max(self.stages, default=0), layers)

    def watches(self, layer: int) -> bool:
        return layer + 1 in self.stages

    def see(self, layer: int, query: Tensor, key: Tensor, seen: Tensor | None) -> None:
        rows = self.keys[layer]
        if self.position_free:
            angles = [part[0] for part in self.rotation[layer]]
            query, key = rotate(query, angles, back=True), rotate(key, angles, back=True)
        attention = last_attention(query, key, seen)
        places = self.places.to(rows.device)[rows]
        alive, got = rows[places], attention[places]
        self.kept[layer + 1] = alive[_best(got, min(self.stages[layer + 1], len(alive)), self.even)]

    def rows_of(self, layer: int) -> Tensor | None:
        due = [begin for begin in self.stages if begin <= layer]
        return _with_text(self, self.kept[due[-1]]) if due else None


def _best(score: Tensor, count: int, even: float) -> Tensor:
    """`count` rows, ascending: a share of them at equal steps, the others of highest score."""
    spread = evenly(int(count * even), len(score), score.device) if int(count * even) else score.new_zeros(0).long()
    raised = score.index_fill(0, spread, torch.inf)
    return top_rows(raised, count)


def _has_layer(last: int, layers: int) -> None:
    if last >= layers:
        raise ParameterError(f"layer {last} is to drop tokens, the model's last layer is {layers - 1}")


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
    if integer("late", late) <= integer("early", early, 1):
        raise ParameterError(f"late is layer {late} and follows early, which is layer {early}")
    return Ranked(places, {early: keep, late: keep_late}, position_free=True, even=even)
