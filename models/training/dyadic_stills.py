"""The training task of frames on their own as dyadic pyramids: their prior, and the networks that paint them.

The prior learns from crops that are rounded along its walk in floats.  The networks learn from the same crops as the
kernels code them with the prior's integers, which are renewed every CODER_EVERY steps where the prior learns, too.
Both losses are relative to their present size, see `wavelet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import Tables
from ...entropy.coder import Encoder
from ..base.family import GroupSpec, Pixels, SymbolPort
from ..base.kernels import Kernels
from ..base.ports import Nowhere
from ..base.quality import MAX_FINE
from ..base.task import TrainingTask, arrays_of
from ..networks.synthesis import SynthesisNetwork, round_weights
from ..prior.fitted import magnitude_counts, table_tensors
from ..prior.ladder import TABLE_NAMES
from ..prior.signs import SIGN_TABLE_NAMES
from ..spatiotemporal.family import rows_of
from ..spatiotemporal.wire import FIRST_TABLE
from ..transform import packet as wp
from ..transform.gains import step_size, synthesis_gains
from ..transform.levels import EVERY
from ..wavelet.dyadic_still import DyadicStill
from ..wavelet.model import WORD_UNIT
from ..wavelet.words import CORRECTION_BITS, LOWS
from .dyadic import DyadicModel
from .exporting import (
    ROUNDED_FROM,
    CalibrationSample,
    Tensors,
    network_tensors,
    part_of,
    pictures_of,
    prefixed,
    restore_network,
    restore_parameters,
)
from .recording import lacking_bands, painted_error
from .steps import step_tensors
from .wavelet import CALIBRATED, CROP, REFIT_EVERY, SPACING, still_part

CODER_EVERY = 500
INPUTS, OUTPUTS = len(EVERY) + LOWS, len(EVERY) + 3  # what networks read, see `DyadicStill.describe`, and answer


class Written(Nowhere):
    """A port to a range encoder."""

    def __init__(self, tables: Tables) -> None:
        self.encoder = Encoder(tables)

    def native(self) -> AbstractContextManager[Any]:
        return nullcontext(self.encoder.native())


class DyadicStillTask(TrainingTask):
    """See `base.task.TrainingTask`.

    priors, decoders: 1 to train the prior, and the networks that paint, 0 to keep them.
    width, blocks, fast_width, fast_blocks: sizes of the networks of decoders standard and fast.
    quantise: see `WaveletTask`.
    """

    gains: Tensor

    def __init__(
        self,
        priors: int = 1,
        decoders: int = 1,
        quantise: int = 1,
        width: int = 128,
        blocks: int = 8,
        fast_width: int = 64,
        fast_blocks: int = 4,
    ) -> None:
        super().__init__()
        self.model = DyadicModel()
        self.standard = SynthesisNetwork(INPUTS, OUTPUTS, width, blocks)
        self.fast = SynthesisNetwork(INPUTS, OUTPUTS, fast_width, fast_blocks)
        self.register_buffer("gains", synthesis_gains()[0], persistent=False)
        self.priors, self.decoders, self.rounding = bool(priors), bool(decoders), bool(quantise)
        self.model.requires_grad_(self.priors)
        for network in self.networks().values():
            network.requires_grad_(self.decoders)
        self.made: tuple[DyadicStill, Tables] | None = None
        self.kept: Tensors = {}  # adopted for export

    def networks(self) -> dict[str, SynthesisNetwork]:
        return {"standard": self.standard, "fast": self.fast}

    def begin_step(self, progress: float) -> None:
        round_weights(self, self.rounding and progress >= ROUNDED_FROM)

    def initialise(self, images: list[Tensor]) -> None:
        """See `DyadicModel.initialise`."""
        self.model.initialise(images)

    # -- what the networks learn from ----------------------------------------------------------------------------------

    def coder(self) -> tuple[DyadicStill, Tables]:
        """The prior as the kernels code with it, and its tables; without networks."""
        if self.made is None:
            arrays = arrays_of(self.model.tensors() | step_tensors())
            self.made = dyadic_coder(arrays, Kernels()), tables_of(arrays)
        return self.made

    def coded(self, pixels: Pixels, quality: int, port: SymbolPort) -> tuple[Tensor, Tensor]:
        """A picture (H, W, 3), as decoded: words (INPUTS, h, w), and what the 192 packet bands lack, in steps."""
        height, width, channels = pixels.shape
        still, spec = self.coder()[0], GroupSpec(1, height, width, channels, quality)
        decoded = still.put(pixels, spec, port, "fast").planes
        assert decoded is not None
        kernels, steps = still.kernels, still.steps.at(quality)
        packet, low = kernels.analyse(decoded, EVERY)
        words = still.describe(packet, low, quality, steps).astype(np.float32) / np.float32(WORD_UNIT)
        lacking = lacking_bands(steps, EVERY, packet, low, kernels.planes(pixels), kernels)
        return torch.from_numpy(words).permute(2, 0, 1), lacking

    # -- the loss ----------------------------------------------------------------------------------------------------

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Pixels (B, 3, H, W) float in 0..255 -> loss and scalars to log."""
        parts = [self.model.loss] if self.priors else []
        found = [part(batch, generator) for part in (*parts, *([self.decoder_loss] if self.decoders else []))]
        scalars = {name: value for _, scalars in found for name, value in scalars.items()}
        return torch.stack([loss for loss, _ in found]).sum(), scalars

    def decoder_loss(self, pixels: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        quality = torch.randint(0, MAX_FINE + 1, (len(pixels),), generator=generator)
        pictures = pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        pairs = [self.coded(picture, int(q), Nowhere()) for picture, q in zip(pictures, quality, strict=True)]
        words, lacking = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        plain = painted_error(None, words, lacking, quality, self.gains)
        errors = [painted_error(one, words, lacking, quality, self.gains) for one in self.networks().values()]
        loss = torch.stack([(e / (e.detach() + 0.3)).mean() for e in errors]).sum()
        value = (errors[0] + 0.3).log().mean()
        gains = {name: _decibels(plain, e).mean().item() for name, e in zip(self.networks(), errors, strict=True)}
        return loss + (value - loss).detach(), {f"gain_{name}": gain for name, gain in gains.items()}

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by optimiser: network matrices by Muon, all else by Adam."""
        networks = [p for network in self.networks().values() for p in network.parameters()] if self.decoders else []
        groups: list[dict[str, Any]] = [
            *(self.model.groups() if self.priors else []),
            {"params": [p for p in networks if p.ndim == 4], "optimiser": "muon", "lr": 1e-3},
            {"params": [p for p in networks if p.ndim != 4], "optimiser": "adam", "lr": 1e-3},
        ]
        return [group for group in groups if group["params"]]

    def after_step(self, step: int) -> None:
        if self.priors:
            self.model.prior.project()
            if step % REFIT_EVERY == 0:
                self.model.ladder.refit()
            if step % CODER_EVERY == 0:
                self.made = None

    @torch.no_grad()
    def rate_distortion(self, pixels: Tensor, quality: int) -> tuple[float, Tensor]:
        """One whole picture (1, 3, H, W): bits per pixel by table costs, and the 8-bit reconstruction of `standard`."""
        picture = np.ascontiguousarray(pixels[0].round().to(torch.uint8).permute(1, 2, 0).numpy())
        still, tables = self.coder()
        port = Written(tables)
        words, lacking = self.coded(picture, quality, port)
        q = torch.tensor([quality])
        rest = self.standard.corrections(words[None], q, bf16=True) - lacking
        scale = step_size(q) / self.gains[:, None, None]
        planes = wp.unpacket((rest * scale).unflatten(1, (3, 64)))[:, :, : picture.shape[0], : picture.shape[1]]
        painted = pixels + torch.einsum("ij,bihw->bjhw", self.model.axes, planes)
        return 8 * len(port.encoder.finish()) / picture[..., 0].size, painted.round().clamp(0, 255)

    # -- weights -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def export(self, samples: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
        """Tensors and options of the weights file; a prior that was trained is frozen, its tables fitted on pictures.

        After `adopt` it is one of family `spatiotemporal`.  ValueError where the bound of an accumulator does not hold.
        """
        pictures, notes = pictures_of(samples), {}
        if self.priors:
            notes["largest_accumulator"] = str(self.model.fit_tables(pictures))
        self.made = None
        tensors = self.model.tensors() | step_tensors()
        held_out = pictures_of(self.held_out) or pictures
        words = self.calibration(held_out)
        for name, network in self.networks().items():
            tensors |= prefixed(name, network_tensors(network, words, CORRECTION_BITS))
        return self.with_predicted(tensors) if self.kept else tensors, notes

    def with_predicted(self, tensors: Tensors) -> Tensors:
        """Weights of family `spatiotemporal`: what this task made, and what predicted frames had before."""
        ladder, rest = (rows_of(arrays_of(part), TABLE_NAMES) for part in (tensors, self.kept))
        shared = (*TABLE_NAMES, *SIGN_TABLE_NAMES)
        own = {name: t for name, t in tensors.items() if name not in shared and not name.startswith("steps.")}
        signs = {name: tensors[name] for name in SIGN_TABLE_NAMES}
        return self.kept | table_tensors([*ladder, *rest[FIRST_TABLE:]]) | signs | prefixed("still", own)

    def adopt(self, tensors: Tensors) -> None:
        """Take what predicted frames need from a file of family `spatiotemporal`; then `export` writes such a file.

        ValueError for another.
        """
        if not part_of(tensors, "priors"):
            raise ValueError("there are no priors of predicted frames: adopt weights of family spatiotemporal")
        self.kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("still.")}

    def calibration(self, pictures: list[Tensor]) -> list[CalibrationSample]:
        """What the networks read of pictures (3, H, W) at qualities of all kinds."""
        samples: list[CalibrationSample] = []
        qualities = range(0, MAX_FINE + 1, SPACING)
        pictures = pictures[:CALIBRATED]
        for k in range(max(len(qualities), 2 * len(pictures)) if pictures else 0):
            quality = qualities[5 * k % len(qualities)]  # five steps on: a picture has unlike qualities
            picture = pictures[k % len(pictures)][:, :CROP, :CROP].permute(1, 2, 0)
            words, _ = self.coded(np.ascontiguousarray(picture.numpy()), quality, Nowhere())
            samples.append((words[None], torch.tensor([quality])))
        return samples

    @torch.no_grad()
    def restore(self, tensors: Tensors) -> None:
        """Go on from exported weights, of this task or of family `spatiotemporal` with pyramids.

        ValueError for others.
        """
        still, _ = still_part(tensors)
        prior = part_of(still, "dyadic")
        if not prior:
            raise ValueError("there is no prior of pyramids in these weights")
        del prior["steps"]
        restore_parameters(self.model.prior, prior)
        self.model.ladder.counts.copy_(magnitude_counts(still))
        self.model.ladder.refit()
        self.model.signs.counts.copy_(still[SIGN_TABLE_NAMES[0]][:, :2].double())
        for name, network in self.networks().items():
            restore_network(network, part_of(still, name), CORRECTION_BITS)
        self.made = None


def dyadic_coder(arrays: Mapping[str, NDArray[Any]], kernels: Kernels) -> DyadicStill:
    """Frames on their own by weights that `DyadicStillTask` made."""
    return DyadicStill(arrays, tables_of(arrays), len(arrays[TABLE_NAMES[0]]), kernels)


def tables_of(arrays: Mapping[str, NDArray[Any]]) -> Tables:
    """The tables of those weights: of magnitudes, then of signs."""
    return Tables.stack([*rows_of(arrays, TABLE_NAMES), *rows_of(arrays, SIGN_TABLE_NAMES)])


def _decibels(before: Tensor, after: Tensor) -> Tensor:
    return 10 * (before / after).log10()
