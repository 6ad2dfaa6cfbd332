"""The pages that are made from the code: commands, links, reports, docstrings.  CI runs `mkdocs build --strict`."""

from __future__ import annotations

import argparse
import csv
import re
import shlex
from pathlib import Path

import pytest

from tessera.tools import cli
from tessera.tools.docs import command_line, docstrings, links, plot, reports

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "models" / "weights" / "README.md"]


def _options(name: str) -> set[str]:
    """The long options of a command, as its own parser has them."""
    parsers = [action for action in cli.build_parser(name)._actions if isinstance(action, argparse._SubParsersAction)]
    found: set[str] = set()
    waiting = [parsers[0].choices[name]]
    while waiting:
        for action in waiting.pop()._actions:
            found |= {option for option in action.option_strings if option.startswith("--")}
            waiting += action.choices.values() if isinstance(action, argparse._SubParsersAction) else []
    return found - {"--help"}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_option_is_on_the_page(name: str) -> None:
    sections = {part.split("\n")[0]: part for part in command_line.document().split("\n## ")}
    section = "".join(part for title, part in sections.items() if f"{title} ".startswith(f"tessera {name} "))
    rows = "\n".join(line for line in section.splitlines() if line.startswith("| `"))
    for option in _options(name):
        assert re.search(rf"{option}\b", rows), option
    assert "-h" not in section.split("```")[1]


def _commands(page: Path) -> list[list[str]]:
    """The command lines of a document: continued lines joined, comments and [optional parts] left out."""
    text = re.sub(r"\\\n\s*", "\0", page.read_text(encoding="utf-8"))
    lines = re.findall(r"^(?: {4})?(tessera .*)$", text, re.MULTILINE)
    # a comma before the break goes on with the same word
    lines = [line.replace(",\0", ",").replace("\0", " ").partition("#")[0] for line in lines]
    return [shlex.split(re.sub(r"\[[^\]]*\]", "", line))[1:] for line in lines]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_commands_of_the_documents_are_understood(page: Path) -> None:
    for words in _commands(page):
        assert words[0] in cli.COMMANDS, words
        cli.build_parser(words[0]).parse_args(words)


def test_the_documents_hold_commands() -> None:
    assert sum(len(_commands(page)) for page in DOCUMENTS) > 50


def test_cells_of_the_command_page_hold_no_markup() -> None:
    assert command_line._cell("a|b [c] `d[e]` f_g") == "a\\|b \\[c\\] `d[e]` f\\_g"
    assert command_line._cell("`last`") == "`last`"


def test_links_of_the_repository_work_on_the_site() -> None:
    pages = {"docs/nerv.md": "nerv.md", "codec/FORMAT.md": "format.md", "docs/report/kodak": "report/kodak/index.md"}
    text = "[a](docs/nerv.md#figures) ![b](x.png) [c](codec/FORMAT.md) [d](https://e.org) [e](#here) [f](setup.py)"
    done = links.rewrite(text, "README.md", "index.md", pages)
    assert done == "[a](nerv.md#figures) b [c](format.md) [d](https://e.org) [e](#here) f"
    assert links.rewrite("[k](report/kodak)", "docs/nerv.md", "nerv.md", pages) == "[k](report/kodak/index.md)"
    assert (
        links.rewrite("[k](../codec/FORMAT.md)", "docs/a/b.md", "a/b.md", {"docs/codec/FORMAT.md": "f.md"})
        == "[k](../f.md)"
    )


def test_aligned_docstrings_become_lists() -> None:
    text = "Do it.\n\nsource    a path\n          or bytes\nquality   0..100\n\nAnd more."
    assert docstrings.laid_out(text) == "Do it.\n\n- `source`: a path or bytes\n- `quality`: 0..100\n\nAnd more."
    for plain in ("It ends\nhere.  And goes on.", "Code:\n\n    data  = 1"):
        assert docstrings.laid_out(plain) == plain


def test_every_report_has_a_title_and_is_in_the_navigation() -> None:
    root = ROOT / "docs" / "report"
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for name in reports.folders(root):
        assert name in reports.TITLES, name
        assert f" report/{name}/index.md\n" in navigation, name
        assert (ROOT / "docs" / reports.TITLES[name][1]).exists()


def test_a_report_shows_plots_rates_and_short_tables(tmp_path: Path) -> None:
    folder = tmp_path / "kodak"
    folder.mkdir()
    (folder / "psnr.png").write_bytes(b"")
    (folder / "bdrate.csv").write_text(
        "codec,reference,metric,akima\nwavelet@task=1,jpeg,psnr,-50.14\njpeg,wavelet,psnr,99\n"
    )
    (folder / "summary.csv").write_text("codec,bpp\nwavelet,0.5\n")
    (folder / "results.csv").write_text("codec,bpp\n" + "wavelet,0.25\n" * (reports.LONGEST + 1))
    page = reports.page(tmp_path, "kodak")
    assert (
        "![psnr](psnr.png)" in page
        and "against | wavelet<br>task=1 |" in page
        and "| jpeg | -50.1 |" in page
        and "| wavelet | 0.5 |" in page
    )
    assert "[results.csv](results.csv), 91 rows" in page and "0.25" not in page and "99" not in page


def test_the_plot_shows_the_committed_figures() -> None:
    summary = ROOT / "docs" / "report" / "kodak" / "summary.csv"
    curves = plot.curves(summary)
    with summary.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["codec"] == "avif"]
    assert curves["avif"] == sorted((float(row["bpp"]), float(row["psnr"])) for row in rows)
    assert all(len(points) > 3 for points in curves.values())


def test_pictures_of_the_readme_are_small() -> None:
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / name).stat().st_size <= plot.LARGEST, name
