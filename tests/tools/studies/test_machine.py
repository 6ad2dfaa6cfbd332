"""`tessera evaluate machine`: a set that a small classifier can learn, and what coding does to it."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tessera.codec.errors import FormatError
from tessera.codec.media.types import Pixels
from tessera.tools.cli import main
from tessera.tools.measuring import perception
from tessera.tools.peers.peer import PicturePeer
from tessera.tools.peers.pictures import picture_peer
from tessera.tools.studies.machine import measure as machine
from tessera.tools.studies.machine.page import at_rate
from tessera.tools.studies.machine.rows import MachineRow
from tessera.tools.studies.machine.settings import MachineSettings

SIDE = 32


def _picture(rng: np.random.Generator, across: bool) -> Pixels:
    """Faint stripes across or down in noise: the classes stay apart when pictures are mirrored."""
    wave = 24 * np.sin(np.mgrid[:SIDE, :SIDE][int(across)] * 0.9 + rng.uniform(0, 6))
    pixels: Pixels = np.clip(128 + wave[..., None] + rng.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("set") / "set.tar"
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w") as tar:
        for split, count in (("train", 96), ("test", 24)):
            for name, across in (("across", True), ("down", False)):
                for index in range(count):
                    blob = io.BytesIO()
                    Image.fromarray(_picture(rng, across)).save(blob, "PNG")
                    info = tarfile.TarInfo(f"{split}/{name}/{index:03}.png")
                    info.size = blob.tell()
                    tar.addfile(info, io.BytesIO(blob.getvalue()))
    return path


def test_rank_correlation_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    first, second = (rng.integers(0, 8, 40).astype(float).tolist() for _ in range(2))
    assert perception.spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert np.isnan(perception.spearman([1.0, 1.0], [1.0, 2.0]))


def test_training_repeats_itself(stripes: Path) -> None:
    clean = perception.read_set(stripes, "train")
    assert clean.classes == ("across", "down") and clean.pixels.shape == (192, SIDE, SIDE, 3)
    inputs, labels = perception.as_input(clean.pixels[::6]), torch.from_numpy(clean.labels[::6])
    once, again = (perception.train(inputs, labels, 2, epochs=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), again.parameters(), strict=True))
    with pytest.raises(FormatError, match="no pictures validation/CLASS/NAME"):
        perception.read_set(stripes, "validation")


COMMAND = ["--qualities", "2,60", "--jobs", "1", "--epochs", "6"]


def _rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "machine.csv").open() as stream:
        return {(row["codec"], row["setting"]): row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def report(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the family and JPEG, with classifiers of latents."""
    folder = tmp_path_factory.mktemp("report")
    given = ["evaluate", "machine", str(stripes), "--codecs", "wavelet,jpeg", "--latents", "--out", str(folder)]
    assert main([*given, *COMMAND]) == 0
    return folder


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_rows_for_machines(report: Path) -> None:
    rows = _rows(report)
    high, low = rows["wavelet", "quality=60"], rows["wavelet", "quality=2"]
    assert float(high["accuracy"]) > 0.9 and float(high["bpp"]) > float(low["bpp"])
    assert float(high["psnr"]) > float(low["psnr"]) and not high["msssim_db"] and not high["retrained"]
    assert float(high["latents"]) > 0.6 and not rows["jpeg", "quality=95"]["latents"]
    with Image.open(report / "accuracy.png") as plot:
        assert plot.size[0] >= 800
    with (report / "correlations.csv").open() as stream:
        entries = {row["codecs"]: row for row in csv.DictReader(stream)}
    assert entries["all"]["points"] == "12" and entries["wavelet"]["points"] == "2"
    assert -1 <= float(entries["all"]["psnr"]) <= 1 and not entries["all"]["lpips"]


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_only_what_is_new_is_measured(
    report: Path, stripes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (report / "machine.csv").read_text()
    again = ["evaluate", "machine", str(stripes), "--codecs", "wavelet", "--out", str(report), *COMMAND]
    with monkeypatch.context() as patched:
        patched.setattr(machine, "measure_set", None)
        assert main(again) == 0
    assert "rank correlation of accuracy" in capsys.readouterr().out
    assert (report / "machine.csv").read_text() == before
    monkeypatch.setattr(machine, "_coded", None)  # the figures that are there stay
    assert main([*again, "--retrain-at", "60"]) == 0
    assert not _rows(report)["wavelet", "quality=2"]["retrained"]
    row = _rows(report)["wavelet", "quality=60"]
    assert float(row["retrained"]) > 0.6 and float(row["latents"]) > 0.6


def test_only_some_settings_are_learned_from() -> None:
    def jobs(**more: Any) -> dict[tuple[str, float], tuple[bool, bool]]:
        settings = MachineSettings(codecs=("jpeg", "wavelet"), qualities=(10, 30), **more)
        found = machine.jobs_of(settings, Path("set.tar"), "digest", Path("model"))
        return {(job.codec, job.setting): (job.retrain, job.latents) for job in found}

    some = jobs(latents=True, retrain_at=(10.0,))
    assert some["jpeg", 10] == (True, False) and some["jpeg", 30] == (False, False)
    assert some["wavelet", 10] == (True, True) and some["wavelet", 30] == (False, True)
    assert jobs(retrain=True)["wavelet", 30] == (True, False) and jobs()["wavelet", 30] == (False, False)


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_a_codec_that_fails_does_not_lose_the_run(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = machine.measure_set

    def failing(job: machine.MachineJob, codec: PicturePeer) -> MachineRow:
        if codec.name == "webp" or job.setting == 2:
            raise ValueError("no luck <today>")
        return whole(job, codec)

    monkeypatch.setattr(machine, "measure_set", failing)
    given = ["--out", str(tmp_path), "--qualities", "2,60", "--jobs", "1", "--epochs", "1", "--images", "10"]
    assert main(["evaluate", "machine", str(stripes), "--codecs", "webp,wavelet", *given]) == 0
    assert "failed: wavelet quality=2 on set.tar: ValueError: no luck" in capsys.readouterr().out
    assert list(_rows(tmp_path)) == [("wavelet", "quality=60")]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("ValueError: no luck &lt;today&gt;") == 1 + len(picture_peer("webp").settings)
    assert "10 coded pictures" in page and "<img" in page
    assert main(["evaluate", "machine", str(stripes), "--codecs", "webp", *given]) == 2
    assert "nothing could be measured: ValueError: no luck" in capsys.readouterr().err


def test_values_at_equal_rate() -> None:
    curve = [(0.5, 60.0), (0.25, 50.0), (2.0, 90.0)]
    assert at_rate(curve, 1.0) == pytest.approx(75.0) and at_rate(curve, 0.25) == 50.0
    assert at_rate(curve, 0.2) is None and at_rate(curve, 2.1) is None and at_rate([], 1.0) is None
