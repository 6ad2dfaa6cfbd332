"""From latent channels to a model's width: the only part between a file and a language model that is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ...base.errors import ParameterError
from ..arguments import integer, shape
from ..saved import load_tensors, write
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
        channels, width = integer("channels", channels, 1), integer("width", width, 1)
        hidden = width if hidden is None else integer("hidden", hidden, 1)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.enter, self.leave = nn.Linear(channels, hidden), nn.Linear(hidden, width)

    def fit_scale(self, sets: list[TokenSet]) -> None:
        """Mean and spread of each channel over these tokens; latents of low bands are a hundred times the others."""
        if not isinstance(sets, (list, tuple)) or not all(isinstance(one, TokenSet) for one in sets):
            raise ParameterError("sets are a list of TokenSet")
        for number, one in enumerate(sets):
            self._check(f"tokens of set {number}", one.x)
        if not sets:
            raise ParameterError("sets are empty: statistics of channels need at least one token")
        self.fit_rows(torch.cat([tokens.x.float() for tokens in sets]))

    def fit_rows(self, x: Tensor) -> None:
        """The same of float rows (N, C).

        A channel that is dead or nearly so in these rows may speak in others, so it counts as a tenth as loud as the
        median of the live ones.
        """
        self._check("x", x)
        if x.dim() != 2 or not len(x):
            raise ParameterError(f"x is (N, C) with at least one token, not {shape(x)}")
        x = x.detach().float()
        if not bool(x.isfinite().all()):
            raise ParameterError("x holds NaN or infinite numbers")
        spread = x.std(0, correction=0)
        live = spread[spread > 1e-6 * x.abs().amax(0)]
        middle = float(live.median()) if live.numel() else 1.0
        self.mean.copy_(x.mean(0))
        self.scale.copy_(1 / spread.clamp_min(QUIETEST * middle))

    def _check(self, name: str, x: Tensor) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise ParameterError(f"{name} is a float tensor (..., {len(self.mean)})")
        if not x.dim() or x.shape[-1] != len(self.mean):
            raise ParameterError(f"{name} is (..., {len(self.mean)}), as the projector's channels, not {shape(x)}")

    def forward(self, x: Tensor) -> Tensor:
        self._check("x", x)
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
        write({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: str | Path) -> Projector:
        """ParameterError when the file holds something else."""
        tensors = load_tensors(path)
        wanted = {"mean", "scale", "enter.weight", "enter.bias", "leave.weight", "leave.bias"}
        if set(tensors) != wanted:
            raise ParameterError(f"{path} holds no projector: its tensors are {', '.join(sorted(tensors))}")
        for name in ("enter.weight", "leave.weight"):
            if tensors[name].dim() != 2 or not tensors[name].is_floating_point():
                raise ParameterError(f"{path} holds no projector: {name} is no matrix of floats")
        hidden, channels = tensors["enter.weight"].shape
        made = cls(channels, tensors["leave.weight"].shape[0], hidden).to(tensors["enter.weight"].dtype)
        for name, own in made.state_dict().items():
            if own.shape != tensors[name].shape:
                raise ParameterError(f"{path} holds no projector: {name} is {shape(tensors[name])}, not {shape(own)}")
        made.load_state_dict(tensors)
        return made
