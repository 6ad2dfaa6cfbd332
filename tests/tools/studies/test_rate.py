"""`tessera evaluate images`: what is measured, what is kept, and what happens when something fails."""

from __future__ import annotations

import csv
import importlib.util
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tessera.codec.errors import CodecError, FormatError, ParameterError, UnsupportedError
from tessera.data import procedural
from tessera.tools.cli import main
from tessera.tools.commands import evaluate
from tessera.tools.engines.engine import outcome_of
from tessera.tools.engines.local import LocalEngine
from tessera.tools.measuring import job as jobs
from tessera.tools.measuring import metrics, workers
from tessera.tools.measuring.pictures import find_files, read
from tessera.tools.measuring.rows import Row, read_rows, rewrite
from tessera.tools.peers import learned
from tessera.tools.peers.pictures import PEERS, picture_peer
from tessera.tools.report import slider
from tessera.tools.studies.rate import measure as rate
from tessera.tools.studies.rate import scenes
from tessera.tools.studies.rate.curves import published, read_curves
from tessera.tools.studies.rate.rows import Study, comparable
from tessera.tools.studies.rate.study import check_references, write

CONTEXT = jobs.JobContext("images", (20.0, 60.0))


@pytest.mark.parametrize("spec", ["jpeg", "webp", "avif@speed=9", "jpegxl@effort=3", "hevc@preset=ultrafast"])
def test_peers_spend_more_bytes_on_more_quality(spec: str) -> None:
    if spec.startswith("jpegxl"):
        pytest.importorskip("imagecodecs")
    peer, pixels = picture_peer(spec), procedural.picture(64, 96)
    low, high = (peer.encode(pixels, setting) for setting in (peer.settings[0], peer.settings[-1]))
    assert len(low) < len(high)
    assert metrics.psnr(pixels, peer.decode(low)) + 3 < metrics.psnr(pixels, peer.decode(high))
    assert peer.name == spec and peer.version()


def test_options_of_a_spec_change_the_file_and_the_printed_command() -> None:
    pixels = procedural.picture(64, 96)
    plain, full = (picture_peer(spec) for spec in ("jpeg", "jpeg@subsampling=4:4:4"))
    assert plain.encode(pixels, 50) != full.encode(pixels, 50)
    assert "4:4:4" in full.about and "4:4:4" not in plain.about
    tuned, untuned = (picture_peer(spec) for spec in ("avif@speed=9", "avif@speed=9@tune=default"))
    assert "'tune': 'psnr'" in tuned.about and "'tune'" not in untuned.about
    assert tuned.encode(pixels, 50) != untuned.encode(pixels, 50)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gif", "no codec 'gif' for images; there are wavelet, .*jpeg"),
        ("jpeg@speed=3", "no option 'speed'; there are subsampling"),
        ("avif@speed=44", "speed is one of 4, 0"),
        ("avif@speed", "'speed' is not key=value"),
        ("avif@speed=4@speed=4", "given twice"),
        ("wavelet@decoder=magic", "no decoder 'magic'"),
        ("wavelet@effort=9", "effort 9 is not"),
    ],
)
def test_wrong_specs_are_explained(spec: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        jobs.subject(CONTEXT, spec)


def test_learned_peers_say_how_to_get_their_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if importlib.util.find_spec("compressai") is None:
        pytest.skip("compressai is not installed")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UnsupportedError, match="mbt2018-mean-3-.* is missing.*curl"):
        jobs.subject(CONTEXT, "compressai:mbt2018-mean@3")
    with pytest.raises(ParameterError, match="quality is one of 1, 2"):
        jobs.subject(CONTEXT, "compressai:mbt2018-mean@30")
    with pytest.raises(ParameterError, match="CompressAI has bmshj2018-factorized"):
        jobs.subject(CONTEXT, "compressai:nothing")


def test_the_file_of_a_learned_peer_holds_all_that_its_decoder_needs() -> None:
    coded = {"strings": [[b"abc"], [b""], [bytes(300)]], "shape": (4, 6)}
    data = learned.pack(3, (500, 700), coded)
    assert learned.unpack(data) == (3, (500, 700), coded)
    assert len(data) == 12 + 3 * 4 + 303


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(procedural.picture(168, 200, seed=seed)).save(folder / f"{seed}.png")
    return folder


