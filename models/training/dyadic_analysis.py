"""The training task of the analysis network of dyadic frames: `analysis`, for details in place of packet coefficients.

Each step rounds by the network's moves, decodes, and computes from the gradient of the squared error where each of the
finest details should have been, as `wavelet.dyadic_refinement` does.  The network learns this by regression.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.family import GroupSpec
from ..base.ports import Nowhere
from ..base.quality import MAX_FINE
from ..base.task import TrainingTask, arrays_of
from ..networks.synthesis import SynthesisNetwork, round_weights
from ..prior.dyadic import Pyramid
from ..transform.bands import CELL, pyramid_sizes
from ..transform.gains import step_size
from ..transform.levels import EVERY
from ..transform.lifted import UNITS
from ..wavelet.base_still import MOVE_REACH
from ..wavelet.dyadic_intra import MOVED_LEVELS
from ..wavelet.dyadic_refinement import paint_with
from ..wavelet.dyadic_still import from_cells, to_cells
from ..wavelet.model import WORD_UNIT
from ..wavelet.words import LOWS, WORD_BITS
from .analysis import FARTHEST, LEAST_NOISE, AnalysisTraining
from .dyadic_coding import INPUTS, Written, calibrated, described, painted, pixels_of, tables_of
from .exporting import (
    ROUNDED_FROM,
    Tensors,
    network_tensors,
    part_of,
    pictures_of,
    prefixed,
    restore_network,
)
from .stills import DyadicStills
from .wavelet import still_part

MOVED = len(EVERY)  # finest details of a cell: as many as packet bands


class DyadicAnalysis(TrainingTask):
    """See `base.task.TrainingTask`.

    tensors: a weights file with dyadic frames; quantise: see `WaveletTask`.
    """

    def __init__(self, tensors: Tensors, width: int = 128, blocks: int = 4, quantise: int = 1) -> None:
        super().__init__()
        self.stills = DyadicStills(tensors)
        self.still = self.stills.still.weighing(self.stills.still.usual_rate_weight("medium"))
        self.tables = tables_of(arrays_of(still_part(tensors)[0]))
        self.network = SynthesisNetwork(INPUTS + MOVED, MOVED, width, blocks)
        self.rounding = bool(quantise)

    def begin_step(self, progress: float) -> None:
        round_weights(self.network, self.rounding and progress >= ROUNDED_FROM)

    def initialise(self, images: list[Tensor]) -> None:
        """Nothing: it starts from weights."""

    def read(self, pixels: Tensor, quality: int) -> tuple[Pyramid, GroupSpec, Tensor]:
        """The pyramid of a picture (3, H, W), its shape, and the words of its trial (1, INPUTS + MOVED, h, w)."""
        spec = GroupSpec(1, pixels.shape[1], pixels.shape[2], 3, quality)
        pyramid = self.still.prior.pyramid(self.still.kernels.planes(pixels_of(pixels)), spec)
        trial = self.still.trial_words(pyramid, self.still.tried(pyramid, spec), spec)
        words = torch.from_numpy(trial.astype(np.float32) / np.float32(WORD_UNIT))
        return pyramid, spec, words.permute(2, 0, 1)[None]

    def moves(self, words: Tensor, quality: Tensor) -> Tensor:
        """Moves of details, cell by cell (B, MOVED, h, w), in steps."""
        return self.network.corrections(words, quality, bf16=True).clamp(-MOVE_REACH, MOVE_REACH)

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255, whose sides are whole cells."""
        pixels: Tensor = batch
        quality = torch.randint(0, MAX_FINE + 1, (len(pixels),), generator=generator)
        read = [self.read(picture, int(q)) for picture, q in zip(pixels, quality, strict=True)]
        found = self.moves(torch.cat([words for _, _, words in read]), quality)
        coded = [self.code(pyramid, spec, move) for (pyramid, spec, _), move in zip(read, found.detach(), strict=True)]
        shown, lows, symbols, exact = (torch.from_numpy(np.stack(parts)) for parts in zip(*coded, strict=True))
        with torch.enable_grad():
            added, planes = paint_with(self.stills.standard, shown, lows, quality, bf16=True)
            given = np.stack([self.still.kernels.planes(pixels_of(picture)) for picture in pixels])
            error = (planes - torch.from_numpy(given.astype(np.float32) / np.float32(UNITS))).square()
            slopes = torch.autograd.grad(error.sum(), added)
        twice = 2 * step_size(quality)[:, None, None, None].square()
        slope = torch.stack([cells_of([level[i] for level in slopes]) for i in range(len(pixels))]) / twice
        wanted = (symbols - slope - exact).clamp(-FARTHEST, FARTHEST)
        size = (symbols - exact).square().mean((1, 2, 3)) + LEAST_NOISE
        loss = ((found - wanted).square().mean((1, 2, 3)) / size).mean()
        unmoved = (wanted.square().mean((1, 2, 3)) / size).mean()
        psnr = (10 * (255**2 / error.detach().mean((1, 2, 3))).log10()).mean()
        return loss, {"left": float(loss.detach() / unmoved), "psnr": float(psnr)}

    def code(self, pyramid: Pyramid, spec: GroupSpec, moves: Tensor) -> tuple[NDArray[np.float32], ...]:
        """A picture with `moves` (MOVED, h, w) as it is coded.

        Its planes in gray levels, words of its low bands, and details, rounded and exact, cell by cell in steps.
        """
        kept, quality = self.still, spec.quality
        frame = kept.prior.coder.code_pyramid(self.moved(pyramid, spec, moves), spec, Nowhere(), keep=True)
        planes = kept.kernels.padded(frame.planes)
        lows = kept.words(planes, quality)[..., -LOWS:].astype(np.float32) / np.float32(WORD_UNIT)
        size = planes.shape[1] // CELL, planes.shape[2] // CELL
        symbols = to_cells(frame.details[:MOVED_LEVELS], *size).astype(np.float32) / 2
        exact = to_cells(kept.prior.in_steps(pyramid, quality), *size)
        shown = planes.astype(np.float32) / np.float32(UNITS)
        return shown, *(part.transpose(2, 0, 1) for part in (lows, symbols, exact))

    def moved(self, pyramid: Pyramid, spec: GroupSpec, moves: Tensor) -> Pyramid:
        sizes = pyramid_sizes(spec.height, spec.width, MOVED_LEVELS)[1:]
        return self.still.prior.moved(pyramid, from_cells(moves.permute(1, 2, 0).numpy(), sizes), spec.quality)

    @torch.no_grad()
    def rate_distortion(self, pixels: Tensor, quality: int) -> tuple[float, Tensor]:
        """One whole picture (1, 3, H, W): bits per pixel, and the 8-bit reconstruction."""
        pyramid, spec, words = self.read(pixels[0], quality)
        at, port = torch.tensor([quality]), Written(self.tables)
        moved = self.moved(pyramid, spec, self.moves(words, at)[0])
        offsets = self.still.trial.coder.offsets_of(self.still.tried(pyramid, spec))
        planes = self.still.prior.code_pyramid(moved, spec, port, offsets).planes
        assert planes is not None
        words, lacking = described(self.still, planes, pixels_of(pixels[0]), quality)
        shown = painted(self.stills.standard, pixels, words[None], lacking[None], at)
        return 8 * len(port.encoder.finish()) / pixels[0, 0].numel(), shown.round().clamp(0, 255)

    def groups(self) -> list[dict[str, Any]]:
        parameters = list(self.network.parameters())
        return [
            {"params": [p for p in parameters if p.ndim == 4], "optimiser": "muon", "lr": 1.5e-3},
            {"params": [p for p in parameters if p.ndim != 4], "optimiser": "adam", "lr": 1e-3},
        ]

    def after_step(self, step: int) -> None:
        """Nothing to keep in bounds."""

    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """The network in integers, calibrated on the samples of `calibrate`, or on these."""
        pictures = pictures_of(self.held_out or samples)
        words = [(self.read(picture, quality)[2], torch.tensor([quality])) for picture, quality in calibrated(pictures)]
        return prefixed(f"{self.stills.owner}analysis", network_tensors(self.network, words, WORD_BITS)), {}

    def restore(self, tensors: Tensors) -> None:
        """Go on from a network that `export` gave."""
        restore_network(self.network, part_of(tensors, f"{self.stills.owner}analysis"), WORD_BITS)


def analysis_training(tensors: Tensors, decoders: int = 0, **options: int) -> AnalysisTraining | DyadicAnalysis:
    """The task that suits a weights file.  ValueError where decoders are to learn beside it and cannot."""
    if not part_of(still_part(tensors)[0], "dyadic"):
        return AnalysisTraining(tensors, decoders=decoders, **options)
    if decoders:
        raise ValueError("option decoders: these frames are dyadic, and their decoders are trained by `train dyadic`")
    return DyadicAnalysis(tensors, **options)


def cells_of(details: list[Tensor]) -> Tensor:
    """`to_cells` of details whose sizes are whole cells, as (channels, h, w)."""
    height, width = details[0].shape[1] * 2 // CELL, details[0].shape[2] * 2 // CELL
    return torch.from_numpy(to_cells([plane.numpy() for plane in details], height, width)).permute(2, 0, 1)
