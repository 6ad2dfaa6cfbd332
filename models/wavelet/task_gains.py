"""What tunes a stream to a task: the encoder scales every band before it is rounded, the decoder knows nothing of it.

A coefficient that a task does not look at costs bits all the same.  A factor below one makes its band's dead zone wide
and its symbols small, down to none at zero; the prior sees small neighbours and expects the others small, too.  The
stream is an ordinary one: same integers, same tables, same networks.  The factors are learned for rate plus the
distillation of a teacher's answers, as Entropic Student learns its bottleneck (Matsubara et al., 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..base.family import MAX_QUALITY
from ..transform.bands import PYRAMID, slice_bands
from ..transform.gains import Bands

LEVELS = (sum(map(len, slice_bands())), *(9 for _ in range(PYRAMID)))  # packet bands, then details finest first
ANCHORS = 5  # qualities that gains are given for
NAME = "task.gains"  # of the one tensor of a file


class TaskGains(nn.Module):
    """Factors 0..1 of packet bands and details, at qualities 0, 25 .. 100, linear between; the low band has none.

    weight: (5, 161).
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(ANCHORS, sum(LEVELS)))

    @classmethod
    def of(cls, tensors: object) -> TaskGains:
        """From the tensors of a file.  ValueError where they are no gains."""
        found = tensors.get(NAME) if isinstance(tensors, dict) else None
        gains = cls()
        if not isinstance(found, Tensor) or found.shape != gains.weight.shape or not found.is_floating_point():
            raise ValueError(f"task: no tensor {NAME} of {tuple(gains.weight.shape)} floats")
        if not bool(((found >= 0) & (found <= 1)).all()):
            raise ValueError(f"task: {NAME} is not in 0..1")
        gains.weight.data = found.float()
        return gains.requires_grad_(False)

    def at(self, quality: Tensor) -> list[Tensor]:
        """Integer qualities (B,) -> the factors of each level, packet first: (B, bands, 1, 1)."""
        place = quality.float() * ((ANCHORS - 1) / MAX_QUALITY)
        below = place.long().clamp(max=ANCHORS - 2)
        rows = torch.lerp(self.weight[below], self.weight[below + 1], (place - below)[:, None])
        return list(rows[:, :, None, None].split(LEVELS, 1))

    def scale(self, bands: Bands, quality: Tensor) -> Bands:
        """The bands of pictures at their qualities, scaled."""
        packet, *details = self.at(quality)
        return Bands(bands.packet * packet, [d * g for d, g in zip(bands.details, details, strict=True)], bands.low)
