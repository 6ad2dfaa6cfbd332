"""Layers and quantisers of family `nerv` beside their twins: values and gradients."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from tessera.models.base.ports import Metered, Nowhere
from tessera.models.nerv.blocks import Enlarge, convolve_mapped
from tessera.models.nerv.depthwise import Depthwise
from tessera.models.nerv.ladder import ladder_pmf
from tessera.models.nerv.quantise import LadderCosts, Quantiser, TensorPart
from tessera.models.nerv.wire import IntegerWriter
from tessera.models.prior.ladder import FIRST_SCALE, PER_OCTAVE, RUNGS, TABLES

from ...support import nerv_twin as twin

# -- quantisers --------------------------------------------------------------------------------------------------------


def test_ladder_rungs_are_mean_magnitudes(ladder: LadderCosts) -> None:
    """Rung i stands for E|v| of FIRST_SCALE * 2 ** (i / PER_OCTAVE), which is what `LadderCosts.rung` inverts."""
    pmf = ladder_pmf()
    assert pmf.shape[0] == TABLES and torch.allclose(pmf.sum(1), torch.ones(TABLES, dtype=torch.float64))
    for rung in range(PER_OCTAVE * 4, PER_OCTAVE * 7, 5):
        mean = float((pmf[rung, :-1] * torch.arange(pmf.shape[1] - 1)).sum())
        assert mean == pytest.approx(FIRST_SCALE * 2 ** (rung / PER_OCTAVE), rel=0.1)
    assert ladder.rung(torch.tensor([0.0, 1e9])).tolist() == [0, RUNGS - 1]


def test_estimate_is_the_tables_cost(ladder: LadderCosts) -> None:
    """The rate that the loss sees is, at integers, what the integer tables charge."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 400, generator=generator).mul(torch.tensor([0.1, 1, 5, 40, 700])[:, None]).round()
    quantiser = Quantiser([TensorPart("x", (1, 400), 1)], ladder)  # its step is 1
    port = Metered(Nowhere(), ladder.tables)
    writer = IntegerWriter(port, ladder.costs)
    for k in range(5):
        before = port.spent
        writer.values(TensorPart("x", (400,), 1), rows[k].int())
        spent = port.spent - before - 8  # one flag and the rung
        estimate = float(quantiser("x", rows[k : k + 1])[1].detach())
        assert 0.98 * estimate <= spent * 1.03 and spent <= estimate * 1.001 + 1


def test_gradients_pass_rounding(ladder: LadderCosts) -> None:
    part = TensorPart("w", (8, 50), 8)
    quantiser = Quantiser([part], ladder)
    tensor = torch.randn(8, 50, requires_grad=True)
    quantiser.start({"w": tensor}, 4.0)
    rounded, bits = quantiser("w", tensor)
    step = float(quantiser.step("w").detach())
    assert torch.allclose(rounded / step, (rounded / step).round(), atol=1e-4)
    assert float((rounded - tensor).detach().abs().max()) <= step / 2 + 1e-6
    assert 3.0 * 400 < float(bits.detach()) < 5.0 * 400
    (rounded.square().sum() + bits).backward()
    assert tensor.grad is not None and torch.equal(tensor.grad != 0, rounded.detach() != 0)
    assert quantiser.octaves.grad is not None and float(quantiser.octaves.grad.abs()) > 0


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0, 3000.0])
@pytest.mark.parametrize("differences", [False, True])
def test_quantiser_is_rounding_and_the_ladder(ladder: LadderCosts, scale: float, differences: bool) -> None:
    """Values, bits and both gradients are the twin's."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 50, generator=generator) * scale
    values[2, 7] = 150  # escapes where the others are small
    base = (torch.randn(6, 50, generator=generator) * scale).round() if differences else None
    weight = torch.randn(6, 50, generator=generator)
    quantiser = Quantiser([TensorPart("w", (6, 50), 6)], ladder)
    with torch.no_grad():
        quantiser.octaves.fill_(-0.51)

    found: list[list[Tensor]] = []
    for quantise in (
        lambda tensor: twin.quantise(ladder, tensor, quantiser.step("w"), base),
        lambda tensor: quantiser("w", tensor, base),
    ):
        tensor = values.clone().requires_grad_()
        quantiser.octaves.grad = None
        decoded, bits = quantise(tensor)
        ((decoded * weight).sum() + 3 * bits).backward()
        assert tensor.grad is not None and quantiser.octaves.grad is not None
        found.append([decoded.detach(), bits.detach(), tensor.grad, quantiser.octaves.grad])
    for slow, fast in zip(*found, strict=True):
        assert torch.allclose(slow, fast, rtol=1e-4, atol=1e-6)


# -- layers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stride", "kernel"), [(1, 1), (2, 5), (3, 3)])
def test_enlarging_is_a_convolution_and_a_pixel_shuffle(stride: int, kernel: int) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = Enlarge(4, 5, kernel, stride).double()
    found: list[list[Tensor]] = []
    for enlarge in (layer, partial(twin.enlarge, layer)):
        x = torch.randn(2, 4, 6, 7, generator=generator.manual_seed(1), dtype=torch.float64).requires_grad_()
        layer.zero_grad()
        y = enlarge(x)
        assert y.shape == (2, 5, 6 * stride, 7 * stride)
        y.square().mean().backward()
        assert x.grad is not None and layer.weight.grad is not None and layer.bias is not None
        assert layer.bias.grad is not None
        found.append([y.detach(), x.grad, layer.weight.grad.clone(), layer.bias.grad.clone()])
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 3])
def test_mapped_convolution_is_that_of_mapped_pixels(samples: int) -> None:
    """Whatever the number of samples."""
    generator = torch.Generator().manual_seed(0)
    conv = torch.nn.Conv2d(4, 5, 3, padding=1)
    x = torch.randn(samples, 4, 6, 7, generator=generator)
    affine = torch.randn(samples, 8, generator=generator)
    assert torch.allclose(convolve_mapped(conv, x, affine), twin.convolve_mapped(conv, x, affine), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel"), [((2, 3, 9, 21), 7), ((1, 5, 4, 16), 3), ((1, 1, 1, 1), 7), ((3, 2, 20, 40), 1)]
)
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16])
def test_depthwise_is_a_grouped_convolution(shape: tuple[int, ...], kernel: int, kind: torch.dtype) -> None:
    """Values and gradients are those of `nn.Conv2d`, with autocast too."""
    generator = torch.Generator().manual_seed(0)
    ours = Depthwise(shape[1], kernel)
    plain = torch.nn.Conv2d(shape[1], shape[1], kernel, padding=kernel // 2, groups=shape[1])
    plain.load_state_dict(ours.state_dict())
    cast = kind == torch.bfloat16
    grads: list[list[Tensor]] = []
    for layer in (ours, plain):
        x = torch.randn(shape, generator=generator.manual_seed(1), dtype=torch.float64)
        x = x.float() if cast else x.to(kind)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        layer.to(x.dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            y = layer(x)
            assert y.dtype == kind
        y.float().square().mean().backward()
        assert x.grad is not None and layer.weight.grad is not None and layer.bias is not None
        assert layer.bias.grad is not None
        grads.append([y.detach(), x.grad, layer.weight.grad, layer.bias.grad])
    for mine, theirs in zip(*grads, strict=True):
        tolerance = {torch.float64: 1e-6, torch.float32: 1e-5, torch.bfloat16: 2e-2}[kind]
        assert mine.dtype == theirs.dtype and float((mine - theirs).norm()) <= tolerance * float(theirs.norm())
