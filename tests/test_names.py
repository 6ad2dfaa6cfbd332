"""One name for one thing: classes do not share names, and one module converts the quality."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("entropy", "models", "codec", "data", "tools")


def test_no_two_public_classes_share_a_name() -> None:
    """A protocol and the class that implements it have names of their own as well."""
    homes: dict[str, list[str]] = defaultdict(list)
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert homes, "no classes found"
    shared = {name: places for name, places in homes.items() if len(places) > 1}
    assert not shared, f"classes of one name: {shared}"


def test_quality_is_converted_in_one_place() -> None:
    """The greatest fine quality stands in models/base/quality.py; only the plain decoder repeats it."""
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name == "models/base/quality.py" or name.startswith("models/reference/"):
                continue
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            numbers = {node.value for node in nodes if isinstance(node, ast.Constant)}
            assert 6400 not in numbers, f"{name}: 6400 is MAX_FINE of models/base/quality.py"
