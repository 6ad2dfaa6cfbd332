"""The kernels of family `wavelet` against the torch code that defines them, on every path of the processor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.data import procedural
from tessera.models import _kernels
from tessera.models.base.family import GroupSpec
from tessera.models.networks.folded import Painter
from tessera.models.networks.synthesis import SynthesisNetwork
from tessera.models.prior.fixed_point import QualityTable
from tessera.models.prior.ladder import RUNGS, initial_pmf, integer_tables
from tessera.models.prior.native import pass_order
from tessera.models.transform import packet as wp
from tessera.models.transform.bands import RATE_WEIGHT, pyramid_sizes
from tessera.models.transform.gains import Bands, step_size
from tessera.models.wavelet.family import WaveletFamily
from tessera.models.wavelet.model import WaveletModel
from tessera.models.wavelet.native import NativeWavelet
from tessera.models.wavelet.walk import Decoding, Encoding

from ..support.kernel_paths import available_paths, threads

SIZES = [(1, 1), (1, 9), (8, 8), (17, 3), (63, 130), (200, 264)]


@pytest.fixture(scope="module", params=available_paths())
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    """Small, with random weights: many beyond a byte, and biases that reach every rung."""
    torch.manual_seed(21)
    model = WaveletModel(16, 1, 32)
    with torch.no_grad():
        for module in model.prior.modules():
            if isinstance(module, QualityTable):
                hidden = module.bits == 11  # not an answer
                module.weight.normal_(std=4.0 if hidden else 40.0).add_(0.0 if hidden else 40.0)
        for level in (model.prior.packet, model.prior.pyramid):
            for part in level.parts():
                part.first.weight.mul_(3.0)
                part.second.weight.mul_(3.0)
                if part.context is not None:
                    part.context.weight.mul_(2.0)
        for parameter in model.synthesis.parameters():
            parameter.normal_(std=0.1)
    model.prior.project()
    model.prior.freeze()
    tensors = {name: t.clone() for name, t in model.state_dict().items() if name.startswith(("prior.", "synthesis."))}
    tensors.update(integer_tables(initial_pmf()))
    return WaveletFamily(tensors, {"width": "16", "blocks": "1", "hidden": "32"})


class Recorder:
    """A port that keeps what is put, and makes up what is got: small numbers, and some of all that an int32 holds."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor]] = []
        self.generator = torch.Generator().manual_seed(8)

    def put(self, symbols: Tensor, indices: Tensor) -> None:
        assert symbols.dtype == torch.int32 and indices.dtype == torch.uint8 and symbols.shape == indices.shape
        self.calls.append((symbols.clone(), indices.clone()))

    def get(self, indices: Tensor) -> Tensor:
        small = (torch.randn(indices.shape, generator=self.generator) * 2).to(torch.int32)
        small = torch.where(indices >= 72, small & 1, small)
        wild = torch.randint(-(2**31), 2**31, indices.shape, generator=self.generator, dtype=torch.int64)
        ends = torch.tensor([-(2**31), 2**31 - 1])[wild & 1]
        chance = torch.rand(indices.shape, generator=self.generator)
        large = torch.where(chance < 0.01, ends, wild >> (wild & 7))
        symbols = torch.where(chance < 0.03, large, small).to(torch.int32)
        self.calls.append((symbols.clone(), indices.clone()))
        return symbols


def assert_same_calls(one: Recorder, two: Recorder) -> None:
    assert len(one.calls) == len(two.calls)
    for a, b in zip(one.calls, two.calls, strict=True):
        assert torch.equal(a[1], b[1]) and torch.equal(a[0], b[0])


