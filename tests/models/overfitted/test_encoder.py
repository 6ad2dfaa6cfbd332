"""Encoding by fits: targets, interrupts, kept states, starts, failures, and effort best.  Pictures are tiny."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.models.base.family import GroupSpec
from tessera.models.base.fitted import FitFailed
from tessera.models.overfitted import encoder, running
from tessera.models.overfitted.coding import measure, paint
from tessera.models.overfitted.family import OverfittedFamily
from tessera.models.overfitted.fitting import Phase, PictureFit, Score, rate_weight, rounded_phase, short_phase
from tessera.models.overfitted.rounding import NetworkRounding, restored, rounded
from tessera.models.overfitted.running import Aim, FitRun, has_collapsed, levels_of
from tessera.models.overfitted.start import LEVELS, nearest_start, read_starts
from tessera.tools.training.starts import RATE_WEIGHTS, tensors_of

from ...support.kernel_paths import threads

FAST: dict[str, Any] = {"codec": "overfitted", "iterations": 60, "point": "small"}


def picture(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A gradient, an edge and some texture."""
    y, x = np.mgrid[:height, :width]
    texture = np.random.default_rng(0).integers(0, 16, (height, width))
    planes = [2 * x + y + texture, 128 + texture, np.where(x > width // 2, 200, 20)]
    pixels: NDArray[np.uint8] = np.stack(planes, -1).clip(0, 255).astype(np.uint8)
    return pixels


def family() -> OverfittedFamily:
    loaded = weights.load("overfitted")[0]
    assert isinstance(loaded, OverfittedFamily)
    return loaded


def psnr(data: bytes, pixels: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.square(tessera.decode(data) - pixels.astype(float)).mean()))


def test_a_file_holds_what_the_fit_found() -> None:
    """The decoder's integers lose little against the floats of the fit, and the file's bits are the fit's."""
    pixels = picture()
    fit = PictureFit(pixels, 1, levels_of(48, 64), rate_weight(3200))
    FitRun(fit, 150, Aim(), lambda part, seen: None).run()
    networks = NetworkRounding(fit, family().tables)
    networks.search()
    before = fit.score(networks.parameters())
    measured = measure(networks.picture(), family().tables, family().kernels)
    # tables are coarser than the model, and end at 1/4096
    assert measured.bits - measured.number_bits == pytest.approx(before.bits, rel=0.08)
    painted = paint(networks.picture(), family().kernels)
    error = np.square(painted - pixels.astype(float)).mean() / 255**2
    assert error == pytest.approx(before.error, rel=0.03)


def test_one_and_two_threads_write_the_same_file() -> None:
    pixels = picture(160, 208)  # enough for two
    files = []
    for count in (1, 2):
        with threads(count):
            files.append(tessera.encode(pixels, **{**FAST, "iterations": 8}))
    assert files[0] == files[1]


def test_sizes_and_psnrs_are_met() -> None:
    pixels = picture()
    options: dict[str, Any] = {"codec": "overfitted", "iterations": 120}  # of the point that has a learned start
    small = tessera.encode(pixels, size=1000, **options)
    large = tessera.encode(pixels, size=1700, **options)
    assert len(small) <= 1000 < 1400 < len(large) <= 1700
    assert psnr(large, pixels) > psnr(small, pixels)
    assert 30.0 <= psnr(tessera.encode(pixels, psnr=30.0, **options), pixels) < 32.0


def test_networks_are_rounded_where_it_pays() -> None:
    """The search ends with a smaller loss than it begins with, in fewer bits, and integers mean what they stand for."""
    fit = PictureFit(picture(24, 32), 0, 6, rate_weight(2000))
    FitRun(fit, 60, Aim(), lambda part, seen: None).run()
    networks = NetworkRounding(fit, family().tables)
    before, spent = networks.loss(), sum(networks.spent.values())
    assert networks.search() < before
    assert sum(networks.spent.values()) < spent
    for shape in fit.tensors:
        exact = networks.exact[shape.name]
        back = restored(shape, rounded(shape, exact, 10))
        assert np.abs(back - exact).max(initial=0) <= 0.5 * 2.0**-10 / encoder_unit(shape.name) + 1e-12


def encoder_unit(name: str) -> float:
    plain = ("synthesis.2.weight", "synthesis.3.weight", "synthesis.4.weight")
    return 255 / 16 if name.startswith("synthesis") and name not in plain else 1.0


def test_an_interrupt_ends_the_fit_and_the_file_is_written() -> None:
    calls = []

    def watch(status: Any) -> None:
        calls.append(status.part)
        raise KeyboardInterrupt

    pixels = picture()
    data = tessera.encode(pixels, codec="overfitted", iterations=100000, watch=watch)
    assert tessera.decode(data).shape == pixels.shape
    assert len(calls) == 1
    with pytest.raises(KeyboardInterrupt):
        tessera.encode(pixels, codec="overfitted", iterations=100000, watch=watch, early=False)


def test_after_an_interrupt_an_aim_is_met_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def watch(status: Any) -> None:
        raise KeyboardInterrupt

    def short(count: int) -> Phase:
        steps.append(count)
        return short_phase(2)

    monkeypatch.setattr(encoder, "short_phase", short)
    monkeypatch.setattr(encoder, "rounded_phase", lambda count: rounded_phase(2))
    with pytest.warns(UserWarning):  # 200 bytes are too few
        tessera.encode(picture(24, 32), codec="overfitted", point="small", iterations=100000, size=200, watch=watch)
    assert steps and set(steps) == {encoder.LEAST_CORRECTION}


def test_a_kept_state_is_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run starts behind the race, at the step that was saved."""
    monkeypatch.setattr(running, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(encoder, "REPORT_EVERY", 0.0)
    parts: list[float] = []

    def interrupt(status: Any) -> None:
        if status.part > 0.5:
            raise KeyboardInterrupt

    kept: dict[str, Any] = {"codec": "overfitted", "iterations": 100, "checkpoint": tmp_path, "early": False}
    with pytest.raises(KeyboardInterrupt):
        tessera.encode(picture(), watch=interrupt, **kept)
    tessera.encode(picture(), watch=lambda status: parts.append(status.part), **kept)
    assert parts[0] > 0.45


def test_a_learned_start_is_that_of_the_nearest_rate() -> None:
    fit = PictureFit(picture(), 1, LEVELS, 1e-3)
    rows = [np.full(fit.fit.parameters, k, np.float32) for k in range(3)]
    starts = read_starts(tensors_of(1, rows))
    assert [start.weight for start in starts[1]] == pytest.approx(RATE_WEIGHTS)
    for weight, row in ((1.0, 0), (2e-3, 1), (1e-6, 2)):
        found = nearest_start(starts, 1, LEVELS, 3, weight)
        assert found is not None
        assert found[0] == row
    assert nearest_start(starts, 0, LEVELS, 3, 1e-3) is None
    assert nearest_start(starts, 1, LEVELS, 1, 1e-3) is None
    with pytest.raises(ValueError, match=r"start\.middle has shape"):
        read_starts({"start.middle": np.zeros((1, 3), np.float16)})


def test_the_learned_start_is_worth_more_than_a_cold_one() -> None:
    pixels = picture(96, 128)
    start = nearest_start(family().starts, 1, LEVELS, 3, 1e-3)
    assert start is not None, "the package ships one"
    losses = []
    for begin in (start, None):
        losses.append(0.0)
        for seed in range(4):  # what cold ones find differs by two times
            fit = PictureFit(pixels, 1, LEVELS, 1e-3, seed)
            FitRun(fit, 60, Aim(), lambda part, seen: None, begin).run()
            losses[-1] += fit.score().loss
    assert losses[0] < 0.85 * losses[1]


def test_a_collapsed_fit_is_seen_and_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = picture()
    mean = np.broadcast_to(pixels.mean((0, 1)).round().astype(np.uint8), pixels.shape)
    assert has_collapsed(mean, pixels)
    half: NDArray[np.uint8] = pixels // 2 + mean // 2
    assert not has_collapsed(half, pixels)
    flat, near, far = (np.full((16, 16, 3), level, np.uint8) for level in (77, 78, 79))
    assert not has_collapsed(near, flat) and has_collapsed(far, flat)
    monkeypatch.setattr(encoder, "has_collapsed", lambda shown, pixels: True)
    with pytest.raises(tessera.ParameterError, match="no fit of this picture"):
        tessera.encode(picture(16, 16), codec="overfitted", iterations=2)

    def interrupt(status: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(tessera.ParameterError, match="interrupted before"):
        tessera.encode(picture(16, 16), codec="overfitted", iterations=2, watch=interrupt)
    data = tessera.encode(picture(16, 16), effort="best", iterations=2)
    with tessera.open(data) as clip:
        assert clip.info.codec == "spatiotemporal"


@pytest.mark.parametrize("kind", ["flat", "bright", "one pixel"])
def test_pictures_that_tempt_to_one_flat_colour(kind: str) -> None:
    """Whatever is written is nearer than the mean colour, and near to one flat colour, at a low quality."""
    y, x = np.mgrid[:32, :48]
    wave = np.sin(x / 3) * np.cos(y / 4)
    pixels = np.full((32, 48, 3), 180, np.uint8)
    if kind == "bright":
        pixels[...] = np.rint(250 + 4 * wave)[..., None]
    elif kind == "one pixel":
        pixels[20, 20] = 0, 255, 0
    shown = tessera.decode(tessera.encode(pixels, quality=20, **{**FAST, "iterations": 200}))
    assert not has_collapsed(shown, pixels)


def test_what_cannot_be_fitted_is_told_before_memory_is_taken() -> None:
    for sides in ((1, (1 << 15) + 1), (1 << 13, (1 << 11) + 1)):
        pixels = np.broadcast_to(np.zeros(3, np.uint8), (*sides, 3))
        with pytest.raises(FitFailed, match="too many to fit"):
            family().fit(pixels, GroupSpec(1, *sides, 3, 3200))


def test_networks_that_no_decoder_takes_are_not_written() -> None:
    fit = PictureFit(picture(), 1, 6, 1e-3)
    fit.start()
    fit.state.parameters[:] = 1e4
    with pytest.raises(FitFailed, match="too large to be coded"):
        NetworkRounding(fit, family().tables)


def test_effort_best_takes_the_better_codec() -> None:
    """Networks do not pay for 48x64 pixels after few steps; what is written is no larger than the fit."""
    pixels = picture()
    fitted = tessera.encode(pixels, **FAST)
    best = tessera.encode(pixels, effort="best", iterations=60, point="small")
    assert len(best) <= len(fitted)
    assert psnr(best, pixels) >= psnr(fitted, pixels)
    named = tessera.encode(pixels, effort="best", **FAST)
    with tessera.open(best) as one, tessera.open(named) as other:
        assert (one.info.codec, other.info.codec) == ("spatiotemporal", "overfitted")
    with pytest.raises(tessera.ParameterError, match="effort best is for pictures"):
        tessera.encode(np.stack([pixels, pixels]), effort="best", iterations=2)
    with pytest.raises(tessera.ParameterError, match="effort best is of codec overfitted"):
        tessera.encode(pixels, effort="best", codec="wavelet")


@pytest.mark.parametrize("sides", [(1, 1), (1, 9), (33, 17)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_and_channels(sides: tuple[int, int], channels: int) -> None:
    y, x = np.mgrid[: sides[0], : sides[1]]
    pixels = np.repeat((40 + 5 * y + 3 * x)[..., None], channels, -1).astype(np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    data = tessera.encode(pixels, **FAST)
    assert tessera.decode(data).shape == pixels.shape


def test_levels_follow_the_size() -> None:
    assert [levels_of(*sides) for sides in ((1, 1), (1, 2), (64, 64), (512, 768), (1080, 1920), (2160, 3840))] == [
        1, 2, 7, 7, 8, 9,
    ]  # fmt: skip


def test_an_aim_steers_towards_itself() -> None:
    seen = Score(0.0, 1e-3, 2000.0)
    assert Aim(bits=1000.0).steer(1.0, seen) > 1 > Aim(bits=4000.0).steer(1.0, seen)
    assert Aim(psnr=20.0).steer(1.0, seen) > 1 > Aim(psnr=40.0).steer(1.0, seen)
    assert Aim().steer(0.7, seen) == 0.7
    assert math.isclose(Aim(bits=1.0).steer(1.0, seen), running.STEER_MOST)
