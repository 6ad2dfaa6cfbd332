"""Family `nerv` through files: round trips, sizes, single frames, tokens, forged streams."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import tessera
from tessera.codec import media
from tessera.codec.coding import weights
from tessera.codec.coding.groups import paint_group, read_latents
from tessera.codec.coding.ports import BitMeter, EncoderPort
from tessera.codec.coding.targets import frame_psnr
from tessera.codec.files import encode_file
from tessera.codec.format.container import GroupData
from tessera.codec.format.seekable import FileReader
from tessera.codec.limits import DEFAULT_LIMITS
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.base.fitted import FitStatus
from tessera.models.base.quality import fine
from tessera.models.nerv import schedule
from tessera.models.nerv.config import ARCHITECTURES
from tessera.models.nerv.decoder import NervDecoder
from tessera.models.nerv.family import NervFamily

from ...support.kernel_paths import threads

Pixels = NDArray[np.uint8]
CLIP = procedural.clip(8, 48, 64)


@pytest.fixture(scope="module")
def family() -> NervFamily:
    loaded, _ = weights.load("nerv")
    assert isinstance(loaded, NervFamily)
    return loaded


@pytest.fixture(scope="module")
def small() -> bytes:
    """One fit that several tests read: 8 frames in two segments."""
    return tessera.encode(CLIP, codec="nerv", params="15K", epochs=16, segment=5, fps=25)


def psnr(a: Pixels, b: Pixels) -> float:
    return float(np.mean([frame_psnr(x, y) for x, y in zip(a, b, strict=True)]))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_learns(arch: str) -> None:
    data = tessera.encode(CLIP[:4], codec="nerv", arch=arch, params="20K", epochs=16)
    decoded = tessera.decode(data)
    flat = np.broadcast_to(CLIP[:4].mean((0, 1, 2)).astype(np.uint8), CLIP[:4].shape)
    assert decoded.shape == CLIP[:4].shape and psnr(decoded, CLIP[:4]) > psnr(flat, CLIP[:4]) + 1


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 3), (2, 33, 47, 3), (1, 48, 64, 3), (3, 5, 70, 3), (4, 24, 32, 1), (2, 17, 9, 4), (20, 24, 3)]
)
def test_any_size(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    decoded = tessera.decode(tessera.encode(pixels, codec="nerv", epochs=2))
    assert decoded.shape == pixels.shape
    if shape[-1] == 4:
        assert np.array_equal(decoded[..., 3], pixels[..., 3])


def test_fitted_and_decoded_frames_are_the_same(family: NervFamily) -> None:
    """What the last epochs report is the PSNR of the decoded file: rounding is part of the fit, nothing follows it."""
    seen: list[FitStatus] = []
    data = tessera.encode(CLIP, codec="nerv", params="20K", epochs=40, watch=seen.append)
    assert psnr(tessera.decode(data), CLIP) == pytest.approx(seen[-1].psnr, abs=0.15)
    assert [status.part for status in seen] == sorted(status.part for status in seen) and seen[-1].part == 1
    assert seen[0].bits == 0 and 0.95 * seen[-1].bits <= 8 * len(data) <= 1.12 * seen[-1].bits


@pytest.mark.parametrize("segment", [8, 3])
def test_estimated_bits_are_the_files(family: NervFamily, segment: int) -> None:
    spec = GroupSpec(8, 48, 64, 3, fine(80))
    chosen = family.configure("fast", epochs=4, params="20K", segment=segment)
    meter, coder = BitMeter(family.tables), EncoderPort(family.tables)
    chosen.encode(CLIP, spec, meter)
    chosen.encode(CLIP, spec, coder)
    payload = coder.finish()
    assert abs(8 * len(payload) - meter.bits) <= 0.02 * meter.bits
    assert 8 * len(payload) <= 20e3 * 5 * 1.02


def test_size_is_met() -> None:
    """From below; a fit as short as this one steers its rate roughly."""
    data = tessera.encode(CLIP, codec="nerv", size=9_000, epochs=24)
    assert 0.94 * 9_000 <= len(data) <= 9_000


def test_size_is_met_where_symbols_must_vouch_for_pixels() -> None:
    """As they must for long groups of large frames: what is measured before the fit has none."""
    limits = tessera.Limits(free=0)
    data = tessera.encode(CLIP, codec="nerv", size=9_000, epochs=1, limits=limits)
    assert len(data) <= 9_000 and tessera.decode(data, limits=limits).shape == CLIP.shape


def test_size_counts_alpha_and_several_groups() -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 1), dtype=np.uint8)
    pixels = np.concatenate([CLIP[:4, :24, :32], alpha], 3)
    data = tessera.encode(pixels, codec="nerv", size=24_000, epochs=3, gop=2)
    assert len(data) <= 24_000 and tessera.decode(data).shape == pixels.shape


def test_what_cannot_be_met_is_said(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(CLIP[0]).save(tmp_path / "a.png")
    source, target = str(tmp_path / "a.png"), str(tmp_path / "a.tsr")
    report = encode_file(source, target, codec="nerv", size=60, epochs=1)
    assert len(report.warnings) == 1 and "cannot be reached" in report.warnings[0]
    with pytest.raises(tessera.ParameterError, match="not a psnr"):
        encode_file(source, target, codec="nerv", psnr=30, force=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "nerf"}, "there is no arch 'nerf'"),
        ({"params": "many"}, "params 'many'"),
        ({"params": 5}, "params 5"),
        ({"bits": 40}, "bits 40"),
        ({"epochs": 0}, "epochs 0"),
        ({"minutes": -1}, "minutes -1"),
        ({"segment": 0}, "segment 0"),
        ({"optimiser": "sgd"}, "there is no optimiser 'sgd'"),
        ({"colour": 1}, "no option colour"),
        ({"watch": 1}, "watch is a callable"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(tessera.ParameterError, match=message):
        tessera.encode(CLIP, codec="nerv", **options)  # type: ignore[arg-type]


def test_minutes_end_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which every step takes 0.05 seconds."""
    ticks = count(time.perf_counter(), 0.05)
    next(ticks)
    monkeypatch.setattr(schedule, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    seen: list[FitStatus] = []
    tessera.encode(CLIP, codec="nerv", params="14K", epochs=10**6, minutes=0.02, watch=seen.append)
    assert 1.15 < seen[-1].seconds < 1.3 and seen[-1].part == 1 and seen[-1].bits > 0


# -- reading -----------------------------------------------------------------------------------------------------------


def test_frames_alone_are_those_of_the_group(small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tessera.decode(small)
    runs: list[int] = []
    forward = NervDecoder.forward

    def counted(self: NervDecoder, *args: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return forward(self, *args)

    monkeypatch.setattr(NervDecoder, "forward", counted)
    with tessera.open(small) as clip:
        assert np.array_equal(clip[6], whole[6]) and len(runs) == 1
        assert np.array_equal(clip[2:4], whole[2:4]) and len(runs) == 3
        assert np.array_equal(clip[-1], whole[-1])
    assert np.array_equal(tessera.decode(small, frames=(4, 7)), whole[4:7])


def test_decoding_is_the_same_whatever_is_asked_first(small: bytes, family: NervFamily) -> None:
    again = tessera.decode(small)
    with threads(1):
        assert np.abs(again.astype(int) - tessera.decode(small)).max() <= 1
    fast = tessera.decode(small, decoder="fast")
    assert psnr(fast, again) > 35


def test_between_frames(small: bytes) -> None:
    with tessera.open(small) as clip:
        assert np.array_equal(clip.at(3 / 25), clip[3])
        assert np.array_equal(clip.at(-1), clip[0]) and np.array_equal(clip.at(99), clip[7])
        between = clip.at(1.5 / 25)
        assert between.shape == (48, 64, 3)
        nearest = max(frame_psnr(between, clip[1]), frame_psnr(between, clip[2]))
        assert nearest > frame_psnr(clip[0], clip[7])
    several = tessera.encode(CLIP, codec="nerv", params="14K", epochs=1, gop=3, fps=25)
    with tessera.open(several) as clip:
        assert all(np.array_equal(clip.at(k / 25), clip[k]) for k in range(8))
        assert np.array_equal(clip.at(2.4 / 25), clip[2]) and np.array_equal(clip.at(2.6 / 25), clip[3])
    with (
        tessera.open(tessera.encode(CLIP, quality=30, fps=25)) as clip,
        pytest.raises(tessera.ParameterError, match="no frames between frames"),
    ):
        clip.at(0.1)


@pytest.mark.parametrize("arch", ["hnerv", "nerv"])
def test_latents(arch: str) -> None:
    data = tessera.encode(CLIP, codec="nerv", arch=arch, params="20K", epochs=2, segment=5, fps=25)
    with tessera.open(data) as clip:
        grid = clip.latents()
        payload = clip.info.groups[0].bits
        tokens = clip.tokens(budget=4)
    assert grid.x.shape[0] == 8 and grid.bits is not None and grid.bits.shape == grid.x.shape[:3]
    assert bool(grid.valid.all()) and grid.frame_type.tolist() == [0] * 5 + [1] * 3
    assert 0.9 * payload <= float(grid.bits.sum()) <= payload
    assert tokens.x.shape == (4, grid.x.shape[3])
    assert grid.x.shape[1:] == ((3, 4, 10) if arch == "hnerv" else (1, 1, 32))


def test_warm_start_reaches_more_in_few_steps(family: NervFamily) -> None:
    """NIRVANA's claim (seed row 15): a later group of frames starts from the network before it."""
    seen: list[FitStatus] = []
    tessera.encode(CLIP, codec="nerv", params="20K", epochs=16, segment=4, watch=seen.append)
    cold = [status.psnr for status in seen if status.part <= 2 / 3 + 1e-9]
    warm = [status.psnr for status in seen[len(cold) :]]
    reached = cold[-1] - 0.5

    def steps(curve: list[float]) -> int:
        return next(k for k, value in enumerate(curve) if value >= reached)

    assert steps(warm) < steps(cold) / 2


# -- files -------------------------------------------------------------------------------------------------------------


def test_an_interrupt_leaves_no_file_and_can_go_on(tmp_path: Path) -> None:
    source, target = str(tmp_path / "clip.y4m"), tmp_path / "clip.tsr"
    with media.from_array(CLIP, Fraction(25)) as made:
        media.write_media(source, ".y4m", made.media, made.frames())
    calls: list[FitStatus] = []

    def watch(status: FitStatus) -> None:
        calls.append(status)
        if len(calls) == 20:
            raise KeyboardInterrupt

    options = {"params": "14K", "epochs": 10, "checkpoint": str(tmp_path / "kept")}
    with pytest.raises(KeyboardInterrupt):
        encode_file(source, str(target), codec="nerv", watch=watch, **options)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.y4m", "kept"]
    encode_file(source, str(target), codec="nerv", watch=watch, **options)  # type: ignore[arg-type]
    assert len(calls) == 20 + 1 + 20 and target.is_file()
    assert calls[20] == replace(calls[19], earlier=calls[20].earlier) and calls[20].earlier > 0
    assert not any(status.earlier for status in (*calls[:20], *calls[21:]))
    encode_file(source, str(tmp_path / "b.tsr"), codec="nerv", **{**options, "checkpoint": str(tmp_path / "none")})  # type: ignore[arg-type]
    assert (tmp_path / "b.tsr").read_bytes() == target.read_bytes()


def test_damaged_symbols_are_refused_or_decoded(small: bytes, family: NervFamily) -> None:
    """Symbols with bytes changed and checksums that hold: FormatError or frames."""
    reader = FileReader(io.BytesIO(small), DEFAULT_LIMITS)
    group = reader.group(0)
    symbols = bytes(group.symbols)
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(40):
        forged = bytearray(symbols[: rng.integers(4, len(symbols))] if trial % 4 == 0 else symbols)
        forged[int(rng.integers(0, min(len(forged), 60 if trial % 2 else len(forged))))] ^= 1 << int(rng.integers(8))
        data = GroupData(group.number, group.head, bytes(forged), None, {}, None)
        for use in (paint_group, read_latents):
            try:
                use(family, reader.header, data, DEFAULT_LIMITS)
            except tessera.FormatError:
                refused += 1
    assert refused > 10
