"""The sources of `tessera evaluate latents`: cells of files or pixels, and cells as tokens.

See `measure` for the names of sources.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version as package_version
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tessera.codec.errors import ParameterError
from tessera.models.tokens.cosine import dct

Pixels = NDArray[np.uint8]

FORMS = (
    "latents:NAME[:CHANNELS][@QUALITY], latents:NAME:firstCHANNELS[@QUALITY], ids:NAME[@QUALITY], dct:CHANNELS or "
    "rgb[:SIDE]"
)
SIDE = 6  # tokens along a side of a picture, where nothing else is asked for
JPEG_QUALITY = 90  # quality of the files that pixels are read from where reading is timed
TIMED = 64  # pictures that are timed
BLOCK = 8  # pixels along a side of a cell of cosine coefficients, as cells of families have
LOWEST = 10  # coefficients of each colour axis, zigzag, that `dct` chooses from


@dataclass(frozen=True)
class LatentSource:
    """`code` makes the file of one picture, `read` makes its cells (h, w, C).

    files     equal for sources that read the same files
    show      makes the cells of a picture, where nothing is lost in a file
    channels  so many channels of most variance are kept
    first     only so many first channels are read
    indices   cells hold indices, not numbers
    """

    name: str
    version: str
    setting: str
    code: Callable[[Pixels], bytes]
    read: Callable[[bytes], Tensor]
    files: str = ""
    show: Callable[[Pixels], Tensor] | None = None
    channels: int | None = None
    first: int | None = None
    indices: bool = False


def source(name: str, quality: float, side: int = SIDE) -> LatentSource:
    """The source that `name` says; files are of `quality` where it says none.  ParameterError for another name."""
    whole, _, at = name.partition("@")
    kind, *rest = whole.split(":")
    try:
        given = float(at) if at else quality
        if kind == "latents" and len(rest) == 2 and rest[1].startswith("first"):
            return _family(name, rest[0], given, first=int(rest[1].removeprefix("first")))
        if kind == "latents" and len(rest) in (1, 2):
            return _family(name, rest[0], given, channels=int(rest[1]) if len(rest) == 2 else None)
        if kind == "ids" and len(rest) == 1:
            return _family(name, rest[0], given, indices=True)
        if kind == "dct" and len(rest) == 1 and not at and 0 < int(rest[0]) <= 3 * LOWEST:
            return replace(_pixels(name, None, side), name=name, show=cosines, channels=int(rest[0]))
        if kind == "rgb" and len(rest) <= 1 and not at:
            return _pixels(name, int(rest[0]) if rest else None, side)
    except ValueError:
        pass
    raise ParameterError(f"{name!r} is not {FORMS}")


def _family(
    name: str,
    codec: str,
    quality: float,
    *,
    channels: int | None = None,
    first: int | None = None,
    indices: bool = False,
) -> LatentSource:
    import tessera
    from tessera.codec.coding import weights

    _, made = weights.load(codec)
    version = f"tessera {package_version('tessera-codec')}, weights {made.hex()}"

    def code(pixels: Pixels) -> bytes:
        return tessera.encode(pixels, codec=codec, quality=quality)

    def read(data: bytes) -> Tensor:
        with tessera.open(data) as clip:
            return clip.ids(0, 1)[0] if indices else clip.latents(0, 1, channels=first).x[0]

    setting = f"quality={quality:g}"
    options: dict[str, Any] = {"channels": channels, "first": first, "indices": indices}
    return LatentSource(name, version, setting, code, read, f"{codec} {setting}", **options)


def _pixels(name: str, size: int | None, side: int) -> LatentSource:
    from PIL import Image

    if size is not None and (size < side or size % side):
        raise ParameterError(f"{name}: the side must be a multiple of {side}")

    def code(pixels: Pixels) -> bytes:
        blob = io.BytesIO()
        Image.fromarray(pixels).save(blob, "JPEG", quality=JPEG_QUALITY)
        return blob.getvalue()

    def show(pixels: Pixels) -> Tensor:
        return shown(pixels, size)

    def read(data: bytes) -> Tensor:
        with Image.open(io.BytesIO(data)) as image:
            return show(np.asarray(image))

    return LatentSource(name, f"pillow {package_version('pillow')}", f"quality={JPEG_QUALITY}", code, read, show=show)


def shown(pixels: Pixels, side: int | None) -> Tensor:
    """float (h, w, 3) around 0, resized with a Lanczos filter."""
    from PIL import Image

    if side is not None and side != pixels.shape[0]:
        pixels = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
    return torch.from_numpy(np.array(pixels)).float().div_(64).sub_(2)


def cosines(pixels: Pixels) -> Tensor:
    """float (h / 8, w / 8, 30): of blocks of Y, Cb and Cr the lowest coefficients of the cosine transform, uncoded."""
    from PIL import Image

    axes = torch.from_numpy(np.array(Image.fromarray(pixels).convert("YCbCr"))).float().div_(64).sub_(2)
    h, w = axes.shape[0] // BLOCK, axes.shape[1] // BLOCK
    blocks = axes[: h * BLOCK, : w * BLOCK].reshape(h, BLOCK, w, BLOCK, 3).permute(0, 2, 4, 1, 3)
    flat = dct(blocks, (3, 4)).flatten(3)
    order = sorted(range(BLOCK**2), key=lambda at: (at // BLOCK + at % BLOCK, at))[:LOWEST]
    return flat[..., order].flatten(2)


def join_cells(grid: Tensor, side: int = SIDE) -> Tensor:
    """(n, h, w, C) -> (n, side * side, C * cells per token): neighbouring cells side by side."""
    n, h, w, c = grid.shape
    if h % side or w % side:
        raise ParameterError(f"{h} x {w} cells do not divide into {side} x {side} tokens")
    parts = grid.reshape(n, side, h // side, side, w // side, c).permute(0, 1, 3, 2, 4, 5)
    return parts.reshape(n, side * side, -1)


# -- what is learned from ----------------------------------------------------------------------------------------------


@dataclass
class Material:
    """Tokens float16, or int32 of indices: train (2, n, N, C), as they are and mirrored; test (m, N, C).

    bytes and read_rate are of files; sizes (C,) of indices: numbers that each can be, else empty.
    """

    train: Tensor
    test: Tensor
    bytes: float
    read_rate: float
    sizes: list[int] = field(default_factory=list)


@dataclass
class Known:
    """Files or grids of training, mirrored and test pictures made last, for a next source that needs the same."""

    files: dict[str, list[list[bytes]]] = field(default_factory=dict)
    grids: dict[tuple[str, bool, int | None], list[Tensor]] = field(default_factory=dict)  # each (n, h, w, C)


def material(origin: LatentSource, train: Pixels, test: Pixels, side: int, known: Known) -> Material:
    """Both parts of the set as tokens; features that are numbers scaled to mean 0, spread 1 over the training part.

    Pixels are taken from the set's own pictures, not from the JPEG files that reading is timed with.
    """
    grids = _grids(origin, (train, train[:, :, ::-1], test), known)
    if origin.channels is not None:
        spread = grids[0].float().flatten(0, 2).var(0)
        chosen = torch.sort(spread, descending=True, stable=True).indices[: origin.channels].sort().values
        grids = [grid[..., chosen] for grid in grids]
    parts = [join_cells(grid, side) for grid in grids]
    sizes: list[int] = []
    if origin.indices:
        sizes = (1 + torch.stack([part.amax((0, 1)) for part in parts]).amax(0)).tolist()
    else:
        sample = parts[0].float().flatten(0, 1)
        mean, scale = sample.mean(0), 1 / sample.std(0).clamp_min(1e-6)
        parts = [((part - mean) * scale).clamp_(-8, 8).half() for part in parts]
    size, rate = reading(origin, test[:TIMED], side)
    return Material(torch.stack(parts[:2]), parts[2], size, rate, sizes)


def reading(origin: LatentSource, pictures: Pixels, side: int) -> tuple[float, float]:
    """Mean bytes of the pictures' files, and the files read to tokens per CPU second: the fastest of three passes."""
    files = [origin.code(np.ascontiguousarray(pixels)) for pixels in pictures]
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        for data in files:
            join_cells(origin.read(data)[None], side)
        seconds.append(time.process_time() - begun)
    return fmean(map(len, files)), len(files) / min(seconds)


def _grids(origin: LatentSource, pictures: Sequence[Pixels], known: Known) -> list[Tensor]:
    """(n, h, w, C) float16, or int32 of indices, of each of the three parts."""
    if origin.show is not None:
        show = origin.show
        return [torch.stack([show(np.ascontiguousarray(one)).half() for one in part]) for part in pictures]
    if origin.files not in known.files:
        known.files = {origin.files: [[origin.code(np.ascontiguousarray(one)) for one in part] for part in pictures]}
    key = (origin.files, origin.indices, origin.first)
    if key not in known.grids:
        kind = torch.int32 if origin.indices else torch.float16
        parts = known.files[origin.files]
        known.grids = {key: [torch.stack([origin.read(data).to(kind) for data in part]) for part in parts]}
    return known.grids[key]
