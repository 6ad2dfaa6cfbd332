"""`tessera evaluate extreme`: sizes that are met, features that are compared, indices that are lost and filled in."""

from __future__ import annotations

import csv
import io
import json
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tessera.codec.coding import weights
from tessera.codec.errors import ParameterError
from tessera.data import procedural
from tessera.tools.cli import main
from tessera.tools.measuring import features, perception
from tessera.tools.measuring.job import JobContext, subject
from tessera.tools.studies.extreme import measure as extreme
from tessera.tools.studies.extreme import restoration
from tessera.tools.studies.extreme.contact import middle

SIDE = 32


# -- parts -------------------------------------------------------------------------------------------------------------


def test_tiles_and_mosaics_are_each_others_inverse() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    whole = features.mosaic(pictures, 10)
    assert whole.shape == (16, 80, 3) and np.array_equal(whole[8:, 8:16], pictures[11])
    assert np.array_equal(features.tiles(whole, 8), pictures)
    framed = np.pad(whole, ((1, 2), (3, 3), (0, 0)))
    assert np.array_equal(features.tiles(framed, 8), pictures)
    with pytest.raises(ParameterError, match="holds no tile of 32x32"):
        features.tiles(whole, 32)


def test_feature_distance_by_hand() -> None:
    torch.manual_seed(0)
    model = perception.classifier(3, SIDE, 2).eval()
    first, second = np.random.default_rng(1).integers(0, 256, (2, 3, SIDE, SIDE, 3), np.uint8)
    found = features.distances(model, first, second)
    assert found.shape == (3,) and np.all(found > 0) and np.all(found <= 2)
    assert np.all(features.distances(model, first, first) == 0)
    with torch.inference_mode():
        each, pair = [], [perception.as_input(pixels[1:2]) for pixels in (first, second)]
        for layer in list(model)[:-3]:  # the pooling, the flattening and the linear layer
            pair = [layer(x) for x in pair]
            if isinstance(layer, perception.ConvolutionBlock):
                # of vectors of length 1 the squared distance is 2 - 2 cos
                each.append(float((2 - 2 * torch.cosine_similarity(pair[0], pair[1], dim=1)).mean()))
    assert len(each) == 4 and found[1] == pytest.approx(sum(each) / 4, rel=1e-4)


@pytest.mark.parametrize("steps", [1, 37])
def test_search_finds_the_nearest_size_on_lines_and_stairs(steps: int) -> None:
    calls: list[int] = []

    def size_of(place: int) -> int:
        calls.append(place)
        return round(400 * math.exp(place // steps * steps / 1500))

    for target in (100, 450, 1000, 5000, 90000):
        calls.clear()
        sizes = extreme.search(size_of, 6401, target, {3200: size_of(3200)})
        best = min(sizes.values(), key=lambda size: abs(math.log(size / target)))
        reachable = min(max(target, 400), size_of(6400))
        assert len(calls) <= extreme.TRIALS + 3 and abs(math.log(best / reachable)) < max(0.04, steps / 1500)


@pytest.mark.parametrize(
    ("name", "first", "second", "last"),
    [("jpeg", 1, 2, 100), ("jpegxl", 25, 24.99, 0.1), ("wavelet", 0, 1 / 64, 100), ("webp", 0, 1, 100)],
)
def test_settings_run_from_small_files_to_large_ones(name: str, first: float, second: float, last: float) -> None:
    if name == "jpegxl":
        pytest.importorskip("imagecodecs")
    found = extreme.choices(subject(JobContext("images", (0, 100)), name), extreme.ladder(name)[0])
    assert (found[0], found[1], found[-1]) == pytest.approx((first, second, last), abs=1e-6)


def test_a_ladder_has_the_setting_of_the_smallest_files() -> None:
    assert extreme.ladder("wavelet", (10, 20)) == (0, 10, 20)


def test_fills_of_lost_indices() -> None:
    nodes = np.array([[9, 9, 8, 10], [9, 15, 15, 10], [15, 11, 15, 15]])
    lost = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1]]) > 0
    assert restoration.most_frequent(nodes, lost).tolist() == [[9, 15, 8, 10], [15, 15, 15, 10], [15, 11, 15, 15]]
    assert restoration.nearest_known(nodes, lost).tolist() == [[9, 9, 8, 10], [9, 15, 15, 10], [11, 11, 15, 10]]
    some, more = (restoration.erasures([nodes, 0 * nodes], share, 5) for share in (0.25, 0.5))
    assert int(some[0].sum()) == 3 and int(more[0].sum()) == 6 and not some[1].any()
    assert bool((more[0] | ~some[0]).all())


