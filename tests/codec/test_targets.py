"""Rate targets: within 2 % from below; PSNR targets: at least, and within 0.1 dB."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

import tessera
from tessera.codec.api import open_any
from tessera.codec.coding.stream import settings_for
from tessera.codec.coding.targets import SourceSample, encode_target, find, frame_psnr
from tessera.codec.options import from_keywords
from tessera.data import procedural
from tessera.models.base.quality import MAX_FINE, fine

from ..support import toy_family


def grainy(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With grain, so that the toy's few block classes do not switch all at once."""
    grain = np.random.default_rng(0).normal(0, 6, pixels.shape)
    return np.asarray(np.clip(np.rint(pixels + grain), 0, 255), np.uint8)


PICTURE = grainy(procedural.picture(192, 256))
CLIP = grainy(procedural.clip(40, 48, 64))


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


def mean_psnr(data: bytes, pixels: NDArray[np.uint8]) -> float:
    decoded = tessera.decode(data)
    pairs = zip(decoded, pixels, strict=True) if pixels.ndim == 4 else [(decoded, pixels)]
    return float(np.mean([frame_psnr(a, b) for a, b in pairs]))


@pytest.mark.parametrize("bpp", [1.0, 1.7, 3.3, 6.0, 12.0])
@pytest.mark.parametrize("pixels", [PICTURE, CLIP], ids=["picture", "clip"])
def test_bpp_is_met_from_below(pixels: NDArray[np.uint8], bpp: float) -> None:
    data = tessera.encode(pixels, codec="toy", bpp=bpp, gop=1)
    count = pixels.size // 3
    assert 0.98 * bpp <= 8 * len(data) / count <= bpp


@pytest.mark.parametrize("size", [9_000, 20_001, 77_777])
def test_size_counts_the_whole_file(size: int) -> None:
    from PIL import Image

    image = Image.fromarray(PICTURE)
    image.info["icc_profile"] = np.random.default_rng(0).bytes(3000)
    data = tessera.encode(image, codec="toy", size=size)
    assert 0.98 * size <= len(data) <= size


@pytest.mark.parametrize("psnr", [22.0, 30.0, 38.5, 45.0])
@pytest.mark.parametrize("pixels", [PICTURE, CLIP], ids=["picture", "clip"])
def test_psnr_is_met_from_above(pixels: NDArray[np.uint8], psnr: float) -> None:
    data = tessera.encode(pixels, codec="toy", psnr=psnr, gop=2)
    assert psnr <= mean_psnr(data, pixels) <= psnr + 0.1


@pytest.mark.parametrize(
    ("target", "word", "quality"),
    [
        ({"size": 60}, "cannot be reached", 0),
        ({"bpp": 0.001}, "cannot be reached", 0),
        ({"size": 10**9}, "beyond quality 100", MAX_FINE),
        ({"psnr": 101.0}, "cannot be reached", MAX_FINE),
    ],
)
def test_out_of_reach_is_met_as_nearly_as_possible(target: dict[str, float], word: str, quality: int) -> None:
    import io

    options = from_keywords(tessera.EncodeOptions, None, {"codec": "toy", "fps": 25, **target})
    source, _ = open_any(CLIP, options)
    encoded = encode_target(source, io.BytesIO(), settings_for(options))
    assert encoded.header.quality == quality
    assert len(encoded.warnings) == 1 and word in encoded.warnings[0]


def test_sample_predicts_the_file() -> None:
    options = from_keywords(tessera.EncodeOptions, None, {"codec": "toy", "fps": 25, "gop": 1})
    source, _ = open_any(CLIP, options)
    sample = SourceSample(source, settings_for(options))
    assert sample.worthwhile
    for quality in (10, 50, 90):
        real = len(tessera.encode(CLIP, codec="toy", quality=quality, gop=1))
        assert sample.size(fine(quality)) == pytest.approx(real, rel=0.05)


@pytest.mark.parametrize("curve", [lambda q: 5 + q / 1000, lambda q: math.log(1 + q), lambda q: (q / 640) ** 3])
def test_search_takes_few_steps(curve: object) -> None:
    assert callable(curve)
    for wanted in np.linspace(curve(30), curve(6300), 23):
        search = find(curve, wanted, (wanted - 0.01, wanted), 3200, 30)
        assert search.closed or wanted - 0.01 <= max(v for v in search.seen.values() if v <= wanted)
        assert len(search.seen) <= 14


def test_target_is_met_for_a_part_with_alpha() -> None:
    alpha = np.random.default_rng(1).integers(0, 2, (*CLIP.shape[:3], 1), dtype=np.uint8) * 255
    pixels = np.concatenate([CLIP, alpha], axis=3)
    data = tessera.encode(pixels, codec="toy", size=30_000, frames=(3, 23))
    assert 29_400 <= len(data) <= 30_000
    assert np.array_equal(tessera.decode(data)[..., 3], pixels[3:23, ..., 3])
