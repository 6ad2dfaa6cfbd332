"""Parts of weights files that several tasks write and read: priors, networks in integers, steps of quantisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..base.task import arrays_of, tensors_of
from ..networks.quantising import peaks, quantised, restored
from ..networks.synthesis import SynthesisNetwork
from ..prior.fixed_point import FixedConv2d, QualityTable
from ..wavelet.words import WORD_BITS

Tensors = dict[str, Tensor]
CalibrationSample = tuple[Tensor, Tensor]  # words (1, inputs, h, w) in floats, quality (1,)

ROUNDED_FROM = 0.7  # from this part of the schedule on, networks are trained with the weights of their export


def part_of(tensors: Tensors, owner: str) -> Tensors:
    """The tensors whose names start with `owner` and a dot, without it."""
    return {name[len(owner) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{owner}.")}


def prefixed(owner: str, tensors: Tensors) -> Tensors:
    return {f"{owner}.{name}": tensor for name, tensor in tensors.items()}


def pictures_of(samples: list[Tensor]) -> list[Tensor]:
    """Those of shape (3, H, W)."""
    return [sample for sample in samples if sample.dim() == 3]


def clips_of(samples: list[Tensor]) -> list[Tensor]:
    """Those of shape (T, H, W, 3)."""
    return [sample for sample in samples if sample.dim() == 4]


# -- networks ----------------------------------------------------------------------------------------------------------


def network_tensors(network: SynthesisNetwork, samples: Sequence[CalibrationSample], answer_bits: int) -> Tensors:
    """A network in integers, scaled to what it shows on samples.

    ValueError where there are none, or where a bound of the engine is passed.
    """
    if not samples:
        raise ValueError("a network is calibrated on held-out pictures or clips, and there are none")
    return tensors_of(quantised(network, peaks(network, samples), WORD_BITS, answer_bits))


def network_sizes(tensors: Tensors) -> tuple[int, int]:
    """Width and blocks of a network in integers; (0, 0) of none."""
    return (tensors["weights.0"].shape[0], (len(tensors["plan"]) - 4) // 2) if "plan" in tensors else (0, 0)


def real_network(tensors: Tensors, answer_bits: int) -> SynthesisNetwork:
    """A network in integers as one of real weights that answers alike."""
    return restored(arrays_of(tensors), WORD_BITS, answer_bits)


@torch.no_grad()
def restore_network(network: SynthesisNetwork | None, tensors: Tensors, answer_bits: int) -> None:
    """Go on from a network in integers, where there is one."""
    if network is not None and tensors:
        for name, saved in real_network(tensors, answer_bits).named_parameters():
            take_over(network.get_parameter(name), saved, name)


# -- priors ------------------------------------------------------------------------------------------------------------


def prior_tensors(prior: nn.Module) -> Tensors:
    """The integers of a prior, frozen or not, each tensor in the smallest type that holds it."""
    found = {}
    for owner, module in prior.named_modules():
        if isinstance(module, FixedConv2d | QualityTable):
            scale = 1.0 if module.frozen else 2.0**module.bits
            found[f"{owner}.weight"] = narrowed(torch.floor(module.weight.detach() * scale + 0.5))
    return found


@torch.no_grad()
def restore_parameters(module: nn.Module, tensors: Tensors) -> None:
    """Copy exported tensors into a module's parameters, integers of fixed-point layers as the reals they stand for."""
    for name, tensor in tensors.items():
        owner = module.get_submodule(name.rpartition(".")[0])
        scale = 2.0**-owner.bits if isinstance(owner, FixedConv2d | QualityTable) else 1.0
        take_over(module.get_parameter(name), tensor.float() * scale, name)


def take_over(parameter: Tensor, saved: Tensor, name: str) -> None:
    """Copy `saved` into a parameter of equal or larger shape; heads ignore the inputs that `saved` does not have."""
    if parameter.shape == saved.shape:
        parameter.copy_(saved)
    elif name.endswith(("first.weight", "second.weight")) and parameter.dim() == 4:
        near = saved.shape[0] if "second" in name else 0  # the last inputs are the slice's own
        hidden = saved.shape[1] - near
        parameter.zero_()
        parameter[:, :hidden] = saved[:, :hidden]
        if near:
            parameter[:, -near:] = saved[:, hidden:]
    else:
        parameter[tuple(slice(n) for n in saved.shape)] = saved


def narrowed(integers: Tensor) -> Tensor:
    """The smallest of int8, int16 and int32 that holds the integers."""
    peak = int(integers.abs().max())
    return integers.to(torch.int8 if peak < 128 else torch.int16 if peak < 32768 else torch.int32).contiguous()
