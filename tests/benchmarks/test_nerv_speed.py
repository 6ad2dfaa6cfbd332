"""Parts of a fit beside plain calls of PyTorch in one run: ratios, with room for a busy machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from tessera.models.nerv.blocks import Enlarge, convolve_mapped
from tessera.models.nerv.depthwise import Depthwise
from tessera.models.nerv.quantise import LadderCosts, Quantiser, TensorPart

from ..support import nerv_twin as twin
from .clock import fastest

Layer = Callable[[Tensor], Tensor]


def forth_and_back(layer: Layer, shape: tuple[int, ...]) -> Callable[[], None]:
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last).requires_grad_()

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            layer(x).square().mean().backward()

    return work


def layers() -> dict[str, tuple[Layer, Layer, tuple[int, ...]]]:
    """What runs, the plain calls, and the shape of what enters, by name."""
    enlarge, conv, depthwise = Enlarge(20, 16, 5, 2), torch.nn.Conv2d(16, 16, 3, padding=1), Depthwise(16, 7)
    plain = torch.nn.Conv2d(16, 16, 7, padding=3, groups=16)
    affine = torch.randn(1, 32)
    return {
        "enlarging": (enlarge, partial(twin.enlarge, enlarge), (1, 20, 96, 160)),
        "mapped convolution": (
            lambda x: convolve_mapped(conv, x, affine),
            lambda x: twin.convolve_mapped(conv, x, affine),
            (1, 16, 192, 320),
        ),
        "depthwise": (depthwise, plain, (1, 16, 192, 320)),
    }


def test_parts_beside_plain_calls(ladder: LadderCosts, capsys: pytest.CaptureFixture[str]) -> None:
    values = torch.randn(300, 600, requires_grad=True)
    quantiser = Quantiser([TensorPart("w", (300, 600), 300)], ladder)

    def rounded(quantise: Callable[[], tuple[Tensor, Tensor]]) -> None:
        decoded, bits = quantise()
        (decoded.sum() + bits).backward()

    ratios = {
        "quantising": fastest(lambda: rounded(lambda: twin.quantise(ladder, values, quantiser.step("w"), None)))
        / fastest(lambda: rounded(lambda: quantiser("w", values)))
    }
    for name, (ours, theirs, shape) in layers().items():
        ratios[name] = fastest(forth_and_back(theirs, shape)) / fastest(forth_and_back(ours, shape))
    with capsys.disabled():
        print("\ntimes as fast as plain calls:", {name: round(ratio, 1) for name, ratio in ratios.items()})
    assert min(ratios.values()) > 0.7 and ratios["depthwise"] > 1.5, ratios
