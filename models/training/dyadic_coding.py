"""Pictures as the kernels code them as dyadic frames, for networks in training that paint or move them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import Tables
from ...entropy.coder import Encoder
from .. import _kernels
from ..base.family import GroupSpec, Pixels, SymbolPort, Symbols, TableIndices
from ..base.kernels import Kernels, Planes
from ..base.ports import Nowhere
from ..base.quality import MAX_FINE
from ..networks.synthesis import SynthesisNetwork
from ..prior.ladder import TABLE_NAMES, TABLE_REACH
from ..prior.quantisers import ODD_TABLE_NAMES
from ..prior.signs import SIGN_TABLE_NAMES
from ..spatiotemporal.family import rows_of
from ..transform import packet as wp
from ..transform.dyadic import SLICES
from ..transform.gains import colour_matrix, step_size, synthesis_gains
from ..transform.levels import EVERY
from ..wavelet.dyadic_still import DyadicStill
from ..wavelet.model import WORD_UNIT
from ..wavelet.words import LOWS
from .dyadic import CodedPyramids
from .exporting import CalibrationSample
from .recording import lacking_bands
from .wavelet import CALIBRATED, CROP, SPACING

COLUMNS = TABLE_REACH + 2  # of counts: 0 .. TABLE_REACH, and what is larger
# rows and columns of the cells of each pass
PHASES = [[(slice(y, None, 2), slice(x, None, 2)) for y, x in part] for part in (((0, 0), (1, 1)), ((0, 1), (1, 0)))]
INPUTS, OUTPUTS = len(EVERY) + LOWS, len(EVERY) + 3  # what networks read, see `DyadicStill.describe`, and answer


class Written(Nowhere):
    """A port to a range encoder."""

    def __init__(self, tables: Tables) -> None:
        self.encoder = Encoder(tables)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        self.encoder.put(symbols, indices)

    def native(self) -> AbstractContextManager[Any]:
        return nullcontext(self.encoder.native())


class Counted:
    """A port that counts what is put."""

    def __init__(self) -> None:
        self.calls: list[tuple[Symbols, TableIndices]] = []

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        self.calls.append((symbols, indices))

    def get(self, indices: TableIndices) -> Symbols:
        raise TypeError("this port only takes symbols")

    def counts(self, tables: int) -> Tensor:
        """Symbols of each table, (tables, COLUMNS) float64."""
        symbols, indices = (np.concatenate(parts) for parts in zip(*self.calls, strict=True))
        flat = indices.astype(np.int64) * COLUMNS + np.clip(symbols, 0, COLUMNS - 1)
        found = np.bincount(flat, minlength=tables * COLUMNS).reshape(tables, COLUMNS)
        return torch.from_numpy(found.astype(np.float64))


def dyadic_coder(arrays: Mapping[str, NDArray[Any]], kernels: Kernels) -> DyadicStill:
    """Frames on their own by weights that `DyadicStillTask` made."""
    return DyadicStill(arrays, tables_of(arrays), len(arrays[TABLE_NAMES[0]]), kernels)


def tables_of(arrays: Mapping[str, NDArray[Any]]) -> Tables:
    """The tables of those weights: of magnitudes, then of signs, then of the odd quantiser."""
    owners = (TABLE_NAMES, SIGN_TABLE_NAMES, ODD_TABLE_NAMES)
    return Tables.stack([row for names in owners for row in rows_of(arrays, names)])


def coded(still: DyadicStill, pixels: Pixels, quality: int, port: SymbolPort, effort: str) -> tuple[Tensor, Tensor]:
    """A picture (H, W, 3), as decoded: words (INPUTS, h, w), and what the 192 packet bands lack, in steps."""
    height, width, channels = pixels.shape
    spec = GroupSpec(1, height, width, channels, quality)
    decoded = still.put(pixels, spec, port, effort).planes
    assert decoded is not None
    return described(still, decoded, pixels, quality)


def described(still: DyadicStill, decoded: Planes, pixels: Pixels, quality: int) -> tuple[Tensor, Tensor]:
    """The same of a picture whose decoded planes are known."""
    kernels, steps = still.kernels, still.steps.at(quality)
    packet, low = kernels.analyse(decoded, EVERY)
    words = still.describe(packet, low, quality, steps).astype(np.float32) / np.float32(WORD_UNIT)
    lacking = lacking_bands(steps, EVERY, packet, low, kernels.planes(pixels), kernels)
    return torch.from_numpy(words).permute(2, 0, 1), lacking


def coded_batch(still: DyadicStill, pixels: Tensor, quality: Tensor, effort: str) -> tuple[Tensor, Tensor]:
    """The same of pixels (B, 3, H, W) in 0..255, rounded: (B, INPUTS, h, w) and (B, 192, h, w)."""
    pairs = [coded(still, pixels_of(one), int(q), Nowhere(), effort) for one, q in zip(pixels, quality, strict=True)]
    words, lacking = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return words, lacking


def coded_pyramids(still: DyadicStill, pixels: Tensor, quality: Tensor) -> CodedPyramids:
    """Pyramids of pixels (B, 3, H, W) in 0..255, rounded, as effort fast codes them."""
    coder, frames = still.prior.coder, []
    for one, at in zip(pixels, quality, strict=True):
        given = still.kernels.planes(pixels_of(one))
        spec = GroupSpec(1, one.shape[1], one.shape[2], 3, int(at))
        frames.append(coder.code_pyramid(still.prior.pyramid(given, spec), spec, Nowhere(), keep=True))
    values = [[np.sign(part) * (np.abs(part) + 1 >> 1) for part in frame.details] for frame in frames]
    odd = [[odd_quantisers(part) for part in parts] for parts in values]
    as_levels = ([torch.from_numpy(np.stack(level)) for level in zip(*parts, strict=True)] for parts in (values, odd))
    of_values, of_odd = as_levels
    return CodedPyramids(
        [part.float() for part in of_values], of_odd, torch.from_numpy(np.stack([f.low for f in frames])).float()
    )


def odd_quantisers(values: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which values (9, h, w) of a level have the odd quantiser."""
    found = np.zeros(values.shape, np.bool_)
    for start, count in zip(np.cumsum((0, *SLICES)), SLICES, strict=False):
        for parity in (0, 1):
            places = [(slice(start, start + count), *phase) for phase in PHASES[parity]]
            parts = np.concatenate([values[place].reshape(count, -1) for place in places], 1)
            named = _kernels.quantisers(np.ascontiguousarray(parts).ravel()).reshape(parts.shape) == 1
            for place in places:
                here = found[place]
                here[...], named = named[:, : here[0].size].reshape(here.shape), named[:, here[0].size :]
    return found


