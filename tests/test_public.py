"""The public surface: every name resolves, is documented in one form, and stands in docs/api.md."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import tessera
from tessera.codec import options
from tessera.codec.format.header import DECODERS
from tessera.models.registry import FAMILIES

ROOT = Path(__file__).resolve().parent.parent
ALIASES = {"CodecName", "DecoderName", "Effort", "FileSource", "FrameRange", "FrameSource", "Progress"}
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")
CLASSES = [name for name in tessera.__all__ if inspect.isclass(getattr(tessera, name)) and name not in ALIASES]
FUNCTIONS = [name for name in tessera.__all__ if inspect.isfunction(getattr(tessera, name))]


def sections(doc: str) -> dict[str, list[str]]:
    """The names that each section of a docstring explains; of Returns and Yields, the whole text."""
    found: dict[str, list[str]] = {}
    pattern = rf"^({'|'.join(SECTIONS)}):\n((?:(?:    .*)?\n?)*)"
    for head, body in re.findall(pattern, inspect.cleandoc(doc), re.MULTILINE):
        if head in ("Returns", "Yields"):
            found[head] = [body.strip()]
        else:
            found[head] = [name.lstrip("*") for name in re.findall(r"^    (\*{0,2}\w+): \S", body, re.MULTILINE)]
    return found


def check(function: Any, where: str) -> dict[str, list[str]]:
    """Args names every parameter, and Returns or Yields says what comes back."""
    assert function.__doc__, f"{where} has no docstring"
    found, code = sections(function.__doc__), function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    count += sum(bool(code.co_flags & flag) for flag in (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS))
    names = [name for name in code.co_varnames[:count] if name != "self"]
    assert sorted(found.get("Args", [])) == sorted(names), f"{where}: Args"
    if function.__annotations__["return"] != "None":
        assert any(found.get(head, [""])[0] for head in ("Returns", "Yields")), f"{where}: Returns"
    return found


def test_every_name_resolves() -> None:
    assert len(set(tessera.__all__)) == len(tessera.__all__)
    assert set(tessera.__all__) <= set(dir(tessera))
    kinds = {*CLASSES, *FUNCTIONS, *ALIASES, "data"}
    assert set(tessera.__all__) == kinds
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tessera.nothing  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    """What stands under TYPE_CHECKING in the package file is what __getattr__ loads, from the same modules."""
    tree = ast.parse((ROOT / "codec" / "root" / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    imports = [node for node in imports if str(node.module).startswith("tessera.")]
    seen = {alias.name: (node.module or "").removeprefix("tessera.") for node in imports for alias in node.names}
    assert seen == tessera._HOMES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_documented(name: str) -> None:
    function = inspect.unwrap(getattr(tessera, name))
    assert check(function, name).get("Raises"), f"{name}: Raises"


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_documented(name: str) -> None:
    kind = getattr(tessera, name)
    found = sections(kind.__doc__ or "")
    if dataclasses.is_dataclass(kind):
        fields = [field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")]
        assert found.get("Attributes") == fields, f"{name}: Attributes"
    elif not issubclass(kind, Exception):
        names = [each for each in inspect.signature(kind.__init__).parameters if each != "self"]
        assert found.get("Args") == names, f"{name}: Args"
    for key, value in vars(kind).items():
        if isinstance(value, property):
            assert value.__doc__, f"{name}.{key} has no docstring"
        elif inspect.isfunction(value) and not key.startswith("_"):
            check(inspect.unwrap(value), f"{name}.{key}")


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_aliases_are_documented(name: str) -> None:
    """A text stands below the assignment, where tools look for it."""
    module = sys.modules[f"tessera.{tessera._HOMES[name]}"]
    body = ast.parse(inspect.getsource(module)).body
    for node, after in zip(body, body[1:], strict=False):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == name:
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            return
    raise AssertionError(f"{name} is not defined in {module.__name__}")


def test_the_page_lists_every_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(tessera.__all__)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from tessera.data import procedural

    monkeypatch.chdir(tmp_path)
    Image.fromarray(procedural.picture(48, 64)).save("photo.png")
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/api.md", "exec"), {})


@pytest.mark.parametrize("path", ["README.md", "docs/api.md", "docs/vqgan.md", "docs/nerv.md"])
def test_what_the_pages_use_is_public(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not re.findall(r"(?:from|import) tessera\.\S+", text)
    used = set(re.findall(r"\btessera\.(\w+)", text)) - {"tools"}
    assert used <= {*tessera.__all__, "__version__"}, path


def test_names_in_the_aliases_are_those_of_the_tables() -> None:
    assert set(get_args(tessera.CodecName)) == set(FAMILIES)
    assert set(get_args(tessera.DecoderName)) == set(DECODERS)
    assert tessera.EncodeOptions().codec in get_args(options.CodecName)
