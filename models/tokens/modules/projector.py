"""From latent channels to a model's width: the only part between a file and a language model that is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..types import TokenSet

QUIETEST = 0.1  # of the median spread: quieter channels are taken for that loud


class Projector(nn.Module):
    """Latents scaled to about unit variance by fixed statistics, then two linear layers: (..., C) -> (..., width).

    The statistics stay float32 when the layers become bfloat16: rounded means would be off by more than some channels
    vary.

    Args:
        channels: Of the latents.
        width: Of the model; with features for early layers width * (1 + layers), see `prompt.huggingface`.
        hidden: Between the two layers.  None: `width`.
    """

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
        """The same of float rows (N, C).

        A channel that is dead or nearly so in these rows may speak in others, so it counts as a tenth as loud as the
        median of the live ones.
        """
        if not len(x):
            raise ValueError("statistics of channels need at least one token")
        x = x.detach().float()
        spread = x.std(0, correction=0)
        live = spread[spread > 1e-6 * x.abs().amax(0)]
        middle = float(live.median()) if live.numel() else 1.0
        self.mean.copy_(x.mean(0))
        self.scale.copy_(1 / spread.clamp_min(QUIETEST * middle))

    def forward(self, x: Tensor) -> Tensor:
        even = ((x.float() - self.mean) * self.scale).to(self.enter.weight.dtype)
        out: Tensor = self.leave(nn.functional.gelu(self.enter(even)))
        return out

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Projector:
        kept = self.mean, self.scale
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.mean.device.type != "meta":
            self.mean, self.scale = (one.to(self.mean.device, torch.float32) for one in kept)
        return self

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
        made = cls(channels, tensors["leave.weight"].shape[0], hidden).to(tensors["enter.weight"].dtype)
        made.load_state_dict(tensors)
        return made
