"""`tessera evaluate tokens` and `latents`: the small models, the measurements, the reports; `tessera bench tokens`."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import tessera
from tessera.codec.errors import ParameterError
from tessera.data import procedural, shapes
from tessera.models.tokens import list_methods
from tessera.models.tokens.modules.projector import Projector
from tessera.tools.bench import tokens as bench
from tessera.tools.cli import main
from tessera.tools.measuring import answering
from tessera.tools.studies.latents import classifier
from tessera.tools.studies.latents import rows as latents_rows
from tessera.tools.studies.latents import sources as tokens_sources
from tessera.tools.studies.tokens import measure as tokens

# -- the model that answers --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader() -> answering.AnsweringModel:
    torch.manual_seed(0)
    return answering.AnsweringModel(6, 32, 2).eval()


def batch(tokens: int = 5, questions: int = 3) -> answering.QuestionBatch:
    generator = torch.Generator().manual_seed(tokens)
    return answering.QuestionBatch(
        torch.randn(2, tokens, 6, generator=generator),
        torch.rand(2, tokens, 3, generator=generator) * 5,
        torch.ones(2, tokens),
        torch.randint(len(answering.WORDS), (2, questions, answering.QUESTION), generator=generator),
        torch.zeros(2, questions, dtype=torch.int64),
    )


@torch.inference_mode()
def test_a_question_does_not_hear_the_others(reader: answering.AnsweringModel) -> None:
    given = batch()
    alone = reader(replace(given, words=given.words[:, 1:2]))
    torch.testing.assert_close(reader(given)[:, 1:2], alone)


@torch.inference_mode()
def test_padding_changes_nothing(reader: answering.AnsweringModel) -> None:
    given = batch()
    x, pos = (torch.cat([part, torch.full_like(part[:, :2], 7.0)], 1) for part in (given.x, given.pos))
    longer = replace(given, x=x, pos=pos, size=torch.cat([given.size, torch.zeros(2, 2)], 1))
    torch.testing.assert_close(reader(longer), reader(given))


@torch.inference_mode()
def test_a_token_of_size_two_is_two_equal_tokens(reader: answering.AnsweringModel) -> None:
    given = batch()
    double = replace(given, size=given.size + torch.eye(5)[0])
    twice = replace(given, **{name: torch.cat([getattr(given, name), getattr(given, name)[:, :1]], 1)
                              for name in ("x", "pos", "size")})  # fmt: skip
    torch.testing.assert_close(reader(double), reader(twice))


@torch.inference_mode()
def test_attention_received_sums_to_one(reader: answering.AnsweringModel) -> None:
    given = batch()
    found = reader.attention(given.x[0], given.pos[0])
    assert found.shape == (2, 2, 5)
    torch.testing.assert_close(found.sum(2), torch.ones(2, 2))


@torch.inference_mode()
def test_the_reader_and_its_projector_come_back_from_files(reader: answering.AnsweringModel, tmp_path: Path) -> None:
    answering.save(reader, tmp_path)
    again = answering.load(tmp_path / "reader.safetensors")
    torch.testing.assert_close(again(batch()), reader(batch()))
    projector = Projector.load(tmp_path / "projector.safetensors")
    torch.testing.assert_close(projector(batch().x), reader.projector(batch().x))


def test_the_reader_learns_and_repeats_itself() -> None:
    """One channel tells a colour's number; two trainings are equal."""
    generator = torch.Generator().manual_seed(1)
    answers = torch.randint(4, (256, 1), generator=generator)
    x = torch.randn(256, 6, 4, generator=generator) * 0.1
    x[:, :, 0] += answers
    asked = [answering.encode_questions([shapes.Question("count", ("red",), str(int(a)))]) for a in answers]
    words, right = answering.padded(asked)
    lessons = answering.Lessons(x.half(), torch.rand(6, 3, generator=generator), words, right)
    first, again = (answering.train(lessons, epochs=15, batch=16, thin=0.2, width=16, layers=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    given = answering.QuestionBatch(x, lessons.pos.expand(256, -1, -1), torch.ones(256, 6), words, right)
    assert float(answering.answer(first, given).float().mean()) > 0.9


# -- every method at one budget ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    command = ["evaluate", "tokens", "--out", str(folder), "--clips", "12", "--epochs", "1", "--images", "3",
               "--budgets", "1,0.1"]  # fmt: skip
    assert main(command) == 0
    return folder


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_row_5_every_method_at_equal_budgets(report: Path) -> None:
    rows = {(row["method"], f"{float(row['budget']):g}"): row for row in read(report / "tokens.csv")}
    methods = {name for name, _ in rows}
    assert {*tokens.RIVALS, "bits", "tome", "dct", "kcenter", "attn", "query", "dcode"} <= methods
    assert "dymu" not in methods, "the same as tome"
    left = {entry["name"] for entry in list_methods()} - methods
    assert {"bits_prior", "select"} < left and all(len(rows[name, "1"]) == 19 for name in methods)
    for name in ("bits", "random", "tome", "kcenter"):
        assert float(rows[name, "0.1"]["tokens"]) == 29
        for kind in (*(f"right_{kind}" for kind in shapes.KINDS), "accuracy"):
            assert rows[name, "1"][kind] == rows["uniform", "1"][kind], "nothing is left out"
    assert float(rows["frames", "0.1"]["tokens"]) == 36
    assert all(float(row["reduce_ms"]) > 0 and float(row["model_ms"]) > 0 for row in rows.values())


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_the_report_is_there_and_the_model_is_kept(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "Selection by bits beside others" in page and page.count("data:image/png") == 2
    pairs = {(row["method"], row["rival"]) for row in read(report / "paired.csv")}
    assert pairs == {(ours, rival) for ours in tokens.OURS for rival in tokens.RIVALS}
    (folder,) = report.glob("reader-*")
    before = (folder / "reader.safetensors").stat().st_mtime_ns
    command = ["evaluate", "tokens", "--out", str(report), "--clips", "12", "--epochs", "1", "--images", "3",
               "--budgets", "0.1", "--json"]  # fmt: skip
    there = read(report / "tokens.csv")
    assert main(command) == 0
    assert read(report / "tokens.csv") == there, "nothing is measured again"
    result = json.loads(capsys.readouterr().out)
    assert result["clips"] == 3 and 0 < result["blind"]["accuracy"] <= 1
    assert (folder / "reader.safetensors").stat().st_mtime_ns == before


def test_pairs_know_their_spread() -> None:
    """Ten clips of two questions: bits right in all, random in the first of each."""
    asked = torch.zeros(2, 3, dtype=torch.int64)
    sample = tokens.QuestionedClip(None, asked, torch.zeros(2), [])  # type: ignore[arg-type]
    ours, theirs = torch.ones(20, dtype=torch.bool), torch.tensor([True, False] * 10)
    (pair,) = tokens.compare({("bits", 0.5): ours, ("random", 0.5): theirs}, [sample] * 10)
    assert pair.difference == 0.5 and pair.low == pair.high == 0.5, "every clip says the same"
    (pair,) = tokens.compare({("bits", 0.5): ours, ("random", 0.5): torch.arange(20) < 10}, [sample] * 10)
    assert pair.difference == 0.5 and pair.low == pytest.approx(0.5 - 1.96 * (10 / 9) ** 0.5 / 10**0.5 / 2)


# -- the same transformer on latents and pixels ------------------------------------------------------------------------


def test_row_9_cells_become_as_many_tokens_as_are_asked_for() -> None:
    grid = torch.arange(12 * 12 * 2.0).view(1, 12, 12, 2)
    joined = tokens_sources.join_cells(grid)
    assert joined.shape == (1, 36, 8)
    assert joined[0, 7].tolist() == grid[0, 2:4, 2:4].flatten().tolist()
    assert tokens_sources.join_cells(grid, 12).shape == (1, 144, 2) and tokens_sources.join_cells(grid, 3).shape[1] == 9
    with pytest.raises(ParameterError, match="do not divide"):
        tokens_sources.join_cells(torch.zeros(1, 7, 6, 1))


@pytest.mark.parametrize(
    "name",
    ["rgb:50", "latents", "rgb:24:3", "pixels", "latents:wavelet:few", "ids:vqgan:3", "rgb:24@50",
     "dct", "dct:0", "dct:31", "dct:x", "dct:6@50"],
)  # fmt: skip
def test_other_sources_are_refused(name: str) -> None:
    with pytest.raises(ParameterError):
        tokens_sources.source(name, 50.0)


def test_cosines_are_those_of_blocks_and_the_loudest_are_kept() -> None:
    """Against scipy, coefficient by coefficient; fine stripes are louder than the mean, and are chosen."""
    from scipy.fft import dctn  # type: ignore[import-untyped]

    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    found = tokens_sources.cosines(pixels)
    axes = np.asarray(Image.fromarray(pixels).convert("YCbCr")).astype(float) / 64 - 2
    zigzag = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0), (0, 3), (1, 2), (2, 1), (3, 0)]
    assert found.shape == (2, 3, 30)
    for axis in range(3):
        block = dctn(axes[8:16, 16:24, axis], norm="ortho")
        wanted = torch.tensor([block[at] for at in zigzag]).float()
        torch.testing.assert_close(found[1, 2, 10 * axis : 10 * axis + 10], wanted, atol=1e-5, rtol=1e-5)
    column = np.cos(np.pi * (2 * np.arange(8) + 1) * 3 / 16)  # coefficient (0, 3) alone
    signs = np.random.default_rng(1).choice([-1, 1], (4, 1, 6, 1))
    striped = np.broadcast_to(128 + 60 * signs * np.tile(column, 6).reshape(6, 8)[None, None], (4, 48, 6, 8))
    pictures = np.repeat(striped.reshape(4, 48, 48, 1), 3, 3).astype(np.uint8)
    origin = replace(tokens_sources.source("dct:1", 50.0), show=tokens_sources.cosines)
    made = tokens_sources.material(origin, pictures, pictures, 6, tokens_sources.Known())
    assert made.test.shape == (4, 36, 1)
    shown = torch.stack([tokens_sources.cosines(one) for one in pictures])[..., 6].flatten(1)
    assert torch.equal(made.test[..., 0].sign(), shown.sign().half())


