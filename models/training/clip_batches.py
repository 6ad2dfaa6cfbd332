"""Batches that priors and the network of predicted frames are trained on, drawn from recordings of clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..spatiotemporal.wire import PRIORS
from ..wavelet.model import WORD_UNIT
from .recording import Example, PaintingExample, cropped


@dataclass(frozen=True)
class PriorBatch:
    """Inputs of `SpatiotemporalModel.quantise`."""

    name: str
    levels: list[Tensor]
    low: Tensor
    hints: list[Tensor]
    quality: Tensor


@dataclass(frozen=True)
class DecoderBatch:
    """See `recording.PaintingExample`: words (B, INPUTS, h, w), lacking (B, 192, h, w)."""

    words: Tensor
    lacking: Tensor
    quality: Tensor


@dataclass(frozen=True)
class ClipBatch:
    priors: PriorBatch | None
    decoders: DecoderBatch | None


def drawn_from(clips: list[Tensor], count: int, generator: torch.Generator) -> list[Tensor]:
    """Random clips, each at most once."""
    return [clips[i] for i in torch.randperm(len(clips), generator=generator)[:count].tolist()]


def collate(examples: list[Example], cells: int = 0, generator: torch.Generator | None = None) -> PriorBatch:
    """Whole frames of one size and kind as a batch, or with a generator random squares of `cells` cells."""
    parts = [example if generator is None else cropped(example, cells, generator) for example in examples]

    def stacked(planes: list[Tensor]) -> Tensor:
        return torch.stack(planes).float()

    depth = range(len(parts[0].levels))
    return PriorBatch(
        PRIORS[parts[0].references - 1],
        [stacked([part.levels[level] for part in parts]) for level in depth],
        stacked([part.low for part in parts]),
        [stacked([part.hints[level] for part in parts]) for level in depth],
        torch.tensor([part.quality for part in parts]),
    )


def collate_paintings(paintings: list[PaintingExample]) -> DecoderBatch:
    return DecoderBatch(
        torch.stack([painting.words for painting in paintings]).float() / WORD_UNIT,
        torch.stack([painting.lacking for painting in paintings]).float(),
        torch.tensor([painting.quality for painting in paintings]),
    )
