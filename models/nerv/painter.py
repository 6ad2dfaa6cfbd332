"""Frames of a group whose integers are known: any one by itself, and times between them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.family import Pixels
from ..base.torch_defaults import float32_on_cpu
from .config import CONTENT, shapes
from .decoder import NervDecoder
from .quantise import EMBEDDING, step_of
from .segments import GroupIntegers


class NetworkPainter:
    """See `fitted.TimePainter`.  One frame is one run of one network, whatever the group's length."""

    def __init__(self, coded: GroupIntegers, device: torch.device) -> None:
        self.coded, self.device = coded, device
        config = coded.config
        self.frames = config.frames
        self._network: tuple[int, NervDecoder] | None = None
        self.embeddings = all_embeddings(coded).to(device) if config.has(CONTENT) else None

    @float32_on_cpu()
    def paint(self, times: NDArray[np.float64], decoder: str) -> Pixels:
        config = self.coded.config
        out = torch.empty(len(times), config.height, config.width_pixels, config.channels, dtype=torch.uint8)
        # One at a time: then a frame is the same whichever frames were asked for with it.
        for place, time in enumerate(times.tolist()):
            out[place] = self._paint(min(max(time, 0.0), self.frames - 1.0), decoder == "fast")
        return out.numpy()

    def _paint(self, time: float, bf16: bool) -> Tensor:
        network = self._at(int(time + 0.5) // self.coded.length)
        moment = torch.tensor([time], dtype=torch.float64, device=self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            pixels: Tensor = network(moment, self._embedding(time))
        return (pixels[0] * 255).nan_to_num_().round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0)

    def _embedding(self, time: float) -> Tensor | None:
        """(1, embedding, h, w): a frame's own, between two frames their mixture."""
        if self.embeddings is None:
            return None
        frame = int(time)
        here = self.embeddings[frame : frame + 1]
        after = self.embeddings[min(frame + 1, self.frames - 1)][None]
        return here if time == frame else torch.lerp(here, after, time - frame)

    def _at(self, segment: int) -> NervDecoder:
        """The network of a segment; the last one used is kept."""
        held = self._network  # a name of its own: another thread may replace it at any time
        if held is None or held[0] != segment:
            with torch.random.fork_rng(devices=[]):  # the initial weights, replaced below, are drawn from torch's own
                network = NervDecoder(self.coded.config)
            with torch.no_grad():
                parameters = dict(network.named_parameters())
                for name, level in zip(shapes(self.coded.config), self.coded.levels, strict=False):  # embeddings last
                    parameters[name].copy_(self.coded.segments[segment][name].float() * step_of(level))
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._network = held = segment, network.eval().requires_grad_(False)
        return held[1]


def all_embeddings(coded: GroupIntegers) -> Tensor:
    """(frames, embedding, h, w) float32 of a group with content embeddings."""
    step = step_of(coded.levels[-1])
    return torch.cat([segment[EMBEDDING] for segment in coded.segments], 1).transpose(0, 1).float() * step
