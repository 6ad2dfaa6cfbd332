"""The network of predicted frames: a silent one changes nothing, the slow twins, what moves with the blocks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec, Pixels
from tessera.models.base.kernels import Planes
from tessera.models.base.quality import ANCHORS
from tessera.models.engine.network import IntegerNetwork, Layer, Range, arrays_of, fixed, network_of, part_of
from tessera.models.reference import integer_network
from tessera.models.reference import lifting as twin
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.spatiotemporal.group import INTRA, FrameRead, read_group
from tessera.models.spatiotemporal.order import Place
from tessera.models.spatiotemporal.painting import PLACE, GroupPainter, place_of
from tessera.models.transform.bands import CELL
from tessera.models.transform.levels import EVERY, ORDER
from tessera.models.transform.lifted import SAMPLE_LIMIT
from tessera.models.wavelet.words import COMPANDED, COMPANDED_FINE, LOW_WORD, LOWS, RUNG_WORDS, WORD_BITS

from ...support import words_twin
from ...support.kernel_paths import available_paths

FRAMES, BANDS = 5, 125
INPUTS = 3 * BANDS + LOWS + PLACE


def network(loud: int) -> dict[str, NDArray[Any]]:
    """A small one; loud: largest weight of its last layer."""
    rng = np.random.default_rng(3)

    def weights_of(most: int, *shape: int) -> NDArray[np.int8]:
        return rng.integers(-most, most + 1, shape).astype(np.int8)

    table = np.arange(-2048, 2048).clip(-200, None).astype(np.int16) * 2  # a ramp above a floor
    layers = [
        Layer(0, weights_of(60, 16, 1, 1, INPUTS)),
        Layer(1, weights_of(60, 16, 3, 3, 16), Range(), table),
        Layer(2, weights_of(loud, 192, 1, 1, 16), Range(-32767, 32767)),
    ]
    made = IntegerNetwork(INPUTS, Range(-32767, 32767), layers)
    factors = np.concatenate([np.full(16, 2.0**-8), np.full(16, 2.0**-7), np.full(192, 2.0**-6)])
    shifts = np.concatenate([np.zeros(16), np.full(16, 2048.0), np.zeros(192)])
    across = np.linspace(1.0, 1.3, ANCHORS)[:, None]  # the quality matters
    return {
        f"inter.{name}": array for name, array in arrays_of(made, *fixed(factors * across, shifts * across**0)).items()
    }


@lru_cache
def with_network(loud: int | None) -> SpatiotemporalFamily:
    """The shipped weights with this network for predicted frames, or with none."""
    arrays, metadata = weights.read(weights.files("spatiotemporal")[0])
    kept = {name: array for name, array in arrays.items() if not name.startswith("inter.")}
    return SpatiotemporalFamily(kept if loud is None else {**kept, **network(loud)}, metadata)


@pytest.fixture(scope="module")
def plain() -> SpatiotemporalFamily:
    return with_network(None)


@pytest.fixture(scope="module")
def loud() -> SpatiotemporalFamily:
    return with_network(40)


def clip(height: int, width: int, channels: int) -> Pixels:
    made = procedural.clip(FRAMES, max(height, 64), max(width, 64), seed=6)[:, :height, :width, :channels]
    return np.ascontiguousarray(made)


def encode(family: SpatiotemporalFamily, frames: Pixels, quality: int) -> tuple[bytes, GroupSpec]:
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
    return np.zeros((3, CELL * h, CELL * w), np.int16)


@pytest.mark.parametrize(("size", "channels"), [((72, 104), 3), ((61, 83), 1), ((3, 1), 3)])
def test_a_silent_network_paints_the_exact_planes(
    plain: SpatiotemporalFamily, size: tuple[int, int], channels: int
) -> None:
    silent = with_network(0)
    for quality in (1200, 5200):
        data, spec = encode(plain, clip(*size, channels), quality)
        for frame in predicted(plain, data, spec):
            expected = plain.prior.transform.synthesise(frame.latents)
            for family in (plain, silent):
                np.testing.assert_array_equal(family.painter.planes(frame, "fast", nothing(frame)), expected)


def test_what_a_network_added_moves_with_the_blocks(plain: SpatiotemporalFamily) -> None:
    """A still clip: every frame shows what the network added to the first; nothing of it is left where none did."""
    still = clip(72, 104, 3)[:1].repeat(3, 0)
    data, spec = encode(plain, still, 2600)
    painter, one = GroupPainter(plain.painter, spec, "standard"), replace(spec, frames=1)
    for frame in read_group(plain.prior, spec, DecoderPort(plain.tables, data)):
        moved, exact = painter.moved(frame), plain.prior.transform.synthesise(frame.latents).astype(int)
        if frame.kind == INTRA:
            assert not moved.any()
            shown = plain.painter.planes(frame, "standard", moved)
            added = shown - exact
            assert np.abs(added).mean() > 1
            expected = shown
        else:
            assert np.abs(moved - added).mean() < 0.25 * np.abs(added).mean()
            expected = np.clip(exact + moved, -SAMPLE_LIMIT, SAMPLE_LIMIT).astype(np.int16)
        np.testing.assert_array_equal(painter.paint(frame), plain.painter.pixels(expected, one))
    assert set(painter.added) == set()


def test_the_network_changes_pixels_and_nothing_else(plain: SpatiotemporalFamily, loud: SpatiotemporalFamily) -> None:
    frames = clip(72, 104, 3)
    data, spec = encode(plain, frames, 2600)
    assert encode(loud, frames, 2600)[0] == data
    expected = plain.integers(spec, DecoderPort(plain.tables, data))
    for number, levels in loud.integers(spec, DecoderPort(loud.tables, data)).items():
        assert all(np.array_equal(a, b) for a, b in zip(levels, expected[number], strict=True))
    one, two = (family.decode(spec, DecoderPort(family.tables, data), "fast") for family in (plain, loud))
    assert np.array_equal(one[0], two[0]) and all(
        not np.array_equal(a, b) for a, b in zip(one[1:], two[1:], strict=True)
    )
    read = loud.latents(spec, DecoderPort(loud.tables, data)).x
    np.testing.assert_array_equal(read, plain.latents(spec, DecoderPort(plain.tables, data)).x)


def described(frame: FrameRead, packet: NDArray[np.int32], low: NDArray[np.int32]) -> NDArray[np.int16]:
    """(h, w, INPUTS) as `FramePainter.describe` makes it, by the twin."""
    place = np.broadcast_to(np.array(place_of(frame), np.int16), (*low.shape[1:], PLACE))
    return np.concatenate(
        [
            words_twin.describe_integers(frame.coded.packet, COMPANDED),
            words_twin.describe_bytes(frame.coded.kept_rungs, RUNG_WORDS),
            words_twin.describe_low(low, frame.steps.low_words, COMPANDED_FINE, LOW_WORD),
            place,
            words_twin.describe_scaled(packet, frame.steps.words, COMPANDED_FINE),
        ],
        -1,
    )


@pytest.mark.parametrize("path", available_paths())
def test_the_slow_twins_paint_the_same(loud: SpatiotemporalFamily, path: str) -> None:
    data, spec = encode(loud, clip(72, 104, 3), 2600)
    rng, other = np.random.default_rng(4), loud.using(path)
    inter = network_of(part_of(loud.arrays, "inter"))
    for frame in predicted(loud, data, spec):
        moved = rng.integers(-300, 300, nothing(frame).shape).astype(np.int16)
        added = twin.exact_analyse(moved, ORDER)
        packet = added[0] + frame.latents[0]
        low = added[1] + twin.exact_unpyramid(frame.latents[1:-1], frame.latents[-1], *packet.shape[1:])
        words = described(frame, packet, low)
        assert loud.painter.network is not None and words.shape[-1] == INPUTS
        correction = integer_network.run(inter, words, *loud.painter.network.at(frame.quality))
        assert float(np.abs(correction).mean()) > 10
        full = np.zeros((192, *packet.shape[1:]), np.int32)
        full[ORDER], full[::64] = packet, low
        full = words_twin.add_corrections(full, correction, np.arange(192, dtype=np.int32), frame.steps.every)
        expected = twin.exact_synthesise(full[EVERY], full[::64].copy(), EVERY)
        planes = other.painter.planes(frame, "fast", moved)
        np.testing.assert_array_equal(planes, expected, strict=True)
        pixels = other.painter.pixels(planes, replace(spec, frames=1))
        np.testing.assert_array_equal(pixels, twin.exact_pixels(expected, 72, 104, 3), strict=True)


def test_the_place_of_a_frame(loud: SpatiotemporalFamily) -> None:
    """Whether there are two references, and quarters of the octaves of the distance, with a margin in rounding."""
    data, spec = encode(loud, clip(24, 24, 1), 2600)
    frame = predicted(loud, data, spec)[0]
    with localcontext() as context:
        context.prec = 40
        for distance in range(1, 64):
            for references in ((distance,), (distance, 99)):
                found = place_of(replace(frame, place=Place(0, references, 0)))
                exact = Decimal(distance).ln() / Decimal(2).ln() / 4 * (1 << WORD_BITS)
                assert found[0] == (len(references) - 1) << WORD_BITS
                assert abs(exact - found[1]) < Decimal("0.4999")


def test_the_network_keeps_to_its_cost() -> None:
    """Thousands of multiplications per pixel, of the shipped weights."""
    inter = network_of(part_of(weights.read(weights.files("spatiotemporal")[0])[0], "inter"))
    assert inter.channels == INPUTS
    assert 5 < sum(layer.weights.size for layer in inter.layers) / CELL**2 / 1000 < 10
