"""Imports run one way, and the command line answers `--help` without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ("entropy", "models", "codec", "data", "tools")  # each may import itself and what stands before it
HEAVY = ("torch", "av", "matplotlib", "compressai", "lpips", "rich", "tessera.codec.api")

# Rooms inside a floor, lowest first; a loose file is a room of its own.  A room imports only from lines above its own:
# rooms of one line do not know each other.
ROOMS = {
    "entropy": ("arrays leb128", "tables", "coder", "prefix reference __init__"),
    "models": (
        "base",
        "engine transform tokens",
        "motion prior reference",
        "networks",
        "nerv overfitted vqgan wavelet",
        "spatiotemporal",
        "training",
        "registry",
    ),
    "models/tokens": (
        "arguments cosine grid nested rows",
        "prompt saved_checks",
        "saved",
        "types",
        "raster",
        "methods",
        "modules reduce",
        "executors",
        "__init__",
    ),
    "codec": (
        "defaults errors spool",
        "checked details limits ranges",
        "atomic media",
        "format options",
        "coding",
        "reading",
        "api files",
        "pillow_plugin",
    ),
    "tools": (
        "cli options",
        "__main__ docs engines peers",
        "bench bulk measuring",
        "report training",
        "studies",
        "commands",
    ),
    "tools/studies": ("rate tokens", "machine retrieval", "extreme", "latents"),
}


def _modules() -> list[Path]:
    return [path for folder in ORDER for path in sorted((ROOT / folder).rglob("*.py"))]


def _imports(path: Path, for_types: bool = True) -> set[str]:
    """Absolute names of everything that the module imports, functions' imports included.

    for_types: also what is imported under `if TYPE_CHECKING`, which never runs.
    """
    package = ("tessera", *path.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8")), for_types):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return names


def _nodes(node: ast.AST, for_types: bool) -> Iterator[ast.AST]:
    yield node
    if not for_types and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    for child in ast.iter_child_nodes(node):
        yield from _nodes(child, for_types)


def _room(path: Path, folder: Path) -> str:
    """The room of `folder` that a file lies in: a folder, or a loose file."""
    return path.relative_to(folder).parts[0].removesuffix(".py")


def _arrows(folder: Path) -> dict[str, dict[str, str]]:
    """Which rooms of a folder import which, and an example of each."""
    homes = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        homes[".".join(("tessera", *parts)).removesuffix(".__init__")] = path
    found: dict[str, dict[str, str]] = {_room(path, folder): {} for path in homes.values()}
    for path in homes.values():
        for name in _imports(path, for_types=False):
            home = homes.get(name) or homes.get(name.rpartition(".")[0])
            if home is None or home == folder / "__init__.py":
                continue
            here, there = _room(path, folder), _room(home, folder)
            if here != there:
                found[here][there] = f"{path.relative_to(ROOT)} imports {home.relative_to(ROOT)}"
    return found


@pytest.mark.parametrize("floor", ROOMS)
def test_rooms_import_one_way(floor: str) -> None:
    lines = ROOMS[floor]
    height = {room: line for line, rooms in enumerate(lines) for room in rooms.split()}
    for room, arrows in _arrows(ROOT / floor).items():
        for other, example in arrows.items():
            assert room in height and other in height, f"{floor} has a room that ROOMS does not list: {example}"
            assert height[other] < height[room], f"{floor}: {room} stands below {other}, but {example}"


def _folders() -> list[Path]:
    return sorted({path.parent for path in _modules()})


@pytest.mark.parametrize("folder", _folders(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_circles(folder: Path) -> None:
    """Of the rooms and files of any folder, some imports nothing of the others, then some imports only that, ..."""
    left = _arrows(folder)
    while left:
        free = {room for room, arrows in left.items() if not arrows.keys() & left.keys()}
        assert free, f"imports run in a circle: {left}"
        left = {room: arrows for room, arrows in left.items() if room not in free}


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


def test_private_names_stay_in_their_module() -> None:
    """No module imports `_name` from another one; compiled modules, which have a wrapper, begin with `_` as a whole."""
    compiled = {"_coder", "_fit", "_kernels"}
    for path in _modules():
        for name in _imports(path):
            last = name.rpartition(".")[2]
            public = not last.startswith("_") or last.startswith("__") or last in compiled
            assert public or not name.startswith("tessera."), f"{path.relative_to(ROOT)} imports {name}"


def test_command_lines_are_read_by_commands_alone() -> None:
    """Studies, training and measuring are called with settings, from Python as from the command line."""
    for path in sorted((ROOT / "tools").rglob("*.py")):
        if path.relative_to(ROOT).parts[1] not in ("commands", "docs", "cli.py", "options.py"):  # docs prints parsers
            assert "argparse" not in _imports(path), path.relative_to(ROOT)


STUDIES = ("images", "video", "machine", "latents", "tokens", "retrieval", "extreme")
HELPS = [["--help"], ["--version"], *([name, "--help"] for name in ("encode", "train", "evaluate", "bulk"))]


@pytest.mark.parametrize("words", [*HELPS, *(["evaluate", study, "--help"] for study in STUDIES)])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = f"from tessera.tools.cli import main\ntry: main({words})\nexcept SystemExit: pass"
    assert not _loaded_by(code) & set(HEAVY)


def test_import_tessera_loads_no_torch() -> None:
    assert not _loaded_by("import tessera; assert tessera.__version__") & set(HEAVY)


def test_the_second_decoder_needs_no_kernels() -> None:
    assert not _loaded_by("import tessera.models.reference.decoder") & {"torch", "tessera.models._kernels"}


def test_the_core_loads_no_evaluation_package() -> None:
    loaded = _loaded_by("import tessera; tessera.encode; tessera.decode; tessera.open")
    assert not loaded & {"torchvision", "compressai", "lpips", "matplotlib", "pytorch_msssim", "bjontegaard", "scipy"}
