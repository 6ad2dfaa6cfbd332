from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tessera.codec.errors import FormatError, ParameterError
from tessera.data import procedural
from tessera.tools import bdrate, evaluate_images, metrics, report
from tessera.tools.cli import main
from tessera.tools.peers import PEERS


def test_psnr_of_known_errors() -> None:
    black = np.zeros((4, 6, 3), np.uint8)
    assert metrics.psnr(black, black) == math.inf
    assert metrics.psnr(black, black + np.uint8(255)) == 0
    one = black.copy()
    one[0, 0, 0] = 1  # mean squared error 1 / 72
    assert metrics.psnr(black, one) == pytest.approx(10 * math.log10(255**2 * 72))


def test_ms_ssim_needs_161_pixels() -> None:
    pixels = procedural.picture(161, 170)
    assert metrics.ms_ssim(pixels, pixels) == pytest.approx(1)
    assert metrics.ms_ssim(pixels[:160], pixels[:160]) is None
    blurred = (pixels // 32 * 32).astype(np.uint8)
    assert 0.5 < (metrics.ms_ssim(pixels, blurred) or 0) < 0.999


def test_bd_rate_of_a_scaled_curve_is_the_scale() -> None:
    anchor = [(0.1 * 2**i, 28 + 2.5 * i) for i in range(6)]
    saved = [(0.8 * rate, quality) for rate, quality in anchor]
    found = bdrate.compare("ours", saved, "theirs", anchor, "psnr")
    assert found.akima == pytest.approx(-20) and found.pchip == pytest.approx(-20)
    assert (found.low, found.high, found.overlap) == (28, 40.5, 1)


def test_bd_rate_says_why_there_is_none() -> None:
    anchor = [(0.1 * 2**i, 28 + 2.5 * i) for i in range(6)]
    apart = [(rate, quality + 30) for rate, quality in anchor]
    assert bdrate.compare("a", anchor[:3], "b", anchor, "psnr").note == "a curve has fewer than four rising points"
    assert bdrate.compare("a", apart, "b", anchor, "psnr").note == "the curves share no quality"
    bent = [*anchor, (9.0, 30.0)]
    found = bdrate.compare("a", bent, "b", anchor, "psnr")
    assert found.akima == pytest.approx(0, abs=1e-9) and found.note == "1 points left out, not rising"


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_peers_spend_more_bytes_on_more_quality(name: str) -> None:
    peer, pixels = PEERS[name], procedural.picture(64, 96)
    low, high = (peer.encode(pixels, setting) for setting in (peer.settings[0], peer.settings[-1]))
    assert len(low) < len(high)
    assert metrics.psnr(pixels, peer.decode(low)) < metrics.psnr(pixels, peer.decode(high))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(procedural.picture(168, 200, seed=seed)).save(folder / f"{seed}.png")
    return folder


def test_a_report_of_two_codecs(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    assert main(["evaluate", "images", str(pictures), "--codecs", "jpeg,webp", "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["means"]) == 18 and {mean["images"] for mean in result["means"]} == {2}
    by_pair = {(item["codec"], item["reference"], item["metric"]): item for item in result["bdrates"]}
    assert by_pair["webp", "jpeg", "psnr"]["akima"] < 0 < by_pair["jpeg", "webp", "psnr"]["akima"]
    assert by_pair["webp", "jpeg", "msssim_db"]["akima"] is not None
    with (out / "rows.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 36
    for row in rows:
        assert float(row["bpp"]) == pytest.approx(8 * int(row["bytes"]) / (168 * 200))
    for name in ("summary.csv", "bdrate.csv", "index.html", "psnr.png", "msssim.png"):
        assert (out / name).stat().st_size > 200
    with Image.open(out / "psnr.png") as plot:
        assert plot.size[0] >= 800


def test_an_interrupted_measurement_goes_on(pictures: Path, tmp_path: Path) -> None:
    file, codecs = tmp_path / "rows.csv", [PEERS["jpeg"]]
    paths = evaluate_images.find_pictures([pictures])
    whole = evaluate_images.measure(paths, codecs, file, None)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:8]) + lines[8][:20])  # the eighth row was being written
    again = evaluate_images.measure(paths, codecs, file, None)
    assert [row.key for row in again] == [row.key for row in whole]
    assert again[:7] == whole[:7]  # with the seconds of the first time: not measured again
    assert len(evaluate_images.read_rows(file)) == len(whole) == 20


def test_a_changed_picture_is_measured_again(pictures: Path, tmp_path: Path) -> None:
    file, codecs = tmp_path / "rows.csv", [PEERS["jpeg"]]
    first = evaluate_images.measure([pictures / "0.png"], codecs, file, None)
    Image.fromarray(procedural.picture(168, 200, seed=9)).save(pictures / "0.png")
    second = evaluate_images.measure([pictures / "0.png"], codecs, file, None)
    assert [row.bytes for row in first] != [row.bytes for row in second]


def test_small_pictures_are_reported_without_ms_ssim(tmp_path: Path) -> None:
    Image.fromarray(procedural.picture(40, 50)).save(tmp_path / "small.png")
    codecs = [PEERS["jpeg"], PEERS["webp"]]
    rows = evaluate_images.measure([tmp_path / "small.png"], codecs, tmp_path / "rows.csv", None)
    result = report.write(tmp_path, codecs, rows, ["jpeg"], {})
    assert {mean.msssim for mean in result.means} == {None}
    assert [rate.metric for rate in result.bdrates] == ["psnr"]
    assert not (tmp_path / "msssim.png").exists()


def test_curves_from_a_file_are_references(pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    lines = [f"other,{0.1 * 2**i},{25 + 3 * i}" for i in range(6)]
    file.write_text("\n".join(["codec,bpp,psnr_rgb", *lines, "not-asked-for,1,30"]))
    curves = report.read_curves([file], ["other"])
    assert list(curves) == ["other"] and len(curves["other"]["psnr"]) == 6
    with pytest.raises(ParameterError, match="no curve third; there are jpeg, other"):
        report.check_references(["other", "third"], ["jpeg", *curves])
    file.write_text("a,b\n1,2\n")
    with pytest.raises(FormatError, match="no columns"):
        report.read_curves([file], ["other"])


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="does not exist"):
        evaluate_images.find_pictures([tmp_path / "none"])
    with pytest.raises(ParameterError, match="no picture in"):
        evaluate_images.find_pictures([tmp_path])
    with pytest.raises(ParameterError, match="no codec 'gif'; there are wavelet, .*jpeg"):
        evaluate_images.subject("gif", [50], "cpu")
    (tmp_path / "rows.csv").write_text("codec,bytes\n")
    with pytest.raises(FormatError, match="not a table"):
        evaluate_images.read_rows(tmp_path / "rows.csv")
