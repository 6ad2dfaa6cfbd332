"""Family `wavelet` with the shipped weights: round trips, slow twins, rates that are bytes, tokens without pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import BitMeter, DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec, Pixels
from tessera.models.base.quality import MAX_FINE
from tessera.models.engine.network import network_of, part_of
from tessera.models.reference import integer_network
from tessera.models.reference import lifting as twin
from tessera.models.transform.bands import RATE_WEIGHT
from tessera.models.transform.levels import EVERY, ORDER
from tessera.models.transform.lifted import LOW_FACTOR
from tessera.models.wavelet.family import WaveletFamily
from tessera.models.wavelet.words import COMPANDED, COMPANDED_FINE, LOW_WORD, RUNG_WORDS

from ...support import words_twin
from ...support.kernel_paths import available_paths
from ...support.prior_twin import Decoding, prior_of, walk_frame


@pytest.fixture(scope="module")
def family() -> WaveletFamily:
    loaded, _ = weights.load("wavelet")
    assert isinstance(loaded, WaveletFamily)
    return loaded


def picture(height: int, width: int, channels: int = 3) -> Pixels:
    full = procedural.picture(max(height, 64), max(width, 64))
    return np.ascontiguousarray(full[None, :height, :width, :channels])


def encode(family: WaveletFamily, frames: Pixels, quality: int) -> tuple[bytes, GroupSpec]:
    spec = GroupSpec(len(frames), frames.shape[1], frames.shape[2], frames.shape[3], quality)
    port = EncoderPort(family.tables)
    family.encode(frames, spec, port)
    return port.finish(), spec


def decode(family: WaveletFamily, data: bytes, spec: GroupSpec, decoder: str = "standard") -> Pixels:
    port = DecoderPort(family.tables, data)
    frames = family.decode(spec, port, decoder)
    port.finish()
    return frames


def psnr(a: Pixels, b: Pixels) -> float:
    return float(10 * np.log10(255**2 / max(float(np.square(a.astype(float) - b.astype(float)).mean()), 1e-6)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (17, 3), (63, 130)])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip_of_any_size(family: WaveletFamily, size: tuple[int, int], channels: int) -> None:
    frames = picture(*size, channels)
    for quality in (0, 3200, MAX_FINE):
        data, spec = encode(family, frames, quality)
        out = decode(family, data, spec)
        assert out.shape == frames.shape and out.dtype == np.uint8
    assert psnr(out, frames) > 34


def test_quality_orders_rate_and_distortion(family: WaveletFamily) -> None:
    frames = picture(160, 208)
    found = []
    for quality in range(0, MAX_FINE + 1, 800):
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
    frames = np.concatenate([picture(61, 90), picture(61, 90)[:, :, ::-1]])
    data, spec = encode(family, frames, 3000)
    grid = family.latents(spec, DecoderPort(family.tables, data))
    assert grid.x.shape == (2, 8, 12, family.channels) and grid.x.dtype == np.float32
    assert grid.valid.all() and grid.frame_type.tolist() == [0, 0]
    # they are the transform's own bands, rounded to the quantisation step
    step, unit = family.still.steps.at(3000).size, 320.0 * 2**16 / family.still.steps.bases[0]
    for frame, found in zip(frames, grid.x, strict=True):
        packet, low = twin.exact_analyse(twin.exact_planes(frame), ORDER)
        exact = np.concatenate([low * LOW_FACTOR, packet * unit[:, None, None]]).transpose(1, 2, 0)
        error = (found - exact) / step
        assert np.abs(error).max() < 2.0 and np.square(error).mean() < 0.25


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [1, 3, 4, 70, 127])
def test_the_first_latents_are_those_of_all(family: WaveletFamily, wanted: int, channels: int) -> None:
    data, spec = encode(family, picture(61, 90, channels).repeat(2, 0), 3000)
    whole = family.latents(spec, DecoderPort(family.tables, data))
    first = family.first_latents(spec, DecoderPort(family.tables, data), wanted)
    np.testing.assert_array_equal(first.x, whole.x[..., :wanted])
    assert first.bits is not None and whole.bits is not None
    assert (first.bits[1] <= whole.bits[1] + 1e-3).all()
    stops = wanted <= (38 if channels == 1 else 72)  # before the last slice that is coded
    assert (float(first.bits[1].sum()) < float(whole.bits[1].sum())) == stops


# -- the slow twins ---------------------------------------------------------------------------------------------------


def slow_decode(family: WaveletFamily, data: bytes, spec: GroupSpec, decoder: str) -> tuple[list[NDArray[Any]], Pixels]:
    """The integers and the pixels of a picture by the twins alone."""
    prior, at = prior_of(part_of(family.arrays, "prior")), family.still.steps.at(spec.quality)
    symbols, rungs = walk_frame(prior, spec, Decoding(DecoderPort(family.tables, data)))
    latents = [twin.restore(values, level.steps, None) for values, level in zip(symbols, at.levels, strict=True)]
    low = twin.exact_unpyramid(latents[1:-1], latents[-1], *latents[0].shape[1:])
    full = np.zeros((192, *latents[0].shape[1:]), np.int32)
    full[ORDER], full[::64] = latents[0], low
    if decoder == "standard":
        words = np.concatenate(
            [
                words_twin.describe_integers(symbols[0], COMPANDED),
                words_twin.describe_bytes(rungs, RUNG_WORDS),
                words_twin.describe_low(low, at.low_words, COMPANDED_FINE, LOW_WORD),
            ],
            -1,
        )
        scales = family.still.painters[decoder].at(spec.quality)
        answer = integer_network.run(network_of(part_of(family.arrays, decoder)), words, *scales)
        full = words_twin.add_corrections(full, answer, np.arange(192, dtype=np.int32), at.every)
    planes = twin.exact_synthesise(full[EVERY], full[::64].copy(), EVERY)
    return symbols, twin.exact_pixels(planes, spec.height, spec.width, spec.channels)[None]


@pytest.mark.parametrize(("size", "channels"), [((1, 1), 3), ((75, 90), 3), ((17, 3), 1), ((40, 66), 1)])
def test_the_slow_twins_decode_the_same(family: WaveletFamily, size: tuple[int, int], channels: int) -> None:
    data, spec = encode(family, picture(*size, channels), 4200)
    for decoder in family.decoders:
        symbols, pixels = slow_decode(family, data, spec, decoder)
        for path in available_paths():
            other = family.using(path)
            found = other.integers(spec, DecoderPort(family.tables, data))
            assert len(found) == len(symbols) == 6
            for a, b in zip(found, symbols, strict=True):
                np.testing.assert_array_equal(a, b, strict=True)
            np.testing.assert_array_equal(decode(other, data, spec, decoder), pixels, strict=True)


# -- the encoder ------------------------------------------------------------------------------------------------------


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
    assert encode(family.configure("medium", rate_weight=RATE_WEIGHT), frames, 3000) == encode(family, frames, 3000)
    assert encode(family.configure("fast"), frames, 3000) == encode(family, frames, 3000)
    for bad in ({"rate_weight": 2}, {"rate_weight": "x"}, {"colour": 1}):
        with pytest.raises(ValueError, match="rate_weight|colour"):
            family.configure("medium", **bad)
