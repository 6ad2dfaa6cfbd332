"""File to file: every kind of target, atomic writes, pipes, damage, verify and info, Pillow."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from PIL import Image

import tessera
from tessera.codec import files
from tessera.codec.files import decode_file, encode_file, info_file
from tessera.codec.media import Source, from_array, open_source, write_media
from tessera.codec.media.audio import audio_packets
from tessera.data import procedural

from ..support import toy_family
from ..support.media_samples import clip as clip_of
from ..support.media_samples import make_video


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


PICTURE = procedural.picture(33, 50)
CLIP = procedural.clip(11, 32, 48)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.fromarray(PICTURE).save(tmp_path / "in.png")
    return str(tmp_path / "in.png")


@pytest.fixture
def clip(tmp_path: Path) -> str:
    source = from_array(CLIP, Fraction(12))
    write_media(str(tmp_path / "in.mkv"), ".mkv", source.media, source.frames(), lossless=True)
    return str(tmp_path / "in.mkv")


@pytest.fixture
def coded(clip: str, tmp_path: Path) -> str:
    encode_file(clip, str(tmp_path / "clip.tsr"), codec="toy", quality=100, gop=4)
    return str(tmp_path / "clip.tsr")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_picture_round_trip(picture: str, tmp_path: Path) -> None:
    report = encode_file(picture, str(tmp_path / "x.tsr"), codec="toy", quality=100)
    assert (report.frames, report.width, report.height, report.codec, report.quality) == (1, 50, 33, "toy", 100)
    assert report.bytes == os.path.getsize(tmp_path / "x.tsr")
    assert report.bpp == 8 * report.bytes / PICTURE[..., 0].size
    done = decode_file(str(tmp_path / "x.tsr"), str(tmp_path / "out.png"))
    assert (done.frames, done.width, done.height) == (1, 50, 33)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), PICTURE)
    assert names(tmp_path) == {"in.png", "x.tsr", "out.png"}


@pytest.mark.parametrize("target", ["out.mkv", "out.npy", "frames", "out.y4m"])
def test_clip_round_trip(coded: str, tmp_path: Path, target: str) -> None:
    report = decode_file(coded, str(tmp_path / target), lossless=target.endswith("mkv"))
    assert report.frames == 11 and not report.warnings
    with open_source(str(tmp_path / target)) as source:
        pixels = np.stack([frame.pixels for frame in source.frames()])
        if target != "frames" and not target.endswith("npy"):
            assert source.rate == 12
    worst = 12 if target.endswith("y4m") else 0  # y4m is YUV
    assert np.abs(pixels.astype(int) - tessera.decode(coded)).max() <= worst


def test_timestamps_survive(tmp_path: Path) -> None:
    source = from_array(CLIP, Fraction(12))
    ticks = [0, 40, 80, 500, 540, 580, 1000, 1040, 1080, 2000, 2040]
    info = replace(source.media, time_base=Fraction(1, 1000), rate=Fraction(25))
    frames = [replace(frame, pts=tick) for frame, tick in zip(source.frames(), ticks, strict=True)]
    write_media(str(tmp_path / "in.mkv"), ".mkv", info, iter(frames), lossless=True)
    encode_file(str(tmp_path / "in.mkv"), str(tmp_path / "x.tsr"), codec="toy", quality=90)
    decode_file(str(tmp_path / "x.tsr"), str(tmp_path / "out.mkv"), lossless=True)
    with open_source(str(tmp_path / "out.mkv")) as out:
        assert [round(1000 * float(frame.pts * out.time_base)) for frame in out.frames()] == ticks


def test_frames_of_a_range(coded: str, clip: str, tmp_path: Path) -> None:
    whole = tessera.decode(coded)
    decode_file(coded, str(tmp_path / "out.npy"), frames=(3, 9))
    assert np.array_equal(np.load(tmp_path / "out.npy"), whole[3:9])
    encode_file(clip, str(tmp_path / "part.tsr"), codec="toy", quality=100, frames=(3, 9))
    with tessera.open(tmp_path / "part.tsr") as part:
        assert np.array_equal(part[:], whole[3:9]) and part.times()[0] == 0
    for frames in ((11, None), (40, 50)):
        with pytest.raises(tessera.ParameterError, match="the file has 11"):
            decode_file(coded, str(tmp_path / "none.npy"), frames=frames)


# Writing


def test_existing_files_are_kept(picture: str, coded: str, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    for name in ("precious.tsr", "precious.png"):
        (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(tessera.ParameterError, match="--force"):
        encode_file(picture, f"{target}.tsr", codec="toy")
    with pytest.raises(tessera.ParameterError, match="--force"):
        decode_file(coded, f"{target}.png", frames=(0, 1))
    assert {(tmp_path / f"precious.{end}").read_bytes() for end in ("tsr", "png")} == {b"precious"}
    encode_file(picture, f"{target}.tsr", codec="toy", force=True)
    assert tessera.decode(f"{target}.tsr").shape == PICTURE.shape


def test_failure_leaves_nothing(coded: str, picture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(tmp_path)
    damaged = bytearray(Path(coded).read_bytes())
    damaged[-200] ^= 1
    Path(coded).write_bytes(damaged)
    for target in ("out.mkv", "frames", "out.npy", "out.y4m"):
        with pytest.raises(tessera.FormatError, match="clip.tsr: group 2"):
            decode_file(coded, str(tmp_path / target))
    with pytest.raises(tessera.ParameterError):
        encode_file(picture, str(tmp_path / "x.tsr"), codec="toy", quality=200)
    with pytest.raises(tessera.CodecError):
        encode_file(str(tmp_path / "none.png"), str(tmp_path / "x.tsr"), codec="toy")
    with pytest.raises(tessera.ParameterError, match="no such folder"):
        encode_file(picture, str(tmp_path / "no" / "x.tsr"), codec="toy")
    monkeypatch.setattr(files, "encode_chosen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode_file(picture, str(tmp_path / "x.tsr"), codec="toy")
    assert names(tmp_path) == before


def interrupted(source: object, sink: BinaryIO, *rest: object) -> None:
    sink.write(b"half a file")
    raise KeyboardInterrupt


def test_folder_keeps_what_else_is_there(coded: str, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    decode_file(coded, str(folder))  # an empty folder is no loss
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(tessera.ParameterError, match="--force"):
        decode_file(coded, str(folder))
    decode_file(coded, str(folder), force=True)
    assert (folder / "notes.txt").read_text() == "mine" and len(names(folder)) == 12
    with pytest.raises(tessera.ParameterError, match="is a folder"):
        encode_file(coded, str(folder), codec="toy", force=True)


# Pipes


class Pipe(io.RawIOBase):
    """Reads or writes forward only, a few bytes at a time."""

    def __init__(self, data: bytes = b"") -> None:
        self.rest = io.BytesIO(data)
        self.taken = bytearray()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        piece = self.rest.read(min(len(buffer), 1000))
        buffer[: len(piece)] = piece
        return len(piece)

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        self.taken += data
        return len(data)


class Std:
    def __init__(self, buffer: object) -> None:
        self.buffer = buffer


def test_pipes(clip: str, coded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Pipe()
    monkeypatch.setattr("sys.stdout", Std(out))
    encode_file(clip, "-", codec="toy", quality=100, gop=4)
    assert bytes(out.taken) == Path(coded).read_bytes()
    monkeypatch.setattr("sys.stdin", Std(io.BufferedReader(Pipe(bytes(out.taken)))))
    report = decode_file("-", str(tmp_path / "out.npy"), frames=(2, 10))
    assert report.frames == 8 and report.bytes is None
    assert np.array_equal(np.load(tmp_path / "out.npy"), tessera.decode(coded)[2:10])
    monkeypatch.setattr("sys.stdin", Std(io.BufferedReader(Pipe(bytes(out.taken[:-9])))))
    with pytest.raises(tessera.FormatError, match="standard input: the file ends"):
        decode_file("-", str(tmp_path / "out2.npy"))
    for check in (tessera.verify, info_file):
        monkeypatch.setattr("sys.stdin", Std(io.BufferedReader(Pipe(bytes(out.taken)))))
        assert check("-").frames == 11


def test_memory_is_flat_in_clip_length(tmp_path: Path) -> None:
    import tracemalloc

    frame = procedural.picture(64, 64)
    peaks = []
    for count in (20, 200):
        np.save(tmp_path / f"{count}.npy", np.broadcast_to(frame, (count, *frame.shape)))
        tracemalloc.start()
        encode_file(str(tmp_path / f"{count}.npy"), str(tmp_path / f"{count}.tsr"), codec="toy", quality=30)
        decode_file(str(tmp_path / f"{count}.tsr"), str(tmp_path / f"{count}-out.npy"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


# Damage


def test_verify_and_info(coded: str) -> None:
    good = tessera.verify(coded)
    assert good.ok and good.frames == 11 and good.groups == 3 and not good.bad_groups and not good.problems
    info = info_file(coded)
    assert info.sound and [group.frames for group in info.groups] == [4, 4, 3]
    assert set(info.bits) == {"header", "latents", "index"} and sum(info.bits.values()) == 8 * info.bytes
    assert all(group.quality == 100 and group.parts["latents"] == group.bits for group in info.groups)


def test_verify_names_bad_groups(coded: str) -> None:
    with tessera.open(coded) as clip:
        places = [entry.offset for entry in clip.reader.entries]
    data = bytearray(Path(coded).read_bytes())
    for number in (0, 2):
        data[(places[number] or 0) + 80] ^= 4
    Path(coded).write_bytes(data)
    bad = tessera.verify(coded)
    assert not bad.ok and bad.bad_groups == [0, 2] and len(bad.problems) == 2
    info = info_file(coded)
    assert info.sound is False and [group.sound for group in info.groups] == [False, True, False]


def test_verify_finds_every_flipped_byte(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 4), dtype=np.uint8)
    data = bytearray(tessera.encode(pixels, codec="toy", quality=20, gop=2))
    path = tmp_path / "x.tsr"
    for place in range(len(data)):
        data[place] ^= 2
        path.write_bytes(data)
        assert not tessera.verify(str(path)).ok, place
        data[place] ^= 2


def test_verify_of_no_file(tmp_path: Path) -> None:
    for content in (b"", b"\x89PNG\r\n\x1a\n123"):
        (tmp_path / "x.tsr").write_bytes(content)
        assert not tessera.verify(str(tmp_path / "x.tsr")).ok
    with pytest.raises(tessera.FormatError, match="x.tsr: not a Tessera file"):
        info_file(str(tmp_path / "x.tsr"))


def test_partial(coded: str, tmp_path: Path) -> None:
    whole = tessera.decode(coded)
    data = Path(coded).read_bytes()
    Path(coded).write_bytes(data[: len(data) // 2])
    info = info_file(coded)
    assert info.truncated and info.frames == 4 and info.sound is False
    with pytest.raises(tessera.FormatError, match="clip.tsr: the file ends"):
        decode_file(coded, str(tmp_path / "out.npy"))
    report = decode_file(coded, str(tmp_path / "out.npy"), partial=True)
    assert report.frames == 4 and "ends" in report.warnings[0]
    assert np.array_equal(np.load(tmp_path / "out.npy"), whole[:4])
    Path(coded).write_bytes(data[:60])
    with pytest.raises(tessera.FormatError, match="no frame"):
        decode_file(coded, str(tmp_path / "out2.npy"), partial=True)


# Sound and timing


def test_audio_travels(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=12)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for frame in CLIP:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        tone = (np.sin(np.arange(48000 * 11 // 12) / 20) * 0.3).astype(np.float32)
        piece = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        piece.sample_rate = 48000
        container.mux([*sound.encode(piece), *sound.encode(None), *video.encode(None)])
    encode_file(str(tmp_path / "in.mp4"), str(tmp_path / "x.tsr"), codec="toy", quality=80)
    info = info_file(str(tmp_path / "x.tsr"))
    assert info.sound and info.bits["audio"] > 0 and sum(info.bits.values()) == 8 * info.bytes
    decode_file(str(tmp_path / "x.tsr"), str(tmp_path / "out.mp4"))
    with open_source(str(tmp_path / "in.mp4")) as before, open_source(str(tmp_path / "out.mp4")) as after:
        assert before.audio and after.audio
        assert abs(len(after.audio) - len(before.audio)) < 100
    report = decode_file(str(tmp_path / "x.tsr"), str(tmp_path / "out.gif"))
    assert report.warnings == [".gif holds no sound: it is left out"]


@pytest.mark.parametrize("way", ["encode", "decode", "pipe"])
@pytest.mark.parametrize("frames", [(0, 10), (5, 15), (15, None)])
def test_a_part_keeps_its_sound(
    way: str, frames: tuple[int, int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packets that sound while the frames show, at the same distance from them."""
    (tmp_path / "in.mp4").write_bytes(make_video(clip_of(20, 32, 48), audio="aac"))
    source, middle, target = (str(tmp_path / name) for name in ("in.mp4", "x.tsr", "out.mkv"))
    encode_file(source, middle, codec="toy", gop=4, frames=frames if way == "encode" else None)
    if way == "pipe":
        monkeypatch.setattr("sys.stdin", Std(io.BufferedReader(Pipe(Path(middle).read_bytes()))))
        middle = "-"
    report = decode_file(middle, target, frames=None if way == "encode" else frames)
    assert not report.warnings and report.frames == (frames[1] or 20) - frames[0]
    with open_source(source) as whole, open_source(target) as part:
        assert whole.audio and part.audio
        before, after = audio_packets(whole.audio), audio_packets(part.audio)
    begin, end = Fraction(frames[0], 25), Fraction(frames[1] or 20, 25)
    wanted = [(data, time - begin) for data, time, length in before if time + length > begin and time < end]
    if not frames[0]:
        wanted = [(data, time) for data, time, _ in before if time < end]
    assert [data for data, *_ in after] == [data for data, _ in wanted]
    assert all(abs(a[1] - b[1]) < Fraction(3, 1000) for a, b in zip(after, wanted, strict=True))


