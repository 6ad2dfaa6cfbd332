"""The weights file of family `vqgan`: a trained model to integers, and back for further training."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.quality import MAX_FINE
from ..base.task import tensors_of
from ..prior.fixed_point import ACCUMULATOR_LIMIT, FixedConv2d, QualityTable
from ..transform.bands import LEVELS, LOW_GAIN
from ..transform.levels import EVERY
from ..transform.lifted import UNITS
from ..vqgan.model import VqganModel, compand
from ..vqgan.painting import FACTOR_BITS, FACTORS, LOWS, grid_of_stage
from ..vqgan.prior import IntegerTable
from ..vqgan.stages import DEPTH, FINE_BANDS, STAGES, depths
from ..vqgan.tables import turn_tables
from ..vqgan.words import CORRECTION_BITS, MOVE_BITS
from .exporting import CalibrationSample, Tensors, narrowed, network_tensors, part_of, prefixed, restore_network

CALIBRATED = 16  # most pictures that networks are calibrated on
_READ = torch.tensor([*EVERY.tolist(), *LOWS.tolist()])  # packet bands in the order in which the network reads them


@torch.no_grad()
def exported(model: VqganModel, pictures: list[Tensor]) -> tuple[Tensors, dict[str, str]]:
    """Tensors and options of the weights file, its networks calibrated on pictures (3, H, W); freezes the prior.

    ValueError when there are no pictures, or a bound does not hold.
    """
    bound = 0.0
    for stage in range(len(STAGES)):
        model.prior(stage).freeze()
        bound = max(bound, model.prior(stage).largest_accumulator())
    if bound >= ACCUMULATOR_LIMIT:
        raise ValueError(f"an accumulator of the prior can reach {bound:.0f}, the limit is {ACCUMULATOR_LIMIT}")
    tensors = {f"priors.{name}": narrowed(tensor) for name, tensor in model.priors.state_dict().items()}
    tensors |= tensors_of(factor_arrays() | turn_tables()) | {"slopes": model.slopes.clone()}
    for stage in range(len(STAGES)):
        book = model.codebook(stage)
        tensors[f"codebooks.{stage}.nodes"] = narrowed(torch.floor(book.nodes.double() / scales(stage) + 0.5))
        tensors[f"codebooks.{stage}.use"] = book.use.clone()
    words = calibration(model, pictures)
    analysis = copy.deepcopy(model.analysis)
    analysis.enter.weight.copy_(model.analysis.enter.weight[:, _READ])
    tensors |= prefixed("analysis", network_tensors(analysis, words["analysis"], MOVE_BITS))
    tensors |= prefixed("synthesis", network_tensors(model.synthesis, words["synthesis"], CORRECTION_BITS))
    options = {**model.options, "largest_accumulator": int(bound)}
    return tensors, {key: str(value) for key, value in options.items()}


@torch.no_grad()
def restore(model: VqganModel, tensors: Tensors) -> None:
    """Go on from an exported file: integers become real numbers again."""
    for name, tensor in model.priors.state_dict().items():
        owner = model.priors.get_submodule(name.rpartition(".")[0])
        assert isinstance(owner, FixedConv2d | QualityTable | IntegerTable)
        tensor.copy_(tensors[f"priors.{name}"].float() * 2.0**-owner.bits)
    model.slopes.copy_(tensors["slopes"])
    for stage in range(len(STAGES)):
        book = model.codebook(stage)
        book.nodes.copy_(tensors[f"codebooks.{stage}.nodes"] * scales(stage))
        book.use.copy_(tensors[f"codebooks.{stage}.use"])
        book.sums.copy_(book.words(DEPTH) * book.use[:, None])
    restore_network(model.analysis, part_of(tensors, "analysis"), MOVE_BITS)
    weight = model.analysis.enter.weight
    weight.copy_(weight[:, _READ.argsort()])
    restore_network(model.synthesis, part_of(tensors, "synthesis"), CORRECTION_BITS)


@torch.no_grad()
def calibration(model: VqganModel, pictures: list[Tensor]) -> dict[str, list[CalibrationSample]]:
    """What each network reads of pictures (3, H, W), at most CALIBRATED, each coded at three qualities."""
    read: dict[str, list[CalibrationSample]] = {"analysis": [], "synthesis": []}
    bf16, model.bf16 = model.bf16, False
    for place, pixels in enumerate(pictures[:: -(-len(pictures) // CALIBRATED) or 1]):
        packet = model.packet(pixels[None].float())
        for part in range(3):
            quality = (part * CALIBRATED + place) * MAX_FINE // (3 * CALIBRATED - 1)
            at = torch.tensor([quality])
            sums = model.quantise(packet, at, torch.tensor([depths(quality)]))[1]
            read["synthesis"].append((model.described(sums)[1], at))
            read["analysis"].append((compand(packet[:, _READ]), at))
    model.bf16 = bf16
    return read


def factor_arrays() -> dict[str, NDArray[Any]]:
    """What brings lifted bands to those of `transform.packet`, with FACTOR_BITS fraction bits, by names in the file."""
    packet = [LOW_GAIN ** (2 * LEVELS - 2 * (band % 64).bit_count()) / UNITS for band in range(192)]
    middle = [packet[0] * LOW_GAIN**power for power in (2, 2, 2, *(0, 0, -2) * 3)]
    coarse = [factor * LOW_GAIN**2 for factor in middle]
    found = (np.floor(np.array(part) * 2**FACTOR_BITS + 0.5).astype(np.int64) for part in (coarse, middle, packet))
    return dict(zip(FACTORS, found, strict=True))


def scales(stage: int) -> Tensor:
    """What an integer of each band of a stage's words stands for (size,)."""
    grid = grid_of_stage(stage)
    factors = torch.from_numpy(factor_arrays()[FACTORS[grid]]) * 2.0**-FACTOR_BITS
    return factors[[*LOWS.tolist(), *FINE_BANDS]] if grid == 2 else factors