def _measure(paths: list[Path], codecs: list[str], file: Path, workers: int = 1) -> list[Row]:
    rows, failures = rate.measure(CONTEXT, codecs, paths, file, workers=workers)
    assert not failures
    return rows


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_a_report_of_three_codecs(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    command = ["evaluate", "images", str(pictures), "--codecs", "wavelet,jpeg,webp", "--out", str(out), "--json",
               "--jobs", "1", "--pictures", "1", "--qualities", "10,30,50,70"]  # fmt: skip
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["means"]) == 22 and {mean["sources"] for mean in result["means"]} == {2}
    by_pair = {(item["codec"], item["reference"], item["metric"]): item for item in result["bdrates"]}
    assert by_pair["webp", "jpeg", "psnr"]["akima"] < 0 < by_pair["jpeg", "webp", "psnr"]["akima"]
    assert by_pair["webp", "jpeg", "msssim_db"]["akima"] is not None
    with (out / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 44
    for row in rows:
        assert float(row["bpp"]) == pytest.approx(8 * int(row["bytes"]) / (168 * 200), abs=1e-5)
    for name in ("summary.csv", "bdrate.csv", "index.html", "psnr.png", "msssim.png"):
        assert (out / name).stat().st_size > 200
    page = (out / "index.html").read_text()
    assert "src=\"http" not in page and "quality=Q, subsampling=&#x27;4:2:0&#x27;" in page


@pytest.mark.needs("pytorch_msssim")
def test_an_interrupted_measurement_goes_on(pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    paths = find_files([pictures])
    whole = _measure(paths, ["jpeg"], file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:8]) + lines[8][:20])  # the eighth row was being written
    kept = read_rows(file, Row)
    assert len(kept) == 7
    again = _measure(paths, ["jpeg"], file)
    assert [row.key for row in again] == [row.key for row in whole]
    assert all(row in again for row in kept)  # with the seconds of the first time: not measured again
    assert len(read_rows(file, Row)) == len(whole) == 20


@pytest.mark.needs("pytorch_msssim")
def test_workers_measure_the_same(pictures: Path, tmp_path: Path) -> None:
    paths = find_files([pictures])
    alone = _measure(paths, ["webp"], tmp_path / "alone.csv")
    together = _measure(paths, ["webp"], tmp_path / "together.csv", workers=2)
    assert [(r.key, r.bytes, r.psnr, r.msssim) for r in alone] == [(r.key, r.bytes, r.psnr, r.msssim) for r in together]


