"""Family `overfitted`: pictures <-> symbols.  Encoding is fitting; its weights file holds nothing but CDF tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.configure import changed, flag, number, refuse_unknown
from ..base.cost import FIXED_MEMORY, FRAME_MEMORY, FRAME_WORK, KEPT_MEMORY, Cost
from ..base.family import GroupNetworks, GroupSpec, Latents, Pixels, SymbolPort
from ..base.fitted import Store, Watch
from ..base.kernels import Kernels
from .cells import CHANNELS, STRIDE, cells_of, share_bits
from .coding import get_picture, put_picture, read_picture
from .encoder import PictureJob, encode_picture
from .options import ITERATIONS, FitOptions
from .shape import MAX_LEVELS, POINTS, STRIP, FittedPicture
from .start import read_starts
from .tables import read_tables

CODER_BITS = 256.0  # what the range coder adds at the end of its bytes, at most


class OverfittedFamily:
    """See `base.family.Family` and `base.family.HoldsNetworks`.

    Each frame is a picture of its own.  Latents are the values of the grids, on cells of 8 x 8 pixels: see `cells`.
    """

    name: ClassVar[str] = "overfitted"
    stride: ClassVar[int] = STRIDE
    channels: int = CHANNELS
    decoders: tuple[str, ...] = ("standard",)
    exact: ClassVar[bool] = True
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    default_gop: ClassVar[int] = 1
    meets_psnr: ClassVar[bool] = True
    options: ClassVar[dict[str, str]] = {
        "point": f"work per pixel: {', '.join(each.name for each in POINTS)} (default {POINTS[FitOptions.point].name})",
        "iterations": f"steps of the fit (default by effort: {', '.join(f'{k} {v}' for k, v in ITERATIONS.items())})",
        "seed": "of starts and noise (default 0)",
        "early": "false: an interrupt writes nothing; by default it ends the fit and the file is written",
        "checkpoint": "folder that keeps the state of fits, to go on after an interruption",
    }

    def __init__(
        self, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str], kernels: Kernels | None = None
    ) -> None:
        self.tables: Tables = read_tables(tensors)
        self.starts = read_starts(tensors)
        self.kernels = kernels or Kernels()
        self.chosen = FitOptions()
        self.frame_bytes: float | None = None
        self.psnr: float | None = None
        self.watch: Watch | None = None
        self.store: Store | None = None

    def using(self, path: str) -> OverfittedFamily:
        """The same with the kernels of one instruction set, see `_kernels.cpu_path`."""
        return changed(self, kernels=Kernels(path))

    def configure(self, effort: str, **options: object) -> OverfittedFamily:
        """ValueError names an option that is unknown or out of range."""
        refuse_unknown(self.name, options, self.options)
        names = [point.name for point in POINTS]
        point = str(options.get("point", names[FitOptions.point]))
        if point not in names:
            raise ValueError(f"there is no point {point!r}; there are {', '.join(names)}")
        iterations = int(number(options, "iterations", 1, 1, 1e6)) if "iterations" in options else None
        seed = int(number(options, "seed", 0, 0, (1 << 31) - 1))
        early = flag(options, "early", True)
        return changed(self, chosen=FitOptions(effort, names.index(point), iterations, seed, early))

    def fitting(
        self,
        *,
        frame_bytes: float | None = None,
        psnr: float | None = None,
        frames: int | None = None,
        watch: Watch | None = None,
        store: Store | None = None,
    ) -> OverfittedFamily:
        """See `base.fitted.Fits`; what is None stays as it was."""
        given = {"frame_bytes": frame_bytes, "psnr": psnr, "watch": watch, "store": store}
        return changed(self, **{name: value for name, value in given.items() if value is not None})

    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        """FitFailed where a frame has no fit beyond one flat colour."""
        for frame in frames:
            self.put(self.fit(frame, spec), port)

    def fit(self, frame: Pixels, spec: GroupSpec) -> FittedPicture:
        """Fit a picture, uint8 (H, W, channels)."""
        bits = None if self.frame_bytes is None else 8 * self.frame_bytes - CODER_BITS
        wanted = (bits, self.psnr, self.watch, self.store)
        job = PictureJob(frame, spec.quality, self.chosen, self.tables, self.starts, *wanted)
        return encode_picture(job)

    def put(self, picture: FittedPicture, port: SymbolPort) -> None:
        """Put a picture that was fitted before."""
        put_picture(picture, port, self.tables, self.kernels)

    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Pixels:
        frames = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
        for frame in frames:
            frame[...] = get_picture(spec, port, self.kernels)
        return frames

    def cost(self, spec: GroupSpec) -> Cost:
        """Of the largest operating point; a strip takes the time of all its rows, however few it has."""
        point, pixels = POINTS[-1], spec.height * spec.width
        cells = 2 * -(-spec.height // STRIP) * STRIP * spec.width  # of all grids together, at most
        context = 2 * point.inputs * (point.inputs + 2) + MAX_LEVELS * point.features
        painting = point.width * (MAX_LEVELS + spec.channels) + 18 * spec.channels**2 + 20 * MAX_LEVELS
        memory = FIXED_MEMORY + pixels * (FRAME_MEMORY + KEPT_MEMORY * spec.frames)
        return Cost(memory, spec.frames * (FRAME_WORK + cells * context + pixels * painting))

    def networks(self, spec: GroupSpec, port: SymbolPort) -> GroupNetworks:
        """See `base.family.HoldsNetworks`."""
        bits, texts = 0.0, []
        for _ in range(spec.frames):
            measured = read_picture(spec, port, self.tables, self.kernels)
            bits += measured.number_bits
            texts.append(f"{POINTS[measured.picture.point].name}, {measured.picture.levels} levels")
        return GroupNetworks(bits, "; ".join(dict.fromkeys(texts)))

    def latents(self, spec: GroupSpec, port: SymbolPort) -> Latents:
        """Cells of every grid's values, see `cells`; `levels` are the grids 0..8, zeros where a frame has fewer.

        The bits of the networks are shared evenly by all cells of their frame.
        """
        x, bits = [], []
        levels: list[list[NDArray[np.float32]]] = [[] for _ in range(MAX_LEVELS)]
        for _ in range(spec.frames):
            coded = read_picture(spec, port, self.tables, self.kernels)
            x.append(cells_of(coded.picture))
            bits.append(share_bits(coded))
            for level, found in enumerate(levels):
                unit = 1 << level
                grid = np.zeros((-(-spec.height // unit), -(-spec.width // unit)), np.float32)
                if level < coded.picture.levels:
                    grid[...] = coded.picture.grid(level)
                found.append(grid[..., None])
        return Latents(
            x=np.stack(x),
            bits=np.stack(bits),
            bits_prior=None,
            codes=None,
            times=np.arange(spec.frames, dtype=np.float64),
            frame_type=np.zeros(spec.frames, np.int64),
            valid=np.ones((spec.frames, *bits[0].shape), np.bool_),
            levels=[np.stack(level) for level in levels],
        )