def pixels_of(picture: Tensor) -> Pixels:
    """(3, H, W) in 0..255 -> uint8 (H, W, 3)."""
    return np.ascontiguousarray(picture.round().to(torch.uint8).permute(1, 2, 0).numpy())


def painted(network: SynthesisNetwork, pixels: Tensor, words: Tensor, lacking: Tensor, quality: Tensor) -> Tensor:
    """What a network shows of coded pixels (B, 3, H, W): float, not clipped."""
    rest = network.corrections(words, quality, bf16=True) - lacking
    scale = step_size(quality)[:, None, None, None] / synthesis_gains()[0].view(1, -1, 1, 1)
    planes = wp.unpacket((rest * scale).unflatten(1, (3, 64)))[:, :, : pixels.shape[2], : pixels.shape[3]]
    found: Tensor = pixels + torch.einsum("ij,bihw->bjhw", colour_matrix(), planes)
    return found


def calibration(still: DyadicStill, pictures: list[Tensor], effort: str) -> list[CalibrationSample]:
    """What decoders' networks read of pictures (3, H, W) at qualities of all kinds."""
    return [
        (coded(still, pixels_of(picture), quality, Nowhere(), effort)[0][None], torch.tensor([quality]))
        for picture, quality in calibrated(pictures)
    ]


def calibrated(pictures: list[Tensor]) -> Iterator[tuple[Tensor, int]]:
    """Parts of pictures (3, H, W) to calibrate a network on, each with a quality."""
    qualities = range(0, MAX_FINE + 1, SPACING)
    pictures = pictures[:CALIBRATED]
    for k in range(max(len(qualities), 2 * len(pictures)) if pictures else 0):
        # five steps on: a picture has unlike qualities
        yield pictures[k % len(pictures)][:, :CROP, :CROP], qualities[5 * k % len(qualities)]
