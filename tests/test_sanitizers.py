"""Native code under AddressSanitizer and UndefinedBehaviorSanitizer: memory errors that a normal run would not show."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
FLAGS = ["-std=c++17", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DTESSERA_FUZZ_MAIN"]


def build(program: Path, *flags: str) -> Path:
    """The fuzz target of the coder with its plain main."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    sources = [path for path in sorted((ROOT / "entropy").glob("*.cpp")) if path.name != "bindings.cpp"]
    files = [str(path) for path in (ROOT / "tests" / "fuzz_coder.cpp", *sources)]
    command = [COMPILER, *flags, f"-I{ROOT / 'entropy'}", *files, "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return program


@pytest.fixture(scope="module")
def fuzz_coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sanitizers") / "fuzz_coder", *FLAGS)


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
    program = build(tmp_path / "plain", "-std=c++17", "-O1", "-DTESSERA_FUZZ_MAIN", "-DTESSERA_X86=0")
    assert run(program, "--random", "200", "2").stdout == "ok\n"


def test_the_build_sees_errors(fuzz_coder: Path, tmp_path: Path) -> None:
    """The program must be able to fail: a missing file aborts, and the sanitizers are linked in."""
    assert run(fuzz_coder, tmp_path / "missing").returncode != 0
    help_text = subprocess.run([fuzz_coder], capture_output=True, text=True, env={"ASAN_OPTIONS": "help=1"})
    assert "AddressSanitizer" in help_text.stderr
