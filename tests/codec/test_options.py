"""Options that check themselves, ranges of frames, and devices: bad values are refused in one line, before any work."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tessera
from tessera.codec.coding import weights
from tessera.codec.options import check_device, from_keywords
from tessera.codec.ranges import bounds, clipped, parse_range, within
from tessera.data import procedural
from tessera.models.registry import FAMILIES
from tessera.tools.cli import main

PICTURE = procedural.picture(24, 32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quality": 101}, "quality 101"),
        ({"quality": "50"}, "quality 50"),
        ({"quality": float("nan")}, "quality nan"),
        ({"bpp": 0}, "bpp 0"),
        ({"size": -1}, "size -1"),
        ({"psnr": float("inf")}, "psnr inf"),
        ({"fps": 0}, "fps 0"),
        ({"quality": 50, "size": 100}, "quality and size contradict"),
        ({"codec": "jpeg"}, "no codec 'jpeg'"),
        ({"effort": "turbo"}, "effort 'turbo' is not fast, medium, slow or best"),
        ({"gop": 0}, "gop 0"),
        ({"gop": 2.5}, "gop 2.5"),
        ({"frames": (5, 5)}, "frames 5:5"),
        ({"frames": "5:9"}, "frames 5:9"),
        ({"device": "banana"}, "device 'banana' is not cpu, cuda or cuda:N"),
        ({"device": None}, "device None"),
    ],
)
def test_encode_options_refuse(given: dict[str, Any], message: str) -> None:
    for call in (tessera.EncodeOptions, lambda **options: tessera.encode(PICTURE, **options)):
        with pytest.raises(tessera.ParameterError, match=message):
            call(**given)


@pytest.mark.parametrize(("given", "message"), [({"frames": (3, 1)}, "frames 3:1"), ({"device": "cudo"}, "'cudo'")])
def test_decode_options_refuse(given: dict[str, Any], message: str) -> None:
    data = tessera.encode(PICTURE, codec="wavelet")
    for call in (tessera.DecodeOptions, lambda **options: tessera.decode(data, **options)):
        with pytest.raises(tessera.ParameterError, match=message):
            call(**given)
    with pytest.raises(tessera.ParameterError, match="no option depth; there are conceal, decoder"):
        tessera.decode(data, depth=2)


def test_options_are_frozen_and_replaced_by_keywords() -> None:
    options = tessera.EncodeOptions(codec="wavelet", quality=20, family_options={"rate_weight": 0.1})
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.quality = 30  # type: ignore[misc]
    changed = from_keywords(tessera.EncodeOptions, options, {"quality": 30, "rate_weight": 0.2})
    assert (changed.codec, changed.quality, changed.family_options) == ("wavelet", 30, {"rate_weight": 0.2})
    assert options.quality == 20 and options.family_options == {"rate_weight": 0.1}
    assert tessera.encode(PICTURE, options) == tessera.encode(PICTURE, codec="wavelet", quality=20, rate_weight=0.1)
    assert tessera.encode(PICTURE, options, quality=30) != tessera.encode(PICTURE, options)


@pytest.mark.parametrize("function", [tessera.encode, tessera.encode_file])
def test_signatures_show_the_fields(function: Any) -> None:
    shown = inspect.signature(function).parameters
    for field in dataclasses.fields(tessera.EncodeOptions):
        assert field.name in shown
        assert shown[field.name].default in (field.default, inspect.Parameter.empty)
    own = inspect.signature(inspect.unwrap(function), follow_wrapped=False).parameters
    assert {"source", "options"} <= set(own) and "quality" not in function.__code__.co_varnames


def test_unknown_family_options_have_one_text() -> None:
    for codec in FAMILIES:
        known = weights.load(codec)[0].options
        with pytest.raises(tessera.ParameterError) as caught:
            tessera.encode(PICTURE, codec=codec, colour="red", shade=3)
        assert str(caught.value) == f"codec {codec} has no option colour, shade; it has {', '.join(known)}"


def test_family_options_are_numbers_in_range() -> None:
    numbers = {"wavelet": "rate_weight", "spatiotemporal": "motion", "vqgan": "rate_weight", "nerv": "bits"}
    for codec, name in numbers.items():
        for value in ("much", 1000):
            given: dict[str, Any] = {"codec": codec, name: value}
            with pytest.raises(tessera.ParameterError, match=rf"{name} '?{value}'? is not "):
                tessera.encode(PICTURE, **given)


# -- ranges ------------------------------------------------------------------------------------------------------------


RANGES = [("10:20", (10, 20)), (":5", (None, 5)), ("7:", (7, None)), (":", (None, None))]


@pytest.mark.parametrize(("text", "found"), RANGES)
def test_ranges_are_read(text: str, found: tuple[int | None, int | None]) -> None:
    assert parse_range(text) == found


@pytest.mark.parametrize("text", ["", "10", "a:b", "1:2:3", "-1:4", "4:4", "9:3"])
def test_bad_ranges_have_one_text(text: str) -> None:
    with pytest.raises(tessera.ParameterError) as caught:
        parse_range(text)
    assert str(caught.value) == f"frames {text}: give a range like 10:20, :50 or 100: with at least one frame"


def test_ranges_within_a_file() -> None:
    assert bounds(None) == (0, None) and bounds((None, 3)) == (0, 3)
    assert clipped((2, 99), 10) == (2, 10) and clipped(None, 10) == (0, 10) and within(2, None, 10) == (2, 10)
    with pytest.raises(tessera.ParameterError, match="10:12: .*; the file has 10$"):
        clipped((10, 12), 10)
    for start, stop in ((2, 11), (-1, 3), (4, 4)):
        with pytest.raises(tessera.ParameterError, match=f"{start}:{stop}: .*; the file has 10$"):
            within(start, stop, 10)


def test_every_reader_refuses_a_range_with_the_same_text(tmp_path: Path) -> None:
    path = tmp_path / "x.tsr"
    path.write_bytes(tessera.encode(np.stack([PICTURE] * 3), codec="wavelet", fps=5))
    text = "frames 5:9: give a range like 10:20, :50 or 100: with at least one frame; the file has 3"
    with tessera.open(path) as clip:
        for call in (
            lambda: tessera.decode(path, frames=(5, 9)),
            lambda: tessera.decode_file(str(path), str(tmp_path / "x.npy"), frames=(5, 9)),
            lambda: list(clip.frames(5, 9)),
            lambda: clip.latents(5, 9),
            lambda: clip.tokens(5, 9),
            lambda: tessera.preview(clip, 5, 9),
            lambda: tessera.data.CompressedDataset([path], frames=(5, 9))[0],
        ):
            with pytest.raises(tessera.ParameterError) as caught:
                call()
            assert str(caught.value) == text


# -- devices -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says that it has one CUDA device."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.mark.parametrize("device", ["banana", "cuda", "cuda:1", "mps", ""])
@pytest.mark.parametrize("codec", FAMILIES)
def test_a_device_that_is_not_there(codec: str, device: str, no_cuda: None) -> None:
    data = tessera.encode(PICTURE, codec="wavelet")
    for call in (
        lambda: tessera.encode(PICTURE, codec=codec, device=device),
        lambda: tessera.decode(data, device=device),
        lambda: tessera.open(data, device=device),
        lambda: tessera.verify(data, device=device),
    ):
        with pytest.raises(tessera.ParameterError, match=f"device '?{device}'?") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_the_number_of_a_device(cuda: None) -> None:
    check_device("cuda")
    check_device("cuda:0")
    with pytest.raises(tessera.ParameterError, match="cuda:1: PyTorch finds 1 CUDA"):
        check_device("cuda:1")


@pytest.mark.parametrize("codec", ["spatiotemporal", "vqgan"])
def test_a_family_that_does_not_run_on_the_device_says_so(codec: str, cuda: None) -> None:
    data = tessera.encode(PICTURE, codec=codec)
    for call in (
        lambda: tessera.encode(PICTURE, codec=codec, device="cuda"),
        lambda: tessera.decode(data, device="cuda"),
    ):
        with pytest.raises(tessera.UnsupportedError, match=f"codec {codec} does not run on cuda, but on cpu"):
            call()


@pytest.mark.parametrize("words", [["encode", "x.png", "x.tsr"], ["decode", "y.tsr", "y.png"], ["verify", "y.tsr"]])
@pytest.mark.parametrize("device", ["banana", "cuda"])
def test_the_command_line_says_it_in_one_line(
    words: list[str],
    device: str,
    no_cuda: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("x.png")
    Path("y.tsr").write_bytes(tessera.encode(PICTURE, codec="wavelet"))
    assert main([*words, "--device", device]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "device" in error and device in error
