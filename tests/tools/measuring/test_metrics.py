"""The metrics beside second implementations: scikit-image, FFmpeg's filters, our own MS-SSIM, published BD-rates."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tessera.codec.media.types import Pixels
from tessera.data import procedural
from tessera.tools.measuring import bdrate, metrics

Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def pair() -> tuple[Pixels, Pixels]:
    """A picture and a coarsened, noisy copy, 180 x 220."""
    first = procedural.picture(180, 220)
    noise = np.random.default_rng(0).normal(0, 4, first.shape)
    second = np.clip(np.rint(first // 8 * 8 + 4 + noise), 0, 255).astype(np.uint8)
    return first, second


def test_psnr_of_known_errors() -> None:
    black = np.zeros((4, 6, 3), np.uint8)
    assert metrics.psnr(black, black) == math.inf
    assert metrics.psnr(black, black + np.uint8(255)) == 0
    one = black.copy()
    one[0, 0, 0] = 1  # mean squared error 1 / 72
    assert metrics.psnr(black, one) == pytest.approx(10 * math.log10(255**2 * 72))


def test_psnr_is_scikit_images(pair: tuple[Pixels, Pixels]) -> None:
    measure = pytest.importorskip("skimage.metrics")
    assert metrics.psnr(*pair) == pytest.approx(measure.peak_signal_noise_ratio(*pair), abs=1e-9)


def _filter(name: str, first: Pixels, second: Pixels, layout: str) -> dict[str, str]:
    """What FFmpeg's filter `name` says of two pictures in `layout`."""
    import av
    from av.filter import Graph, filters_available

    if name not in filters_available:
        pytest.skip(f"this FFmpeg has no filter {name}")
    graph = Graph()
    frames = [av.VideoFrame.from_ndarray(pixels, format=layout) for pixels in (first, second)]
    base = Fraction(1, 25)
    sources = [graph.add_buffer(width=f.width, height=f.height, format=f.format, time_base=base) for f in frames]
    compare, sink = graph.add(name), graph.add("buffersink")
    for index, source in enumerate(sources):
        source.link_to(compare, 0, index)
    compare.link_to(sink)
    graph.configure()
    for source, frame in zip(sources, frames, strict=True):
        frame.pts = 0
        source.push(frame)
        source.push(None)
    found: Any = sink.pull()
    return dict(found.metadata)


def test_psnr_is_ffmpegs(pair: tuple[Pixels, Pixels]) -> None:
    said = _filter("psnr", *pair, "rgb24")
    assert metrics.psnr(*pair) == pytest.approx(float(said["lavfi.psnr.psnr_avg"]), abs=0.01)


def test_yuv_psnr_is_ffmpegs_of_the_same_planes(pair: tuple[Pixels, Pixels]) -> None:
    planes = [metrics.yuv420(pixels, "bt601") for pixels in pair]
    packed = [np.concatenate([plane.ravel() for plane in three]).reshape(-1, 220) for three in planes]
    said = _filter("psnr", packed[0], packed[1], "yuv420p")
    y, u, v = (float(said[f"lavfi.psnr.psnr.{plane}"]) for plane in "yuv")
    assert metrics.psnr_yuv(*pair) == pytest.approx((6 * y + u + v) / 8, abs=0.01)


@pytest.mark.parametrize(("matrix", "number"), [("bt601", 5), ("bt709", 1)])
def test_yuv_planes_are_ffmpegs(matrix: str, number: int) -> None:
    import av

    smooth = procedural.picture(64, 96)
    frame = av.VideoFrame.from_ndarray(smooth, format="rgb24")
    theirs = frame.reformat(format="yuv444p", dst_colorspace=number, dst_color_range=1)
    luma = np.frombuffer(bytes(theirs.planes[0]), np.uint8).reshape(64, -1)[:, :96]
    ours = metrics.yuv420(smooth, matrix)[0]
    assert np.abs(luma.astype(int) - ours).max() <= 2  # its fixed-point arithmetic
    gray = np.full((5, 7, 3), 100, np.uint8)
    y, u, v = metrics.yuv420(gray, matrix)
    assert (y == round(16 + 100 * 219 / 255)).all() and (u == 128).all() and (v == 128).all()
    assert u.shape == v.shape == (3, 4)


