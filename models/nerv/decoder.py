"""Embeddings and times to pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import UpsamplingStage, activate
from .config import AFFINE_HIDDEN, CONDITIONED, CONTENT, STEM_HIDDEN, TIME_CODE, Config
from .embedding import time_code


class ContentStem(nn.Module):
    """An embedding (B, embedding, h, w) -> (B, width, h, w)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Conv2d(config.embedding, config.widths[0], 1)

    def forward(self, embedding: Tensor) -> Tensor:
        return activate(self.enter(embedding), self.config)


class TimeStem(nn.Module):
    """A time code (B, TIME_CODE) -> (B, width, h, w), NeRV's MLP."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        h, w = config.grid
        self.hidden = nn.Linear(TIME_CODE, STEM_HIDDEN)
        self.enter = nn.Linear(STEM_HIDDEN, config.widths[0] * h * w)

    def forward(self, code: Tensor) -> Tensor:
        x = activate(self.enter(activate(self.hidden(code), self.config)), self.config)
        return x.view(len(code), -1, *self.config.grid)


class Moment(nn.Module):
    """A time code -> what all temporal affine maps share."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.hidden = nn.Linear(TIME_CODE, AFFINE_HIDDEN)

    def forward(self, code: Tensor) -> Tensor:
        return activate(self.hidden(code), self.config)


class NervDecoder(nn.Module):
    """The network of one segment of a group; parameters in the order of `config.shapes`.

    forward(times, embeddings): (B,) positions of frames and (B, embedding, h, w), or None without content
    embeddings -> (B, channels, H, W), about 0..1, cropped to the frame.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.stem = ContentStem(config) if config.has(CONTENT) else TimeStem(config)
        if config.has(CONDITIONED):
            self.time = Moment(config)
        self.stages = nn.ModuleList(UpsamplingStage(config, i) for i in range(len(config.strides)))
        self.head = nn.Conv2d(config.widths[-1], config.channels, 3, padding=1)

    def forward(self, times: Tensor, embeddings: Tensor | None) -> Tensor:
        config = self.config
        code = time_code(times, config.frames)
        moment = self.time(code) if config.has(CONDITIONED) else None
        x = self.stem(code if embeddings is None else embeddings)
        for stage in self.stages:
            x = stage(x.contiguous(memory_format=torch.channels_last), moment)
        out: Tensor = self.head(x).float() + 0.5
        return out[:, :, : config.height, : config.width_pixels]
