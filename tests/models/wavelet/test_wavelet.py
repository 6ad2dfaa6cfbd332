"""Family `wavelet` with the shipped weights: round trips, exactness, rates that are bytes, tokens without pixels."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from tessera.codec.coding import weights
from tessera.codec.coding.ports import BitMeter, DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import MAX_QUALITY, GroupSpec
from tessera.models.prior.bands import hard
from tessera.models.prior.exchange import exchange
from tessera.models.prior.ladder import RUNGS, TABLES, cost_table, initial_pmf, integer_tables, lookup, shift_of
from tessera.models.prior.rounding import round_cheaply
from tessera.models.transform.bands import RATE_WEIGHT
from tessera.models.transform.gains import step_size
from tessera.models.wavelet.family import WaveletFamily

from ...support.kernel_paths import threads


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    loaded, _ = weights.load("wavelet")
    assert isinstance(loaded, WaveletFamily)
    return loaded


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    full = torch.from_numpy(procedural.picture(max(height, 64), max(width, 64)))
    return full[None, :height, :width, :channels].contiguous()


def encode(family: WaveletFamily, frames: Tensor, quality: int) -> tuple[bytes, GroupSpec]:
    spec = GroupSpec(len(frames), frames.shape[1], frames.shape[2], frames.shape[3], quality)
    port = EncoderPort(family.tables)
    family.encode(frames, spec, port)
    return port.finish(), spec


def decode(family: WaveletFamily, data: bytes, spec: GroupSpec, decoder: str = "standard") -> Tensor:
    port = DecoderPort(family.tables, data)
    frames = family.decode(spec, port, decoder)
    port.finish()
    return frames


def psnr(a: Tensor, b: Tensor) -> float:
    return float(10 * torch.log10(255**2 / (a.float() - b.float()).square().mean().clamp(min=1e-6)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (17, 3), (63, 130)])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip_of_any_size(family: WaveletFamily, size: tuple[int, int], channels: int) -> None:
    frames = picture(*size, channels)
    for quality in (0, 3200, MAX_QUALITY):
        data, spec = encode(family, frames, quality)
        out = decode(family, data, spec)
        assert out.shape == frames.shape and out.dtype == torch.uint8
    assert psnr(out, frames) > 34


def test_quality_orders_rate_and_distortion(family: WaveletFamily) -> None:
    frames = picture(160, 208)
    found = []
    for quality in range(0, MAX_QUALITY + 1, 800):
        data, spec = encode(family, frames, quality)
        found.append((len(data), psnr(decode(family, data, spec), frames)))
    assert found == sorted(found)
    assert found[0][0] * 20 < found[-1][0]


def test_network_improves_on_the_linear_path(family: WaveletFamily) -> None:
    frames = picture(160, 208)
    data, spec = encode(family, frames, 2400)
    assert psnr(decode(family, data, spec), frames) > psnr(decode(family, data, spec, "fast"), frames)
    assert family.decoders == ("standard", "fast")  # the shipped weights have no network for fast


def test_estimated_bits_are_the_bytes(family: WaveletFamily) -> None:
    frames = picture(200, 264)
    for quality in (1000, 4000):
        data, spec = encode(family, frames, quality)
        meter = BitMeter(family.tables)
        family.encode(frames, spec, meter)
        assert abs(meter.bits / 8 - len(data)) <= 0.01 * len(data) + 2
        grid = family.latents(spec, DecoderPort(family.tables, data))
        assert grid.bits is not None
        assert abs(float(grid.bits.sum()) - meter.bits) <= 0.001 * meter.bits


def test_latents_are_the_grid_of_cells(family: WaveletFamily) -> None:
    frames = torch.cat([picture(61, 90), picture(61, 90).flip(2)])
    data, spec = encode(family, frames, 3000)
    grid = family.latents(spec, DecoderPort(family.tables, data))
    assert grid.x.shape == (2, 8, 12, family.channels)
    assert grid.valid.all() and grid.frame_type.tolist() == [0, 0]
    # they are the transform's own bands, rounded to the quantisation step
    pixels = frames.permute(0, 3, 1, 2).float()
    bands = family.model.analyse(pixels)
    exact = torch.cat([family.model.low_plane(bands), bands.packet], 1).permute(0, 2, 3, 1)
    error = (grid.x - exact) / step_size(torch.tensor([3000]))
    assert float(error.abs().max()) < 2.0 and float(error.square().mean()) < 0.25


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("mkldnn", [True, False])
def test_stream_decodes_alike_on_any_number_of_threads(family: WaveletFamily, count: int, mkldnn: bool) -> None:
    frames = picture(120, 168)
    data, spec = encode(family, frames, 3500)
    reference = family.latents(spec, DecoderPort(family.tables, data)).x
    with threads(count), torch.backends.mkldnn.flags(enabled=mkldnn):
        port = DecoderPort(family.tables, data)
        found = family.latents(spec, port).x
        port.finish()
    assert torch.equal(found, reference)


def test_wide_rungs_split_exactly() -> None:
    """Every int32-sized coefficient survives on every rung, through the split into table and uniform bits."""
    from tessera.entropy import Tables

    arrays = [t.numpy() for t in integer_tables(initial_pmf()).values()]
    tables = Tables(arrays[0].astype("uint16"), arrays[1], arrays[2])
    rung = torch.arange(RUNGS).repeat(40)[None, None]
    values = (torch.randn(rung.shape, generator=torch.Generator().manual_seed(2)) * 600).round()
    port = EncoderPort(tables)
    exchange(port, rung, lambda: values)
    back = DecoderPort(tables, port.finish())
    assert torch.equal(exchange(back, rung, None), values)
    back.finish()


def test_cost_table_matches_integer_tables() -> None:
    """What training takes a symbol to cost is what the coder's tables charge, within their 12 bits."""
    from tessera.entropy import Tables

    arrays = [t.numpy() for t in integer_tables(initial_pmf()).values()]
    tables = Tables(arrays[0].astype("uint16"), arrays[1], arrays[2])
    costs = cost_table(initial_pmf())
    rung = torch.arange(0, TABLES, 5)
    pmf = initial_pmf()[rung]
    magnitude = torch.arange(64.0)[None].expand(len(rung), -1)
    trained = lookup(costs, rung[:, None].expand_as(magnitude), magnitude)
    coded = torch.from_numpy(
        tables.bits(magnitude.int().numpy(), rung[:, None].expand_as(magnitude).to(torch.uint8).numpy())
    )
    weight = pmf[:, :64]
    assert float((weight * (coded - trained)).sum(1).abs().max()) < 0.02


