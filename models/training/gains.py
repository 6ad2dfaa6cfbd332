"""Gains of a task, see `wavelet.task_gains`, while they are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..base.quality import MAX_FINE
from ..transform.gains import Bands
from ..wavelet.task_gains import ANCHORS, LEVELS, SHAPE


class TrainedGains(nn.Module):
    """Twin of `wavelet.task_gains.TaskGains` for batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(SHAPE))

    def at(self, quality: Tensor) -> list[Tensor]:
        """Fine qualities (B,) -> the factors of each level, packet first: (B, bands, 1, 1)."""
        place = quality.float() * ((ANCHORS - 1) / MAX_FINE)
        below = place.long().clamp(max=ANCHORS - 2)
        rows = torch.lerp(self.weight[below], self.weight[below + 1], (place - below)[:, None])
        return list(rows[:, :, None, None].split(LEVELS, 1))

    def scale(self, bands: Bands, quality: Tensor) -> Bands:
        """The bands of pictures at their qualities, scaled."""
        packet, *details = self.at(quality)
        return Bands(bands.packet * packet, [d * g for d, g in zip(bands.details, details, strict=True)], bands.low)
