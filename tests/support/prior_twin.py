"""The walk of one frame through its prior once more, slowly: `BandPrior.walk` in torch, around it numpy alone.

Twin of `prior.native`, which walks in C++: the same calls of the port, the same integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tessera.models.base.family import GroupSpec, SymbolPort
from tessera.models.prior import exchange
from tessera.models.prior.bands import BandPrior, SliceNetwork, hard, parity_mask
from tessera.models.prior.ladder import SHIFTS, TABLE_REACH
from tessera.models.transform.bands import CELL, GRAY_SLICES, PYRAMID, pyramid_sizes

Integers = NDArray[np.int32]
Rungs = NDArray[np.uint8]
LOW = PYRAMID + 1  # the level of the low band
Coder = Callable[[int, int, Rungs, NDArray[np.intp]], Integers]  # level, first channel, rungs (c, n), cells (n,)


def prior_of(arrays: dict[str, NDArray[Any]], hints: int = 0) -> BandPrior:
    """The torch module of a weights file's integers."""
    found = arrays["packet.slices.0.near.weight"], arrays["packet.coarse.weight"], arrays["pyramid.coarse.weight"]
    counts = [arrays[f"packet.slices.{k}.near.weight"].shape[0] for k in range(_slices(arrays))]
    reaches = [
        arrays[name].shape[-1] if (name := f"packet.slices.{k}.context.weight") in arrays else 0
        for k in range(_slices(arrays))
    ]
    prior = BandPrior(PYRAMID, counts, reaches, len(found[1]), len(found[2]), hints)
    prior.freeze()
    prior.load_state_dict({name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in arrays.items()})
    return prior


def _slices(arrays: dict[str, NDArray[Any]]) -> int:
    return len({name.split(".")[2] for name in arrays if name.startswith("packet.slices.")})


@torch.inference_mode()
def walk_frame(
    prior: BandPrior, spec: GroupSpec, code: Coder, hints: Sequence[Integers] | None = None, most: int | None = None
) -> tuple[list[Integers], Rungs]:
    """Code one frame: its levels, packet first, and the rungs of its packet bands, zeros behind slice `most`."""
    sizes = pyramid_sizes(-(-spec.height // CELL), -(-spec.width // CELL), PYRAMID)
    quality, rungs = torch.tensor([spec.quality]), np.zeros((sum(p.count for p in prior.packet.parts()), *sizes[0]))

    def at(level: int, part: SliceNetwork, parity: int, rung: Tensor) -> Tensor:
        cells = cells_of(rung.shape[2], rung.shape[3], parity)
        chosen = hard(rung.flatten(2)[0, :, cells]).numpy().astype(np.uint8)
        if level == 0:
            rungs.reshape(len(rungs), -1)[part.start : part.start + part.count, cells] = chosen
        values = torch.zeros(rung.shape)
        values.flatten(2)[0][:, cells] = torch.from_numpy(code(level, part.start, chosen, cells)).float()
        return values

    planes = spec.channels
    low_rungs = hard(prior.low_rungs(quality, sizes[-1]))[0, :planes].flatten(1).numpy().astype(np.uint8)
    low = np.zeros((3, *sizes[-1]), np.int32)
    low[:planes] = code(LOW, 0, low_rungs, np.arange(low_rungs.shape[1])).reshape(planes, *sizes[-1])
    heard = None if hints is None else [torch.from_numpy(plane).float()[None] for plane in hints]
    details, packet = prior.walk(quality, sizes, at, planes, GRAY_SLICES, heard, most)
    levels = [plane[0].numpy().astype(np.int32) for plane in (packet, *details)]
    return [*levels, low], rungs.astype(np.uint8)


def cells_of(height: int, width: int, parity: int) -> NDArray[np.intp]:
    """Flat indices of one checkerboard colour, in raster order."""
    mask = parity_mask(height, width, torch.device("cpu")).numpy().ravel() == (parity == 0)
    return np.flatnonzero(mask)


class Encoding:
    """Rounds bands in steps, (channels, cells) of each level in raster order, and puts them to the port."""

    def __init__(
        self,
        port: SymbolPort,
        costs: NDArray[np.float32],
        scaled: list[NDArray[np.float32]],
        low: Integers,
        rate_weight: float,
    ) -> None:
        self.port, self.costs, self.scaled, self.low, self.rate_weight = port, costs, scaled, low, rate_weight

    def __call__(self, level: int, start: int, rungs: Rungs, cells: NDArray[np.intp]) -> Integers:
        if level == LOW:
            values = self.low[: len(rungs)].reshape(len(rungs), -1)
        else:
            values = rounded(self.scaled[level][start : start + len(rungs), cells], rungs, self.costs, self.rate_weight)
        return exchange.put(self.port, values.ravel(), rungs.ravel()).reshape(rungs.shape)


class Decoding:
    """Gets the integers from the port."""

    def __init__(self, port: SymbolPort) -> None:
        self.port = port

    def __call__(self, level: int, start: int, rungs: Rungs, cells: NDArray[np.intp]) -> Integers:
        return exchange.get(self.port, rungs.ravel()).reshape(rungs.shape)


def rounded(y: NDArray[np.float32], rungs: Rungs, costs: NDArray[np.float32], weight: float) -> Integers:
    """Nearest integer, or the next towards zero where the bits it saves are worth its error; see `rounding`."""
    magnitude = np.minimum(np.abs(y), np.float32(exchange.LARGEST))
    nearest = np.floor(magnitude + np.float32(0.5)).astype(np.int32)
    smaller = np.maximum(nearest - 1, 0)
    saved = _cost(costs, rungs, nearest) - _cost(costs, rungs, smaller)
    below, above = magnitude - smaller.astype(np.float32), magnitude - nearest.astype(np.float32)
    chosen = np.where((weight * saved.astype(np.float64)).astype(np.float32) > below**2 - above**2, smaller, nearest)
    values: Integers = np.where(y < 0, -chosen, chosen).astype(np.int32)
    return values


def _cost(costs: NDArray[np.float32], rungs: Rungs, magnitude: Integers) -> NDArray[np.float32]:
    bits: NDArray[np.float32] = costs[rungs, np.minimum(magnitude >> SHIFTS[rungs], TABLE_REACH + 1)]
    return bits
