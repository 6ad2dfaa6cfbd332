"""Fixed-point networks: integer for integer equal to a plain Python twin, under every setting there is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tessera.models.prior.bands import BandPrior, features, parity_mask
from tessera.models.prior.fixed_point import ACCUMULATOR_LIMIT, FixedConv2d, QualityTable, bound, project, requantise
from tessera.models.transform.bands import REACHES, slice_bands

from ..support.kernel_paths import threads


def twin(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """The convolution in 64-bit integers, by shifting and adding."""
    x, weight = x.long(), weight.long()
    k, pad = weight.shape[-1], weight.shape[-1] // 2
    height, width = x.shape[2:]
    padded = torch.nn.functional.pad(x, (pad, pad, pad, pad))
    out = torch.zeros(x.shape[0], weight.shape[0], height, width, dtype=torch.int64)
    for dy in range(k):
        for dx in range(k):
            seen = padded[:, :, dy : dy + height, dx : dx + width]
            tap = weight[:, :, dy, dx]
            out += seen * tap[:, 0, None, None] if groups > 1 else torch.einsum("oi,bihw->bohw", tap, seen)
    return out


@pytest.mark.parametrize(("kernel", "depthwise"), [(1, False), (3, False), (5, True)])
def test_convolution_equals_integer_twin(kernel: int, depthwise: bool) -> None:
    torch.manual_seed(3)
    conv = FixedConv2d(24, 24, kernel, 8, depthwise=depthwise, gain=2.0)
    trained = conv.integers().detach().clone()
    x = torch.randint(0, 256, (2, 24, 13, 9)).float()
    before = conv(x)
    conv.freeze()
    assert torch.equal(conv.weight, trained)
    assert torch.equal(conv(x), before)  # training runs the same arithmetic
    assert torch.equal(conv(x).long(), twin(x, conv.weight, conv.groups))


def test_requantise_rounds_half_up_and_clips() -> None:
    x = torch.tensor([-1e5, -64.0, 63.0, 64.0, 191.0, 192.0, 1e6])
    assert requantise(x, 7).tolist() == [0, 0, 0, 1, 1, 2, 255]


def test_rounding_passes_gradients_and_clipping_stops_them() -> None:
    x = torch.tensor([-300.0, -65.0, -64.0, 0.0, 100.0, 255 * 128.0 + 63, 255 * 128.0 + 64], requires_grad=True)
    requantise(x, 7).sum().backward()
    assert x.grad is not None and (128 * x.grad).tolist() == [0, 0, 1, 1, 1, 1, 0]


def test_features_are_rounded_logarithms() -> None:
    q = torch.tensor([0.0, 1, -1, 2, 3, 255, 256, -99999])
    assert features(q).tolist() == [0, 8, 8, 13, 16, 64, 64, 64]
    every = torch.arange(256.0)
    assert torch.equal(features(every), torch.floor(8 * (every.double() + 1).log2() + 0.5).float())


def test_quality_table_interpolates_in_integers() -> None:
    table = QualityTable(3, 8)
    with torch.no_grad():
        table.weight.copy_(torch.randn(table.ANCHORS, 3, generator=torch.Generator().manual_seed(0)) * 30)
    table.freeze()
    rows = table.weight.long()
    for quality in (0, 1, 511, 512, 3333, 6400):
        a, part = divmod(quality, table.SPACING)
        after = rows[min(a + 1, table.ANCHORS - 1)]
        expected = [
            (2 * (x * (512 - part) + y * part) + 512) // 1024
            for x, y in zip(rows[a].tolist(), after.tolist(), strict=True)
        ]
        assert table(torch.tensor([quality])).flatten().tolist() == expected


def test_projection_keeps_the_bound() -> None:
    conv, bias = FixedConv2d(200, 4, 3, 8, gain=30.0), QualityTable(4, 8)
    assert bound([(conv, 64)], bias).max() > ACCUMULATOR_LIMIT
    project([(conv, 64)], bias)
    assert bound([(conv, 64)], bias).max() < ACCUMULATOR_LIMIT


def rungs_of(prior: BandPrior, sizes: list[tuple[int, int]], batch: int) -> list[Tensor]:
    """Every answer of the walk on fixed pseudo-random integers."""
    generator = torch.Generator().manual_seed(5)
    seen = []

    def code(level: int, part: object, parity: int, rung: Tensor) -> Tensor:
        seen.append(rung)
        values = torch.randint(-40, 41, (1, *rung.shape[1:]), generator=generator).float().expand_as(rung)
        return values * (parity_mask(rung.shape[2], rung.shape[3], rung.device) == (parity == 0))

    with torch.no_grad():
        prior.walk(torch.full((batch,), 2777), sizes, code, 3, 4)
    return seen


def laid_out(prior: BandPrior, layout: torch.memory_format) -> BandPrior:
    """The prior with its convolutions' weights in another memory format."""
    for parameter in prior.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)
    return prior


@pytest.fixture(scope="module")
def prior() -> BandPrior:
    torch.manual_seed(11)
    prior = BandPrior(2, [len(s) for s in slice_bands()], REACHES, 64)
    for module in prior.modules():
        if isinstance(module, QualityTable):
            torch.nn.init.normal_(module.weight, std=3.0)
    prior.project()
    assert prior.largest_accumulator() < ACCUMULATOR_LIMIT
    prior.freeze()
    return prior


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("mkldnn", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_prior_is_exact_under_every_setting(
    prior: BandPrior, count: int, mkldnn: bool, batch: int, layout: torch.memory_format
) -> None:
    sizes = [(19, 30), (10, 15), (5, 8)]
    with threads(1):
        reference = rungs_of(laid_out(prior, torch.contiguous_format), sizes, 1)
    with threads(count), torch.backends.mkldnn.flags(enabled=mkldnn):
        found = rungs_of(laid_out(prior, layout), sizes, batch)
    assert len(found) == len(reference) == 2 * (2 * 2 + 6)
    for a, b in zip(found, reference, strict=True):
        assert all(torch.equal(one, b[0]) for one in a)


def test_prior_ignores_autocast(prior: BandPrior) -> None:
    """A caller's mixed precision must not reach the choice of a table."""
    sizes = [(19, 30), (10, 15), (5, 8)]
    reference = rungs_of(prior, sizes, 1)
    with torch.autocast("cpu", torch.bfloat16):
        found = rungs_of(prior, sizes, 1)
    for a, b in zip(found, reference, strict=True):
        assert torch.equal(a, b)
