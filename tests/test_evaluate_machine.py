"""`tessera evaluate machine`: a set that a small classifier can learn, and what coding does to it."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tessera.codec.errors import FormatError
from tessera.tools.cli import main
from tessera.tools.evaluation import perception
from tessera.tools.evaluation.metrics import Pixels

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


def test_a_report_for_machines(stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "machine", str(stripes), "--codecs", "wavelet,jpeg", "--qualities", "2,60", "--jobs", "1",
               "--epochs", "6", "--latents", "--out", str(tmp_path)]  # fmt: skip
    assert main(command) == 0
    assert "rank correlation of accuracy" in capsys.readouterr().out
    with (tmp_path / "machine.csv").open() as stream:
        rows = {(row["codec"], row["setting"]): row for row in csv.DictReader(stream)}
    high, low = rows["wavelet", "quality=60"], rows["wavelet", "quality=2"]
    assert float(high["accuracy"]) > 0.9 and float(high["bpp"]) > float(low["bpp"])
    assert float(high["psnr"]) > float(low["psnr"])
    assert float(high["latents"]) > 0.6 and not rows["jpeg", "quality=95"]["latents"]
    with Image.open(tmp_path / "accuracy.png") as plot:
        assert plot.size[0] >= 800
    before = (tmp_path / "machine.csv").read_text()
    assert main(command) == 0  # nothing is measured again
    assert sorted((tmp_path / "machine.csv").read_text().splitlines()) == sorted(before.splitlines())
