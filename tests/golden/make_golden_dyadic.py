"""Writes tests/golden/dyadic: streams of `small_dyadic`, small weights of family `spatiotemporal` whose frames on their
own are dyadic pyramids.  Run by hand, only when those weights change: `python -m tests.golden.make_golden_dyadic`.
`pinned` says what expected.txt holds.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ..support import small_dyadic
from .make_golden_spatiotemporal import Samples, make

FOLDER = Path(__file__).resolve().parent / "dyadic"

SAMPLES: Samples = {
    "picture": ((1, 61, 77, 3), 45, {}),
    "low": ((1, 20, 131, 3), 0, {}),
    "high": ((1, 24, 31, 3), 100, {}),
    "gray": ((2, 29, 43, 1), 60, {"depth": 0, "block": 8}),
    "halves": ((3, 33, 42, 3), 35, {"depth": 1}),
    "one-pixel": ((3, 1, 1, 3), 70, {}),
}


if __name__ == "__main__":
    import pytest  # here, since other architectures take the samples without it

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        small_dyadic.install(Path(folder), patch)
        make(FOLDER, SAMPLES)
