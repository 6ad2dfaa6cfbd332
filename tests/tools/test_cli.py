"""The command line: arguments, output, exit status, real files in and out."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tessera.codec import media
from tessera.data import procedural
from tessera.tools import options
from tessera.tools.bench import children, codec, stream, subjects
from tessera.tools.cli import COMMANDS, main
from tessera.tools.commands import demo, encode
from tessera.tools.measuring import metrics

TESSERA = [sys.executable, "-m", "tessera.tools"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(procedural.picture(70, 101)).save(path)
    return path


@pytest.fixture
def coded(photo: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = photo.with_suffix(".tsr")
    assert main(["encode", str(photo), str(path)]) == 0
    capsys.readouterr()
    return path


def _fails(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a command that must end with status 2."""
    capsys.readouterr()
    try:
        status = main(words)
    except SystemExit as end:
        assert isinstance(end.code, int)
        status = end.code
    out, err = capsys.readouterr()
    assert status == 2 and out == ""
    assert err.startswith("tessera: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("text", "value"),
    [("512", 512), ("200KB", 200_000), ("1.5MB", 1_500_000), ("2KiB", 2048), ("1 MiB", 1 << 20), ("10b", 10)],
)
def test_sizes(text: str, value: int) -> None:
    assert options.size(text) == value


@pytest.mark.parametrize("text", ["", "KB", "-1KB", "1TBx", "1e3", "0"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.size(text)


def test_frame_ranges() -> None:
    assert options.frame_range("10:20") == (10, 20)
    assert options.frame_range(":5") == (None, 5)
    assert options.frame_range("5:") == (5, None)
    assert options.frame_range(":") == (None, None)
    for text in ("5", "-1:4", "a:b", "1:2:3", "5:5", "6:5", ":0"):
        with pytest.raises(argparse.ArgumentTypeError):
            options.frame_range(text)


def test_key_values() -> None:
    texts = ["a=1", "b=-2.5", "c=true", "d=False", "e=x=y", "f="]
    assert [options.key_value(text)[1] for text in texts] == [1, -2.5, True, False, "x=y", ""]
    for text in ("a", "=1", "a b=1"):
        with pytest.raises(argparse.ArgumentTypeError):
            options.key_value(text)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0 and "usage: tessera " + name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND"),
        (["paint"], "invalid choice: 'paint'"),
        (["encode", "a.png"], "required: OUT.tsr"),
        (["encode", "a.png", "b.tsr", "--quality", "101"], "101 is not in 0..100"),
        (["encode", "a.png", "b.tsr", "--quality", "5", "--bpp", "1"], "not allowed with argument"),
        (["encode", "a.png", "b.tsr", "--size", "big"], "'big' is not a size"),
        (["encode", "none.png", "b.tsr"], "none.png"),
        (["decode", "none.tsr", "b.png"], "none.tsr"),
        (["info", "none.tsr"], "none.tsr"),
        pytest.param(
            ["evaluate", "images", "none", "--out", "report"], "none does not exist",
            marks=pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim"),
        ),  # fmt: skip
    ],
)
def test_errors_are_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in _fails(words, capsys)
    assert not list(tmp_path.iterdir())


