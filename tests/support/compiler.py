"""The C++ compiler, for tests that build a program out of the kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
SHARED = "entropy/kernels"  # whose headers setup.py gives to every extension


def include(folder: str) -> list[str]:
    """The folders of headers that setup.py gives to the extension of `folder`."""
    return [f"-I{ROOT / folder}", f"-I{ROOT / SHARED}"]


def try_compile(*arguments: str | Path) -> str | None:
    """None when the compiler takes it, otherwise what it says. Skips the test where there is no compiler."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    built = subprocess.run([COMPILER, *arguments], capture_output=True, text=True)
    return None if built.returncode == 0 else built.stderr


def compile_with(*arguments: str | Path) -> None:
    complaint = try_compile(*arguments)
    assert complaint is None, complaint
