"""The network of predicted frames: a silent one changes nothing, the torch twin, what it is trained towards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.spatiotemporal.group import INTRA, FrameRead, read_group
from tessera.models.spatiotemporal.model import INPUTS, OUTPUTS, SpatiotemporalModel
from tessera.models.spatiotemporal.painting import LIFTED, GroupPainter, low_plane, place_of
from tessera.models.spatiotemporal.transform import Planes
from tessera.models.training.recording import lacking_bands
from tessera.models.transform.bands import CELL
from tessera.models.transform.gains import factors, step_size
from tessera.models.transform.lifted import SAMPLE_LIMIT

from ...support.kernel_paths import available_paths

FRAMES = 5


def with_network(loud: float) -> SpatiotemporalFamily:
    """The shipped weights with a small network; loud: deviation of its last convolution."""
    torch.manual_seed(3)
    small = {"width": 8, "blocks": 1, "hidden": 8, "fast_width": 8, "temporal_hidden": 8}
    inter = SpatiotemporalModel(**small, inter_width=16, inter_blocks=2).inter
    assert inter is not None
    for name, parameter in inter.named_parameters():
        if "leave" in name and loud:
            torch.nn.init.normal_(parameter, std=loud)
    tensors, metadata = weights.read(weights.files("spatiotemporal")[0])
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("inter.")}
    network = {f"inter.{name}": tensor.half() for name, tensor in inter.state_dict().items()}
    return SpatiotemporalFamily({**kept, **network}, metadata)


@pytest.fixture(scope="module")
def plain() -> SpatiotemporalFamily:
    tensors, metadata = weights.read(weights.files("spatiotemporal")[0])
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("inter.")}
    return SpatiotemporalFamily(kept, metadata)


@pytest.fixture(scope="module")
def silent() -> SpatiotemporalFamily:
    return with_network(0.0)


@pytest.fixture(scope="module")
def loud() -> SpatiotemporalFamily:
    return with_network(0.05)


def clip(height: int, width: int, channels: int) -> Tensor:
    made = procedural.clip(FRAMES, max(height, 64), max(width, 64), seed=6)[:, :height, :width, :channels]
    return torch.from_numpy(np.ascontiguousarray(made))


def encode(family: SpatiotemporalFamily, frames: Tensor, quality: int) -> tuple[bytes, GroupSpec]:
    spec = GroupSpec(len(frames), frames.shape[1], frames.shape[2], frames.shape[3], quality)
    port = EncoderPort(family.tables)
    family.encode(frames, spec, port)
    return port.finish(), spec


def predicted(family: SpatiotemporalFamily, data: bytes, spec: GroupSpec) -> list[FrameRead]:
    frames = [read for read in read_group(family.prior, spec, DecoderPort(family.tables, data)) if read.kind != INTRA]
    assert len(frames) == FRAMES - 1
    return frames


def nothing(frame: FrameRead) -> Planes:
    """Nothing that is added to a frame."""
    h, w = frame.latents[0].shape[1:]
    return np.zeros((3, 8 * h, 8 * w), np.int16)


@pytest.mark.parametrize(("size", "channels"), [((72, 104), 3), ((61, 83), 1), ((3, 1), 3)])
def test_a_silent_network_paints_the_exact_planes(
    plain: SpatiotemporalFamily, silent: SpatiotemporalFamily, size: tuple[int, int], channels: int
) -> None:
    """Within the rounding of the integer transform, but where its planes were clipped; on every path."""
    for quality in (1200, 5200):
        data, spec = encode(plain, clip(*size, channels), quality)
        for path in available_paths():
            for frame in predicted(plain, data, spec):
                expected = plain.painter.paint(frame, spec, "fast", nothing(frame)).int()
                planes = plain.prior.transform.synthesise(frame.latents)[:, : size[0], : size[1]]
                kept = torch.from_numpy(np.abs(planes).max(0) < SAMPLE_LIMIT)
                painted = silent.using(path).painter.paint(frame, spec, "fast", nothing(frame)).int()
                difference = (painted - expected).abs().float()[kept]
                assert float(difference.max()) <= 1 and float(difference.mean()) < 0.15


def test_what_a_network_added_moves_with_the_blocks(plain: SpatiotemporalFamily) -> None:
    """A still clip: every frame shows what the network added to the first; nothing of it is left where none did."""
    still = clip(72, 104, 3)[:1].expand(3, -1, -1, -1).contiguous()
    data, spec = encode(plain, still, 2600)
    painter = GroupPainter(plain.painter, spec, "standard")
    for frame in read_group(plain.prior, spec, DecoderPort(plain.tables, data)):
        moved = painter.moved(frame)
        if frame.kind == INTRA:
            assert not moved.any()
            shown = plain.prior.transform.planes(painter.paint(frame).numpy()).astype(int)
            added = shown - plain.prior.transform.synthesise(frame.latents)
            assert np.abs(added).mean() > 1
        else:
            assert np.abs(moved - added).mean() < 0.25 * np.abs(added).mean()
            expected = np.clip(
                plain.prior.transform.synthesise(frame.latents).astype(int) + moved, -SAMPLE_LIMIT, SAMPLE_LIMIT
            )
            pixels = plain.prior.transform.pixels(expected.astype(np.int16), 72, 104, 3)
            assert np.array_equal(painter.paint(frame).numpy(), pixels)
    assert set(painter.added) == set()


def test_the_network_changes_pixels_and_nothing_else(plain: SpatiotemporalFamily, loud: SpatiotemporalFamily) -> None:
    frames = clip(72, 104, 3)
    data, spec = encode(plain, frames, 2600)
    assert encode(loud, frames, 2600)[0] == data
    expected = plain.integers(spec, DecoderPort(plain.tables, data))
    for number, levels in loud.integers(spec, DecoderPort(loud.tables, data)).items():
        assert all(np.array_equal(a, b) for a, b in zip(levels, expected[number], strict=True))
    painted = [family.decode(spec, DecoderPort(family.tables, data), "fast") for family in (plain, loud)]
    assert torch.equal(painted[0][0], painted[1][0]) and not torch.equal(painted[0][1:], painted[1][1:])
    read = loud.latents(spec, DecoderPort(loud.tables, data)).x
    assert torch.equal(read, plain.latents(spec, DecoderPort(plain.tables, data)).x)


def described(family: SpatiotemporalFamily, frame: FrameRead) -> Tensor:
    """(INPUTS, h, w) as `FramePainter.describe` makes it, in plain torch."""

    def compand(x: Tensor) -> Tensor:
        return x.sign() * torch.log1p(x.abs())

    low, step = low_plane(frame.latents), step_size(torch.tensor(frame.quality))
    latents = torch.from_numpy(frame.latents[0]) * torch.from_numpy(frame.steps.levels[0].inverse)[:, None, None]
    place = torch.tensor(place_of(frame))[:, None, None].expand(-1, *low.shape[1:])
    return torch.cat(
        [
            compand(torch.from_numpy(frame.coded.packet).float()),
            torch.from_numpy(frame.coded.rungs).float() / 16,
            family.model.still.describe_low(low[None], step)[0],
            place,
            compand(latents),
        ]
    )


def test_the_torch_twin_paints_the_same(loud: SpatiotemporalFamily) -> None:
    frames = clip(72, 104, 3)
    data, spec = encode(loud, frames, 2600)
    model = loud.model
    for frame in predicted(loud, data, spec):
        words, (packet, low) = described(loud, frame), loud.painter.bands(frame, nothing(frame))
        assert words.shape[0] == INPUTS
        assert torch.allclose(loud.painter.describe(frame, packet, low).float(), words, rtol=2**-7, atol=2**-8)
        full = torch.zeros(1, OUTPUTS, *low.shape[1:])
        unlifted = frame.latents[0] * LIFTED[loud.native.order][:, None, None]
        full[0, model.still.order] = torch.from_numpy(unlifted).float()
        full[0, ::64] = low
        assert model.inter is not None
        correction = model.inter(words[None], torch.tensor([frame.quality]))
        assert float(correction.abs().mean()) > 0.01
        scale = step_size(torch.tensor(frame.quality)) / model.still.every_gain
        pixels = model.still.to_pixels(full + correction * scale)[0, :, :72, :104].round().clamp(0, 255)
        found = loud.painter.paint(frame, spec, "fast", nothing(frame)).permute(2, 0, 1).float()
        assert float((found - pixels).abs().max()) <= 2 and float((found - pixels).abs().mean()) < 0.1


def test_what_bands_lack_makes_the_original(plain: SpatiotemporalFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that knew `lacking_bands` would paint the original: the target of training fits the decoder."""
    frames = clip(72, 104, 3)
    data, spec = encode(plain, frames, 2600)
    for frame in predicted(plain, data, spec):
        original = frames[frame.place.number]
        bands = plain.painter.bands(frame, nothing(frame))
        lacking = lacking_bands(frame.quality, *bands, plain.prior.transform.planes(original.numpy()), plain.painter)
        errors = []
        for network in (lambda words, quality, answer=lacking: answer.bfloat16(), None):
            monkeypatch.setattr(plain.painter, "network", network)
            painted = plain.painter.paint(frame, spec, "fast", nothing(frame))
            errors.append(float((painted.float() - original.float()).square().mean()))
        assert errors[0] < 0.2 < 10 < errors[1]


def test_lifted_units_are_those_of_the_steps(plain: SpatiotemporalFamily) -> None:
    gains = plain.model.still.packet_gain.flatten()
    assert torch.allclose(torch.from_numpy(LIFTED[plain.native.order]) * gains, factors()[0].float(), rtol=1e-5)


def test_the_network_keeps_to_its_cost() -> None:
    """Thousands of multiplications a pixel, of the shipped weights too."""
    shipped = weights.load("spatiotemporal")[0]
    assert isinstance(shipped, SpatiotemporalFamily)
    for model in (SpatiotemporalModel(width=8, blocks=1, hidden=8, fast_width=8, temporal_hidden=8), shipped.model):
        assert model.inter is not None
        assert 5 < model.inter.macs() / CELL**2 / 1000 < 10
