"""The examples of README.md, of docs/quickstart.md and of the docstrings, run as they stand; links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from tessera.data import procedural

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "docs" / "quickstart.md"]  # their examples are run
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "models" / "weights").glob("*.md")]


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _modules() -> list[str]:
    """Every module whose text holds a doctest prompt."""
    paths = (
        path for folder in ("entropy", "models", "codec", "data", "tools") for path in (ROOT / folder).rglob("*.py")
    )
    found = (path.relative_to(ROOT) for path in paths if ">>> " in path.read_text(encoding="utf-8"))
    return sorted("tessera." + ".".join(path.with_suffix("").parts) for path in found if path.parts[1] != "root")


def test_doctests() -> None:
    failed = [name for name in _modules() if doctest.testmod(importlib.import_module(name)).failed]
    assert not failed


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples speak of."""
    from tessera.codec import media

    monkeypatch.chdir(tmp_path)
    Image.fromarray(procedural.picture(96, 144)).save("photo.png")
    with media.from_array(procedural.clip(30, 64, 96), Fraction(25)) as source:
        media.write_media("clip.mp4", ".mp4", source.media, source.frames())
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_examples(page: Path, workplace: Path) -> None:
    blocks = _blocks(page, "python")
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of the console examples that starts with `tessera` and names files that the fixture makes."""
    from tessera.tools.cli import main

    lines = [line.partition("#")[0] for block in _blocks(page, "sh") for line in block.splitlines()]
    words = [shlex.split(line) for line in lines]
    commands = [line[1:] for line in words if line[:1] == ["tessera"]]
    assert {command[0] for command in commands} == {"encode", "decode", "info", "verify", "repair"}
    for command in commands:
        # the files of the Python examples are there, too, when these commands are run by hand
        more = ["--force"] if command[0] in ("encode", "decode") else []
        # a fit of ten thousand steps takes minutes
        more += ["-o", "iterations=200"] if "best" in command else []
        assert main([*command, *more]) == 0, command


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)#:\s]+)[^)]*\)", text):
        assert (page.parent / link).exists(), link


def test_ci_runs_the_readme_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    for command in ("pip install '.[test]' && pytest", "tessera demo"):
        assert command in script and command in readme