def test_rounding_minimises_its_cost() -> None:
    costs = cost_table(initial_pmf())
    y = torch.randn(4000, generator=torch.Generator().manual_seed(4)) * 3
    rung = torch.randint(0, RUNGS, (4000,), generator=torch.Generator().manual_seed(5))
    q = round_cheaply(y, rung, costs, RATE_WEIGHT)
    for other in (torch.floor(y.abs() + 0.5) * y.sign(), (torch.floor(y.abs() + 0.5) - 1).clamp(min=0) * y.sign()):
        mine = (y - q).square() + RATE_WEIGHT * lookup(costs, rung, q.abs())
        theirs = (y - other).square() + RATE_WEIGHT * lookup(costs, rung, other.abs())
        assert bool((mine <= theirs + 1e-4).all())


def test_hard_rungs_and_shifts() -> None:
    assert hard(torch.tensor([0.49, 0.5, 71.5])).tolist() == [0, 1, 72]
    assert shift_of(torch.tensor([0, 71, 72, 79, 80, RUNGS - 1])).tolist() == [0, 0, 1, 1, 2, 6]


def test_effort_slow_lowers_what_rounding_minimises(family: WaveletFamily) -> None:
    """Squared error + weight * step^2 * bits; the stream is read by the same family."""
    frames = picture(120, 168)
    for quality in (1500, 3500):
        costs = {}
        for effort in ("medium", "slow"):
            data, spec = encode(family.configure(effort, rate_weight=RATE_WEIGHT), frames, quality)
            error = (decode(family, data, spec).float() - frames.float()).square().sum()
            costs[effort] = float(error + RATE_WEIGHT * step_size(torch.tensor(quality)) ** 2 * 8 * len(data))
        assert costs["slow"] < costs["medium"]


def test_rate_weight_changes_the_encoder_only(family: WaveletFamily) -> None:
    frames = picture(120, 168)
    sizes = {}
    for name, other in {
        "nearest": family.configure("medium", rate_weight=0),
        "usual": family.configure("medium"),
        "dear": family.configure("medium", rate_weight="0.3"),
    }.items():
        data, spec = encode(other, frames, 3000)
        sizes[name] = len(data)
        assert psnr(decode(family, data, spec), frames) > 25
    assert sizes["dear"] < sizes["usual"] < sizes["nearest"]
    assert family.configure("medium") is family
    assert encode(family.configure("fast"), frames, 3000) == encode(family, frames, 3000)
    for bad in ({"rate_weight": 2}, {"rate_weight": "x"}, {"colour": 1}):
        with pytest.raises(ValueError, match="rate_weight|float"):
            family.configure("medium", **bad)


def test_integers_agree_on_both_paths(family: WaveletFamily) -> None:
    """The C++ walk and the torch walk read the same integers from one stream."""
    frames = picture(75, 90)
    data, spec = encode(family, frames, 4200)
    native = family.integers(spec, DecoderPort(family.tables, data))
    plain = copy.copy(family)
    plain.native = None
    walked = plain.integers(spec, DecoderPort(family.tables, data))
    assert len(native) == len(walked) == 6
    for a, b in zip(native, walked, strict=True):
        assert torch.equal(a, b)
