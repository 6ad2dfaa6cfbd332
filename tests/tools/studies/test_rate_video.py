"""`tessera evaluate video`: every frame counts, and the figures agree with measurements made in another way."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tessera.codec import media
from tessera.codec.errors import ParameterError
from tessera.data import procedural
from tessera.models.nerv.fitting import Fit
from tessera.tools.cli import main
from tessera.tools.commands.evaluate import arguments
from tessera.tools.measuring import job as jobs
from tessera.tools.measuring import metrics, video
from tessera.tools.measuring.rows import Row
from tessera.tools.measuring.video import measure_clip
from tessera.tools.peers.video import clip_peer
from tessera.tools.studies.rate.settings import VideoSettings

CONTEXT = jobs.JobContext("video", (20.0, 60.0), msssim_every=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of 192x176, stored with hardly any loss."""
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    with media.from_array(procedural.clip(10, 176, 192), Fraction(25)) as source:
        media.write_media(str(path), ".mkv", source.media, source.frames(), crf=4)
    return path


@pytest.mark.parametrize(
    "spec",
    [
        "x264@preset=ultrafast",
        "x265@preset=ultrafast@tune=psnr",
        "svtav1@preset=12",
        "svtav1@preset=12@tune=vq",
        pytest.param("vvc@preset=faster", marks=pytest.mark.needs("imageio_ffmpeg")),
    ],
)
def test_clip_codecs_keep_every_frame_in_order(clip: Path, spec: str) -> None:
    codec = clip_peer(spec)
    with media.open_source(str(clip)) as source:
        originals = [frame.pixels for frame in source.frames()]
    low, high = (codec.encode(clip, crf) for crf in (codec.settings[0], codec.settings[-1]))
    assert len(low) < len(high)
    decoded = list(codec.decode(high))
    assert len(decoded) == len(originals) == 10
    for index, frame in enumerate(decoded):
        nearest = max(range(10), key=lambda other: metrics.psnr(originals[other], frame))
        assert nearest == index and metrics.psnr(originals[index], frame) > 28


def test_a_gop_of_one_makes_key_frames_alone(clip: Path) -> None:
    import av

    for gop, keys in (("1", 10), ("5", 2)):
        data = clip_peer(f"x264@preset=ultrafast@gop={gop}").encode(clip, 30)
        with av.open(io.BytesIO(data), "r") as container:
            assert sum(packet.is_keyframe for packet in container.demux(video=0) if packet.size) == keys


