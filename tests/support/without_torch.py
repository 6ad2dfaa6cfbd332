"""Programs in a fresh process where PyTorch is not installed: neither found nor imported, whatever this machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tessera

# The finder of installed packages, which now finds no torch: importing it fails as it does where it is missing.
_PRELUDE = """
import sys

def hide(finder):
    class Hiding:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.split(".")[0] in ("torch", "torchvision") else finder.find_spec(name, path, target)
        @classmethod
        def invalidate_caches(cls):
            pass
    return Hiding

sys.meta_path[:] = [hide(finder) if finder.__name__ == "PathFinder" else finder
                    for finder in sys.meta_path if hasattr(finder, "__name__")] + [
                    finder for finder in sys.meta_path if not hasattr(finder, "__name__")]
"""
_END = """
found = sorted(name for name in sys.modules if name.split(".")[0] == "torch")
assert not found, found
"""


def run(program: str, folder: Path) -> str:
    """What the program prints; AssertionError with its errors where it fails or imports torch."""
    root = str(Path(next(iter(tessera.__path__))).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    result = subprocess.run(
        [sys.executable, "-c", _PRELUDE + program + _END],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