def picture(height: int, width: int, channels: int) -> Tensor:
    full = torch.from_numpy(procedural.picture(max(height, 64), max(width, 64)))
    return full[:height, :width, :channels].contiguous()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_analysis_equals_torch(family: WaveletFamily, path: str, size: tuple[int, int], channels: int) -> None:
    native, frame, quality = NativeWavelet(family.model, RATE_WEIGHT, path), picture(*size, channels), 5000
    inverse = 1.0 / float(step_size(torch.tensor([quality])))
    exact = family.model.analyse(frame.permute(2, 0, 1)[None].float().expand(-1, 3, -1, -1))
    for count in (1, 3):
        with threads(count):
            scaled, low = native.scaled_bands(frame, quality)
        for mine, theirs in zip(scaled, (exact.packet, *exact.details), strict=True):
            expected = theirs[0].flatten(1)[:, pass_order(*theirs.shape[2:])] * inverse
            assert float((torch.from_numpy(mine) - expected).abs().max()) < 1e-3
        assert torch.allclose(low, exact.low * inverse, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_synthesis_equals_torch(family: WaveletFamily, path: str, size: tuple[int, int], channels: int) -> None:
    torch.manual_seed(2)
    model, order = family.model, family.model.order.numpy().astype(np.int32)
    h, w = (-(-side // 8) for side in size)
    symbols, low = torch.randint(-9, 10, (len(order), h, w), dtype=torch.int32), torch.randn(3, h, w) * 300
    correction, scales = torch.randn(192, h, w).to(torch.bfloat16), torch.rand(192) + 0.5
    for extra in (None, correction):
        bands = torch.zeros(192, h, w)
        bands[model.order] = symbols.float()
        bands = (bands + (0.0 if extra is None else extra)) * scales[:, None, None]
        bands[::64] += low
        exact = model.to_pixels(bands[None])[0, :, : size[0], : size[1]]
        exact = (exact if channels == 3 else exact.mean(0, keepdim=True)).clamp(0, 255).permute(1, 2, 0)
        words = None if extra is None else extra.view(torch.int16).numpy()
        planes = (symbols.numpy(), low.numpy(), order, scales.numpy(), words)
        one, three = (_kernels.synthesise(*planes, *size, channels, count, path) for count in (1, 3))
        assert np.array_equal(one, three)
        assert float((torch.from_numpy(one).float() - exact).abs().max()) < 0.51


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_encoding_walk_equals_torch(family: WaveletFamily, path: str, size: tuple[int, int], channels: int) -> None:
    native = NativeWavelet(family.model, RATE_WEIGHT, path)
    for quality, count in ((1000, 1), (5300, 3)):
        spec = GroupSpec(1, *size, channels, quality)
        scaled, low = native.scaled_bands(picture(*size, channels), quality)
        mine, theirs = Recorder(), Recorder()
        with threads(count):
            native.prior.code(scaled, low, spec, mine)
        coder = Encoding(
            theirs,
            family.model.ladder.costs,
            Bands(*(torch.zeros(1, 3, 1, 1), [], torch.zeros(1, 3, 1, 1))),
            quality,
            RATE_WEIGHT,
        )
        sizes = pyramid_sizes(-(-size[0] // 8), -(-size[1] // 8), 4)
        raster = [torch.from_numpy(y)[None][..., pass_order(*s).argsort()] for y, s in zip(scaled, sizes, strict=True)]
        coder.scaled = [*raster, low.flatten(2)]
        family._walk(spec, coder)
        assert_same_calls(mine, theirs)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_decoding_walk_equals_torch(family: WaveletFamily, path: str, size: tuple[int, int], channels: int) -> None:
    native = NativeWavelet(family.model, RATE_WEIGHT, path)
    for quality, count in ((1000, 1), (5300, 3)):
        spec = GroupSpec(1, *size, channels, quality)
        mine, theirs = Recorder(), Recorder()
        with threads(count):
            coded = native.read(spec, mine)
        bands, rungs = family._walk(spec, Decoding(theirs, family.device))
        assert_same_calls(mine, theirs)
        assert torch.equal(torch.from_numpy(coded.packet).float(), bands.packet[0])
        assert torch.equal(torch.from_numpy(coded.rungs).float(), rungs[0])
        for walk, plane in zip(coded.pyramid, bands.details, strict=True):
            assert torch.equal(torch.from_numpy(walk.values).float(), plane[0])


def test_random_weights_reach_wide_rungs_and_wide_weights(family: WaveletFamily) -> None:
    """What the tests above are worth: the sample holds every case."""
    port = Recorder()
    NativeWavelet(family.model, RATE_WEIGHT).read(GroupSpec(1, 200, 264, 3, 5300), port)
    used = torch.cat([indices.flatten() for _, indices in port.calls]).unique()
    assert int(used.min()) == 0 and int(used.max()) >= 74 and len(used) > 60
    context = family.model.prior.packet.parts()[1].context
    assert context is not None and float(context.weight.abs().max()) > 127
    assert RUNGS == 120


@pytest.mark.parametrize("wanted", [1, 3, 4, 18, 40, 70, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_latents_equal_torch(family: WaveletFamily, channels: int, wanted: int) -> None:
    """Whole ones, and the first channels alone: the same calls of the port, the same bits, floats but for rounding."""
    spec = GroupSpec(2, 61, 90, channels, 5300)
    native = family.native
    ports = Recorder(), Recorder(), Recorder()
    mine = family.first_latents(spec, ports[0], wanted)
    family.native = None
    try:
        theirs = family.first_latents(spec, ports[1], wanted)
    finally:
        family.native = native
    assert_same_calls(ports[0], ports[1])
    whole = family.latents(spec, ports[2])
    stops = wanted <= (38 if channels == 1 else 72)  # before the last slice that is coded
    assert (len(ports[0].calls) < len(ports[2].calls)) == stops
    ports[2].calls = ports[2].calls[: len(ports[0].calls)]
    assert_same_calls(ports[0], ports[2])
    assert torch.equal(mine.x, whole.x[..., :wanted])
    assert mine.bits is not None and theirs.bits is not None
    scale = float(theirs.x.abs().max())
    assert torch.allclose(mine.x, theirs.x, rtol=1e-5, atol=1e-6 * scale)
    assert torch.allclose(mine.bits, theirs.bits, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (13, 7), (33, 64)])
@pytest.mark.parametrize("levels", [0, 1, 4])
def test_pyramid_equals_torch(size: tuple[int, int], levels: int) -> None:
    torch.manual_seed(5)
    sizes = pyramid_sizes(*size, levels)
    details = [torch.randint(-99, 100, (9, *s), dtype=torch.int32) for s in sizes[1:]]
    scales, low = [torch.rand(9) for _ in details], torch.randn(3, *sizes[-1]) * 50
    found = _kernels.unpyramid([d.numpy() for d in details], [s.numpy() for s in scales], low.numpy(), *size)
    scaled = [(d * s[:, None, None])[None] for d, s in zip(details, scales, strict=True)]
    torch.testing.assert_close(torch.from_numpy(found), wp.unpyramid(scaled, low[None], *size)[0], rtol=1e-5, atol=1e-3)


def test_pyramids_of_wrong_shapes_raise() -> None:
    plane, nine = np.zeros((9, 2, 2), np.int32), np.ones(9, np.float32)
    for details, scales, low, height, width in (
        ([plane], [nine], np.zeros((3, 2, 2), np.float32), 5, 4),
        ([plane], [nine], np.zeros((3, 2, 3), np.float32), 4, 4),
        ([plane], [nine[:8]], np.zeros((3, 2, 2), np.float32), 4, 4),
        ([plane], [], np.zeros((3, 2, 2), np.float32), 4, 4),
        ([plane] * 17, [nine] * 17, np.zeros((3, 1, 1), np.float32), 2, 2),
        ([], [], np.zeros((3, 1, 1), np.float32), 0, 1),
    ):
        with pytest.raises(ValueError):
            _kernels.unpyramid(details, scales, low, height, width)


def test_description_equals_torch(family: WaveletFamily, path: str) -> None:
    torch.manual_seed(3)
    values = torch.randint(-400, 401, (5, 7, 9), dtype=torch.int32)
    values[0, 0, :3] = torch.tensor([0, 100_000_000, -(2**31)])
    rungs = torch.randint(0, RUNGS, (5, 7, 9), dtype=torch.uint8)
    words = torch.from_numpy(_kernels.describe(values.numpy(), rungs.numpy(), 2, 2, path)).view(torch.bfloat16)
    exact = torch.cat([values.float().sign() * values.float().abs().log1p(), rungs / 16.0, torch.zeros(2, 7, 9)])
    assert torch.allclose(words.float(), exact, rtol=2.0**-8, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_painter_equals_network(dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    network = SynthesisNetwork(22, 30, 16, 2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    words = torch.randn(22, 9, 14).to(torch.bfloat16)
    for quality in (0, 777, 6400):
        exact = network(words[None].float(), torch.tensor([quality]))[0].detach()
        error = (Painter(network, dtype)(words, quality) - exact).abs().max() / exact.abs().max()
        assert float(error) < (0.005 if dtype == torch.float32 else 0.03)


def test_packet_bands_are_in_order(path: str) -> None:
    """The kernels number bands like wavelet_packet: a single band's pattern comes back in that band."""
    pattern = wp.unpacket(torch.eye(64).view(64, 1, 64, 1, 1).expand(-1, -1, -1, 3, 3).contiguous())
    for band in (1, 2, 7, 21, 42, 63):
        gray = (pattern[band, 0] * 20 + 128).round().clamp(0, 255).to(torch.uint8)[:, :, None].numpy()
        found, _ = _kernels.analyse(gray, np.arange(1, 64, dtype=np.int32), np.ones(192, np.float32), 1, path)
        middle = int((pass_order(3, 3) == 4).nonzero())
        assert int(np.abs(found[:, middle]).argmax()) + 1 == band


def test_bad_arguments_are_refused() -> None:
    pixels, order, scales = np.zeros((8, 8, 3), np.uint8), np.arange(1, 4, dtype=np.int32), np.ones(192, np.float32)
    with pytest.raises(ValueError, match="channels"):
        _kernels.analyse(np.zeros((8, 8, 2), np.uint8), order, scales)
    with pytest.raises(ValueError, match="order"):
        _kernels.analyse(pixels, np.array([192], np.int32), scales)
    with pytest.raises(ValueError, match="low band"):
        _kernels.analyse(pixels, np.array([64], np.int32), scales)
    with pytest.raises(ValueError, match="scales"):
        _kernels.analyse(pixels, order, scales[:5])
    with pytest.raises(TypeError):
        _kernels.analyse(pixels.astype(np.float32), order, scales)
    with pytest.raises(ValueError, match="symbols"):
        symbols, low = np.zeros((3, 2, 1), np.int32), np.zeros((3, 1, 1), np.float32)
        _kernels.synthesise(symbols, low, order, scales, None, 8, 8, 3)
    with pytest.raises(ValueError, match="path"):
        _kernels.cpu_path("sse9")
    with pytest.raises(ValueError, match="multiple of 4"):
        _kernels.Level(np.zeros((3, 9, 3, 3), np.int32))
    with pytest.raises(ValueError, match="too large"):
        _kernels.Level(np.full((4, 9, 3, 3), 2**31 - 1, np.int32))
    level = _kernels.Level(np.zeros((4, 9, 3, 3), np.int32))
    with pytest.raises(ValueError, match="bias"):
        _kernels.Walk(level, 2, 2, np.full(4, -(2**31), np.int32), None, True)
    walk = _kernels.Walk(level, 2, 2, np.zeros(4, np.int32), None, True)
    with pytest.raises(ValueError, match="slice"):
        walk.ask(0, 0, np.zeros(3, np.int32))
    with pytest.raises(RuntimeError, match="no more slices"):
        first, near, second = (np.zeros(shape, np.int32) for shape in ((1, 4, 1, 1), (1, 1, 5, 5), (1, 5, 1, 1)))
        level.add(first, near, second, None)
    with pytest.raises(ValueError, match="bias"):
        _kernels.Walk(level, 2, 2, np.zeros(5, np.int32), None, True)