def test_the_middle_of_a_picture() -> None:
    assert middle(np.zeros((512, 768, 3), np.uint8)).shape == (288, 384, 3)
    assert middle(np.zeros((100, 400, 3), np.uint8)).shape == (100, 384, 3)


# -- the whole report --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two pictures and a labelled set."""
    folder = tmp_path_factory.mktemp("sources")
    for index in range(2):
        Image.fromarray(procedural.picture(192, 192, seed=index)).save(folder / f"{index}.png")
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "set.tar", "w") as tar:
        for split, count in (("train", 12), ("test", 11)):
            for name, across in (("across", 1), ("down", 0)):
                for index in range(count):
                    wave = 60 * np.sin(np.mgrid[:SIDE, :SIDE][across] * 0.9 + rng.uniform(0, 6))[..., None]
                    noisy = 128 + wave + rng.normal(0, 8, (SIDE, SIDE, 3))
                    blob = io.BytesIO()
                    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(blob, "PNG")
                    info = tarfile.TarInfo(f"{split}/{name}/{index:03}.png")
                    info.size = blob.tell()
                    tar.addfile(info, io.BytesIO(blob.getvalue()))
    return [str(folder), str(folder / "set.tar")]


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
@pytest.mark.skipif(not weights.files("vqgan"), reason="this install has no weights of codec vqgan")
def test_the_report_and_its_resumption(
    sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(restoration, "LOST", (0.2,))
    command = ["evaluate", "extreme", *sources, "--codecs", "vqgan,jpeg", "--qualities", "0,40", "--rates", "0.1"]
    command += ["--epochs", "1", "--jobs", "1", "--out", str(tmp_path)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "pictures at 0.1 bpp" in shown and "most frequent" in shown and "failed" not in shown
    rows = _rows(tmp_path / "results.csv")
    ours = {row["kind"]: row for row in rows if row["codec"] == "vqgan" and float(row["target"])}
    jpeg = next(row for row in rows if (row["codec"], row["kind"], row["target"]) == ("jpeg", "pictures", "0.1"))
    assert abs(float(ours["pictures"]["bpp"]) / 0.1 - 1) < 0.3 and not ours["pictures"]["accuracy"]
    assert jpeg["setting"] == "quality=1" and float(jpeg["least_bpp"]) > 0.115 and float(jpeg["msssim"]) < 1
    assert ours["singles"]["files"] == "22" and float(ours["singles"]["bpp"]) > float(ours["mosaics"]["bpp"])
    assert 0 <= float(ours["mosaics"]["accuracy"]) <= 1 and float(ours["mosaics"]["distance"]) > 0
    lost = {(row["source"], row["method"]): float(row["psnr"]) for row in _rows(tmp_path / "restoration.csv")}
    assert len(lost) == 8 and lost["0.png", "none"] > lost["0.png", "most frequent"]
    usage = {(row["full"], row["stage"]): row for row in _rows(tmp_path / "usage.csv")}
    assert len(usage) == 15 and usage["4", "3"]["cells"] == str(2 * 24 * 24)
    bits = sum(float(row["bits"]) for (full, _), row in usage.items() if full == "4")
    assert bits / 8 == pytest.approx(float(usage["4", "4"]["payload"]), rel=0.01)
    result = json.loads((tmp_path / "report.json").read_text())
    assert result["decode_ms"]["vqgan"] > 0 and result["threads"] == 2
    assert "cannot go lower" in (tmp_path / "index.html").read_text(encoding="utf-8")
    with Image.open(tmp_path / "sheet.png") as sheet, Image.open(tmp_path / "accuracy.png") as plot:
        assert sheet.size[0] > 2 * 384 and plot.size[0] >= 800
    monkeypatch.setattr(extreme, "measure_job", None)
    monkeypatch.setattr(restoration, "measure_restoration", None)
    monkeypatch.setattr(restoration, "measure_usage", None)
    assert main(command) == 0 and capsys.readouterr().out.split("decode ")[0] == shown.split("decode ")[0]


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_what_it_cannot_do_is_said(sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "extreme", sources[0], "--out", str(tmp_path)]) == 2
    assert "a tar file of train" in capsys.readouterr().err