@pytest.mark.needs("pytorch_msssim")
def test_ms_ssim_needs_161_pixels() -> None:
    pixels = procedural.picture(161, 170)
    assert metrics.ms_ssim(pixels, pixels) == pytest.approx(1)
    assert metrics.ms_ssim(pixels[:160], pixels[:160]) is None


def _blur(plane: Array) -> Array:
    """An 11-tap Gaussian of deviation 1.5 in both directions, only where it fits."""
    taps = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    taps /= taps.sum()
    windows = np.lib.stride_tricks.sliding_window_view(plane, 11, axis=0) @ taps
    return np.asarray(np.lib.stride_tricks.sliding_window_view(windows, 11, axis=1) @ taps)


def _ms_ssim_plane(a: Array, b: Array) -> float:
    """MS-SSIM of one plane as Wang, Simoncelli and Bovik (2003) write it."""
    result = 1.0
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, weight in enumerate(weights):
        mean_a, mean_b = _blur(a), _blur(b)
        both = _blur(a * b) - mean_a * mean_b
        power = _blur(a * a) - mean_a**2 + _blur(b * b) - mean_b**2
        contrast = (2 * both + 58.5225) / (power + 58.5225)
        light = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
        result *= float((contrast * light if scale == len(weights) - 1 else contrast).mean()) ** weight
        a, b = (x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3)) for x in (a, b))
    return result


@pytest.mark.needs("pytorch_msssim")
def test_ms_ssim_is_the_papers() -> None:
    first = procedural.picture(192, 224)
    noise = np.random.default_rng(1).normal(0, 12, first.shape)
    second = np.clip(np.rint(first + noise), 0, 255).astype(np.uint8)
    planes = [_ms_ssim_plane(first[..., c].astype(float), second[..., c].astype(float)) for c in range(3)]
    assert metrics.ms_ssim(first, second) == pytest.approx(np.mean(planes), abs=2e-5)


def test_ssim_of_the_same_package_is_scikit_images(pair: tuple[Pixels, Pixels]) -> None:
    """The single-scale measure that MS-SSIM is built of."""
    measure = pytest.importorskip("skimage.metrics")
    ssim = pytest.importorskip("pytorch_msssim").ssim
    import torch

    first, second = (torch.from_numpy(pixels).permute(2, 0, 1)[None].float() for pixels in pair)
    _, full = measure.structural_similarity(
        *pair, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True, data_range=255
    )
    inside = full[5:-5, 5:-5].mean()  # theirs pads the border, ours has none
    assert float(ssim(first, second, data_range=255)) == pytest.approx(inside, abs=1e-4)


def test_lpips_says_why_it_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    metrics._lpips_network.cache_clear()
    assert metrics.LPIPS_WEIGHTS in metrics.why_no_lpips() or "lpips" in metrics.why_no_lpips()
    pixels = procedural.picture(64, 64)
    assert metrics.lpips(pixels, pixels) is None
    metrics._lpips_network.cache_clear()


# Rates in kbit/s and PSNRs in dB of the example that the package bjontegaard and the spreadsheet of VCEG-AL22 use.
_ANCHOR = [(686.76, 40.28), (309.58, 37.18), (157.11, 34.24), (85.95, 31.42)]
_TEST = [(893.34, 40.39), (407.8, 37.21), (204.93, 34.17), (112.75, 31.24)]


def _polynomial_bd_rate(test: list[bdrate.Point], anchor: list[bdrate.Point]) -> float:
    """Bjontegaard's first form (VCEG-M33): third-order polynomials of log rate over quality."""
    low = max(min(q for _, q in curve) for curve in (test, anchor))
    high = min(max(q for _, q in curve) for curve in (test, anchor))

    def area(curve: list[bdrate.Point]) -> float:
        quality, rate = np.array([q for _, q in curve]), np.log([r for r, _ in curve])
        whole = np.polyint(np.polyfit(quality, rate, 3))
        return float(np.polyval(whole, high) - np.polyval(whole, low))

    return (math.exp((area(test) - area(anchor)) / (high - low)) - 1) * 100


