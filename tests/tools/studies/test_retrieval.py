"""`tessera evaluate retrieval`: towers over latents and descriptions, the search, the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tessera
from tessera.codec.errors import ParameterError
from tessera.data import shapes
from tessera.tools.cli import main
from tessera.tools.studies.retrieval.measure import (
    BATCH,
    FRAMES,
    MOST,
    WORDS,
    DualEncoder,
    Library,
    encode_words,
    ranks,
    some_frames,
    train,
)
from tessera.tools.studies.retrieval.settings import RetrievalSettings
from tessera.tools.studies.retrieval.study import evaluate


def test_descriptions_are_in_the_order_of_appearance() -> None:
    for seed in range(20):
        clip = shapes.clip(seed)
        words = shapes.describe(clip)
        first = [int(mask.any((1, 2)).argmax()) for mask in clip.masks]
        order = sorted(range(len(first)), key=lambda number: clip.shapes[number].onset)
        assert [first[number] for number in order] == sorted(first)
        assert words == tuple((s.colour, s.form, s.direction) for s in (clip.shapes[number] for number in order))
    found = encode_words((("blue", "disk", "up"), ("red", "square", "left")))
    assert found.shape == (MOST, 3) and found[2].tolist() == [-1] * 3
    assert [WORDS[word] for word in found[1].tolist()] == ["red", "square", "left"]


def library(count: int) -> Library:
    """Clips whose latents say in one cell of each frame which description is theirs."""
    generator = torch.Generator().manual_seed(1)
    words = torch.stack([torch.randint(0, len(WORDS), (MOST, 3), generator=generator) for _ in range(count)])
    x = torch.randn(count, shapes.FRAMES, 4, 3 * MOST * len(WORDS), generator=generator) * 0.1
    said = torch.nn.functional.one_hot(words, len(WORDS)).flatten(1).float()
    x[:, :, 1] += said[:, None]
    pos = torch.zeros(shapes.FRAMES, 4, 3)
    pos[..., 0] = torch.arange(shapes.FRAMES)[:, None]
    return Library(x.half(), pos, words)


def test_row_57_frozen_in_time() -> None:
    """One set of weights finds clips of one frame and of more; a picture is a clip of one frame."""
    lessons, unseen = library(4 * BATCH), library(40)
    model = train(lessons, epochs=16)
    for frames in FRAMES:
        for found in ranks(model, lessons, frames).values():
            assert float((found <= 5).float().mean()) > 0.5  # chance: 2 %
        assert all(len(found) == 40 and int(found.min()) >= 1 for found in ranks(model, unseen, frames).values())
    x, pos = some_frames(unseen, torch.arange(3), 1)
    assert torch.equal(x, unseen.x[:3, -1].float()) and bool((pos[..., 0] == shapes.FRAMES - 1).all())


@torch.no_grad()
def test_any_number_of_frames_of_a_file() -> None:
    torch.manual_seed(0)
    model = DualEncoder(128).eval()
    with tessera.open(tessera.encode(shapes.clip(0).pixels, codec="wavelet", fps=25)) as clip:
        for count in (1, 3, shapes.FRAMES):
            found = model.embed(clip.latents(0, count))
            assert found.shape == (64,) and float(found.norm()) == pytest.approx(1, abs=1e-5)


def test_ranks_are_counted_from_one() -> None:
    torch.manual_seed(0)
    given = library(12)
    model = DualEncoder(given.x.shape[3]).eval()
    clips = model.see(*some_frames(given, torch.arange(12), 4))
    agree = model.describe(given.words) @ clips.T
    expected = [1 + int((agree[k] > agree[k, k]).sum()) for k in range(12)]
    assert ranks(model, given, 4)["clips by words"].tolist() == expected


@pytest.mark.needs("bjontegaard", "matplotlib", "pytorch_msssim")
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "retrieval", "--clips", "20", "--epochs", "1", "--images", "12", "--out", str(tmp_path)]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["frames"], row["way"]) for row in rows[:2]] == [(1, "clips by words"), (1, "words by clips")]
    assert all(row["clips"] == 12 and row["r1"] <= row["r5"] <= row["r10"] <= 1 for row in rows)
    assert {path.name for path in tmp_path.iterdir()} == {"retrieval.csv", "recall.png", "index.html"}
    with pytest.raises(ParameterError, match="takes no PATH"):
        evaluate(RetrievalSettings(), [Path("x.png")], tmp_path)