def test_interrupted(monkeypatch: pytest.MonkeyPatch, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(encode, "run", interrupted)
    assert main(["encode", str(photo), "x.tsr"]) == 130
    assert capsys.readouterr().err == "tessera: interrupted\n"


def test_encode_and_decode_a_picture(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coded, decoded = photo.with_suffix(".tsr"), photo.with_name("decoded.png")
    assert main(["encode", str(photo), str(coded), "--quality", "90"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{coded}: {coded.stat().st_size:,} bytes") and "1 frame of 101x70" in out
    assert err == ""  # no progress bar, since stderr is no terminal
    assert main(["decode", str(coded), str(decoded)]) == 0
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (photo, decoded))
    assert metrics.psnr(before, after) > 30


def test_json_of_encode_and_decode(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coded = photo.with_suffix(".tsr")
    assert main(["encode", str(photo), str(coded), "--quality", "33.5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == coded.stat().st_size
    assert report["bpp"] == pytest.approx(8 * report["bytes"] / (70 * 101))
    assert (report["frames"], report["codec"], report["quality"]) == (1, "spatiotemporal", 33.5)
    assert report["seconds"] > 0
    assert main(["decode", str(coded), str(photo.with_name("out.npy")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 1


def test_no_overwriting(photo: Path, coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = coded.read_bytes()
    assert "--force" in _fails(["encode", str(photo), str(coded), "--quality", "5"], capsys)
    assert coded.read_bytes() == before
    assert main(["encode", str(photo), str(coded), "--quality", "5", "--force"]) == 0
    assert len(coded.read_bytes()) < len(before)


def test_size_limit_is_kept(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = photo.with_name("small.tsr")
    assert main(["encode", str(photo), str(small), "--size", "1KB"]) == 0
    assert 500 < small.stat().st_size <= 1000


def test_family_options_may_not_hide_arguments(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "-o quality=" in _fails(["encode", str(photo), "x.tsr", "-o", "quality=3"], capsys)
    assert "colour_depth" in _fails(["encode", str(photo), "x.tsr", "-o", "colour_depth=3"], capsys)


def test_info(coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(coded), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["codec"], info["width"], info["height"], info["frames"]) == ("spatiotemporal", 101, 70, 1)
    assert info["bytes"] == coded.stat().st_size and sum(info["bits"].values()) == 8 * info["bytes"]
    assert main(["info", str(coded)]) == 0
    text = capsys.readouterr().out
    assert "101x70 RGB, 1 frame" in text and "all sound" in text


def test_digests(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "digest.tsr"
    assert main(["encode", str(photo), str(target), "--digest"]) == 0
    capsys.readouterr()
    assert main(["info", str(target), "--digest"]) == 0
    group, frame = (line.split() for line in capsys.readouterr().out.splitlines()[-2:])
    assert group[0] == "group" and group[3] == "agrees" and frame == ["frame", "0", group[2]]
    assert main(["verify", str(target)]) == 0
    assert "the pixels of 1 group agree with the digest" in capsys.readouterr().out


def test_verify(coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(coded)]) == 0
    assert capsys.readouterr().out.startswith(f"{coded}: sound, 1 frame decoded")
    data = bytearray(coded.read_bytes())
    data[-20] ^= 1
    coded.write_bytes(data)
    assert main(["verify", str(coded)]) == 1
    assert "DAMAGED" in capsys.readouterr().out
    assert main(["verify", str(coded), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_codecs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs", "--json"]) == 0
    families = {item["name"]: item for item in json.loads(capsys.readouterr().out)["codecs"]}
    assert families["wavelet"]["id"] == 1 and len(families["wavelet"]["weights"]) == 16
    assert main(["codecs"]) == 0
    assert "wavelet (wire id 1)" in capsys.readouterr().out


def test_pipes(photo: Path) -> None:
    encoded = subprocess.run([*TESSERA, "encode", "-", "-"], input=photo.read_bytes(), capture_output=True, check=True)
    assert encoded.stdout.startswith(b"\x89TSR\r\n\x1a\n") and b"bpp" in encoded.stderr
    decoded = subprocess.run([*TESSERA, "decode", "-", "-"], input=encoded.stdout, capture_output=True, check=True)
    assert decoded.stdout.startswith(b"\x89PNG")


def test_a_closed_pipe_is_no_traceback(coded: Path) -> None:
    command = subprocess.Popen([*TESSERA, "info", str(coded)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None and command.stderr is not None
    command.stdout.close()
    errors = command.stderr.read()
    assert command.wait() == 1 and errors == b""


def _outcomes(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["demo", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_demo_of_a_picture(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = _outcomes([str(photo), "--out", str(tmp_path / "demo")], capsys)
    assert outcome["bytes"] == Path(outcome["coded"]).stat().st_size
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (photo, outcome["decoded"]))
    assert outcome["psnr"] == pytest.approx(metrics.psnr(before, after))
    with Image.open(outcome["side_by_side"]) as sheet:
        assert sheet.width > 3 * 101 and sheet.height > 70


@pytest.mark.parametrize("make", [lambda: procedural.picture(1, 1), lambda: procedural.picture(3, 400)[..., 0]])
def test_demo_of_odd_pictures(make: Callable[[], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.png"
    Image.fromarray(make()).save(path)
    assert Path(_outcomes([str(path), "--out", str(tmp_path / "demo")], capsys)["side_by_side"]).exists()


def test_demo_makes_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "PICTURE", (128, 192))
    monkeypatch.setattr(demo, "CLIP", (7, 72, 128))
    assert main(["demo", "--frames", "0:5"]) == 0
    text = capsys.readouterr().out
    for name in ("picture.tsr", "picture-side-by-side.png", "clip.tsr", "clip-side-by-side.png", "clip-decoded.mp4"):
        assert name in text and (tmp_path / "tessera-demo" / name).stat().st_size > 100


@pytest.mark.slow
def test_bench_codec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is measured, of small pictures in place of the large ones."""
    assert codec.FRAME == (1080, 1920)  # as the keys say
    monkeypatch.setattr(codec, "PICTURE", (128, 192))
    monkeypatch.setattr(codec, "FRAME", (136, 240))
    monkeypatch.setattr(codec, "CLIP", (3, 64, 96))
    assert main(["bench", "codec", "--runs", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    seconds, who = result["seconds"], ("ours", "peer") if subjects.peer_is_installed() else ("ours",)
    if "peer" in who:
        assert set(result["ratio"]) == {"encode", "decode"}
        assert result["ratio"]["encode"] == pytest.approx(seconds["peer_encode"] / seconds["ours_encode"])
    else:
        assert "ratio" not in result and result["peer"].startswith("absent: ")
    assert result["encode_1080p_fps"] == pytest.approx(1 / seconds["ours_encode_1080p"])
    assert result["encode_clip_fps"] == pytest.approx(3 / seconds["ours_encode_clip"])
    if children.STATUS.exists():
        assert set(result["memory_mib"]) == {f"{name}_{task}" for name in who for task in ("encode", "decode")}


def test_bench_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """A clip that is made as it is read; each process holds a network and few frames, whatever the length."""
    with media.open_source(io.BufferedReader(stream.Street(12))) as source:
        shown = [frame.pixels for frame in source.frames()]
    wide = procedural.picture(stream.HEIGHT, stream.WIDTH + stream.PATH)
    assert len(shown) == 12 and np.abs(shown[7].astype(int) - wide[:, 7 : 7 + stream.WIDTH]).mean() < 1
    if not children.STATUS.exists():
        pytest.skip("the system does not tell a process's memory")
    assert children.in_child(os._exit, 1) is None
    assert main(["bench", "stream", "--frames", "10", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"codec", "clip", "frames_1", "frames_10"}
    for task in ("encode", "decode"):
        assert 50 < result["frames_10"][task]["peak_mib"] < 2000
    assert "--frames 9: at least 10" in _fails(["bench", "stream", "--frames", "9"], capsys)


def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    err = _fails(["evaluate", "images", str(tmp_path), "--out", str(tmp_path / "report")], capsys)
    assert "not installed: bjontegaard, matplotlib, pytorch_msssim; pip install '.[eval]'" in err