@pytest.mark.needs("bjontegaard")
def test_bd_rate_is_near_the_first_form_of_bjontegaard() -> None:
    found = bdrate.compare("test", _TEST, "anchor", _ANCHOR, "psnr")
    assert found.akima == pytest.approx(_polynomial_bd_rate(_TEST, _ANCHOR), abs=0.5)
    assert found.pchip == pytest.approx(_polynomial_bd_rate(_TEST, _ANCHOR), abs=0.5)


@pytest.mark.needs("bjontegaard")
def test_bd_rate_of_a_scaled_curve_is_the_scale() -> None:
    anchor = [(0.1 * 2**i, 28 + 2.5 * i) for i in range(6)]
    saved = [(0.8 * rate, quality) for rate, quality in anchor]
    found = bdrate.compare("ours", saved, "theirs", anchor, "psnr")
    assert found.akima == pytest.approx(-20) and found.pchip == pytest.approx(-20)
    assert (found.low, found.high, found.overlap) == (28, 40.5, 1)


@pytest.mark.needs("bjontegaard")
def test_bd_rate_within_a_span() -> None:
    """Over all of both curves it is the plain one; of a loss that grows with quality it sees that of the span."""
    whole = bdrate.compare("test", _TEST, "anchor", _ANCHOR, "psnr").akima
    assert bdrate.within(_TEST, _ANCHOR, 0, 99) == pytest.approx(whole)
    anchor = [(0.1 * 2**i, 28 + 2.5 * i) for i in range(9)]
    other = [(rate * math.exp(0.02 * (quality - 34)), quality) for rate, quality in anchor]
    assert bdrate.within(other, anchor, 20, 32) == pytest.approx(100 * (math.exp(0.02 * (30 - 34)) - 1))
    assert bdrate.within(other, anchor, 40, 60) == pytest.approx(100 * (math.exp(0.02 * (44 - 34)) - 1))
    assert bdrate.within(other, anchor, 47, 60) is None and bdrate.within(anchor[:3], anchor, 28, 38) is None


@pytest.mark.needs("bjontegaard")
def test_bd_rate_says_why_there_is_none() -> None:
    anchor = [(0.1 * 2**i, 28 + 2.5 * i) for i in range(6)]
    apart = [(rate, quality + 30) for rate, quality in anchor]
    touching = [(rate, quality + 10) for rate, quality in anchor]  # 2.5 of 12.5 dB in common
    assert bdrate.compare("a", anchor[:3], "b", anchor, "psnr").note == "a curve has fewer than four rising points"
    assert bdrate.compare("a", apart, "b", anchor, "psnr").note == "the curves share no quality"
    refused = bdrate.compare("a", touching, "b", anchor, "psnr")
    assert refused.akima is None and refused.note == "the curves share only 2.5 dB, 20% of the narrower one"
    bent = [*anchor, (9.0, 30.0)]
    found = bdrate.compare("a", bent, "b", anchor, "psnr")
    assert found.akima == pytest.approx(0, abs=1e-9) and found.note == "1 points left out, not rising"


@pytest.mark.needs("bjontegaard")
def test_mean_of_bd_rates_counts_the_refused() -> None:
    anchor = [(0.1 * 2**i, 28 + 2.5 * i) for i in range(6)]
    half, more = ([(factor * r, q) for r, q in anchor] for factor in (0.5, 1.1))
    rates = [bdrate.compare("a", test, "b", anchor, "psnr") for test in (half, more, anchor[:2])]
    for order in itertools.permutations(rates):
        found = bdrate.mean(order)
        assert found.akima == pytest.approx((-50 + 10) / 2) and found.sources == 2
        assert found.note == "1 of 3 sources refused"
    assert bdrate.mean(rates[2:]).akima is None
