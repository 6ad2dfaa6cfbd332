"""Family `wavelet` with exported weights: frames <-> symbols, one walk for encoding, decoding and reading tokens."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import Tables
from ..base.configure import changed, number, refuse_unknown
from ..base.family import GroupSpec, SymbolPort, TokenGrid
from ..base.ports import Nowhere
from ..prior.ladder import TABLE_NAMES, costs_of
from ..transform import packet as wp
from ..transform.bands import CELL, PYRAMID, RATE_WEIGHT, Bands, slices_of, step_size
from .analysis import MOVED_RATE_WEIGHT, moves, rate_weight
from .model import WaveletModel
from .native import NativeWavelet
from .refinement import refine
from .task_gains import TaskGains
from .walk import Decoding, Encoding, Reading, walk_frame


class WaveletFamily:
    """See `base.family.Family`.  Latents are the 3 low bands and the 125 packet bands of each 8 x 8 cell."""

    name: ClassVar[str] = "wavelet"
    stride: ClassVar[int] = CELL
    decoders: tuple[str, ...] = ("standard", "fast")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    default_gop: ClassVar[int] = 1
    options: ClassVar[dict[str, str]] = {
        "rate_weight": "squared error in steps that a bit is worth in rounding, 0..1 "
        f"(default {RATE_WEIGHT}, {MOVED_RATE_WEIGHT} where the effort moves coefficients)",
        "task": "file of `tessera train wavelet --objective task`: keeps what a network looks at",
    }

    def __init__(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        frequencies, lows, sizes = (tensors[name].numpy() for name in TABLE_NAMES)
        self.tables = Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))
        self.model = WaveletModel(**model_sizes(tensors))
        self.model.prior.freeze()
        state = {name: t.float() for name, t in tensors.items() if name not in TABLE_NAMES}
        self.model.load_state_dict(state, strict=False)
        self.model.ladder.costs.copy_(costs_of(self.tables))
        self.model.eval().requires_grad_(False)
        for weight in self.model.synthesis.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        self.model.bf16 = True
        self.channels = 3 + len(self.model.order)
        # without a network of its own, decoder fast is the inverse transform alone
        self.decoders = (*self.model.networks(), *(("fast",) if self.model.fast is None else ()))
        self.effort = "medium"
        self.rate_weight = rate_weight(self.model, self.effort)
        self.gains: TaskGains | None = None
        self.device = torch.device("cpu")
        self.native: NativeWavelet | None = NativeWavelet(self.model, self.rate_weight)

    def to(self, device: torch.device) -> WaveletFamily:
        self.model.to(device)
        self.device = torch.device(device)
        self.native = NativeWavelet(self.model, self.rate_weight) if self.device.type == "cpu" else None
        return self

    def configure(self, effort: str, **options: object) -> WaveletFamily:
        """`rate_weight`: how roundings weigh error against bits.  `task`: the tensors of `task_gains`.

        Effort is for pictures that people look at: beside a task it changes nothing.
        """
        refuse_unknown(self.name, options, self.options)
        gains = TaskGains.of(options["task"]).to(self.device) if "task" in options else None
        effort = effort if gains is None else "fast"
        weight = number(options, "rate_weight", rate_weight(self.model, effort), 0.0, 1.0)
        if (weight, effort, gains) == (self.rate_weight, self.effort, self.gains):
            return self
        native = None if self.native is None else self.native.weighing(weight)
        return changed(self, effort=effort, gains=gains, rate_weight=weight, native=native)

    # -- the three uses ----------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, frames: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        for frame in frames:
            if self.native is not None:
                scaled, low = self.native.bands_to_round(frame, spec, self.effort)
                self.native.prior.code(self._for_task(scaled, spec.quality), low, spec, port)
            else:
                bands = self._bands_to_round(frame, spec)
                self._walk(spec, Encoding(port, self.model.ladder.costs, bands, spec.quality, self.rate_weight))

    def _bands_to_round(self, frame: Tensor, spec: GroupSpec) -> Bands:
        """As `NativeWavelet.bands_to_round`, where the kernels do not run."""
        pixels = frame.to(self.device).permute(2, 0, 1)[None].float().expand(-1, 3, -1, -1)
        quality, bands, move = torch.tensor([spec.quality], device=self.device), self.model.analyse(pixels), None
        step = step_size(quality)
        if self.effort != "fast" and self.model.analysis is not None:
            coder = Encoding(Nowhere(), self.model.ladder.costs, bands, spec.quality, RATE_WEIGHT)
            trial, rungs = self._walk(spec, coder)
            move = moves(self.model, bands.packet / step, trial, rungs, quality)[0]
        if self.effort == "slow":
            move = refine(self.model, pixels, spec.quality, self.rate_weight, start=move)
        if move is not None:
            bands.packet = bands.packet + move * step
        return bands if self.gains is None else self.gains.scale(bands, quality)

    def _for_task(self, scaled: list[NDArray[np.float32]], quality: int) -> list[NDArray[np.float32]]:
        """Bands of the kernels, (bands, cells) of each level, as the task wants them."""
        if self.gains is None:
            return scaled
        gains = self.gains.at(torch.tensor([quality]))
        return [y * g.view(-1, 1).numpy() for y, g in zip(scaled, gains, strict=True)]

    @torch.inference_mode()
    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Tensor:
        return torch.stack([self._decode(spec, port, decoder) for _ in range(spec.frames)])

    def _decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Tensor:
        """uint8 (H, W, channels)."""
        if self.native is not None:
            return self.native.paint(self.native.read(spec, port), spec, decoder)
        return self._paint(spec, *self._walk(spec, Decoding(port, self.device)), decoder)

    @torch.inference_mode()
    def latents(self, spec: GroupSpec, port: SymbolPort) -> TokenGrid:
        return self.first_latents(spec, port, self.channels)

    @torch.inference_mode()
    def first_latents(self, spec: GroupSpec, port: SymbolPort, channels: int) -> TokenGrid:
        """Frames but the last are read to their ends, behind which the next ones stand."""
        last, most = spec.frames - 1, slices_of(channels)
        grids = [self._read(spec, port, most if frame == last else None) for frame in range(spec.frames)]
        grids = [(x[..., :channels], bits) for x, bits in grids]
        x, bits = (torch.stack(parts) for parts in zip(*grids, strict=True))
        return TokenGrid(
            x=x,
            bits=bits,
            bits_prior=None,
            codes=None,
            times=torch.arange(spec.frames, dtype=torch.float64),
            frame_type=torch.zeros(spec.frames, dtype=torch.int64),
            valid=torch.ones(bits.shape, dtype=torch.bool),
        )

    @torch.inference_mode()
    def integers(self, spec: GroupSpec, port: SymbolPort) -> list[Tensor]:
        """Get one frame's integers: packet bands (125, h, w), details finest first (9, ., .), low band (3, ., .)."""
        if self.native is not None:
            coded = self.native.read(spec, port)
            details = [torch.from_numpy(walk.values) for walk in coded.pyramid]
            return [torch.from_numpy(coded.packet), *details, coded.low[0].to(torch.int32)]
        bands, _ = self._walk(spec, Decoding(port, self.device))
        return [plane[0].to(torch.int32) for plane in (bands.packet, *bands.details, bands.low)]

    # -- one frame ---------------------------------------------------------------------------------------------------

    def _walk(
        self, spec: GroupSpec, coder: Encoding | Decoding | Reading, most: int | None = None
    ) -> tuple[Bands, Tensor]:
        return walk_frame(self.model.prior, spec, coder, self.device, most=most)

    def _paint(self, spec: GroupSpec, integers: Bands, rungs: Tensor, decoder: str) -> Tensor:
        """uint8 (H, W, channels)."""
        quality = torch.tensor([spec.quality], device=self.device)
        if decoder in self.model.networks():
            pixels = self.model.paint(integers, rungs, quality, decoder)
        else:
            pixels = self.model.paint_plain(integers, rungs, quality)
        pixels = pixels[0, :, : spec.height, : spec.width]
        pixels = pixels if spec.channels == 3 else pixels.mean(0, keepdim=True)
        return pixels.round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0)

    def _read(self, spec: GroupSpec, port: SymbolPort, most: int | None) -> tuple[Tensor, Tensor]:
        """Dequantised latents (h, w, C) and bits (h, w) of the next frame, of at least `most` slices of its packet."""
        step = step_size(torch.tensor([spec.quality], device=self.device))[:, None, None, None]
        if self.native is not None:
            coded = self.native.read(spec, port, most)
            low, packet = self.native.low_plane(coded, spec.quality), torch.from_numpy(coded.packet)[None]
            return torch.cat([low, packet * step], 1)[0].permute(1, 2, 0), self.native.bits(coded, spec, self.tables)
        sizes = wp.pyramid_sizes(-(-spec.height // CELL), -(-spec.width // CELL), PYRAMID)
        reading = Reading(port, self.device, self.tables, sizes)
        integers, _ = self._walk(spec, reading, most)
        bands = Bands(integers.packet * step, [d * step for d in integers.details], integers.low * step)
        grid = torch.cat([self.model.low_plane(bands), bands.packet], 1)[0].permute(1, 2, 0)
        return grid, reading.bits


def model_sizes(tensors: dict[str, Tensor]) -> dict[str, int]:
    """The model's options, read off the shapes of its tensors: the weights id covers these, metadata it does not."""

    def shape(network: str) -> tuple[int, int]:
        blocks = {name.split(".")[2] for name in tensors if name.startswith(f"{network}.blocks.")}
        return (tensors[f"{network}.enter.weight"].shape[0], len(blocks)) if blocks else (0, 0)

    (width, blocks), (fast_width, fast_blocks) = shape("synthesis"), shape("fast")
    perceptual_width, perceptual_blocks = shape("perceptual")
    analysis_width, analysis_blocks = shape("analysis")
    return {
        "width": width,
        "blocks": blocks,
        "fast_width": fast_width,
        "fast_blocks": fast_blocks,
        "perceptual_width": perceptual_width,
        "perceptual_blocks": perceptual_blocks,
        "analysis_width": analysis_width,
        "analysis_blocks": analysis_blocks,
        "hidden": tensors["prior.packet.coarse.weight"].shape[0],
    }


# -- coders: what happens to one pass of one slice ---------------------------------------------------------------------
