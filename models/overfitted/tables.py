"""The CDF tables of family `overfitted`: Laplace distributions of 48 scales around five places between two integers.

    table 48 f + s     scale exp(-3 + 10 s / 64), mean f / 8        f = 0..4, s = 0..47

They are made once, by `python -m tessera.models.overfitted.tables FILE`, and stored as integers in the weights file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables, fit_table

SCALES, PLACES = 48, 5
REACH = 1000  # values that a distribution is spread over before a table takes the likely ones
FLOOR = 2.0**-26  # of what every value is given besides: keeps far tails of narrow distributions apart
TABLE_NAMES = ("tables.frequencies", "tables.lows", "tables.sizes")  # in a weights file


def scale_of(s: int) -> float:
    """Of the Laplace distribution of tables s, 48 + s, ..."""
    return float(np.exp(-3 + 10 * s / 64))


def laplace(scale: float, mean: float) -> NDArray[np.float64]:
    """Probabilities of -REACH..REACH: a Laplace distribution integrated over [k - 1/2, k + 1/2]."""
    edges = np.arange(-REACH, REACH + 2) - 0.5 - mean
    # the integral from minus infinity, and to plus infinity where that is the small one
    small = 0.5 * np.exp(-np.abs(edges) / scale)
    low, high = edges[:-1], edges[1:]
    both = np.where(low >= 0, small[:-1] - small[1:], small[1:] - small[:-1])
    return np.where((low < 0) & (high > 0), 1 - small[:-1] - small[1:], both)


def make_row(place: int, s: int) -> tuple[NDArray[np.uint16], int]:
    """Frequencies and the first value of table 48 * place + s."""
    return fit_table(laplace(scale_of(s), place / 8) + FLOOR, -REACH)


def make_tables() -> Tables:
    """All tables."""
    return Tables.stack([make_row(place, s) for place in range(PLACES) for s in range(SCALES)])


def read_tables(tensors: Mapping[str, NDArray[Any]]) -> Tables:
    """The tables of a weights file."""
    frequencies, lows, sizes = (tensors[name] for name in TABLE_NAMES)
    return Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))


def main(path: str) -> None:
    """Write the weights file."""
    from safetensors.numpy import save_file

    tables = make_tables()
    arrays = (tables.frequencies.astype(np.int16), tables.lows, tables.sizes)
    save_file(dict(zip(TABLE_NAMES, arrays, strict=True)), Path(path), {"made by": "tessera.models.overfitted.tables"})


if __name__ == "__main__":
    main(*sys.argv[1:])
