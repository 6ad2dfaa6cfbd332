"""The table of published systems is true: its tests exist, its methods exist, docs/tokens.md is what the code says."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

from tessera import data
from tessera.codec.reading.clip import Clip
from tessera.models.base.discrete import Discrete
from tessera.models.tokens import METHODS, RECIPES, TokenSet, list_methods
from tessera.tools.docs.catalogue import CLAIMS, NOT_YET, STATES, SYSTEMS, document

MODULES = (
    "executors types rows raster methods.merge methods.pool methods.registry methods.select methods.transform "
    "modules.memory modules.resample modules.schedule modules.search modules.slices modules.timeline"
)
ROOT = Path(__file__).resolve().parents[3]


def _tests() -> set[str]:
    """Every test function."""
    names: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return names


def test_the_document_is_what_the_code_says() -> None:
    found = (ROOT / "docs" / "tokens.md").read_text(encoding="utf-8")
    assert found == document(), "run: python -m tessera.tools.docs.catalogue > docs/tokens.md"


def test_every_row_has_an_entry() -> None:
    assert list(SYSTEMS) == list(range(1, 80))
    for number, row in SYSTEMS.items():
        assert row.state in STATES and row.how, number
        assert bool(row.tests) == (row.state != NOT_YET), number


def test_every_test_that_is_named_exists_and_every_row_test_is_named() -> None:
    named = {test for row in SYSTEMS.values() for test in row.tests} | {test for _, _, test in CLAIMS}
    there = _tests()
    assert named <= there
    rows = {name for name in there if re.match(r"test_row_\d+|test_claim_|test_limit_", name)}
    beside = {"test_row_4_greedy_labels_by_hand", "test_row_24_every_cube_has_a_frame"}
    assert rows - beside <= named


def test_methods_name_rows_and_rows_name_methods() -> None:
    for entry in list_methods():
        assert all(SYSTEMS[row].state != NOT_YET for row in entry["rows"]), entry["name"]
    modules = [import_module(f"tessera.models.tokens.{name}") for name in MODULES.split()]
    files = [import_module(f"tessera.codec.reading.{name}") for name in ("tokens", "prefix", "ids")]
    homes: list[object] = [*modules, *files, files[1].Preview, TokenSet, METHODS["pool"], Clip, Discrete, data]
    for number, row in SYSTEMS.items():
        for words in re.findall(r"`([A-Za-z0-9_.]+)[`(]", row.how if row.state != NOT_YET else ""):
            name = words.split(".")[-1]
            fields = TokenSet.__dataclass_fields__
            known = name in METHODS or name in RECIPES or name in fields or any(hasattr(home, name) for home in homes)
            assert known, (number, words)


def test_ten_claims_are_told() -> None:
    numbers = {match[1] for _, _, test in CLAIMS if (match := re.match(r"test_claim_(\d+)_", test))}
    assert numbers == {str(number) for number in range(1, 11)}
