"""Native code under AddressSanitizer and UndefinedBehaviorSanitizer: memory errors that a normal run would not show."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..support.compiler import ROOT, compile_with, include

pytestmark = pytest.mark.slow  # the compiler is

PLAIN = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wno-psabi", "-pthread", "-DTESSERA_FUZZ_MAIN"]
CHECKED = [*PLAIN, "-g1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]


def sources(folder: str) -> list[Path]:
    """What a target links: no bindings, which need an interpreter."""
    return [path for path in sorted((ROOT / folder).glob("*.cpp")) if not path.name.startswith("bindings")]


def build(program: Path, target: str, folder: str, *flags: str, parts: list[Path] | None = None) -> Path:
    """Fuzz target `target`.cpp with its plain main and the sources of `folder`, or these object files of them."""
    files = [ROOT / "tests" / "fuzz" / f"{target}.cpp", *(sources(folder) if parts is None else parts)]
    compile_with(*flags, *include(folder), *files, "-o", program)
    return program


def short_inputs(folder: Path, kinds: int, rests: Callable[[int], Iterable[bytes]]) -> list[Path]:
    """Files that name each kind of the smallest sides, and go on with each of `rests(kind)`."""
    files = []
    for kind in range(kinds):
        for number, rest in enumerate(rests(kind)):
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
def fuzz_kernels(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Path:
    program = tmp_path_factory.mktemp("sanitizers") / "fuzz_kernels"
    return build(program, "fuzz_kernels", "models/kernels", *CHECKED, parts=kernel_parts)


@pytest.fixture(scope="module")
def fuzz_frame(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Path:
    program = tmp_path_factory.mktemp("sanitizers") / "fuzz_frame"
    return build(program, "fuzz_frame", "models/kernels", *CHECKED, parts=kernel_parts)


@pytest.fixture(scope="module")
def fuzz_exact(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Path:
    program = tmp_path_factory.mktemp("sanitizers") / "fuzz_exact"
    return build(program, "fuzz_exact", "models/kernels", *CHECKED, parts=kernel_parts)


@pytest.fixture(scope="module")
def fuzz_motion(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Path:
    program = tmp_path_factory.mktemp("sanitizers") / "fuzz_motion"
    return build(program, "fuzz_motion", "models/kernels", *CHECKED, parts=kernel_parts)


@pytest.fixture(scope="module")
def fuzz_field(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Path:
    program = tmp_path_factory.mktemp("sanitizers") / "fuzz_field"
    return build(program, "fuzz_field", "models/kernels", *CHECKED, parts=kernel_parts)


@pytest.fixture(scope="module")
def fuzz_network(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Path:
    program = tmp_path_factory.mktemp("sanitizers") / "fuzz_network"
    return build(program, "fuzz_network", "models/kernels", *CHECKED, parts=kernel_parts)


@pytest.fixture(scope="module")
def fuzz_overfitted(tmp_path_factory: pytest.TempPathFactory, kernel_parts: list[Path]) -> Path:
    program = tmp_path_factory.mktemp("sanitizers") / "fuzz_overfitted"
    return build(program, "fuzz_overfitted", "models/kernels", *CHECKED, parts=kernel_parts)


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


def test_kernels_on_every_path(fuzz_kernels: Path) -> None:
    """24 random pictures and walks, hostile symbols among them: the same bits on every path and number of threads."""
    result = run(fuzz_kernels, "--random", "24", "3")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_kernels_on_one_cell(fuzz_kernels: Path, tmp_path: Path, length: int) -> None:
    """The smallest sides, with no bytes or few to make symbols of."""
    result = run(fuzz_kernels, *short_inputs(tmp_path, 32, lambda kind: [b"\xff" * length]))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_whole_frames_on_every_path(fuzz_frame: Path) -> None:
    """24 random frames: coded and read, hostile symbols, a coder that refuses, plans that do not fit."""
    result = run(fuzz_frame, "--random", "24", "5")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_whole_frames_of_one_cell(fuzz_frame: Path, tmp_path: Path) -> None:
    result = run(fuzz_frame, *short_inputs(tmp_path, 32, lambda kind: [b"\xff" * (kind // 8)]))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_exact_transform_on_every_path(fuzz_exact: Path) -> None:
    """24 random inputs of each kind: colours, packet, pyramid, quantisation, tame and hostile numbers."""
    result = run(fuzz_exact, "--random", "24", "5")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_exact_transform_on_one_cell(fuzz_exact: Path, tmp_path: Path) -> None:
    result = run(fuzz_exact, *short_inputs(tmp_path, 16, lambda kind: [b"\xff" * (kind // 4)]))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_motion_on_every_path(fuzz_motion: Path) -> None:
    """24 random pictures and fields, vectors far outside among them: compensation, search and decision."""
    result = run(fuzz_motion, "--random", "24", "5")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_motion_on_one_block(fuzz_motion: Path, tmp_path: Path) -> None:
    """The smallest sides, with no bytes or few to make vectors of."""
    result = run(fuzz_motion, *short_inputs(tmp_path, 16, lambda kind: (b"", b"\xff", b"\xff\x7f\x00\x80")))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_motion_fields_of_any_symbols(fuzz_field: Path) -> None:
    """100 random grids, each with and without guesses, one field and two, and a coder that refuses."""
    result = run(fuzz_field, "--random", "100", "5")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_motion_fields_of_one_block(fuzz_field: Path, tmp_path: Path) -> None:
    result = run(fuzz_field, *short_inputs(tmp_path, 16, lambda kind: (b"", b"\xff", b"\xff\x7f\x00\x80")))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_networks_on_every_path(fuzz_network: Path) -> None:
    """60 random networks, each with tame and wild weights and scales."""
    result = run(fuzz_network, "--random", "60", "5")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_networks_on_one_cell(fuzz_network: Path, tmp_path: Path) -> None:
    result = run(fuzz_network, *short_inputs(tmp_path, 32, lambda kind: (b"", b"\xff", b"\xff\x7f\x00\x80")))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_fitted_pictures_on_every_path(fuzz_overfitted: Path) -> None:
    """40 random pictures: put and read, hostile symbols, a coder that refuses, tensors that do not fit."""
    result = run(fuzz_overfitted, "--random", "40", "5")
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


def test_fitted_pictures_of_one_pixel(fuzz_overfitted: Path, tmp_path: Path) -> None:
    result = run(fuzz_overfitted, *short_inputs(tmp_path, 16, lambda kind: (b"", b"\xff", b"\xff\x7f\x00\x80")))
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr


@pytest.mark.parametrize("target", ["fuzz_kernels", "fuzz_frame", "fuzz_exact", "fuzz_network", "fuzz_overfitted"])
def test_kernels_without_vector_paths(tmp_path: Path, scalar_parts: list[Path], target: str) -> None:
    program = build(tmp_path / "plain", target, "models/kernels", *PLAIN, "-DTESSERA_X86=0", parts=scalar_parts)
    assert run(program, "--random", "16", "4").stdout == "ok\n"


def test_the_build_sees_errors(fuzz_coder: Path, tmp_path: Path) -> None:
    """The program must be able to fail: a missing file aborts, and the sanitizers are linked in."""
    assert run(fuzz_coder, tmp_path / "missing").returncode != 0
    help_text = subprocess.run([fuzz_coder], capture_output=True, text=True, env={"ASAN_OPTIONS": "help=1"})
    assert "AddressSanitizer" in help_text.stderr