@pytest.mark.needs("pytorch_msssim")
def test_a_changed_picture_is_measured_again_and_replaces_nothing_else(pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    first = _measure([pictures / "0.png"], ["jpeg"], file)
    Image.fromarray(procedural.picture(168, 200, seed=9)).save(pictures / "0.png")
    second = _measure([pictures / "0.png"], ["jpeg"], file)
    assert [row.bytes for row in first] != [row.bytes for row in second]
    assert len(read_rows(file, Row)) == 20


def test_a_new_version_replaces_the_old_rows(tmp_path: Path) -> None:
    old, new = _row("jpeg", version="1"), _row("jpeg", version="2", psnr=31.0)
    rewrite(tmp_path / "results.csv", [old, _row("webp"), new], Row)
    assert read_rows(tmp_path / "results.csv", Row) == [new, _row("webp")]


def _row(codec: str, version: str = "1", psnr: float = 30.0, source: str = "a", setting: int = 1) -> Row:
    return Row(codec, version, f"quality={setting}", source, source, 1, 8, 8, 10 * setting, 1.25 * setting,
               psnr + 3 * setting, 35.0, 0.9, None, 0.1, 0.2)  # fmt: skip


class _Far:
    """An engine whose work, jobs and outcomes travel pickled, as to a cluster."""

    batch, apart, closed, count = 8, True, False, 0

    def run(self, work: Any, jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for job in jobs:
            self.count += 1
            sent_work, sent_job = pickle.loads(pickle.dumps((work, job)))
            yield job, pickle.loads(pickle.dumps(outcome_of(sent_work, sent_job)))

    def close(self) -> None:
        self.closed = True


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_one_broken_file_does_not_lose_the_run(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor on another engine, which gets all jobs."""
    far, asked = _Far(), []

    def make(*words: Any, **more: Any) -> _Far:
        asked.append((words, more))
        return far

    monkeypatch.setattr(evaluate, "make_engine", make)
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    out = tmp_path / "report"
    words = ["evaluate", "images", str(pictures), "--codecs", "jpeg,webp", "--out", str(out), "--jobs", "2"]
    assert main([*words, "--engine", "ray", "--address", "auto"]) == 0
    assert asked == [(("ray", 2), {"address": "auto"})] and far.closed
    assert far.count == 3 * 18 + 2 * 2, "measurements, and the scenes of the page"
    with (out / "failures.csv").open() as stream:
        failures = list(csv.DictReader(stream))
    assert {item["source"] for item in failures} == {"broken.png"} and len(failures) == 18
    assert "not a picture that Pillow reads" in failures[0]["reason"]
    with (out / "summary.csv").open() as stream:
        assert {row["sources"] for row in csv.DictReader(stream)} == {"2"}
    assert "not a picture that Pillow reads" in (out / "index.html").read_text()


def test_means_are_over_the_sources_that_all_codecs_have() -> None:
    rows = [_row(codec, source=source) for codec in ("jpeg", "webp") for source in ("a", "b")][:-1]
    kept, left_out = comparable(rows)
    assert {row.source for row in kept} == {"a"} and left_out == ["b"]
    with pytest.raises(CodecError, match="no source was measured with every codec"):
        comparable([_row("jpeg", source="a"), _row("webp", source="b")])


@pytest.mark.needs("bjontegaard", "matplotlib")
def test_small_pictures_are_reported_without_ms_ssim(tmp_path: Path) -> None:
    Image.fromarray(procedural.picture(40, 50)).save(tmp_path / "small.png")
    rows = _measure([tmp_path / "small.png"], ["jpeg", "webp"], tmp_path / "results.csv")
    study = Study("images", "", [PEERS["jpeg"], PEERS["webp"]], rows, references=["jpeg"])
    result = write(tmp_path, study)
    assert {mean.msssim for mean in result.means} == {None}
    assert {rate.metric for rate in result.bdrates} == {"psnr", "psnr_yuv"}
    assert not (tmp_path / "msssim.png").exists()


def test_curves_from_a_file_are_references(tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    lines = [f"other,{0.1 * 2**i},{25 + 3 * i}" for i in range(6)]
    file.write_text("\n".join(["codec,bpp,psnr_rgb", *lines, "not-asked-for,1,30"]))
    curves = read_curves([file], ["other"])
    assert list(curves) == ["other"] and len(curves["other"]["psnr"]) == 6
    with pytest.raises(ParameterError, match="no curve third; there are jpeg, other"):
        check_references(["other", "third"], ["jpeg", *curves])
    file.write_text("a,b\n1,2\n")
    with pytest.raises(FormatError, match="no columns"):
        read_curves([file], ["other"])


def test_published_curves_are_for_kodak_alone() -> None:
    kodak = [Path(f"kodim{n:02}.png") for n in range(1, 25)]
    found = published(["published:vtm", "jpeg"], kodak)
    assert len(found["published:vtm"]["psnr"]) == len(found["published:vtm"]["msssim_db"]) >= 8
    with pytest.raises(ParameterError, match="no curve published:dwarf; there are published:av1"):
        published(["published:dwarf"], kodak)
    with pytest.raises(ParameterError, match="of the 24 Kodak pictures"):
        published(["published:vtm"], kodak[:3])


def test_the_slider_finds_the_nearest_size() -> None:
    pixels = procedural.picture(168, 200)
    jpeg = picture_peer("jpeg")
    known = [(setting, len(jpeg.encode(pixels, setting))) for setting in (20, 60)]
    sizes = {quality: len(jpeg.encode(pixels, quality)) for quality in range(1, 96)}
    for target in (sizes[8], sizes[37], sizes[55]):
        quality, data = scenes.nearest(jpeg, pixels, target, known, trials=6)
        assert abs(len(data) / target - 1) < 0.03 and len(data) == sizes[int(quality)]
    assert scenes.guess({10: 100, 20: 200}, 1, 1.0, (5, 30)) == 5
    assert scenes.guess({1: 100, 2: 200, 3: 500}, 210, 0, (1, 3)) == 2


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="does not exist"):
        find_files([tmp_path / "none"])
    with pytest.raises(ParameterError, match="no picture in"):
        find_files([tmp_path])
    (tmp_path / "results.csv").write_text("codec,bytes\n")
    with pytest.raises(FormatError, match="not a table"):
        read_rows(tmp_path / "results.csv", Row)


def test_alpha_and_orientation_are_settled_before_coding(tmp_path: Path) -> None:
    pixels = procedural.picture(20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    assert read(tmp_path / "turned.png").shape == (30, 20, 3)
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(tmp_path / "alpha.png")
    assert (read(tmp_path / "alpha.png") == pixels).all()


def test_one_failing_job_loses_no_other() -> None:
    for how in (1, LocalEngine(0)):
        assert [(place, str(outcome)) for place, outcome in workers.run(["1", "x", "3"], int, how)] == [
            (0, "1"), (1, "invalid literal for int() with base 10: 'x'"), (2, "3")
        ]  # fmt: skip


@pytest.mark.needs("pytorch_msssim")
def test_a_codec_that_fails_in_the_slider_leaves_a_note(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _measure([pictures / "0.png"], ["jpeg", "webp"], pictures / "results.csv")
    taken = scenes.take

    def failing(wanted: scenes.Wanted) -> slider.Shot:
        if wanted.codec == "webp":
            raise ValueError("no luck")
        return taken(wanted)

    monkeypatch.setattr(scenes, "take", failing)
    made, notes = scenes.make(CONTEXT, ["jpeg", "webp"], rows, [pictures / "0.png"], [0.5], 1)
    assert [shot.name for shot in made[0].shots] == ["original", "jpeg"]
    assert notes == ["Not in the slider: webp on 0.png, ValueError: no luck"]


_WORK = """
import sys, time
from pathlib import Path
from tessera.tools.measuring.workers import run

def work(file):
    for _ in range(2400):
        with open(file, "a") as stream:
            stream.write(".")
        time.sleep(0.05)

if __name__ == "__main__":
    list(run(sys.argv[1:], work, 2))
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(_WORK)
    signs = [tmp_path / "a", tmp_path / "b"]

    def written() -> list[int]:
        return [sign.stat().st_size if sign.exists() else 0 for sign in signs]

    def until(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 60
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.2)
        return condition()

    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), *map(str, signs)])
    try:
        assert until(lambda: min(written()) > 0)
    finally:
        parent.kill()
        parent.wait()

    def quiet() -> bool:
        before = written()
        time.sleep(1.0)
        return written() == before

    assert until(quiet)
