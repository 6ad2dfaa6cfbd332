"""How far a reader has to walk: the files of the package that one picture enters, and the moves between them.

    python -m tests.support.trace_files

A 64 x 64 picture is encoded and decoded in this process, after a first round that loads weights.  A move is a call or a
return that leaves one file of the package for another; calls within a file and into other packages do not count.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import tessera
from tessera.data import procedural

ROOT = Path(tessera.__file__).resolve().parents[2 if Path(tessera.__file__).resolve().parent.name == "root" else 1]
FLOORS = ("entropy", "models", "codec", "data", "tools")


@dataclass
class Walk:
    """files: entered; moves: between two of them."""

    files: set[str] = field(default_factory=set)
    moves: int = 0
    here: str = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        owner = frame if event == "call" else frame.f_back
        if event not in ("call", "return") or owner is None:
            return
        there = _place(owner.f_code.co_filename)
        if there and there != self.here:
            self.files.add(there)
            self.moves += bool(self.here)
            self.here = there


def _place(name: str) -> str:
    path = Path(name).resolve()
    if not path.is_relative_to(ROOT):
        return ""
    place = path.relative_to(ROOT).as_posix().removeprefix("tessera/")
    return place if place.split("/")[0] in FLOORS else ""


def trace(call: Callable[[], Any]) -> Walk:
    """The walk of one call."""
    walk = Walk()
    sys.setprofile(walk)
    try:
        call()
    finally:
        sys.setprofile(None)
    return walk


def main() -> None:
    picture = procedural.picture(64, 64)
    data = tessera.encode(picture)
    tessera.decode(data)
    for name, walk in (
        ("encode", trace(lambda: tessera.encode(picture))),
        ("decode", trace(lambda: tessera.decode(data))),
    ):
        print(f"{name}: {len(walk.files)} files, {walk.moves} moves")
        for place in sorted(walk.files):
            print(f"    {place}")


if __name__ == "__main__":
    main()
