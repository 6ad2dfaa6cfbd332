"""The choice of kernels by processor: names, refusals, and tables that lack a kernel."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tessera.entropy import _coder
from tessera.models import _kernels

from ..support.compiler import ROOT, SHARED, compile_with, include, try_compile

HEADER = (ROOT / SHARED / "dispatch.hpp").read_text(encoding="utf-8")
NAMES = re.findall(r'"([\w-]+)"', HEADER.partition("kPathNames[] = {")[2].partition("}")[0])
FOLDERS = (SHARED, "models/kernels")
PROGRAM = ["-std=c++17", "-O0", *include(SHARED), str(ROOT / "tests" / "entropy" / "dispatch.cpp")]


def sources() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).iterdir()) if path.is_file()]


@pytest.mark.parametrize("module", [_coder, _kernels], ids=["coder", "kernels"])
def test_one_list_of_names_serves_every_extension(module: Any) -> None:
    paths = module.cpu_paths()
    assert paths[0] == "scalar" and paths == sorted(paths, key=NAMES.index)
    assert module.cpu_path() == paths[-1] and all(module.cpu_path(path) == path for path in paths)
    for name in NAMES:  # a path without kernels of its own runs those of the one before it
        try:
            assert module.cpu_path(name) == [path for path in paths if NAMES.index(path) <= NAMES.index(name)][-1]
        except ValueError as error:
            assert str(error) == f"this processor does not run the path {name}"
    known = ", ".join(NAMES[:-1]) + " or " + NAMES[-1]
    with pytest.raises(ValueError, match=f"^path must be {known}, not sse9$"):
        module.cpu_path("sse9")


def test_a_name_that_one_extension_takes_every_extension_takes() -> None:
    for name in NAMES:
        outcomes = []
        for module in (_coder, _kernels):
            try:
                module.cpu_path(name)
                outcomes.append("runs")
            except ValueError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("flags", [[], ["-DTESSERA_X86=0"]], ids=["all paths", "scalar alone"])
def test_faulty_tables_are_refused(tmp_path: Path, flags: list[str]) -> None:
    compile_with(*PROGRAM, *flags, "-o", tmp_path / "dispatch")
    lines = subprocess.run([tmp_path / "dispatch"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[:7] == [
        "1 of 1 run; fastest scalar, at most scalar scalar",
        "field 2 of the kernels of path scalar is not set",
        "no scalar kernels",
        "no scalar kernels",
        "kernels out of order",
        "no scalar kernels",
        f"path must be {', '.join(NAMES[:-1])} or {NAMES[-1]}, not sse9",
    ]
    assert [line.partition(":")[0] for line in lines[7:]] == NAMES and lines[7] == "scalar: scalar"
    if flags:
        assert lines[8:] == [f"{name}: this processor does not run the path {name}" for name in NAMES[1:]]


@pytest.mark.parametrize("fault", ["WITHOUT_FUNCTION", "OTHER_TYPE"])
def test_a_field_takes_the_function_of_its_name_and_type(fault: str) -> None:
    assert try_compile(*PROGRAM, "-fsyntax-only") is None
    assert "third" in (try_compile(*PROGRAM, "-fsyntax-only", f"-D{fault}") or "")


def test_the_processor_is_asked_in_one_file() -> None:
    asking = re.compile(r"__builtin_cpu|cpuid|getauxval|IsProcessorFeaturePresent")
    assert [path.name for path in sources() if asking.search(path.read_text(encoding="utf-8"))] == ["dispatch.hpp"]


def test_kernels_use_no_more_than_was_asked_for() -> None:
    """Every target that a file of kernels is compiled for is among the features that `runs` asks for its path."""
    asked: dict[str, set[str]] = {}
    for path, rule in re.findall(r"case Path::(\w+):\s+return (.*?);", HEADER, re.DOTALL):
        asked[path] = set(re.findall(r'cpu_supports\("(\w+)"\)', rule))
        for earlier in re.findall(r"runs\(Path::(\w+)\)", rule):
            asked[path] |= asked[earlier]
    of_x86 = [features for path, features in asked.items() if path != "neon"]
    assert all(one < other for one, other in pairwise(of_x86))
    checked = set()
    for source in sources():
        path = source.stem.partition("_")[2]
        for targets in re.findall(r'target\("([^"]+)"\)', source.read_text(encoding="utf-8")):
            if path in asked:
                features = {target for target in targets.split(",") if "=" not in target}
                assert features <= asked[path], (source.name, features - asked[path])
                checked.add(source.name)
    assert {"kernels_avx2.cpp", "kernels_avx512.cpp", "target_avx2.inc", "target_avx512_vnni.inc"} <= checked
