"""Writing: whole or not at all, on full disks and killed runs; modes, names and inputs are kept."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tessera.codec import atomic
from tessera.codec.atomic import output, output_folder
from tessera.codec.checked import CheckedFile
from tessera.codec.errors import ParameterError
from tessera.codec.files import decode_file, encode_file
from tessera.codec.media import WRITTEN_SUFFIXES, from_array, write_media

from ..support import toy_family
from ..support.media_samples import clip, picture

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, locks and signals of POSIX")
CLIPS = ("mp4", "m4v", "mov", "mkv", "webm", "apng", "gif", "y4m", "npy")


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    toy_family.install(monkeypatch)
    yield
    atomic._remove_leftovers.cache_clear()


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """Files of this process end at `free` bytes: the last write is short, the next one fails, as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@posix
@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
def test_a_full_disk_keeps_the_old_file(suffix: str, tmp_path: Path) -> None:
    """JPEG and TIFF write through the descriptor if they can, and overlook what the disk did not take."""
    pixels = picture(120, 160, 1)[..., 0] if suffix == "pgm" else picture(120, 160)
    if suffix in CLIPS:
        pixels = clip(4, 120, 160)
    source = from_array(pixels)
    target = tmp_path / f"x.{suffix}"
    target.write_bytes(b"old")
    whole = io.BytesIO()
    write_media(whole, suffix, source.media, source.frames())
    for part in (0.0, 0.5, 0.97):
        free = int(part * len(whole.getvalue()))
        with full_disk(free), pytest.raises(OSError) as caught, output(target, force=True) as file:
            write_media(file, suffix, source.media, source.frames())
        assert caught.value.filename == str(target) and caught.value.strerror
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == [target.name]


