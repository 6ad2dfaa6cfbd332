"""`tessera evaluate`: documented command lines parse, studies have one shape, settings name the field that is wrong."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tessera.codec.errors import ParameterError
from tessera.tools.commands import bulk, evaluate, train
from tessera.tools.commands.evaluate import STUDIES, settings_of
from tessera.tools.measuring.settings import Run
from tessera.tools.studies.extreme.settings import ExtremeSettings
from tessera.tools.studies.latents.settings import LatentsSettings
from tessera.tools.studies.machine.settings import MachineSettings
from tessera.tools.studies.rate.settings import ImagesSettings, VideoSettings
from tessera.tools.studies.retrieval.settings import RetrievalSettings
from tessera.tools.studies.tokens.settings import TokensSettings

ROOT = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.parent.name for path in (ROOT / "tools" / "studies").glob("*/__init__.py"))


def _documented(command: str) -> list[list[str]]:
    """The words of every `tessera COMMAND` with options in the documents: of code blocks and of code in paragraphs."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "models" / "weights" / "README.md"]
    found = []
    for file in files:
        text = re.sub(r",\\\n *", ",", file.read_text(encoding="utf-8"))  # lists that go on in the next line
        text = re.sub(r" *\\\n *", " ", text)
        lines = re.findall(rf"^(?:    )?tessera {command} ([^\n`]*)$", text, re.MULTILINE)
        lines += re.findall(rf"`tessera {command}\s+([^`]*)`", text)
        found += [shlex.split(line, comments=True) for line in lines if " --" in line]
    return [words for words in found if not words[-1].startswith("--")]  # those only mention an option


def _parser(module: Any) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.configure(parser)
    return parser


def test_documented_bulk_commands_parse() -> None:
    lines = _documented("bulk")
    assert {words[0] for words in lines} == {"encode", "decode", "tokens", "verify"}
    for words in lines:
        _parser(bulk).parse_args(words)


def test_documented_command_lines_parse(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _documented("evaluate")
    assert {words[0] for words in lines} >= {"images", "video", "machine", "latents", "tokens", "retrieval", "extreme"}
    parser = _parser(evaluate)
    for words in lines:
        path = ["x"] if words[1].startswith("--") and words[0] not in ("tokens", "retrieval") else []
        out = [] if "--out" in words else ["--out", "report"]
        args = parser.parse_args([words[0], *path, *words[1:], *out])
        settings_of(args.study.SETTINGS, args)
    trained = _documented("train")
    assert len(trained) >= 5
    for words in trained:
        needed = [word for name in ("--data", "--out") if name not in words for word in (name, "x")]
        _parser(train).parse_args([*words, *needed])


@pytest.mark.parametrize("name", STUDIES)
def test_defaults_of_the_command_are_those_of_the_settings(name: str) -> None:
    paths = [] if name in ("tokens", "retrieval") else ["x"]
    args = _parser(evaluate).parse_args([name, *paths, "--out", "report"])
    assert settings_of(args.study.SETTINGS, args) == args.study.SETTINGS()


def test_options_reach_the_settings() -> None:
    words = "extreme a.png set.tar --out r --rates 0.2,0.1 --qualities 9,3 --images 7 --epochs 2 --codecs a,b,a"
    args = _parser(evaluate).parse_args([*words.split(), "--jobs", "3"])
    expected = ExtremeSettings(codecs=("a", "b"), targets=(0.1, 0.2), qualities=(3, 9), images=7, epochs=2)
    assert settings_of(args.study.SETTINGS, args) == expected and args.jobs == 3
    words = "tokens --out r --codecs vqgan --qualities 30 --clips 5 --images 4 --budgets 1,0.5"
    args = _parser(evaluate).parse_args(words.split())
    expected_tokens = TokensSettings(codec="vqgan", quality=30, training_clips=5, clips=4, budgets=(1, 0.5))
    assert settings_of(args.study.SETTINGS, args) == expected_tokens


@pytest.mark.parametrize("room", ROOMS)
def test_every_study_has_the_same_shape(room: str) -> None:
    modules = {part: import_module(f"tessera.tools.studies.{room}.{part}") for part in
               ("settings", "rows", "measure", "study", "page")}  # fmt: skip
    study = modules["study"]
    assert list(inspect.signature(study.evaluate).parameters) == ["settings", "paths", "out", "run"]
    assert list(inspect.signature(study.print_tables).parameters) == ["result"]
    assert callable(modules["measure"].measure)
    kinds = [kind for kind in vars(modules["settings"]).values() if dataclasses.is_dataclass(kind)]
    assert kinds and all(kind.__dataclass_params__.frozen for kind in kinds)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Run(workers=0), "workers 0: at least 1"),
        (lambda: ImagesSettings(codecs=()), "codecs: at least one is needed"),
        (lambda: ImagesSettings(qualities=(50, 101)), "qualities 101 is not in 0..100"),
        (lambda: ImagesSettings(pictures=-1), "pictures -1: at least 0"),
        (lambda: VideoSettings(msssim_every=0), "msssim_every 0: at least 1"),
        (lambda: VideoSettings(rates=(0.0,)), "rates 0 is not in 0.001..100"),
        (lambda: MachineSettings(epochs=0), "epochs 0: at least 1"),
        (lambda: MachineSettings(retrain_at=(-1,)), "retrain_at -1 is not in 0..100"),
        (lambda: LatentsSettings(side=0), "side 0: at least 1"),
        (lambda: TokensSettings(budgets=(2.0,)), "budgets 2 is not in 0.001..1"),
        (lambda: RetrievalSettings(clips=0), "clips 0: at least 1"),
        (lambda: ExtremeSettings(targets=(0.2, 0.1)), "targets 0.2, 0.1: not in rising order"),
    ],
)
def test_settings_name_the_field_that_is_wrong(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        make()


def test_the_page_says_how_its_figures_were_made() -> None:
    settings = RetrievalSettings(clips=3)
    assert Run(command="tessera evaluate").described(settings) == "tessera evaluate"
    assert "clips=3" in Run().described(settings)
