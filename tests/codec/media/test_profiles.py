"""Colours of pictures: gamma, primaries, code points, profiles of inks, linear light, and what outputs hold of them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from tessera.codec.media import SRGB, Colour, Frame, MediaInfo, open_source, write_media
from tessera.codec.media.profiles import profile

from ...support.media_samples import make_png, picture

P3 = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SRGB_PLACES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


def png(*chunks: tuple[bytes, bytes], colour: int = 2) -> io.BytesIO:
    rows = (b"\0" + bytes((128, 60, 20)[: 3 if colour else 1]) * 24) * 16
    return io.BytesIO(make_png(24, 16, 8, colour, rows, chunks))


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(100000 * value))


def chrm(places: tuple[float, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(100000 * place) for place in places))


def shown(icc: bytes, pixel: tuple[int, int, int]) -> tuple[int, ...]:
    """What a colour-managed viewer shows on an sRGB screen."""
    image = Image.new("RGB", (1, 1), pixel)
    made = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    out = ImageCms.profileToProfile(image, made, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert out is not None
    value: Any = out.getpixel((0, 0))
    return tuple(value)


def curve(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


@pytest.mark.parametrize("exponent", [1.0, 1.8, 2.2, 2.8])
def test_a_profile_is_what_its_numbers_say(exponent: float) -> None:
    """Against LittleCMS: with the primaries of sRGB only the curve differs."""
    pixel = (200, 128, 60)
    expected = [round(255 * curve((value / 255) ** exponent)) for value in pixel]
    assert np.abs(np.subtract(shown(profile(exponent, SRGB_PLACES), pixel), expected)).max() <= 2


def test_the_primaries_of_a_profile() -> None:
    """Display P3 red is beyond sRGB; a mild colour moves by the two matrices of the primaries."""
    p3 = np.array([[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0.0, 0.0451, 1.0439]])
    srgb = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    light = np.linalg.solve(srgb, p3 @ (np.array([150, 120, 100]) / 255) ** 2.2)
    expected = [255 * curve(value) for value in light]
    assert np.abs(np.subtract(shown(profile(2.2, P3), (150, 120, 100)), expected)).max() <= 2
    assert shown(profile(2.2, P3), (255, 255, 255)) == (255, 255, 255)


def test_gamma_and_primaries_become_a_profile() -> None:
    for chunks in ([gama(1.0)], [gama(0.45455), chrm(P3)], [chrm(P3)]):
        source = open_source(png(*chunks))
        assert source.icc is not None and not source.warnings
    assert max(shown(open_source(png(gama(1.0))).icc or b"", (128, 60, 20))) > 180
    gray = open_source(png(gama(1.0), colour=0))
    assert gray.icc is not None and gray.icc[16:20] == b"GRAY"
    for suffix in ("png", "jpg", "webp", "tif"):
        file = io.BytesIO()
        write_media(file, suffix, gray.media, gray.frames())
        assert Image.open(file).info["icc_profile"] == gray.icc


def test_srgb_in_other_words_needs_no_profile() -> None:
    cases: list[list[tuple[bytes, bytes]]]
    cases = [[], [gama(0.45455)], [gama(0.45455), chrm(SRGB_PLACES)], [(b"sRGB", b"\0"), gama(1.0)], [gama(0)]]
    for chunks in cases:
        source = open_source(png(*chunks))
        assert source.icc is None and source.colour == SRGB


def test_code_points_travel_from_png_to_png() -> None:
    source = open_source(png((b"cICP", bytes([9, 16, 0, 1]))))
    assert source.colour == Colour(9, 16, 0, True)
    for suffix, kept in (("png", True), ("jpg", False), ("webp", False)):
        file, warnings = io.BytesIO(), list[str]()
        write_media(file, suffix, source.media, source.frames(), warnings=warnings)
        assert (open_source(io.BytesIO(file.getvalue())).colour == source.colour) == kept
        assert kept or ("PQ" in warnings[0] and "primaries 9" in warnings[0])
    assert open_source(png((b"cICP", bytes([1, 13, 0, 1])))).colour == SRGB


@pytest.mark.parametrize("transfer", [16, 18])
def test_frames_of_hdr_clips_are_tagged_or_warned_about(transfer: int, tmp_path: Path) -> None:
    media = MediaInfo("video", 24, 16, 3, colour=Colour(9, transfer, 9))
    frame = Frame(picture(16, 24))
    write_media(str(tmp_path / "frames"), "", media, iter([frame]))
    assert open_source(str(tmp_path / "frames")).colour == Colour(9, transfer, 0, True)
    for suffix in ("jpg", "webp", "gif", "npy", "avif"):
        warnings: list[str] = []
        write_media(io.BytesIO(), suffix, media, iter([frame]), warnings=warnings)
        assert any("colour description" in line for line in warnings)
    warnings = []
    write_media(io.BytesIO(), "jpg", MediaInfo("video", 24, 16, 3), iter([frame]), warnings=warnings)
    assert not warnings


def test_inks_go_through_their_profile() -> None:
    """A profile that swaps what plain CMYK means: only who uses it gets the colours right."""
    image = Image.fromarray(picture(16, 24)).convert("CMYK")
    plain = np.asarray(image.convert("RGB"))
    file = io.BytesIO()
    image.save(file, "TIFF", icc_profile=b"no profile at all")
    source = open_source(io.BytesIO(file.getvalue()))
    assert "without a colour profile" in source.warnings[0]
    np.testing.assert_array_equal(next(source.frames()).pixels, plain)
    path = Path("/usr/share/color/icc/ghostscript/default_cmyk.icc")
    if not path.is_file():
        pytest.skip("no CMYK profile on this machine")
    icc = path.read_bytes()
    file = io.BytesIO()
    image.save(file, "TIFF", icc_profile=icc)
    source = open_source(io.BytesIO(file.getvalue()))
    made, screen = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(image, made, screen, outputMode="RGB")
    np.testing.assert_array_equal(next(source.frames()).pixels, np.asarray(expected))
    assert "by its colour profile" in source.warnings[0] and source.icc is None
    assert np.abs(np.asarray(expected).astype(int) - plain).mean() > 5


def test_linear_floats_get_the_curve_of_srgb() -> None:
    values = np.tile(np.linspace(-0.1, 1.2, 24, dtype=np.float32), (16, 1))
    light = np.stack([values, values / 2, values / 4], axis=-1)
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as output:
        stream: Any = output.add_stream("exr", rate=1)
        stream.width, stream.height, stream.pix_fmt = 24, 16, "gbrpf32le"
        frame = av.VideoFrame.from_ndarray(light, "gbrpf32le")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    source = open_source(file)
    expected = np.rint(255 * np.vectorize(curve)(light.clip(0, 1)))
    assert np.abs(next(source.frames()).pixels - expected).max() <= 1
    assert "linear light" in source.warnings[0]