def test_shape_plays_and_last_frame_travel(tmp_path: Path) -> None:
    """What `show` holds: it is no metadata, and is kept without it."""
    source = from_array(CLIP[:3], Fraction(12))
    info = replace(source.media, aspect=Fraction(32, 27), plays=3, last=2)
    shown = Source("x", info, lambda start, stop: source.frames(start, stop), frame_count=3)
    for metadata in (True, False):
        (tmp_path / "x.tsr").write_bytes(tessera.encode(shown, codec="toy", metadata=metadata))
        for suffix in ("mp4", "mkv", "y4m"):
            decode_file(str(tmp_path / "x.tsr"), str(tmp_path / f"x.{suffix}"), force=True)
            with open_source(str(tmp_path / f"x.{suffix}")) as back:
                assert back.media.aspect == Fraction(32, 27)
        report = decode_file(str(tmp_path / "x.tsr"), str(tmp_path / "x.gif"), force=True)
        assert report.warnings == [".gif holds no shape of pixels: those of 32:27 are written as square ones"]
        with Image.open(tmp_path / "x.gif") as image:
            assert image.info["loop"] == 1
            image.seek(2)
            assert image.info["duration"] == 160  # hundredths, from 17 to 33
    assert info_file(str(tmp_path / "x.tsr")).bits["showing"] == 8 * 13
    data = tessera.encode(CLIP[:3], codec="toy")
    assert b"show" not in data
