"""From latent channels to a model's width: the only part between a file and a language model that is trained."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..types import TokenSet


class Projector(nn.Module):
    """Latents scaled to unit variance by fixed statistics, then two linear layers: (..., C) -> (..., width)."""

    def __init__(self, channels: int, width: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or width
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.enter, self.leave = nn.Linear(channels, hidden), nn.Linear(hidden, width)

    def fit_scale(self, sets: list[TokenSet]) -> None:
        """Mean and spread of each channel over these tokens; latents of low bands are a hundred times the others."""
        self.fit_rows(torch.cat([tokens.x.float() for tokens in sets]))

    def fit_rows(self, x: Tensor) -> None:
        """The same of float32 rows (N, C)."""
        self.mean.copy_(x.mean(0))
        self.scale.copy_(1 / x.std(0).clamp_min(1e-6))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.leave(nn.functional.gelu(self.enter((x - self.mean) * self.scale)))
        return out

    def save(self, path: str | Path) -> None:
        """As safetensors; the sizes are those of the tensors."""
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: str | Path) -> Projector:
        """ValueError when the file holds something else."""
        from safetensors.torch import load_file

        tensors = load_file(path)
        wanted = {"mean", "scale", "enter.weight", "enter.bias", "leave.weight", "leave.bias"}
        if set(tensors) != wanted:
            raise ValueError(f"{path} holds no projector: its tensors are {', '.join(sorted(tensors))}")
        hidden, channels = tensors["enter.weight"].shape
        made = cls(channels, tensors["leave.weight"].shape[0], hidden)
        made.load_state_dict(tensors)
        return made