@pytest.mark.needs("pytorch_msssim")
def test_a_row_is_the_mean_over_frames(clip: Path) -> None:
    codec = jobs.subject(CONTEXT, "x264@preset=ultrafast")
    row = measure_clip(jobs.Job(CONTEXT, codec.name, 30.0, clip, "digest"), codec)
    data = codec.encode(clip, 30.0)
    with media.open_source(str(clip)) as source:
        pairs = list(zip((frame.pixels for frame in source.frames()), codec.decode(data), strict=True))
    assert (row.frames, row.width, row.height, row.bytes) == (10, 192, 176, len(data))
    assert row.bpp == pytest.approx(8 * len(data) / (192 * 176 * 10), abs=1e-6)
    assert row.psnr == pytest.approx(np.mean([metrics.psnr(*pair) for pair in pairs]), abs=1e-4)
    every = [metrics.ms_ssim(*pair) or 0 for pair in pairs[::4]]
    assert row.msssim == pytest.approx(np.mean(every), abs=1e-5)
    assert row.psnr_yuv is not None and row.psnr_yuv > row.psnr


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("jpeg", "no codec 'jpeg' for video; there are wavelet, .*x264"),
        ("x265@gop=none", "gop is a whole number of frames"),
        ("svtav1@preset=medium", "preset is one of 8"),
    ],
)
def test_wrong_specs_are_explained(spec: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        jobs.subject(CONTEXT, spec)


def test_a_scaled_clip_stands_for_the_clip(clip: Path, tmp_path: Path) -> None:
    """Every frame, in order, at the size and rate; the same bytes whenever it is made."""
    small = video.scaled(clip, (96, 88), tmp_path)
    (tmp_path / "again").mkdir()
    assert small.read_bytes() == video.scaled(clip, (96, 88), tmp_path / "again").read_bytes()
    with media.open_source(str(clip)) as whole, media.open_source(str(small)) as source:
        pairs = [(a.pixels, b.pixels) for a, b in zip(whole.frames(), source.frames(), strict=True)]
        assert (source.media.width, source.media.height, source.media.rate) == (96, 88, whole.media.rate)
        assert source.media.colour == whole.media.colour
    assert len(pairs) == 10
    for before, after in pairs:
        lanczos = np.asarray(Image.fromarray(before).resize((96, 88), Image.Resampling.LANCZOS))
        assert metrics.psnr(lanczos, after) > 28  # chroma is halved


@pytest.mark.parametrize("text", ["320", "-320x180", "axb", "320x180x3"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size"):
        arguments.size(text)


@pytest.mark.parametrize("text", ["0x0", "321x180", "320x8"])
def test_sizes_that_a_clip_cannot_have_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=f"resize {text}: sides are even numbers"):
        VideoSettings(resize=arguments.size(text))


@pytest.mark.parametrize(("to", "message"), [((384, 352), "larger than the clip"), ((96, 48), "distort")])
def test_sizes_that_do_not_suit_the_clip_are_refused(
    clip: Path, tmp_path: Path, to: tuple[int, int], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        video.scaled(clip, to, tmp_path)


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_rows_of_other_sizes_do_not_mix(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "video", str(clip), "--codecs", "x264@preset=ultrafast", "--jobs", "1", "--pictures", "0",
               "--out", str(tmp_path)]  # fmt: skip
    for resize in (["--resize", "96x88"], [], ["--resize", "96x88"]):
        assert main([*command, *resize]) == 0
    assert "scaled down to 96x88" in capsys.readouterr().out
    with (tmp_path / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert (
        sorted((row["source"], row["width"]) for row in rows)
        == [("clip 96x88.mkv", "96")] * 4 + [("clip.mkv", "192")] * 4
    )
    assert "scaled down to 96x88" in (tmp_path / "index.html").read_text()
    with pytest.raises(SystemExit):
        main(["evaluate", "images", str(clip), "--resize", "96x88", "--out", str(tmp_path)])


@pytest.mark.needs("pytorch_msssim")
def test_a_fit_that_was_interrupted_goes_on(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same file, and its time is that of both runs."""
    spec, step, steps = "nerv@arch=nerv@epochs=4", Fit._step, iter(range(25))

    def measure(context: jobs.JobContext) -> tuple[Row, float]:
        codec = jobs.subject(context, spec)
        return measure_clip(jobs.Job(context, spec, 20.0, clip, "digest"), codec), codec.earlier()

    def stopping(*args: Any) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        step(*args)

    keeping = dataclasses.replace(CONTEXT, checkpoint=tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Fit, "_step", stopping)
        measure(keeping)
    whole, nothing = measure(CONTEXT)
    row, earlier = measure(keeping)
    assert row.version == whole.version and (row.bytes, row.psnr) == (whole.bytes, whole.psnr)
    assert nothing == 0 < earlier < row.encode_s


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_a_report_of_a_clip(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clip.parent / "notes.txt").write_text("not a clip")
    command = ["evaluate", "video", str(clip.parent), "--codecs", "wavelet,x264@preset=ultrafast", "--jobs", "1",
               "--qualities", "20,40,60,80", "--pictures", "1", "--out", str(tmp_path)]  # fmt: skip
    assert main(command) == 0
    assert "MS-SSIM of a clip is the mean over frames 0, 8, 16" in capsys.readouterr().out
    with (tmp_path / "bdrate.csv").open() as stream:
        rates = {(row["codec"], row["metric"]): row for row in csv.DictReader(stream)}
    assert rates["wavelet", "psnr"]["sources"] == "1" and float(rates["wavelet", "psnr"]["akima"]) != 0
    assert "libx264 -crf C -preset ultrafast" in (tmp_path / "index.html").read_text()
