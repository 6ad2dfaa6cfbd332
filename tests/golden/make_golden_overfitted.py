"""Writes tests/golden/overfitted: pictures of random networks and values.  Run by hand, only when the tables change:
`python -m tests.golden.make_golden_overfitted`.

expected.txt as of pinned.py: all grids, coarse to fine ("integers"), and each frame as painted ("standard").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.models.base.family import GroupSpec, SymbolPort
from tessera.models.overfitted import coding
from tessera.models.overfitted.family import OverfittedFamily

from . import pinned

FOLDER = Path(__file__).resolve().parent / "overfitted"

SAMPLES = {  # name: frames, sides, channels; operating point, levels
    "small": ((1, 24, 40, 3), 0, 5),
    "middle": ((1, 24, 40, 3), 1, 7),
    "large": ((1, 35, 22, 3), 2, 6),
    "gray": ((1, 17, 33, 1), 1, 4),
    "one-pixel": ((1, 1, 1, 3), 1, 1),
    "two-frames": ((2, 9, 12, 3), 2, 9),
}


def integers(family: OverfittedFamily, symbols: bytes, spec: GroupSpec) -> list[str]:
    """A digest of every grid of a group."""

    def grids(spec: GroupSpec, port: SymbolPort) -> Sequence[NDArray[np.int32]]:
        read = [coding.read_picture(spec, port, family.tables, family.kernels) for _ in range(spec.frames)]
        return [grid for measured in read for grid in measured.picture.grids]

    return pinned.integers(family, symbols, spec, grids)


def main() -> None:
    from ..support.overfitted_pictures import file_of, random_picture

    family, weights_id = weights.load("overfitted")
    assert isinstance(family, OverfittedFamily)
    streams, pins = {}, {}
    for number, (name, (shape, point, levels)) in enumerate(SAMPLES.items()):
        frames, height, width, channels = shape
        made = [random_picture((height, width), channels, point, levels, 10 * number + k) for k in range(frames)]
        streams[name] = file_of(made)
        symbols, spec = pinned.symbols_of(streams[name], shape)
        pins[name, pinned.INTEGERS] = integers(family, symbols, spec)
        pins[name, "standard"] = pinned.pixels(family, symbols, spec, "standard")
    pinned.write(FOLDER, weights_id, streams, pins)


if __name__ == "__main__":
    main()
