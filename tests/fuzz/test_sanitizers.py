"""Native code under AddressSanitizer and UndefinedBehaviorSanitizer: memory errors that a normal run would not show."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..support.compiler import ROOT, compile_with, include

pytestmark = pytest.mark.slow  # the compiler is

COMMON = ["-std=c++17", "-ffp-contract=off", "-Wno-psabi", "-pthread", "-DTESSERA_FUZZ_MAIN"]
PLAIN = ["-O1", *COMMON]
# -Og: the checks compile in half the time of -O1, in a sixth where loops are unrolled
CHECKED = ["-Og", *COMMON, "-g1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]


RANDOM = [  # target, random inputs, seed
    ("fuzz_kernels", 24, 3),  # pictures and walks, hostile symbols among them: the same bits on any number of threads
    ("fuzz_frame", 6, 5),  # frames, coded and read: hostile symbols, a coder that refuses, plans that do not fit
    ("fuzz_dyadic", 12, 5),  # whole dyadic pyramids, as frames; weights up to their bounds, and beyond
    ("fuzz_exact", 24, 5),  # colours, packet, pyramid, quantisation: tame and hostile numbers
    ("fuzz_motion", 24, 5),  # pictures and fields, vectors far outside: compensation, search and decision
    ("fuzz_field", 100, 5),  # grids of vectors with and without guesses, one field and two, a coder that refuses
    ("fuzz_network", 60, 5),  # networks with tame and wild weights and scales
    ("fuzz_overfitted", 40, 5),  # fitted pictures: hostile symbols, a coder that refuses, tensors that do not fit
]
SMALLEST = [  # target, kinds of input
    *(("fuzz_kernels", 32), ("fuzz_frame", 32), ("fuzz_exact", 16), ("fuzz_motion", 16), ("fuzz_field", 16)),
    *(("fuzz_network", 32), ("fuzz_overfitted", 16), ("fuzz_dyadic", 16)),
]
WITHOUT_VECTORS = [f"fuzz_{name}" for name in ("kernels", "frame", "dyadic", "exact", "network", "overfitted")]
RESTS = (b"", b"\xff", b"\xff\xff", b"\xff\xff\xff", b"\xff\x7f\x00\x80")


def sources(folder: str) -> list[Path]:
    """What a target links: no bindings, which need an interpreter."""
    return [path for path in sorted((ROOT / folder).glob("*.cpp")) if not path.name.startswith("bindings")]


def build(program: Path, target: str, folder: str, *flags: str, parts: list[Path] | None = None) -> Path:
    """Fuzz target `target`.cpp with its plain main and the sources of `folder`, or these object files of them."""
    files = [ROOT / "tests" / "fuzz" / f"{target}.cpp", *(sources(folder) if parts is None else parts)]
    compile_with(*flags, *include(folder), *files, "-o", program)
    return program


def short_inputs(folder: Path, kinds: int) -> list[Path]:
    """Files that name each kind of the smallest sides, and hold nothing or little more."""
    files = []
    for kind in range(kinds):
        for number, rest in enumerate(RESTS):
            files.append(folder / f"{kind:02x}-{number}")
            files[-1].write_bytes(bytes([kind, kind, 0, 0]) + rest)
    return files


@pytest.fixture(scope="module")
def fuzz_coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sanitizers") / "fuzz_coder", "fuzz_coder", "entropy/kernels", *CHECKED)


def compile_parts(folder: Path, *flags: str) -> list[Path]:
    """Object files of the kernels, which their targets share: two compilers at a time."""
    parts = {source: folder / f"{source.stem}.o" for source in sources("models/kernels")}
    with ThreadPoolExecutor(2) as pool:
        compiled = [
            pool.submit(compile_with, *flags, *include("models/kernels"), "-c", source, "-o", target)
            for source, target in parts.items()
        ]
    for one in compiled:
        one.result()
    return list(parts.values())


@pytest.fixture(scope="module")
def kernel_parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compile_parts(tmp_path_factory.mktemp("parts"), *CHECKED)


@pytest.fixture(scope="module")
def scalar_parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compile_parts(tmp_path_factory.mktemp("scalar"), *PLAIN, "-DTESSERA_X86=0")


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Callable[[str], Path]:
    """Builds a target of the kernels, once."""
    folder = tmp_path_factory.mktemp("sanitizers")

    @functools.cache
    def built(target: str) -> Path:
        return build(folder / target, target, "models/kernels", *CHECKED, parts=kernel_parts)

    return built


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
    program = build(tmp_path / "plain", "fuzz_coder", "entropy/kernels", *PLAIN, "-DTESSERA_X86=0")
    assert run(program, "--random", "200", "2").stdout == "ok\n"


@pytest.mark.parametrize(("target", "count", "seed"), RANDOM)
def test_random_inputs_on_every_path(fuzz: Callable[[str], Path], target: str, count: int, seed: int) -> None:
    result = run(fuzz(target), "--random", str(count), str(seed))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


@pytest.mark.parametrize(("target", "kinds"), SMALLEST)
def test_the_smallest_sides(fuzz: Callable[[str], Path], tmp_path: Path, target: str, kinds: int) -> None:
    """One cell, block or pixel, with no bytes or few to make symbols of."""
    result = run(fuzz(target), *short_inputs(tmp_path, kinds))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


@pytest.mark.parametrize("target", WITHOUT_VECTORS)
def test_kernels_without_vector_paths(tmp_path: Path, scalar_parts: list[Path], target: str) -> None:
    program = build(tmp_path / "plain", target, "models/kernels", *PLAIN, "-DTESSERA_X86=0", parts=scalar_parts)
    assert run(program, "--random", "16", "4").stdout == "ok\n"


def test_the_build_sees_errors(fuzz_coder: Path, tmp_path: Path) -> None:
    """The program must be able to fail: a missing file aborts, and the sanitizers are linked in."""
    assert run(fuzz_coder, tmp_path / "missing").returncode != 0
    help_text = subprocess.run([fuzz_coder], capture_output=True, text=True, env={"ASAN_OPTIONS": "help=1"})
    assert "AddressSanitizer" in help_text.stderr
