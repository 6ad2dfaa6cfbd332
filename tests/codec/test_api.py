"""encode, decode and open on memory, with the toy family."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import tessera
from tessera.codec.media import Frame, MediaInfo, Source

from ..support import toy_family


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def encode(source: Any, **options: Any) -> bytes:
    return tessera.encode(source, codec="toy", **{"quality": 100, **options})


SHAPES = [(20, 30, 3), (20, 30), (20, 30, 4), (20, 30, 2), (5, 20, 30, 3), (5, 20, 30, 1), (5, 20, 30, 4), (1, 9, 9, 3)]
SIDES = [1, 2, 7, 8, 9, 17]


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_comes_back(shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    out = tessera.decode(encode(pixels))
    assert out.shape == shape and out.dtype == np.uint8
    assert np.array_equal(out, pixels)  # the toy is lossless at quality 100


@pytest.mark.parametrize("height", SIDES)
@pytest.mark.parametrize("width", SIDES)
def test_any_size(height: int, width: int) -> None:
    pixels = noise(height, width, 3)
    assert np.array_equal(tessera.decode(encode(pixels)), pixels)


def test_alpha_is_lossless_at_any_quality() -> None:
    pixels = noise(30, 40, 4)
    assert np.array_equal(tessera.decode(encode(pixels, quality=0))[..., 3], pixels[..., 3])


def test_small_picture_costs_few_bytes() -> None:
    flat = np.full((8, 8, 3), 128, np.uint8)
    assert len(encode(flat)) <= 64
    opaque = np.concatenate([flat, np.full((8, 8, 1), 255, np.uint8)], axis=2)
    assert len(encode(opaque)) - len(encode(flat)) == 11


def test_sources() -> None:
    pixels = noise(20, 30, 3)
    expected = encode(pixels)
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, "PNG")
    assert encode(torch.from_numpy(pixels)) == expected
    assert encode(image) == expected
    assert encode(file.getvalue()) == expected
    assert encode(io.BytesIO(file.getvalue())) == expected
    for wrong in (3, pixels.astype(np.float32), noise(20, 30, 5), noise(3), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(tessera.ParameterError):
            encode(wrong)


def test_path(tmp_path: Path) -> None:
    pixels = noise(20, 30, 3)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    data = encode(str(tmp_path / "x.png"))
    (tmp_path / "x.tsr").write_bytes(data)
    for way in (tmp_path / "x.tsr", str(tmp_path / "x.tsr"), data, bytearray(data), io.BytesIO(data)):
        assert np.array_equal(tessera.decode(way), pixels)
        if isinstance(way, io.BytesIO):
            way.seek(0)
        with tessera.open(way) as clip:
            assert np.array_equal(clip[0], pixels)
    with pytest.raises(tessera.ParameterError, match="No such file"):
        tessera.decode(tmp_path / "y.tsr")


def test_clip_reads_only_what_it_needs() -> None:
    pixels = noise(40, 16, 24, 3)
    data = encode(pixels, fps=12, gop=4)
    with tessera.open(data) as clip:
        assert len(clip) == 40 and clip.fps == 12 and clip.info.rate == 12
        opened = clip.bytes_read
        assert opened < 200
        assert np.array_equal(clip[17], pixels[17])
        assert clip.bytes_read - opened < len(data) / 9
        before = clip.bytes_read
        assert np.array_equal(clip[18], pixels[18])
        assert clip.bytes_read == before
        assert np.array_equal(clip[-1], pixels[-1])
        assert np.array_equal(clip[10:20], pixels[10:20])
        assert np.array_equal(clip[20:10:-3], pixels[20:10:-3])
        assert np.array_equal(clip[::7], pixels[::7])
        assert clip[5:5].shape == (0, 16, 24, 3)
        assert np.array_equal(np.stack(list(clip.frames(3, 9))), pixels[3:9])
        assert np.allclose(clip.times(3, 6), np.array([3, 4, 5]) / 12)
        with pytest.raises(IndexError):
            clip[40]
        with pytest.raises(tessera.ParameterError):
            clip.latents(30, 41)


def test_latents_join_groups() -> None:
    pixels = noise(10, 16, 24, 3)
    with tessera.open(encode(pixels, fps=5, gop=4, quality=70)) as clip:
        whole, part = clip.latents(), clip.latents(3, 9)
        assert whole.x.shape == (10, 2, 3, 3) and part.x.shape == (6, 2, 3, 3)
        assert torch.equal(part.x, whole.x[3:9])
        assert torch.allclose(whole.times, torch.arange(10, dtype=torch.float64) / 5)
        assert torch.equal(part.times, whole.times[3:9])
        assert whole.bits is not None and whole.bits_prior is None and whole.levels is None
        symbols = sum(group.bits for group in clip.info.groups)
        assert float(whole.bits.sum()) == pytest.approx(symbols, rel=0.02)


def test_decode_ranges() -> None:
    pixels = noise(10, 8, 8, 3)
    data = encode(pixels, gop=3)
    for frames in ((2, 7), (None, 4), (4, None), (9, 100)):
        assert np.array_equal(tessera.decode(data, frames=frames), pixels[frames[0] : frames[1]])
    for frames in ((10, 12), (5, 5), (-1, 3)):
        with pytest.raises(tessera.ParameterError):
            tessera.decode(data, frames=frames)
    assert np.array_equal(tessera.decode(encode(pixels, frames=(2, 7))), pixels[2:7])


def test_decoder_is_chosen() -> None:
    pixels = noise(16, 16, 3)
    data = encode(pixels)
    fast = tessera.decode(data, decoder="fast")
    assert not np.array_equal(fast, pixels) and np.ptp(fast[:8, :8, 0]) == 0
    named = encode(pixels, decoder="fast")
    assert np.array_equal(tessera.decode(named), fast)
    assert np.array_equal(tessera.decode(named, decoder="standard"), pixels)
    with tessera.open(named) as clip:
        assert clip.info.decoder == "fast"
    with pytest.raises(tessera.UnsupportedError, match="standard, fast"):
        tessera.decode(data, decoder="oil")


def test_progress_reaches_the_end() -> None:
    calls: list[tuple[int, int | None]] = []
    data = encode(noise(10, 8, 8, 3), progress=lambda done, total: calls.append((done, total)))
    tessera.decode(data, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(4, 10), (8, 10), (10, 10)] * 2


@pytest.mark.parametrize(
    "options",
    [
        {"quality": -1},
        {"quality": 100.1},
        {"quality": float("nan")},
        {"quality": 50, "bpp": 1},
        {"quality": None, "bpp": 0},
        {"quality": None, "size": -5},
        {"quality": None, "psnr": float("inf")},
        {"gop": 0},
        {"effort": "heroic"},
        {"swirl": 3},
        {"decoder": "oil"},
        {"frames": (3, 3)},
        {"frames": (20, None)},
    ],
)
def test_wrong_arguments(options: dict[str, object]) -> None:
    with pytest.raises(tessera.ParameterError):
        encode(noise(10, 8, 8, 3), **options)


def test_what_this_install_lacks() -> None:
    data = encode(noise(8, 8, 3))
    other = data.replace(toy_family.WEIGHTS_ID, b"toy-0002")
    other = repair(other)
    with pytest.raises(tessera.UnsupportedError, match=b"toy-0002".hex()):
        tessera.decode(other)
    unknown = repair(data[:14] + b"\x7e" + data[15:])
    with pytest.raises(tessera.UnsupportedError, match="codec 126"):
        tessera.decode(unknown)


def repair(data: bytes) -> bytes:
    """`data` with the checksum of its HEAD set right."""
    from tessera.entropy import crc32c

    end = 8 + 5 + data[12]
    return data[:end] + crc32c(data[8:end]).to_bytes(4, "little") + data[end + 4 :]


def test_limits_apply_before_work() -> None:
    data = encode(noise(10, 8, 8, 3))
    small = tessera.Limits(array=639)
    with pytest.raises(tessera.LimitError, match="open"):
        tessera.decode(data, limits=small)
    with tessera.open(data, limits=small) as clip:
        assert clip[9].shape == (8, 8, 3)
    with pytest.raises(tessera.LimitError, match="pixels per frame"):
        tessera.decode(data, limits=tessera.Limits(pixels=63))
    with pytest.raises(tessera.LimitError):
        encode(noise(10, 8, 8, 3), limits=tessera.Limits(frames=9))
    with pytest.raises(tessera.LimitError):
        encode(noise(10, 8, 8, 3), gop=10, limits=tessera.Limits(group=300))


def uneven_source(ticks: list[int]) -> Source:
    info = MediaInfo("video", 8, 8, 3, time_base=Fraction(1, 1000), rate=Fraction(30))

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        for tick in ticks[start:stop]:
            yield Frame(np.full((8, 8, 3), tick % 256, np.uint8), None, tick)

    return Source("uneven", info, read, frame_count=None)


def test_uneven_times_survive() -> None:
    ticks = [40, 73, 107, 200, 1000, 1001, 5000]
    with tessera.open(encode(uneven_source(ticks), gop=3)) as clip:
        assert np.allclose(clip.times(), np.array(ticks) / 1000)
        assert np.allclose(clip.latents(2, 5).times.numpy(), np.array(ticks[2:5]) / 1000)
    even = encode(uneven_source([0, 33, 67, 100, 133]), gop=5)
    assert len(encode(uneven_source([0, 34, 66, 100, 133]), gop=5)) > len(even)


def test_times_that_stand_still_are_moved_on() -> None:
    with tessera.open(encode(uneven_source([0, 0, 5, 5, 5, 9]), gop=2)) as clip:
        assert np.allclose(clip.times(), np.array([0, 1, 5, 6, 7, 9]) / 1000)


def test_info_adds_up() -> None:
    data = encode(noise(10, 8, 8, 4), fps=25)
    with tessera.open(data) as clip:
        info = clip.info
    assert (info.codec, info.kind, info.width, info.height, info.frames) == ("toy", "video", 8, 8, 10)
    assert info.alpha and info.channels == 3 and info.quality == 100 and info.duration == pytest.approx(0.4)
    assert sum(info.bits.values()) == 8 * len(data) == 8 * info.bytes
    assert info.bpp == pytest.approx(8 * len(data) / 640)
    assert not info.truncated and info.indexed and not info.problems


def test_damaged_group_leaves_the_others() -> None:
    pixels = noise(12, 8, 8, 3)
    data = bytearray(encode(pixels, gop=4))
    with tessera.open(bytes(data)) as clip:
        place = clip.reader.entries[1].offset
    assert place is not None
    data[place + 60] ^= 1
    with tessera.open(bytes(data)) as clip:
        assert np.array_equal(clip[:4], pixels[:4]) and np.array_equal(clip[8:], pixels[8:])
        with pytest.raises(tessera.FormatError, match="group 1"):
            clip[5]
    with pytest.raises(tessera.FormatError, match="group 1"):
        tessera.decode(bytes(data))
    assert np.array_equal(tessera.decode(bytes(data), partial=True), np.concatenate([pixels[:4], pixels[8:]]))


def test_truncated_clip() -> None:
    pixels = noise(12, 8, 8, 3)
    data = encode(pixels, gop=4)[:-400]
    with tessera.open(data) as clip:
        assert clip.info.truncated and len(clip) == 8
        assert np.array_equal(clip[:], pixels[:8])
    with pytest.raises(tessera.FormatError):
        tessera.decode(data)
    assert np.array_equal(tessera.decode(data, partial=True), pixels[:8])


def test_lazy_package() -> None:
    assert "encode" in dir(tessera) and tessera.__version__
    assert issubclass(tessera.FormatError, tessera.CodecError) and issubclass(tessera.ParameterError, ValueError)
    with pytest.raises(AttributeError):
        tessera.nonsense  # noqa: B018


def test_what_the_command_line_warns_about_is_a_warning() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3)).astype(np.uint8)
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (pixels, {"size": 10}, "cannot be reached"),
        (pixels, {"psnr": 90}, "cannot be reached"),
        (Image.fromarray(pixels).convert("CMYK"), {}, "CMYK"),
        (Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), {}, "16-bit"),
    ]
    for source, options, words in cases:
        with pytest.warns(UserWarning, match=words) as caught:
            tessera.encode(source, codec="wavelet", **options)
        assert caught[0].filename == __file__, "it points at the caller"
    data = tessera.encode(np.stack([pixels] * 6), codec="toy", gop=2)
    with pytest.warns(UserWarning, match="ends inside|ends without"):
        assert len(tessera.decode(data[: len(data) // 2], partial=True)) < 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tessera.decode(tessera.encode(pixels, codec="toy"))


def test_numbers_as_text() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 48, 3)).astype(np.uint8)
    assert len(tessera.encode(pixels, codec="toy", size="4KB")) <= 4000
    with tessera.open(tessera.encode(pixels, codec="toy", fps="30000/1001")) as clip:
        assert clip.reader.header.rate == Fraction(30000, 1001)
    for rate in (29.97, "29.97", 23.976, 59.94, 119.88):
        found = tessera.EncodeOptions(fps=rate).rate
        assert found is not None and found.denominator == 1001 and abs(float(found) - float(rate)) < 0.005
    exact: list[tuple[Any, Any]] = [(25, 25), (12.5, Fraction(25, 2)), ("24", 24)]
    exact.append((Fraction(2997, 100), Fraction(2997, 100)))
    for given, expected in exact:
        assert tessera.EncodeOptions(fps=given).rate == expected
    wrong = {"size": ("many", "0"), "fps": ("fast", "1/0", "0"), "bpp": ("1",), "quality": ("5",)}
    for name, text in ((name, text) for name, texts in wrong.items() for text in texts):
        with pytest.raises(tessera.ParameterError):
            tessera.EncodeOptions(**{name: text})  # type: ignore[arg-type]
