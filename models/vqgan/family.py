"""Family `vqgan` with exported weights: frames <-> indices, one walk for encoding, decoding and reading tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..base.configure import changed, number, refuse_unknown
from ..base.cost import Cost, cost_of_cells
from ..base.discrete import Codes, Erasures, Mask
from ..base.family import GroupSpec, Latents, Pixels, SymbolPort
from ..base.kernels import Integers, Kernels
from ..prior.exchange import share
from .choice import Chooser, Choosing
from .ids import (
    MASK,
    STRIDE,
    VOCABULARY,
    cell_nodes,
    codes_nodes,
    frame_nodes,
    lost_nodes,
    packed_nodes,
    packed_of,
    sequence_nodes,
    sequence_of,
)
from .index_prior import Nodes, Priors
from .painting import Painting, summed, unshuffled
from .restoration import Restorer
from .stages import FINE_SIZE, LOW_SIZE, RATE_WEIGHT
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
    exact: ClassVar[bool] = True
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    default_gop: ClassVar[int] = 16
    vocabulary: ClassVar[int] = VOCABULARY
    mask_id: ClassVar[int] = MASK
    options: ClassVar[dict[str, str]] = {
        "rate_weight": f"how much error a bit is worth when a word is chosen, 0..4 (default {RATE_WEIGHT:g})"
    }

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], metadata: dict[str, str], kernels: Kernels | None = None
    ) -> None:
        self.arrays, self.tables = arrays, read_tables(arrays)
        self.priors = Priors(arrays)
        self.painting = Painting(arrays, kernels or Kernels())
        self.chooser = Chooser(self.painting, arrays["slopes"], self.tables)
        self.restorer = Restorer(self.priors, self.painting, self.tables)
        self.rate_weight = RATE_WEIGHT

    def using(self, path: str) -> VqganFamily:
        """The same with the kernels of one instruction set, see `_kernels.cpu_path`."""
        other = VqganFamily(self.arrays, {}, Kernels(path))
        other.rate_weight = self.rate_weight
        return other

    def configure(self, effort: str, **options: object) -> VqganFamily:
        """`rate_weight` 0 takes the nearest word whatever it costs."""
        refuse_unknown(self.name, options, self.options)
        return changed(self, rate_weight=number(options, "rate_weight", RATE_WEIGHT, 0.0, 4.0))

    # -- the three uses ----------------------------------------------------------------------------------------------

    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        before: list[Nodes] | None = None
        for frame in frames:
            targets = self.painting.targets(frame, spec.quality)
            choosing = Choosing(self.chooser, targets, spec, port, self.rate_weight)
            before = walk_frame(self.priors, spec, before, choosing)

    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Pixels:
        return self._painted(spec, (self.painting.sums(nodes) for nodes in self.read(spec, port)))

    def read(self, spec: GroupSpec, port: SymbolPort) -> Iterator[list[Nodes]]:
        """The nodes (h, w) of every stage, frame by frame."""
        before: list[Nodes] | None = None
        for _ in range(spec.frames):
            before = walk_frame(self.priors, spec, before, Getting(port))
            yield before

    def _painted(self, spec: GroupSpec, sums: Iterable[list[Integers]]) -> Pixels:
        """Frames of the words of each, added up on the three grids."""
        frames = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
        for frame, part in zip(frames, sums, strict=True):
            frame[...] = self.painting.paint(part, spec)
        return frames

    def latents(self, spec: GroupSpec, port: SymbolPort) -> Latents:
        """`codes` (T, h, w, IDS): nodes of the stages' trees, see `ids`."""
        before: list[Nodes] | None = None
        x, codes, bits = [], [], []
        for _ in range(spec.frames):
            reading = Reading(port, self.tables, spec)
            before = walk_frame(self.priors, spec, before, reading)
            x.append(self.painting.cells(self.painting.sums(before)))
            codes.append(cell_nodes(before))
            bits.append(cell_bits(reading.bits))
        cells = (spec.frames, *bits[0].shape)
        return Latents(
            x=np.stack(x),
            bits=np.stack(bits),
            bits_prior=None,
            codes=np.stack(codes),
            times=np.arange(spec.frames, dtype=np.float64),
            frame_type=(np.arange(spec.frames) > 0).astype(np.int64),
            valid=np.ones(cells, np.bool_),
        )

    def cost(self, spec: GroupSpec) -> Cost:
        return cost_of_cells(spec, self.painting.synthesis.multiplications + self.priors.multiplications)

    # -- indices -----------------------------------------------------------------------------------------------------

    def ids(self, spec: GroupSpec, port: SymbolPort) -> Codes:
        """Codes (T, h, w, IDS) of a group; see `ids` for this and the other forms."""
        return np.stack([cell_nodes(nodes) for nodes in self.read(spec, port)])

    def put_ids(self, codes: Codes, spec: GroupSpec, port: SymbolPort) -> None:
        """Code a group that has these codes (T, h, w, IDS)."""
        before: list[Nodes] | None = None
        for frame in whole(codes, spec):
            before = walk_frame(self.priors, spec, before, Putting(port, frame_nodes(frame, spec)))

    def from_ids(self, codes: Codes, spec: GroupSpec) -> Pixels:
        """Codes (T, h, w, IDS) -> frames uint8 (T, H, W, channels)."""
        every = [frame_nodes(frame, spec) for frame in whole(codes, spec)]  # all checked before the first is painted
        return self._painted(spec, (self.painting.sums(nodes) for nodes in every))

    def codes_of(self, codes: NDArray[Any], spec: GroupSpec) -> Codes:
        """Codes, sequence or packed bytes -> codes (T, h, w, IDS)."""
        read = packed_nodes if codes.dtype == np.uint8 else sequence_nodes
        if codes.ndim == 2:
            return np.stack([cell_nodes(read(frame, spec)) for frame in whole(codes, spec)])
        return np.stack([cell_nodes(frame_nodes(frame, spec)) for frame in whole(codes, spec)])

    def sequence(self, codes: Codes, spec: GroupSpec) -> Codes:
        """Codes (T, h, w, IDS) -> (T, n)."""
        return np.stack([sequence_of(frame_nodes(frame, spec), spec) for frame in whole(codes, spec)])

    def packed(self, codes: Codes, spec: GroupSpec) -> NDArray[np.uint8]:
        """Codes (T, h, w, IDS) -> (T, bytes) uint8."""
        return np.stack([packed_of(frame_nodes(frame, spec), spec) for frame in whole(codes, spec)])

    # -- what is lost ------------------------------------------------------------------------------------------------

    def lost(self, erasures: Erasures, spec: GroupSpec) -> list[Mask]:
        """See `ids.lost_nodes`."""
        return lost_nodes(erasures, spec)

    def conceal(self, spec: GroupSpec, port: SymbolPort, lost: Sequence[Mask]) -> Pixels:
        """Decode a group some of whose indices are lost: bool (T, ., .) of every stage, see `lost`.

        The lost indices are read too, since later symbols are coded with them, but the frames do not show them.
        """
        frames = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
        before: list[Nodes] | None = None
        for at, nodes in enumerate(self.read(spec, port)):
            before, words = self.restorer.restore(nodes, [mask[at] for mask in lost], spec.quality, before)
            frames[at] = self.painting.paint(summed(words), spec)
        return frames

    def predict(self, codes: Codes, spec: GroupSpec) -> Pixels:
        """Frames uint8 (T, H, W, channels), each predicted from the one before it alone, the first from `codes`.

        The codes (h, w, IDS) may be of another quality than the frames.
        """
        frames = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
        before = codes_nodes(codes, spec)
        all_lost = [np.ones(nodes.shape, np.bool_) for nodes in before]
        for frame in frames:
            before, words = self.restorer.restore(before, all_lost, spec.quality, before)
            frame[...] = self.painting.paint(summed(words), spec)
        return frames


def whole(codes: NDArray[Any], spec: GroupSpec) -> NDArray[Any]:
    """The codes; ValueError when they are not of as many frames as the group."""
    if codes.ndim == 0 or len(codes) != spec.frames:
        raise ValueError(f"ids of {spec.frames} frames were to come, not {tuple(codes.shape)}")
    return codes


def cell_bits(bits: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Bits on the grids of every stage -> (h, w) on that of 1/16; the sum is kept."""
    h, w = bits[2].shape
    coarse = share(bits[0] + bits[1], 1, (h, w))
    found: NDArray[np.float32] = coarse + bits[2] + unshuffled((bits[3] + bits[4])[..., None]).sum(-1)
    return found
