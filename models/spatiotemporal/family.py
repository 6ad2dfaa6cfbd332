"""Family `spatiotemporal` with exported weights: frames <-> symbols, one walk for decoding and reading tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import Tables
from ..base.configure import changed, number, refuse_unknown
from ..base.family import GroupSpec, SymbolPort, TokenGrid
from ..motion.field import TABLE_NAMES as MOTION_TABLE_NAMES
from ..motion.field import MotionCoder
from ..prior.ladder import TABLE_NAMES, costs_of
from ..prior.native import NativePrior
from ..transform.bands import CELL, RATE_WEIGHT, slices_of
from ..wavelet.analysis import MOVED_RATE_WEIGHT, rate_weight
from ..wavelet.family import model_sizes
from ..wavelet.native import NativeWavelet
from .encoder import Search, put_group
from .group import BLOCKS, DEEPEST, INTRA, Prior, read_group
from .model import FIRST_MOTION_TABLE, FIRST_TABLE, PRIORS, SpatiotemporalModel, inter_sizes
from .painting import FramePainter, GroupPainter
from .steps import Steps
from .transform import ExactTransform, Levels


class SpatiotemporalFamily:
    """See `base.family`.  Latents are the 3 low bands and the 125 packet bands of each 8 x 8 cell, of every frame.

    It runs on the processor alone: what chooses tables and what frames are predicted from are
    integers of the kernels.
    """

    name: ClassVar[str] = "spatiotemporal"
    stride: ClassVar[int] = CELL
    decoders: tuple[str, ...] = ("standard", "fast")
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    default_gop: ClassVar[int] = 64
    options: ClassVar[dict[str, str]] = {
        "rate_weight": "squared error in steps that a bit is worth in rounding, 0..1 "
        f"(default {RATE_WEIGHT}, {MOVED_RATE_WEIGHT} where the effort moves coefficients of frames on their own)",
        "depth": "log2 of the frames between key frames, 0..5; 0: no frame waits for a later one (default 5 where key "
        "frames can be predicted so far, else 4)",
        "block": "side of the blocks that move together, 8 or 16 pixels (default 16)",
        "motion": "how far motion is sought, 0..128 pixels; 0 predicts from the same place (default 64)",
    }

    def __init__(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        self.tables = Tables.stack([*rows_of(tensors, TABLE_NAMES), *rows_of(tensors, MOTION_TABLE_NAMES)])
        self.model = _model(tensors)
        self.model.still.ladder.costs.copy_(costs_of(self.tables))
        self.model.ladder.costs.copy_(costs_of(self.tables, FIRST_TABLE))
        self.channels = 3 + len(self.model.still.order)
        self.decoders = (*self.model.still.networks(),)
        self.search = Search()
        self.motion, self.steps = MotionCoder(tensors, FIRST_MOTION_TABLE), Steps(tensors)
        self._pack(None)

    def _pack(self, path: str | None) -> None:
        """Hand the integers to the kernels."""
        self.native = NativeWavelet(self.model.still, rate_weight(self.model.still, self.search.effort), path)
        transform = ExactTransform(self.model.still.order.numpy().astype(np.int32), path)
        one, two = (
            NativePrior(self.model.prior(name), self.model.ladder.costs, RATE_WEIGHT, path, FIRST_TABLE)
            for name in PRIORS
        )
        self.prior = Prior(self.native.prior, one, two, self.motion, self.steps, transform)
        self.painter = FramePainter(self.native, transform, self.model.inter)

    def using(self, path: str) -> SpatiotemporalFamily:
        """The same with the kernels of one instruction set, see `_kernels.cpu_path`."""
        other = changed(self)
        other._pack(path)
        return other

    def to(self, device: torch.device) -> SpatiotemporalFamily:
        return self

    def configure(self, effort: str, **options: object) -> SpatiotemporalFamily:
        """Effort fast seeks motion in a smaller window and asks no network; slow refines frames on their own."""
        refuse_unknown(self.name, options, self.options)
        alone = number(options, "rate_weight", rate_weight(self.model.still, effort), 0.0, 1.0)
        predicted = number(options, "rate_weight", RATE_WEIGHT, 0.0, 1.0)
        native = self.native.weighing(alone)
        prior = replace(
            self.prior,
            intra=native.prior,
            unidirectional=self.prior.unidirectional.weighing(predicted),
            bidirectional=self.prior.bidirectional.weighing(predicted),
        )
        search = Search()
        search = replace(
            search,
            depth=int(number(options, "depth", 0, 0, DEEPEST)) if "depth" in options else None,
            block=int(number(options, "block", search.block, min(BLOCKS), max(BLOCKS))),
            radius=int(number(options, "motion", 16 if effort == "fast" else search.radius, 0, 128)),
            effort=effort,
        )
        if search.block not in BLOCKS:
            raise ValueError(f"block {search.block} is not 8 or 16")
        return changed(self, native=native, prior=prior, search=search)

    # -- the three uses ----------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, frames: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        put_group(self.prior, self.native, self.search, frames, spec, port)

    @torch.inference_mode()
    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Tensor:
        frames = torch.empty(spec.frames, spec.height, spec.width, spec.channels, dtype=torch.uint8)
        painter = GroupPainter(self.painter, spec, decoder)
        for read in read_group(self.prior, spec, port):
            frames[read.place.number] = painter.paint(read)
        return frames

    @torch.inference_mode()
    def latents(self, spec: GroupSpec, port: SymbolPort) -> TokenGrid:
        """`frame_type` is 1 where latents were coded as a difference; they mean the same in every frame.

        `bits_prior` is what motion and prediction let expect; of a frame on its own it knows the place alone.
        """
        return self.first_latents(spec, port, self.channels)

    @torch.inference_mode()
    def first_latents(self, spec: GroupSpec, port: SymbolPort, channels: int) -> TokenGrid:
        """Frames but the last in coding order are read to their ends: others follow, and are predicted from them."""
        h, w = -(-spec.height // CELL), -(-spec.width // CELL)
        x = torch.empty(spec.frames, h, w, channels)
        bits, expected = torch.empty(spec.frames, h, w), torch.empty(spec.frames, h, w)
        kinds = torch.zeros(spec.frames, dtype=torch.int64)
        for read in read_group(self.prior, spec, port, self.tables, slices_of(channels)):
            at_spec = replace(spec, frames=1, quality=read.quality)
            x[read.place.number] = self.painter.latents(read)[..., :channels]
            bits[read.place.number] = read.prior.bits(read.coded, at_spec, self.tables) + read.side_bits / (h * w)
            most = slices_of(3 + len(read.coded.packet))  # that were read
            expected[read.place.number] = read.prior.expected_bits(at_spec, self.tables, read.hints, most)
            kinds[read.place.number] = int(read.kind != INTRA)
        return TokenGrid(
            x=x,
            bits=bits,
            bits_prior=expected,
            codes=None,
            times=torch.arange(spec.frames, dtype=torch.float64),
            frame_type=kinds,
            valid=torch.ones(bits.shape, dtype=torch.bool),
        )

    @torch.inference_mode()
    def integers(self, spec: GroupSpec, port: SymbolPort) -> dict[int, Levels]:
        """The lifted-domain latents of every frame of a group, by its number."""
        return {read.place.number: read.latents for read in read_group(self.prior, spec, port)}


def rows_of(tensors: dict[str, Tensor], names: tuple[str, str, str]) -> list[tuple[NDArray[np.uint16], int]]:
    """The tables of those names in a weights file, as `Tables.stack` takes them."""
    frequencies, lows, sizes = (tensors[name].numpy() for name in names)
    return [(row[:size].astype(np.uint16), int(low)) for row, low, size in zip(frequencies, lows, sizes, strict=True)]


def _model(tensors: dict[str, Tensor]) -> SpatiotemporalModel:
    """The model with the weights of a file, ready to run."""
    still = {name.removeprefix("still."): t for name, t in tensors.items() if name.startswith("still.")}
    hidden = tensors["priors.unidirectional.packet.coarse.weight"].shape[0]
    model = SpatiotemporalModel(**model_sizes(still), temporal_hidden=hidden, **inter_sizes(tensors))
    model.still.prior.freeze()
    for name in PRIORS:
        model.prior(name).freeze()
    model.load_state_dict({name: t.float() for name, t in tensors.items()}, strict=False)
    model.eval().requires_grad_(False)
    for weight in model.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    model.still.bf16 = True
    return model
