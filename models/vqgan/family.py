"""Family `vqgan` with exported weights: frames <-> indices, one walk for encoding, decoding and reading tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base.configure import changed, number, refuse_unknown
from ..base.family import GroupSpec, SymbolPort, TokenGrid
from ..prior.exchange import share
from ..prior.ladder import TABLE_NAMES
from .ids import (
    MASK,
    STRIDE,
    VOCABULARY,
    cell_nodes,
    codes_nodes,
    even,
    frame_nodes,
    lost_nodes,
    packed_nodes,
    packed_of,
    sequence_nodes,
    sequence_of,
)
from .model import RATE_WEIGHT, VqganModel, enlarged, summed
from .restoration import restore
from .stages import FINE_SIZE, LOW_SIZE, STAGES, depths
from .tables import read_tables
from .walk import Getting, Putting, Reading, walk_frame


class VqganFamily:
    """See `base.family.Family` and `base.discrete.Discrete`.

    Latents are the words of each 16 x 16 cell: 12 of 1/32, 12 of 1/16, 4 x 24 of 1/8.
    """

    name: ClassVar[str] = "vqgan"
    stride: ClassVar[int] = STRIDE
    channels: int = 2 * LOW_SIZE + 4 * FINE_SIZE
    decoders: tuple[str, ...] = ("standard",)
    exact: ClassVar[bool] = False
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    default_gop: ClassVar[int] = 16
    vocabulary: ClassVar[int] = VOCABULARY
    mask_id: ClassVar[int] = MASK
    options: ClassVar[dict[str, str]] = {
        "rate_weight": f"how much error a bit is worth when a word is chosen, 0..4 (default {RATE_WEIGHT:g})"
    }

    def __init__(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        self.tables = read_tables(tensors)
        self.model = VqganModel(**model_sizes(tensors))
        for stage in range(len(STAGES)):
            self.model.prior(stage).freeze()
        state = {name: t.float() for name, t in tensors.items() if name not in TABLE_NAMES}
        missing, unknown = self.model.load_state_dict(state, strict=False)
        if unknown or any(not name.endswith(".sums") for name in missing):  # sums serve training alone
            raise ValueError(f"the weights lack {sorted(missing)} or have {sorted(unknown)} too many")
        self.model.eval().requires_grad_(False)
        for network in (self.model.analysis, self.model.synthesis):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.bf16 = True
        self.rate_weight = RATE_WEIGHT

    def to(self, device: torch.device) -> VqganFamily:
        return self

    def configure(self, effort: str, **options: object) -> VqganFamily:
        """`rate_weight` 0 takes the nearest word whatever it costs."""
        refuse_unknown(self.name, options, self.options)
        return changed(self, rate_weight=number(options, "rate_weight", RATE_WEIGHT, 0.0, 4.0))

    # -- the three uses ----------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, frames: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        quality, deep = torch.tensor([spec.quality]), torch.tensor([depths(spec.quality)])
        before: list[Tensor] | None = None
        for frame in frames:
            packet = self.model.packet(frame.cpu().permute(2, 0, 1)[None].float().expand(-1, 3, -1, -1))
            coded, _ = self.model.quantise(packet, quality, deep, before, self.rate_weight)
            before = walk_frame(self.model, spec, before, Putting(self.model, port, coded.nodes))

    @torch.inference_mode()
    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Tensor:
        return torch.stack([self.paint(self.model.sums(nodes), spec) for nodes in self.read(spec, port)])

    def read(self, spec: GroupSpec, port: SymbolPort) -> Iterator[list[Tensor]]:
        """The nodes of every stage (1, h, w), frame by frame."""
        before: list[Tensor] | None = None
        for _ in range(spec.frames):
            before = walk_frame(self.model, spec, before, Getting(self.model, port))
            yield before

    def paint(self, sums: list[Tensor], spec: GroupSpec) -> Tensor:
        """Words of one frame, added up on the three grids -> uint8 (H, W, channels)."""
        pixels = self.model.synthesise(sums, torch.tensor([spec.quality]))[0, :, : spec.height, : spec.width]
        pixels = pixels if spec.channels == 3 else pixels.mean(0, keepdim=True)
        return pixels.round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0)

    @torch.inference_mode()
    def latents(self, spec: GroupSpec, port: SymbolPort) -> TokenGrid:
        """`codes` (T, h, w, IDS): nodes of the stages' trees, see `ids`."""
        before: list[Tensor] | None = None
        frames: list[tuple[Tensor, Tensor, Tensor]] = []
        for _ in range(spec.frames):
            reading = Reading(self.model, port, self.tables, spec)
            before = walk_frame(self.model, spec, before, reading)
            frames.append((self.cells(self.model.sums(before)), cell_nodes(before), cell_bits(reading.bits)))
        x, codes, bits = (torch.stack(parts) for parts in zip(*frames, strict=True))
        return TokenGrid(
            x=x,
            bits=bits,
            bits_prior=None,
            codes=codes,
            times=torch.arange(spec.frames, dtype=torch.float64),
            frame_type=(torch.arange(spec.frames) > 0).long(),
            valid=torch.ones(bits.shape, dtype=torch.bool),
        )

    def cells(self, sums: list[Tensor]) -> Tensor:
        """Words on the three grids -> (h, w, channels) on the middle one."""
        coarse, middle, fine = sums
        h, w = middle.shape[2:]
        parts = [enlarged(coarse, 2)[:, :, :h, :w], middle, F.pixel_unshuffle(even(fine), 2)]
        return torch.cat(parts, 1)[0].permute(1, 2, 0)

    # -- indices -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def ids(self, spec: GroupSpec, port: SymbolPort) -> Tensor:
        """Codes (T, h, w, IDS) of a group; see `ids` for this and the other forms."""
        return torch.stack([cell_nodes(nodes) for nodes in self.read(spec, port)])

    @torch.inference_mode()
    def put_ids(self, codes: Tensor, spec: GroupSpec, port: SymbolPort) -> None:
        """Code a group that has these codes (T, h, w, IDS)."""
        before: list[Tensor] | None = None
        for frame in whole(codes, spec):
            before = walk_frame(self.model, spec, before, Putting(self.model, port, frame_nodes(frame, spec)))

    @torch.inference_mode()
    def from_ids(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes (T, h, w, IDS) -> frames uint8 (T, H, W, channels)."""
        every = [frame_nodes(frame, spec) for frame in whole(codes, spec)]  # all checked before the first is painted
        return torch.stack([self.paint(self.model.sums(nodes), spec) for nodes in every])

    def codes_of(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes, sequence or packed bytes -> codes (T, h, w, IDS)."""
        read = packed_nodes if codes.dtype == torch.uint8 else sequence_nodes
        if codes.dim() == 2:
            return torch.stack([cell_nodes(read(frame, spec)) for frame in whole(codes, spec)])
        return torch.stack([cell_nodes(frame_nodes(frame, spec)) for frame in whole(codes, spec)])

    def sequence(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes (T, h, w, IDS) -> (T, n)."""
        return torch.stack([sequence_of(frame_nodes(frame, spec), spec) for frame in whole(codes, spec)])

    def packed(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Codes (T, h, w, IDS) -> (T, bytes) uint8."""
        return torch.stack([packed_of(frame_nodes(frame, spec), spec) for frame in whole(codes, spec)])

    # -- what is lost ------------------------------------------------------------------------------------------------

    def lost(self, erasures: Tensor | Sequence[Tensor], spec: GroupSpec) -> list[Tensor]:
        """See `ids.lost_nodes`."""
        return lost_nodes(erasures, spec)

    @torch.inference_mode()
    def conceal(self, spec: GroupSpec, port: SymbolPort, lost: list[Tensor]) -> Tensor:
        """Decode a group some of whose indices are lost: bool (T, ., .) of every stage, see `lost`.

        The indices themselves are read all the same, since what follows is coded by them; the frames do not show them.
        """
        frames = []
        before: list[Tensor] | None = None
        for at, nodes in enumerate(self.read(spec, port)):
            before, words = restore(self.model, nodes, [mask[at : at + 1] for mask in lost], spec.quality, before)
            frames.append(self.paint(summed(words), spec))
        return torch.stack(frames)

    @torch.inference_mode()
    def predict(self, codes: Tensor, spec: GroupSpec) -> Tensor:
        """Frames uint8 (T, H, W, channels), each restored from nothing but the one before it, the first from `codes`.

        The codes (h, w, IDS) may be of another quality than the frames.
        """
        before, frames = codes_nodes(codes, spec), []
        all_lost = [torch.ones_like(nodes, dtype=torch.bool) for nodes in before]
        for _ in range(spec.frames):
            before, words = restore(self.model, before, all_lost, spec.quality, before)
            frames.append(self.paint(summed(words), spec))
        return torch.stack(frames)


def whole(codes: Tensor, spec: GroupSpec) -> Tensor:
    """The codes; ValueError when they are not of as many frames as the group."""
    if codes.dim() == 0 or len(codes) != spec.frames:
        raise ValueError(f"ids of {spec.frames} frames were to come, not {tuple(codes.shape)}")
    return codes


def model_sizes(tensors: dict[str, Tensor]) -> dict[str, int]:
    """The model's options, read off the shapes of its tensors."""
    blocks = {name.split(".")[2] for name in tensors if name.startswith("synthesis.blocks.")}
    return {
        "width": tensors["synthesis.enter.weight"].shape[0],
        "blocks": len(blocks),
        "encoder_width": tensors["analysis.enter.weight"].shape[0],
        "hidden": tensors["priors.0.mix.weight"].shape[0],
    }


def cell_bits(bits: list[Tensor]) -> Tensor:
    """Bits on the grids of every stage -> (h, w) on that of 1/16; the sum is kept."""
    h, w = bits[2].shape
    coarse = share(bits[0] + bits[1], 1, (h, w))
    fine = F.pixel_unshuffle(even((bits[3] + bits[4])[None, None]), 2).sum((0, 1))
    return coarse + bits[2] + fine
