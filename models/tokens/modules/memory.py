"""Memory of bounded size over a stream of frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..arguments import integer
from ..methods.scores import unit


@dataclass
class MemoryBank:
    """The `size` most relevant frames seen so far (SAM-I2V); of equal ones the earlier stays."""

    size: int
    keys: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = integer("size", self.size, 1)

    def push(self, key: int, value: Tensor, score: float) -> None:
        self.keys.append(key)
        self.scores.append(score)
        self.values.append(value)
        if len(self.keys) > self.size:
            worst = min(range(len(self.keys)), key=lambda i: (self.scores[i], -self.keys[i]))
            for column in (self.keys, self.scores, self.values):
                del column[worst]

    def select(self, query: Tensor, count: int) -> list[int]:
        """Keys of the `count` memories whose best vector is nearest to `query` (C,), in the order of time."""
        direction = unit(query)
        near = [float((unit(value) @ direction).max()) for value in self.values]
        order = sorted(range(len(near)), key=lambda i: (-near[i], i))[:count]
        return sorted(self.keys[i] for i in order)


@dataclass
class MemoryToken:
    """Two vectors, object and background, updated frame by frame: memory of constant size (JointFormer)."""

    object: Tensor
    background: Tensor
    rate: float = 0.1

    @classmethod
    def of(cls, frame: Tensor, mask: Tensor) -> MemoryToken:
        """From one frame (H, W, C) and its mask (H, W)."""
        return cls(frame[mask].mean(0), frame[~mask].mean(0))

    def update(self, frame: Tensor) -> Tensor:
        """The mask (H, W) of the next frame, whose cells are then blended into the memory."""
        mask = (frame - self.object).square().sum(-1) < (frame - self.background).square().sum(-1)
        if bool(mask.any()):
            self.object = torch.lerp(self.object, frame[mask].mean(0), self.rate)
        if bool((~mask).any()):
            self.background = torch.lerp(self.background, frame[~mask].mean(0), self.rate)
        return mask


def propagate(frames: Tensor, mask: Tensor, size: int = 4) -> Tensor:
    """(T, H, W) masks of `frames` (T, H, W, C) from that of the first: each cell takes the vote of its nearest
    cells in a bounded memory of past frames."""
    bank = MemoryBank(size)
    masks = [mask]
    bank.push(0, frames[0].flatten(0, 1), 1.0)
    held = {0: mask.flatten()}
    for t in range(1, len(frames)):
        cells = unit(frames[t].flatten(0, 1))
        near = [(cells @ unit(value).T).max(1) for value in bank.values]
        votes = torch.stack([held[key][n.indices].float() * n.values for key, n in zip(bank.keys, near, strict=True)])
        weights = torch.stack([n.values for n in near])
        found = votes.sum(0) > weights.sum(0) / 2
        masks.append(found.view(mask.shape))
        bank.push(t, frames[t].flatten(0, 1), float(weights.mean()))
        held[t] = found
        held = {key: held[key] for key in bank.keys}
    return torch.stack(masks)
