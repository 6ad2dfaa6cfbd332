"""Imports run one way, and the command line answers `--help` without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ("entropy", "models", "codec", "data", "tools")  # each may import itself and what stands before it
HEAVY = ("torch", "av", "matplotlib", "compressai", "lpips", "rich", "tessera.codec.api")


def _modules() -> list[Path]:
    return [path for folder in ORDER for path in sorted((ROOT / folder).rglob("*.py"))]


def _imports(path: Path) -> set[str]:
    """Absolute names of everything that the module imports, functions' imports included."""
    package = ("tessera", *path.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_direction(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    if path.parent.name == "root":
        return  # the package file re-exports the public names of every folder
    allowed = ORDER[: ORDER.index(folder) + 1]
    for name in _imports(path):
        top, _, rest = name.partition(".")
        if top == "tessera" and rest.partition(".")[0] in ORDER:
            assert rest.partition(".")[0] in allowed, f"{path.relative_to(ROOT)} imports {name}"
        assert top not in ORDER, f"{path.relative_to(ROOT)} imports {name}, which is not part of the package"


@pytest.mark.parametrize("path", sorted((ROOT / "entropy").rglob("*.py")), ids=lambda path: path.name)
def test_entropy_needs_numpy_alone(path: Path) -> None:
    tops = {name.partition(".")[0] for name in _imports(path)}
    assert not tops & {"torch", "PIL", "av", "safetensors"}


def _loaded_by(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after `code`."""
    script = f"{code}\nimport sys; print('\\nLOADED', *sys.modules)"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(output.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["encode", "--help"], ["evaluate", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = f"from tessera.tools.cli import main\ntry: main({words})\nexcept SystemExit: pass"
    assert not _loaded_by(code) & set(HEAVY)


def test_import_tessera_loads_no_torch() -> None:
    assert not _loaded_by("import tessera; assert tessera.__version__") & set(HEAVY)


def test_the_core_loads_no_evaluation_package() -> None:
    loaded = _loaded_by("import tessera; tessera.encode; tessera.decode; tessera.open")
    assert not loaded & {"torchvision", "compressai", "lpips", "matplotlib", "pytorch_msssim", "bjontegaard", "scipy"}
