"""Pictures in and out: every mode, orientation, size, metadata."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tessera.codec.errors import ParameterError, UnsupportedError
from tessera.codec.media import Frame, MediaInfo, Source, from_pil, open_source, write_media

from ...support.media_samples import Pixels, alpha_of, make_png, picture, save, stored


def only(source: Source) -> Frame:
    frames = list(source.frames())
    assert len(frames) == 1 and source.frame_count == 1 and source.kind == "picture"
    return frames[0]


def written(suffix: str, media: MediaInfo, frame: Frame) -> io.BytesIO:
    file = io.BytesIO()
    write_media(file, suffix, media, iter([frame]))
    file.seek(0)
    return file


RGB = picture(17, 23)
ALPHA = picture(17, 23, 1, seed=5)[..., 0]


def test_rgb_gray_and_alpha_are_exact() -> None:
    for array in (RGB, RGB[..., 0], np.dstack([RGB, ALPHA]), np.dstack([RGB[..., 0], ALPHA])):
        source = open_source(stored(Image.fromarray(array), "PNG"))
        frame = only(source)
        shown = array if array.ndim == 3 else array[..., None]
        colours = shown.shape[2] - (shown.shape[2] % 2 == 0)
        assert source.channels == colours and source.alpha == (shown.shape[2] % 2 == 0)
        np.testing.assert_array_equal(frame.pixels, shown[..., :colours])
        if source.alpha:
            np.testing.assert_array_equal(alpha_of(frame), ALPHA)
        assert not source.warnings


def test_palette_with_and_without_transparency() -> None:
    indexed = Image.fromarray(RGB).quantize(16)
    expected = np.asarray(indexed.convert("RGB"))
    frame = only(open_source(stored(indexed, "PNG")))
    np.testing.assert_array_equal(frame.pixels, expected)
    assert frame.alpha is None
    opacity = bytes(range(0, 160, 10))
    frame = only(open_source(stored(indexed, "PNG", transparency=opacity)))
    np.testing.assert_array_equal(frame.pixels, expected)
    np.testing.assert_array_equal(alpha_of(frame), np.frombuffer(opacity, np.uint8)[np.asarray(indexed)])


def test_colour_key_becomes_alpha() -> None:
    array = RGB.copy()
    array[3, 4] = (1, 2, 3)
    frame = only(open_source(stored(Image.fromarray(array), "PNG", transparency=(1, 2, 3))))
    assert frame.alpha is not None and frame.alpha[3, 4] == 0 and int((frame.alpha == 0).sum()) == 1


def test_bilevel_and_cmyk() -> None:
    bits = Image.fromarray((RGB[..., 0] > 128).astype(np.uint8) * 255).convert("1")
    source = open_source(stored(bits, "PNG"))
    np.testing.assert_array_equal(only(source).pixels[..., 0], np.asarray(bits.convert("L")))
    assert source.channels == 1
    inks = Image.fromarray(RGB).convert("CMYK")
    source = open_source(stored(inks, "TIFF"))
    np.testing.assert_array_equal(only(source).pixels, np.asarray(inks.convert("RGB")))
    assert "CMYK" in source.warnings[0]


def test_sixteen_bits_are_reduced_with_a_warning() -> None:
    deep = np.arange(17 * 23, dtype=np.uint16).reshape(17, 23) * 167
    for kind in ("PNG", "TIFF"):
        source = open_source(stored(Image.fromarray(deep), kind))
        np.testing.assert_array_equal(only(source).pixels[..., 0], np.rint(deep / 257).astype(np.uint8))
        assert source.channels == 1 and "16-bit" in source.warnings[0]


def test_sixteen_bit_colour_png() -> None:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in RGB.astype(np.uint16) * 257)
    source = open_source(io.BytesIO(make_png(23, 17, 16, 2, rows)))
    np.testing.assert_array_equal(only(source).pixels, RGB)
    assert "16-bit" in source.warnings[0]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_samples_without_a_fixed_white_are_refused(kind: Any) -> None:
    """A gradient of 0..255 in 32-bit integers is not a 16-bit picture, which would be black."""
    image = Image.fromarray(RGB[..., 0].astype(kind))
    with pytest.raises(UnsupportedError, match="no fixed white"):
        open_source(stored(image, "TIFF"))
    with pytest.raises(UnsupportedError, match="no fixed white"):
        from_pil(image)


def test_sixteen_bit_pgm() -> None:
    deep = (np.arange(17 * 23).reshape(17, 23) * 167).astype(">u2")
    source = open_source(io.BytesIO(b"P5 23 17 65535\n" + deep.tobytes()))
    np.testing.assert_array_equal(only(source).pixels[..., 0], np.rint(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("colour", [0, 2])
def test_the_transparent_colour_of_a_deep_png(colour: int) -> None:
    samples = np.full((17, 23, 3 if colour else 1), 40000, ">u2")
    samples[:5] = 1000
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    data = make_png(23, 17, 16, colour, rows, [(b"tRNS", samples[0, 0].tobytes())])
    alpha = alpha_of(only(open_source(io.BytesIO(data))))
    assert not alpha[:5].any() and (alpha[5:] == 255).all()


@pytest.mark.needs("pillow_heif")
def test_heic_is_the_whole_grid_with_its_alpha_and_profile() -> None:
    import pillow_heif
    from PIL import ImageCms

    from ...support.heif_grid import heic_grid

    pixels = picture(128, 256)
    source = open_source(io.BytesIO(heic_grid(pixels, 64)))
    assert (source.kind, source.width, source.height) == ("picture", 256, 128)
    assert np.abs(only(source).pixels.astype(int) - pixels).mean() < 4
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    image = Image.fromarray(np.dstack([pixels, np.full((128, 256), 77, np.uint8)]))
    encode: Any = pillow_heif.from_pillow
    encode(image).save(file, quality=95, icc_profile=profile)
    file.seek(0)
    file.seek(0)
    source = open_source(file)
    assert source.icc == profile and abs(int(alpha_of(only(source))[0, 0]) - 77) < 3


def test_heic_without_its_reader_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
    with pytest.raises(UnsupportedError, match=r"tessera-codec\[heif\]"):
        open_source(io.BytesIO(head))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "PPM", "pgm"])
def test_pictures_one_after_another_are_a_video(kind: str) -> None:
    frames = [Image.fromarray(picture(16, 24, seed=i)) for i in range(5)]
    if kind == "pgm":
        frames = [frame.convert("L") for frame in frames]
    name = "PPM" if kind == "pgm" else kind
    source = open_source(io.BytesIO(b"".join(stored(frame, name).getvalue() for frame in frames)))
    shown = list(source.frames())
    assert source.kind == "video" and len(shown) == 5
    for frame, image in zip(shown, frames, strict=True):
        error = np.abs(frame.pixels.astype(int) - np.atleast_3d(np.asarray(image)))
        assert error.mean() < (6 if kind == "JPEG" else 0.001)


def test_a_picture_with_something_behind_it_is_a_picture() -> None:
    jpeg = stored(Image.fromarray(RGB), "JPEG").getvalue()
    smaller = stored(Image.fromarray(RGB[:8, :8]), "JPEG").getvalue()
    for rest in (b"\xff", b"\xff\xd8", bytes(100), smaller):
        assert open_source(io.BytesIO(jpeg + rest)).kind == "picture"
    mpo = stored(Image.fromarray(RGB), "MPO", save_all=True, append_images=[Image.fromarray(RGB[::-1])])
    assert "2 pages" in open_source(mpo).warnings[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    raw = exif.tobytes()
    source = open_source(stored(Image.fromarray(RGB), "PNG", exif=raw))
    turned = Image.open(stored(Image.fromarray(RGB), "PNG", exif=raw))
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(turned))
    np.testing.assert_array_equal(only(source).pixels, expected)
    assert (source.height, source.width) == expected.shape[:2]
    again = open_source(written("png", source.media, only(source)))
    np.testing.assert_array_equal(only(again).pixels, expected)
    kept = Image.open(written("jpg", source.media, only(source))).getexif()
    assert kept[0x0112] == 1 and kept[0x010F] == "Maker"


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_orientation_in_other_formats(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = open_source(stored(Image.fromarray(RGB), kind, exif=exif))
    assert (source.width, source.height) == (17, 23)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp", "tga", "ppm", "jp2"])
@pytest.mark.parametrize("array", [RGB, np.dstack([RGB, ALPHA]), RGB[..., :1]], ids=["rgb", "rgba", "gray"])
def test_lossless_suffixes_round_trip(suffix: str, array: Pixels) -> None:
    alpha = array.shape[2] == 4
    media = MediaInfo("picture", 23, 17, 1 if array.shape[2] == 1 else 3, alpha)
    frame = Frame(array[..., :3], array[..., 3] if alpha else None)
    if alpha and suffix in ("bmp", "ppm"):
        with pytest.raises(ParameterError, match="alpha"):
            written(suffix, media, frame)
        return
    back = only(open_source(written(suffix, media, frame)))
    np.testing.assert_array_equal(np.broadcast_to(frame.pixels, back.pixels.shape), back.pixels)
    if alpha:
        np.testing.assert_array_equal(alpha_of(back), alpha_of(frame))


@pytest.mark.parametrize("suffix", ["jpg", "avif"])
def test_lossy_suffixes_are_close(suffix: str) -> None:
    back = only(open_source(written(suffix, MediaInfo("picture", 23, 17, 3), Frame(RGB))))
    assert np.abs(back.pixels.astype(int) - RGB).mean() < 3


def test_jpeg_refuses_alpha_and_names_the_remedy() -> None:
    with pytest.raises(ParameterError, match="png"):
        written("jpg", MediaInfo("picture", 23, 17, 3, True), Frame(RGB, ALPHA))


def test_profile_and_exif_survive() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    source = open_source(stored(Image.fromarray(RGB), "PNG", icc_profile=profile, exif=exif.tobytes()))
    assert source.icc == profile
    for suffix in ("png", "jpg", "webp", "tif", "avif"):
        image = Image.open(written(suffix, source.media, only(source)))
        assert image.info["icc_profile"] == profile
        assert image.getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_any_size(size: tuple[int, int]) -> None:
    array = picture(*size)
    media = MediaInfo("picture", size[1], size[0], 3)
    np.testing.assert_array_equal(only(open_source(written("png", media, Frame(array)))).pixels, array)


def test_eight_thousand_pixels_wide() -> None:
    array = np.zeros((4320, 7680, 3), np.uint8)
    array[::7, ::5] = (10, 200, 30)
    file = stored(Image.fromarray(array), "PNG", compress_level=1)
    np.testing.assert_array_equal(only(open_source(file)).pixels, array)


def test_pages_of_a_tiff_warn() -> None:
    pages = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    source = open_source(stored(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    np.testing.assert_array_equal(only(source).pixels, RGB)
    assert "2 pages" in source.warnings[0]


def test_pictures_that_only_ffmpeg_reads() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as output:
        stream = output.add_stream("dpx", rate=1)
        stream.width, stream.height, stream.pix_fmt = 23, 17, "rgb24"
        frame = av.VideoFrame.from_ndarray(RGB, "rgb24")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    np.testing.assert_array_equal(only(open_source(file)).pixels, RGB)


def test_from_pil_takes_the_image_as_it_is() -> None:
    source = from_pil(Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE))
    assert source.channels == 3 and only(source).pixels.shape == RGB.shape


def test_a_file_on_disk_keeps_its_name(tmp_path: Path) -> None:
    path = save(tmp_path, "a picture.dat", stored(Image.fromarray(RGB), "PNG").getvalue())
    with open_source(path) as source:
        assert source.name == path
        np.testing.assert_array_equal(only(source).pixels, RGB)