@posix
def test_a_full_disk_while_encoding_and_in_a_folder(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", clip(4, 40, 56))
    with full_disk(200), pytest.raises(OSError, match="x.tsr"):
        encode_file(str(tmp_path / "in.npy"), str(tmp_path / "x.tsr"), codec="toy")
    encode_file(str(tmp_path / "in.npy"), str(tmp_path / "x.tsr"), codec="toy")
    with full_disk(200), pytest.raises(OSError) as caught:
        decode_file(str(tmp_path / "x.tsr"), str(tmp_path / "frames"))
    assert caught.value.filename == str(tmp_path / "frames" / "000000.png")
    assert sorted(os.listdir(tmp_path)) == ["in.npy", "x.tsr"]


@posix
def test_bytes_reach_the_disk_before_they_get_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noted(name: str) -> None:
        real: Any = getattr(os, name)

        def call(*given: Any) -> Any:
            done.append(name)
            return real(*given)

        monkeypatch.setattr(os, name, call)

    noted("fsync")
    noted("replace")
    with output(tmp_path / "x", force=False) as file:
        file.write(b"1")
    with output_folder(tmp_path / "frames", force=False) as folder:
        source = from_array(picture(9, 12))
        write_media(folder, "", source.media, source.frames())
    assert done == 2 * ["fsync", "replace", "fsync"]  # the bytes, the name, the folder that holds it


class Short(io.RawIOBase):
    """Takes three bytes a write, and nothing beyond `room`."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.taken = bytearray()
        self.room = room

    def write(self, data: Any) -> int:
        piece = bytes(data)[: min(3, self.room - len(self.taken))]
        self.taken += piece
        return len(piece)

    def flush(self) -> None:
        pass


def test_short_writes_go_on_and_the_first_error_stays() -> None:
    file = CheckedFile(Short(10), "a name")  # type: ignore[arg-type]
    assert file.write(b"0123456789") == 10
    for action in (lambda: file.write(b"x"), file.flush, lambda: file.write(b"x"), file.finish):
        with pytest.raises(OSError) as caught:
            action()
        assert caught.value.filename == "a name"
    with pytest.raises(io.UnsupportedOperation):
        file.fileno()


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_the_mode_of_the_target_is_kept(mode: int, tmp_path: Path) -> None:
    Image.fromarray(picture(9, 12)).save(tmp_path / "in.png")
    target = tmp_path / "x.tsr"
    target.write_bytes(b"old")
    target.chmod(mode)
    encode_file(str(tmp_path / "in.png"), str(target), codec="toy", force=True)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    before = os.umask(0o027)
    try:
        decode_file(str(target), str(tmp_path / "new.png"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.png").stat().st_mode) == 0o640


@posix
def test_messages_name_the_target(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, output(tmp_path / "x.tsr", force=False) as file:
        file.write(b"1")
        raise PermissionError(13, "denied", str(next(tmp_path.iterdir())))
    assert caught.value.filename == str(tmp_path / "x.tsr")
    long = "ä" * 120 + ".png"
    with output(tmp_path / long, force=False) as file:
        file.write(b"1")
    for name in ("", tmp_path / "none" / "x.png"):
        with pytest.raises(ParameterError, match="empty|no such folder"), output(name, force=True):
            pass


# What must not be overwritten


def test_the_input_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = picture(9, 12)
    source = tmp_path / "in.png"
    Image.fromarray(original).save(source)
    (tmp_path / "link.tsr").symlink_to(source)
    os.link(source, tmp_path / "hard.tsr")
    monkeypatch.chdir(tmp_path)
    for target in (str(source), "in.png", "./in.png", "link.tsr", "hard.tsr"):
        with pytest.raises(ParameterError, match="is the input"):
            encode_file(str(source), target, codec="toy", force=True)
    with open(source, "rb") as stdin:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stdin))
        with pytest.raises(ParameterError, match="standard input"):
            encode_file("-", str(source), codec="toy", force=True)
    encode_file("in.png", "x.tsr", codec="toy", quality=100)
    (tmp_path / "link.png").symlink_to("x.tsr")
    for target in ("x.tsr", "link.png"):
        with pytest.raises(ParameterError, match="is the input"):
            decode_file("x.tsr", target, force=True)
    assert np.array_equal(np.asarray(Image.open(source)), original)


def test_a_frame_of_the_input_is_no_output(tmp_path: Path) -> None:
    for index in range(2):
        Image.fromarray(picture(9, 12, seed=index)).save(tmp_path / f"{index}.png")
    with pytest.raises(ParameterError, match="one of the files"):
        encode_file(str(tmp_path), str(tmp_path / "1.png"), codec="toy", force=True)
    assert encode_file(str(tmp_path), str(tmp_path / "new.tsr"), codec="toy").frames == 2


def test_older_frames_do_not_stay_among_new_ones(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", clip(5, 16, 16))
    encode_file(str(tmp_path / "in.npy"), str(tmp_path / "x.tsr"), codec="toy")
    folder = tmp_path / "frames"
    decode_file(str(tmp_path / "x.tsr"), str(folder))
    mine = ("notes.txt", "7.png", "holiday-000004.png")
    for name in mine:
        (folder / name).write_bytes(b"mine")
    decode_file(str(tmp_path / "x.tsr"), str(folder), frames=(1, 3), force=True)
    assert sorted(os.listdir(folder)) == sorted(["000000.png", "000001.png", *mine])


# Killed runs


@posix
def test_leftovers_of_killed_runs_are_removed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from tessera.codec.atomic import output, output_folder\n"
        "with output(sys.argv[1] + '/x.tsr', False) as f, output_folder(sys.argv[1] + '/frames', False) as g:\n"
        "    f.write(b'1'); open(g + '/000000.png', 'wb').close(); print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    mine = [".notes.tessera-12", ".x.abcdef12.tsr", "x.tessera-12345678"]
    for name in mine:
        (tmp_path / name).write_bytes(b"mine")
    assert len(os.listdir(tmp_path)) == 5

    def write(name: str) -> None:
        atomic._remove_leftovers.cache_clear()
        with output(tmp_path / name, force=False) as file:
            file.write(b"1")

    write("a")
    assert len(os.listdir(tmp_path)) == 6, "the files of a run that lives stay"
    child.kill()
    child.wait()
    child.stdout.close()
    assert len(os.listdir(tmp_path)) == 6
    write("b")
    assert sorted(os.listdir(tmp_path)) == sorted(["a", "b", *mine])


@posix
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_clean_up(number: str, tmp_path: Path) -> None:
    def usual() -> None:
        """nohup, for one, ignores SIGHUP for all that it starts."""
        signal.signal(getattr(signal, number), signal.SIG_DFL)

    words = [sys.executable, "-m", "tessera.tools", "encode", "-", str(tmp_path / "x.tsr"), "--codec", "wavelet"]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=usual)
    assert child.stdin is not None and child.stderr is not None
    child.stdin.write(b"YUV4MPEG2 W16 H16 F25:1 C444\n")  # and then nothing: it waits for a frame
    child.stdin.flush()
    for _ in range(400):
        if os.listdir(tmp_path):
            break
        time.sleep(0.05)
    assert os.listdir(tmp_path)
    child.send_signal(getattr(signal, number))
    status = child.wait(timeout=60)
    error = child.stderr.read()
    assert status == 128 + getattr(signal, number), error
    assert not os.listdir(tmp_path) and error.count(b"\n") == 1 and error.startswith(b"tessera: ")


# Standard streams


@posix
@pytest.mark.parametrize(
    ("shell", "status", "message"),
    [
        ("encode - x.tsr <&-", 2, "standard input is closed"),
        ("encode in.png - >&-", 2, "standard output is closed"),
        ("encode in.png ö.tsr", 0, ""),
        ("encode none-ö.png x.tsr", 2, "none-"),
        ("encode in.png - --codec wavelet 2>&- >out.tsr", 0, ""),
        ("encode in.png x.tsr >/dev/full", 2, "No space left"),
        ("encode in.png - >/dev/full", 2, "standard output: No space left"),
        ("decode in.tsr - >/dev/full", 2, "standard output: No space left"),
    ],
)
def test_standard_streams(shell: str, status: int, message: str, tmp_path: Path) -> None:
    if "full" in shell and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    Image.fromarray(picture(16, 24)).save(tmp_path / "in.png")
    encode_file(str(tmp_path / "in.png"), str(tmp_path / "in.tsr"), codec="wavelet")
    done = subprocess.run(
        f"'{sys.executable}' -m tessera.tools {shell}", shell=True, cwd=tmp_path, capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    error = done.stderr.decode()
    assert done.returncode == status and message in error and error.count("\n") == (status != 0), error
    if "out.tsr" in shell:
        assert (tmp_path / "out.tsr").read_bytes() == (tmp_path / "in.tsr").read_bytes()


def test_a_device_is_written_to(tmp_path: Path) -> None:
    if not os.path.exists("/dev/null"):
        pytest.skip("no /dev/null")
    with output("/dev/null", force=False) as file:
        file.write(b"1")
    assert not os.path.isfile("/dev/null")


def test_folder_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ParameterError, match="is a file"), output_folder(tmp_path / "file", force=True):
        pass
    with pytest.raises(ParameterError, match="is a folder"), output(tmp_path, force=True):
        pass
    with pytest.raises(ZeroDivisionError), output(tmp_path / "x", force=False):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["file"]
