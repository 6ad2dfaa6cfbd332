"""The walk of one frame through its prior on any device: encoding, decoding and reading differ in the coder alone.

Twin of `prior.native`, which walks in C++.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ...entropy import Tables
from ..base.family import GroupSpec, SymbolPort
from ..prior.bands import BandPrior, Slice, hard, parity_mask
from ..prior.exchange import exchange, share, spent_bits
from ..prior.rounding import round_cheaply
from ..transform.bands import CELL, GRAY_SLICES, PYRAMID, pyramid_sizes
from ..transform.gains import Bands, step_size


def walk_frame(
    prior: BandPrior,
    spec: GroupSpec,
    coder: Encoding | Decoding | Reading,
    device: torch.device,
    hints: Sequence[Tensor] | None = None,
    most: int | None = None,
) -> tuple[Bands, Tensor]:
    """Code one frame: its integers and the rungs of its packet bands, zeros behind slice `most`."""
    sizes = pyramid_sizes(-(-spec.height // CELL), -(-spec.width // CELL), PYRAMID)
    quality = torch.tensor([spec.quality], device=device)
    planes = spec.channels
    rungs: list[Tensor] = []

    def code(level: int, part: Slice, parity: int, rung: Tensor) -> Tensor:
        cells = parity_cells(*rung.shape[2:], parity, device)
        chosen = hard(rung.flatten(2)[..., cells])
        values = coder(level, part.start, chosen, cells)
        if level == 0:
            rungs.append(_spread(chosen.float(), cells, rung))
        return _spread(values, cells, rung)

    low_rungs = hard(prior.low_rungs(quality, sizes[-1])[:, :planes]).flatten(2)
    low = coder(PYRAMID + 1, 0, low_rungs, torch.arange(low_rungs.shape[2], device=device))
    low = torch.cat([low, low.new_zeros(1, 3 - planes, low.shape[2])], 1).view(1, 3, *sizes[-1])
    details, packet = prior.walk(quality, sizes, code, planes, GRAY_SLICES, hints, most)
    seen = [a + b for a, b in zip(rungs[::2], rungs[1::2], strict=True)]
    missing = packet.shape[1] - sum(part.shape[1] for part in seen)
    return Bands(packet, details, low), torch.cat([*seen, packet.new_zeros(1, missing, *sizes[0])], 1)


@lru_cache(maxsize=64)
def parity_cells(height: int, width: int, parity: int, device: torch.device) -> Tensor:
    """Flat indices of one checkerboard colour, in raster order."""
    mask = parity_mask(height, width, device) == (parity == 0)
    return mask.flatten().nonzero().squeeze(1)


def _spread(values: Tensor, cells: Tensor, like: Tensor) -> Tensor:
    """(1, channels, n) values at flat `cells` of an otherwise zero map shaped like `like`."""
    out = torch.zeros_like(like)
    out.flatten(2).index_copy_(2, cells, values)
    return out


class Encoding:
    """Rounds the scaled bands as they are coded and puts them to the port."""

    def __init__(self, port: SymbolPort, costs: Tensor, bands: Bands, quality: int, rate_weight: float) -> None:
        self.port, self.costs, self.rate_weight = port, costs, rate_weight
        inverse = 1.0 / step_size(torch.tensor([quality], device=bands.packet.device))
        self.scaled = [(plane * inverse).flatten(2) for plane in (bands.packet, *bands.details, bands.low)]

    def __call__(self, level: int, start: int, rung: Tensor, cells: Tensor) -> Tensor:
        y = self.scaled[level][:, start : start + rung.shape[1]][..., cells]
        if level > PYRAMID:
            return exchange(self.port, rung, lambda: torch.floor(y + 0.5))
        return exchange(self.port, rung, lambda: round_cheaply(y, rung, self.costs, self.rate_weight))


class Decoding:
    """Gets the integers from the port."""

    def __init__(self, port: SymbolPort, device: torch.device) -> None:
        self.port, self.device = port, device

    def __call__(self, level: int, start: int, rung: Tensor, cells: Tensor) -> Tensor:
        return exchange(self.port, rung, None).to(self.device)


class Reading(Decoding):
    """Gets the integers and maps their bits onto the grid of cells, coarse ones shared by the cells below them."""

    def __init__(self, port: SymbolPort, device: torch.device, tables: Tables, sizes: list[tuple[int, int]]) -> None:
        super().__init__(port, device)
        self.tables, self.sizes = tables, sizes
        self.bits = torch.zeros(sizes[0])

    def __call__(self, level: int, start: int, rung: Tensor, cells: Tensor) -> Tensor:
        values = super().__call__(level, start, rung, cells)
        depth = min(level, PYRAMID)
        plane = torch.zeros(self.sizes[depth])
        plane.view(-1)[cells.cpu()] = spent_bits(self.tables, values.cpu(), rung.cpu()).sum((0, 1))
        self.bits += share(plane, depth, self.sizes[0])
        return values
