"""Family `spatiotemporal` with the shipped weights: round trips, the slow twin, exactness, rates that are bytes."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import BitMeter, DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec, Pixels, Symbols, TableIndices
from tessera.models.base.kernels import Kernels
from tessera.models.base.quality import MAX_FINE
from tessera.models.spatiotemporal.encoder import EFFORTS, effort
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.spatiotemporal.order import coding_order, last_uses
from tessera.models.transform.steps import HINT_GAIN, STEP_BITS, Steps

from ...support import small_dyadic
from ...support import spatiotemporal_twin as twin
from ...support.kernel_paths import available_paths, threads
from ...support.token_samples import rank_correlation


@pytest.fixture(scope="module")
def family() -> SpatiotemporalFamily:
    loaded, _ = weights.load("spatiotemporal")
    assert isinstance(loaded, SpatiotemporalFamily)
    return loaded


def clip(frames: int, height: int, width: int, channels: int = 3) -> Pixels:
    made = procedural.clip(frames, max(height, 64), max(width, 64), seed=4)
    return np.ascontiguousarray(made[:, :height, :width, :channels])


def encode(family: SpatiotemporalFamily, frames: Pixels, quality: int, **options: object) -> tuple[bytes, GroupSpec]:
    spec = GroupSpec(len(frames), frames.shape[1], frames.shape[2], frames.shape[3], quality)
    port = EncoderPort(family.tables)
    family.configure("medium", **options).encode(frames, spec, port)
    return port.finish(), spec


def decode(family: SpatiotemporalFamily, data: bytes, spec: GroupSpec, decoder: str = "standard") -> Pixels:
    port = DecoderPort(family.tables, data)
    frames = family.decode(spec, port, decoder)
    port.finish()
    return frames


def psnr(a: Pixels, b: Pixels) -> float:
    return float(10 * np.log10(255**2 / max(float(np.square(a.astype(float) - b.astype(float)).mean()), 1e-6)))


@pytest.mark.parametrize("depth", range(6))
@pytest.mark.parametrize("frames", [1, 2, 3, 8, 9, 17])
def test_every_frame_is_coded_once_after_its_references(frames: int, depth: int) -> None:
    places = coding_order(frames, depth)
    assert sorted(place.number for place in places) == list(range(frames))
    seen: set[int] = set()
    for place in places:
        assert set(place.references) <= seen and len(place.references) <= 2
        if len(place.references) == 2:
            assert place.references[0] < place.number < place.references[1]
        seen.add(place.number)
    uses = last_uses(places)
    assert max(sum(uses[p.number] > at for p in places[: at + 1]) for at in range(frames)) <= depth + 2


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 16), (17, 3), (63, 130)])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip_of_any_size(family: SpatiotemporalFamily, size: tuple[int, int], channels: int) -> None:
    frames = clip(3, *size, channels)
    for quality in (0, 3200, MAX_FINE):
        data, spec = encode(family, frames, quality)
        out = decode(family, data, spec)
        assert out.shape == frames.shape and out.dtype == np.uint8
        if quality == MAX_FINE:
            assert psnr(out, frames) > 37.5


@pytest.mark.parametrize("options", [{"depth": 0}, {"depth": 2, "block": 8}, {"motion": 0}])
def test_the_slow_twin_decodes_the_same_integers(family: SpatiotemporalFamily, options: dict[str, object]) -> None:
    check_by_twin(family, clip(5, 56, 72), options)


def test_the_slow_twin_decodes_dyadic_frames() -> None:
    check_by_twin(small_dyadic.family(), clip(3, 24, 33), {"depth": 1})


def check_by_twin(family: SpatiotemporalFamily, frames: Pixels, options: dict[str, object]) -> None:
    data, spec = encode(family, frames, 2600, **options)
    port = DecoderPort(family.tables, data)
    expected = twin.decode(family, spec, port)
    port.finish()
    found = family.integers(spec, DecoderPort(family.tables, data))
    assert found.keys() == expected.keys()
    for number, levels in expected.items():
        for level, plane in enumerate(levels):
            assert np.array_equal(found[number][level], plane), (number, level)


def test_integers_are_the_same_on_every_path_and_thread_count(family: SpatiotemporalFamily) -> None:
    data, spec = encode(family, clip(5, 90, 136), 3000)
    reference = family.integers(spec, DecoderPort(family.tables, data))
    for path in available_paths():
        other = family.using(path)
        for count in (1, 2):
            with threads(count):
                found = other.integers(spec, DecoderPort(family.tables, data))
            for number, levels in reference.items():
                assert all(np.array_equal(a, b) for a, b in zip(found[number], levels, strict=True)), path


def test_later_frames_of_a_still_clip_cost_little() -> None:
    frames = clip(1, 144, 176).repeat(9, 0)
    for quality in (20, 50, 80):
        first = len(tessera.encode(frames[0], codec="spatiotemporal", quality=quality))
        whole = len(tessera.encode(frames, codec="spatiotemporal", quality=quality))
        assert whole - first <= 8 * 0.1 * first


def test_prediction_pays(family: SpatiotemporalFamily) -> None:
    frames = clip(9, 144, 176)
    together, _ = encode(family, frames, 3200)
    alone = sum(len(encode(family, frame[None], 3200)[0]) for frame in frames)
    assert len(together) < 0.6 * alone


def test_estimated_bits_are_the_bytes(family: SpatiotemporalFamily) -> None:
    frames = clip(5, 144, 176)
    data, spec = encode(family, frames, 3200)
    meter = BitMeter(family.tables)
    family.encode(frames, spec, meter)
    assert abs(meter.bits / 8 - len(data)) < 0.01 * len(data) + 100
    grid = family.latents(spec, DecoderPort(family.tables, data))
    assert grid.bits is not None
    assert float(grid.bits.sum()) == pytest.approx(meter.bits, rel=1e-3)
    assert grid.frame_type.tolist() == [0, 1, 1, 1, 1]


def test_prior_bits_say_where_bits_will_be_spent(family: SpatiotemporalFamily) -> None:
    """Rank correlation of what prediction lets expect with what is coded, on predicted frames."""
    data, spec = encode(family, clip(5, 144, 176), 3200)
    grid = family.expecting().latents(spec, DecoderPort(family.tables, data))
    assert grid.bits is not None and grid.bits_prior is not None
    for frame in range(1, 5):
        expected, coded = grid.bits_prior[frame].ravel().tolist(), grid.bits[frame].ravel().tolist()
        assert rank_correlation(expected, coded) > 0.4


def test_latents_mean_the_same_in_every_frame(family: SpatiotemporalFamily) -> None:
    """The grid of a predicted frame is close to that of the same frame coded on its own."""
    frames = clip(3, 96, 128)
    data, spec = encode(family, frames, 5000)
    grid = family.latents(spec, DecoderPort(family.tables, data))
    alone_data, alone_spec = encode(family, frames[1:2], 5000)
    alone = family.latents(alone_spec, DecoderPort(family.tables, alone_data))
    assert np.square(grid.x[1] - alone.x[0]).mean() < 0.02 * np.square(alone.x).mean()


def test_a_scene_cut_is_coded_on_its_own(family: SpatiotemporalFamily) -> None:
    one = clip(4, 96, 128)
    two = 255 - clip(4, 128, 96).transpose(0, 2, 1, 3)
    data, spec = encode(family, np.concatenate([one, two]), 3200, depth=0)
    kinds = family.latents(spec, DecoderPort(family.tables, data)).frame_type.tolist()
    assert kinds == [0, 1, 1, 1, 0, 1, 1, 1]


def test_what_is_left_to_code_is_counted_in_integers() -> None:
    """The logarithms that decide have a margin, and a residual counts by its size in steps."""
    with localcontext() as context:
        context.prec = 40
        for quarters, entry in enumerate(EFFORTS.tolist()):
            exact = (1 + Decimal(quarters) / HINT_GAIN).ln() / Decimal(2).ln() * 1024
            assert abs(exact - entry) < Decimal("0.4999")
    steps = Steps(weights.read(weights.files("spatiotemporal")[0])[0]).at(3000)
    latents = [np.zeros((125, 1, 1), np.int32)]
    assert effort(latents, None, steps, Kernels()) == 0
    latents[0][3] = -(int(steps.levels[0].steps[3]) * 3 // (1 << STEP_BITS))  # three steps, a little less
    assert effort(latents, None, steps, Kernels()) in EFFORTS[[11, 12]].tolist()
    assert effort(latents, latents, steps, Kernels()) == 0


def test_options_are_checked(family: SpatiotemporalFamily) -> None:
    for bad in ({"depth": 9}, {"block": 12}, {"motion": -1}, {"nonsense": 1}, {"rate_weight": 2}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            family.configure("medium", **bad)


def test_damage_is_named() -> None:
    data = bytearray(tessera.encode(clip(4, 64, 80), codec="spatiotemporal", quality=40))
    for place in np.linspace(8, len(data) - 1, 30).astype(int):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(tessera.CodecError):
            tessera.decode(bytes(damaged))


class Liar:
    """A port that makes up what is got: headers that are sound, then small numbers and some of all an int32 holds."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise NotImplementedError

    def get(self, indices: TableIndices) -> Symbols:
        if len(indices) == 1 and 72 <= int(indices[0]) < 78:  # depth, block, type, offset
            bits = int(indices[0]) - 71
            return np.array([1 if bits in (2, 3) else int(self.random.integers(1 << bits))], np.int32)
        symbols = self.random.integers(-2, 3, len(indices))
        wild = self.random.random(len(indices)) < 0.01
        symbols[wild] = self.random.integers(-(2**31), 2**31, int(wild.sum()))
        return symbols.astype(np.int32)


@pytest.mark.parametrize("seed", range(4))
def test_made_up_symbols_end_in_an_error_or_in_frames(family: SpatiotemporalFamily, seed: int) -> None:
    """No crash, no endless work, whatever a forged stream says; every path makes the same of it."""
    spec = GroupSpec(4, 40, 56, 3, 3200)

    def outcome(path: str) -> list[bytes] | str:
        try:
            frames = family.using(path).integers(spec, Liar(seed))
        except ValueError as error:
            return str(error)
        return [plane.tobytes() for number in sorted(frames) for plane in frames[number]]

    paths = available_paths()
    assert all(outcome(path) == outcome(paths[0]) for path in paths[1:])
