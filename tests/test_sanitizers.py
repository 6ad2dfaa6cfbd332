"""Native code under AddressSanitizer and UndefinedBehaviorSanitizer: memory errors that a normal run would not show."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
PLAIN = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wno-psabi", "-pthread", "-DTESSERA_FUZZ_MAIN"]
CHECKED = [*PLAIN, "-g", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]


def build(program: Path, target: str, folder: str, *flags: str) -> Path:
    """Fuzz target tests/`target`.cpp with its plain main and the sources of `folder`."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    sources = [path for path in sorted((ROOT / folder).glob("*.cpp")) if not path.name.startswith("bindings")]
    files = [str(path) for path in (ROOT / "tests" / f"{target}.cpp", *sources)]
    command = [COMPILER, *flags, f"-I{ROOT / folder}", *files, "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return program


@pytest.fixture(scope="module")
def fuzz_coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sanitizers") / "fuzz_coder", "fuzz_coder", "entropy", *CHECKED)


@pytest.fixture(scope="module")
def fuzz_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sanitizers") / "fuzz_kernels", "fuzz_kernels", "models/kernels", *CHECKED)


def run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)


def test_round_trips_and_damaged_streams_on_every_path(fuzz_coder: Path) -> None:
    """1,000 random plans, each a round trip, its stream, and six damaged copies of it."""
    result = run(fuzz_coder, "--random", "1000", "1")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_the_corpus(fuzz_coder: Path, tmp_path: Path) -> None:
    """Inputs that reach the corners of the header: every first byte, and nothing, little or much after it."""
    files = []
    for first in range(256):
        for name, rest in (("short", b""), ("zeros", bytes(300)), ("ones", b"\xff" * 300)):
            path = tmp_path / f"{first:02x}-{name}"
            path.write_bytes(bytes([0, first, 100, 0, first]) + rest)
            files.append(path)
    result = run(fuzz_coder, *files)
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_without_vector_paths(tmp_path: Path) -> None:
    """The build of a processor or compiler that has none of them."""
    program = build(tmp_path / "plain", "fuzz_coder", "entropy", *PLAIN, "-DTESSERA_X86=0")
    assert run(program, "--random", "200", "2").stdout == "ok\n"


def test_kernels_on_every_path(fuzz_kernels: Path) -> None:
    """24 random pictures and walks, hostile symbols among them: the same bits on every path and number of threads."""
    result = run(fuzz_kernels, "--random", "24", "3")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_kernels_on_one_cell(fuzz_kernels: Path, tmp_path: Path, length: int) -> None:
    """The smallest sides, with no bytes or few to make symbols of."""
    files = []
    for kind in range(32):
        path = tmp_path / f"{kind:02x}"
        path.write_bytes(bytes([kind, kind, 0, 0]) + b"\xff" * length)
        files.append(path)
    result = run(fuzz_kernels, *files)
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_kernels_without_vector_paths(tmp_path: Path) -> None:
    program = build(tmp_path / "plain", "fuzz_kernels", "models/kernels", *PLAIN, "-DTESSERA_X86=0")
    assert run(program, "--random", "16", "4").stdout == "ok\n"


def test_the_build_sees_errors(fuzz_coder: Path, tmp_path: Path) -> None:
    """The program must be able to fail: a missing file aborts, and the sanitizers are linked in."""
    assert run(fuzz_coder, tmp_path / "missing").returncode != 0
    help_text = subprocess.run([fuzz_coder], capture_output=True, text=True, env={"ASAN_OPTIONS": "help=1"})
    assert "AddressSanitizer" in help_text.stderr