@torch.inference_mode()
def test_indices_are_looked_up_each_in_a_table_of_its_own() -> None:
    lookup = classifier.IndexEmbedding([3, 5])
    assert lookup.table.num_embeddings == 8
    x = torch.tensor([[[2, 0], [0, 4]]])
    rows = lookup.table.weight
    expected = torch.stack([torch.cat([rows[2], rows[3]]), torch.cat([rows[0], rows[7]])])
    torch.testing.assert_close(lookup(x)[0], lookup.out(expected))


def test_indices_of_files_are_learned_from() -> None:
    """Cells hold what the file holds; a class that one index tells is found."""
    pixels = np.stack([procedural.picture(48, 48, seed=seed) for seed in range(3)])
    origin = tokens_sources.source("ids:vqgan@60", 50.0, 3)
    assert origin.setting == "quality=60" and origin.version == tokens_sources.source("latents:vqgan", 50.0).version
    known = tokens_sources.Known()
    given = tokens_sources.material(origin, pixels, pixels[:1], 3, known)
    assert given.train.shape == (2, 3, 9, 11) and given.test.dtype == torch.int32 and len(given.sizes) == 11
    with tessera.open(tessera.encode(pixels[1], codec="vqgan", quality=60)) as clip:
        assert torch.equal(given.train[0, 1], clip.ids()[0].flatten(0, 1).int())
    assert all(int(given.train[..., k].max()) < size for k, size in enumerate(given.sizes))
    files = known.files["vqgan quality=60"]
    beside = tokens_sources.material(tokens_sources.source("latents:vqgan:4@60", 50.0, 3), pixels, pixels, 3, known)
    assert beside.train.shape == (2, 3, 9, 4) and known.files["vqgan quality=60"] is files, "coded once"

    labels = torch.arange(120) % 2
    x = torch.randint(0, 7, (2, 120, 9, 11), dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    x[..., 5] = labels[None, :, None]
    told = tokens_sources.Material(x, x[0], 1.0, 1.0, [7] * 11)
    model, _ = classifier.learn(told, labels, 2, epochs=12, seed=0)
    assert classifier.accuracy(model, told.test, labels) > 0.95


def test_latents_are_compared_with_pixels_of_as_many_values() -> None:
    def row(source: str, values: int) -> latents_rows.LatentsRow:
        return latents_rows.LatentsRow(source, "1", "q", "set", 8, 0, 36, 1, values, 1.0, 0.5, 1.0, 1.0)

    rows = [row("latents:a", 1000), row("latents:b:4@9", 300), row("ids:c", 400), row("rgb", 990),
            row("rgb:18", 985), row("rgb:12", 400)]  # fmt: skip
    assert latents_rows.pairs(rows) == [("latents:a", "rgb:18")]


def test_verdicts_need_two_errors() -> None:
    def rows(source: str, values: tuple[float, ...]) -> list[latents_rows.LatentsRow]:
        same = (source, "1", "quality=50", "set", 8)
        return [latents_rows.LatentsRow(*same, k, 36, 1, 36, 1.0, v, 1.0, 1.0) for k, v in enumerate(values)]

    def says(latents: tuple[float, ...], pixels: tuple[float, ...]) -> str:
        (verdict,) = latents_rows.verdicts(rows("latents:wavelet", latents) + rows("rgb:78", pixels))
        return verdict.says

    assert says((0.60, 0.61, 0.62), (0.50, 0.51, 0.52)) == "reproduced"
    assert says((0.50, 0.51, 0.52), (0.60, 0.61, 0.62)) == "refuted"
    assert says((0.50, 0.55, 0.60), (0.51, 0.54, 0.59)) == "undecided"


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_row_68_latents_beside_pixels_of_as_many_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command on stripes across and down."""
    stripes = tmp_path / "set.tar"
    rng = np.random.default_rng(0)
    with tarfile.open(stripes, "w") as tar:
        for split, count in (("train", 80), ("test", 16)):
            for name, axis in (("across", 0), ("down", 1)):
                for index in range(count):
                    wave = 24 * np.sin(np.mgrid[:48, :48][axis] * 0.9 + rng.uniform(0, 6))
                    pixels = np.clip(128 + wave[..., None] + rng.normal(0, 12, (48, 48, 3)), 0, 255).astype(np.uint8)
                    blob = io.BytesIO()
                    Image.fromarray(pixels).save(blob, "PNG")
                    info = tarfile.TarInfo(f"{split}/{name}/{index:03}.png")
                    info.size = blob.tell()
                    tar.addfile(info, io.BytesIO(blob.getvalue()))
    out = tmp_path / "report"
    command = ["evaluate", "latents", str(stripes), "--out", str(out), "--epochs", "6", "--seeds", "2",
               "--sources", "latents:wavelet:12,rgb:24"]  # fmt: skip
    assert main(command) == 0
    assert "latents are better" in capsys.readouterr().out
    rows = {(row["codec"], row["seed"]): row for row in read(out / "latents.csv")}
    assert len(rows) == 4 and {row["tokens"] for row in rows.values()} == {"36"}
    assert rows["latents:wavelet:12", "0"]["values"] == "432" and rows["rgb:24", "0"]["values"] == "1728"
    assert all(float(rows["rgb:24", seed]["accuracy"]) > 0.75 for seed in "01")
    assert (out / "latents.png").exists() and "rgb:24" in (out / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latents"], "required: SET.tar"),
        (["images"], "required: PATH"),
        (["tokens", "set.tar"], "unrecognized arguments: set.tar"),
        (["tokens", "--codecs", "wavelet,vqgan"], "'wavelet,vqgan': give one, not 2"),
        (["latents", "set.tar", "--codecs", "jpeg"], "unrecognized arguments: --codecs jpeg"),
    ],
)
def test_a_study_has_its_own_arguments_alone(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", *words, "--out", str(tmp_path)])
    assert message in capsys.readouterr().err


# -- speed -------------------------------------------------------------------------------------------------------------


def test_patches_are_cut_in_raster_order() -> None:
    frames = np.arange(2 * 32 * 48 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 32, 48, 3)
    patches = bench.patchify(frames)
    assert patches.shape == (2, 6, 768)
    expected: Tensor = torch.from_numpy(frames[1, 16:32, 32:48].copy()).flatten().float() / 64 - 2
    torch.testing.assert_close(patches[1, 5], expected)


def test_bench_tokens(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("HEIGHT", 64), ("WIDTH", 96), ("FRAMES", 2), ("LONG", 60), ("PLANTED", (17, 41))):
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(bench, "LARGE", (64, 96))
    assert main(["bench", "tokens", "--runs", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens_per_frame"] == 24 and set(found["bytes"]) == {"tsr", "jpeg", "h264"}
    assert found["ratio"]["jpeg_vit"] == pytest.approx(found["seconds"]["jpeg_vit"] / found["seconds"]["tsr_pool"])
    first = found["seconds"]["jpeg_vit"] / found["seconds"]["tsr_first6"]
    assert found["ratio_first6"]["jpeg_vit"] == pytest.approx(first)
    assert set(found["reducing_cpu_seconds"]) == {"read", *bench.COMPARING, "greedy, adaptive"}
    reading_ = found["reading"]
    assert reading_["search_recall"] == 1 and reading_["opened_share"] < 0.01
    assert reading_["search_share"] < 0.3 and reading_["level0_share"] < 0.1
