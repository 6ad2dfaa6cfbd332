"""Files to tokens: written as safetensors, searched by reading few groups."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ..atomic import output
from ..limits import DEFAULT_LIMITS, Limits
from ..options import FileSource
from ..ranges import FrameRange, clipped
from .clip import Clip

_DESCRIPTION = 270  # EXIF tag


@dataclass(frozen=True)
class TokensReport:
    """cells: of the grid, padding not counted; bytes_read: of `bytes`; seconds: reading, reducing and writing."""

    tokens: int
    cells: int
    channels: int
    frames: int
    reduce: str
    codec: str
    quality: float
    bytes_read: int
    bytes: int
    seconds: float
    query_dependent: bool


def tokens_file(
    source: FileSource,
    target: str,
    *,
    reduce: str = "bits",
    budget: Any = 1.0,
    frames: FrameRange | None = None,
    device: str = "cpu",
    seed: int = 0,
    whiten: bool = False,
    channels: int | None = None,
    force: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> TokensReport:
    """Write the tokens of a file as safetensors, which `TokenSet.load` reads; what made them stands in the metadata.

    channels: of the latents, the first so many (`Clip.latents`); None: all.
    ParameterError when the target exists and not `force`, or the reduction cannot be done.
    """
    with output(target, force) as file:
        return tokens_to(
            source, file, reduce=reduce, budget=budget, frames=frames, device=device, seed=seed, whiten=whiten,
            channels=channels, limits=limits,
        )  # fmt: skip


def tokens_to(
    source: FileSource,
    sink: BinaryIO,
    *,
    reduce: str,
    budget: Any,
    frames: FrameRange | None,
    device: str,
    seed: int,
    whiten: bool,
    channels: int | None,
    limits: Limits,
) -> TokensReport:
    """Write the tokens of a file to a binary file that is open for writing; see `tokens_file`."""
    from safetensors.torch import save

    from ...models.tokens.saved import tensors_of

    begun = time.monotonic()
    with Clip(source, device=device, limits=limits) as clip:
        start, stop = clipped(frames, len(clip))
        found = clip.tokens(start, stop, reduce=reduce, budget=budget, seed=seed, whiten=whiten, channels=channels)
        info = clip.info
        made = {"codec": info.codec, "weights": info.weights, "quality": f"{info.quality:g}", "reduce": reduce}
        made |= {"budget": str(budget), "frames": f"{start}:{stop}", "channels": str(found.x.shape[1])}
        sink.write(save(tensors_of(found), made))
        return TokensReport(
            tokens=len(found),
            cells=found.assign.numel(),
            channels=found.x.shape[1],
            frames=stop - start,
            reduce=reduce,
            codec=info.codec,
            quality=info.quality,
            bytes_read=clip.bytes_read,
            bytes=info.bytes,
            seconds=time.monotonic() - begun,
            query_dependent=found.query_dependent,
        )


# -- what the index says before anything is decoded --------------------------------------------------------------------


def group_bits(clip: Clip) -> Tensor:
    """(G,) float32 bits of each group, from the index alone: no payload is read."""
    return torch.tensor([8.0 * entry.size for entry in clip.reader.entries])


def surprise(spent: Tensor) -> Tensor:
    """(G,) how far each group's bits lie from the mean of its two neighbours: large at what comes suddenly."""
    padded = torch.cat([spent[:1], spent, spent[-1:]])
    return (spent - (padded[:-2] + padded[2:]) / 2).abs()


def search(clip: Clip, query: Tensor, picks: int, reads: int | None = None, rounds: int = 4) -> list[int]:
    """The `picks` groups of a clip that hold the cell nearest to `query` (C,), ascending, reading few of them (T*).

    reads   groups that may be read, by default four times `picks`
    """
    from ...models.tokens.methods.scores import unit
    from ...models.tokens.modules.search import search as choose

    direction = unit(query)

    def near(number: int) -> float:
        entry = clip.reader.entries[number]
        grid = clip.latents(entry.first, entry.first + entry.frames)
        return float((unit(grid.x)[grid.valid] @ direction).max())

    return choose(near, surprise(group_bits(clip)), picks, rounds, reads)


def richest(clip: Clip, count: int) -> list[int]:
    """The `count` groups of most bits, ascending, chosen before decoding; of equal ones the first."""
    order = torch.sort(group_bits(clip), descending=True, stable=True).indices
    return sorted(order[:count].tolist())


def description(clip: Clip) -> str:
    """The text that describes a file (EXIF ImageDescription), read without its groups; empty where there is none.

    What a search by words alone needs (vision-free retrieval): it works where the payload is withheld.
    """
    from PIL import Image

    exif = Image.Exif()
    exif.load(clip.reader.metadata().exif or b"")
    return str(exif.get(_DESCRIPTION, "")).strip("\0 ")
