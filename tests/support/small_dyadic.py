"""Small weights of family `spatiotemporal` whose frames on their own are dyadic pyramids.

They are drawn in integers alone, so that they have one id on every machine; only the steps are the shipped ones.
Networks answer different things everywhere, rungs lie all over the ladder, and signs use every table.  Files are larger
than those of trained weights.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.models.engine.network import IntegerNetwork, Layer, Range, arrays_of
from tessera.models.motion.field import KINDS
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.transform.bands import REACHES, slice_bands
from tessera.models.transform.dyadic import SLICES

if TYPE_CHECKING:
    import pytest

SHIPPED = weights.FOLDER / "spatiotemporal.safetensors"
ANCHORS = 14
HIDDEN, VIEW, WIDTH = 8, 4, 8
RUNG = 1024  # of an answer
STEPS = [  # of each level at quality 0, by the wavelet's gains; of the last row, which is the low band's, the first
    [331799473, 331799473, 426217591],
    [254299658, 254299658, 346917738],
    [183691988, 183691988, 244216599],
    [136267052, 136267052, 178689508],
    [102516807, 102516807, 133873112],
    [77454049, 77454049, 101032962],
    [58362234, 58362234, 75819228],
    [44924623, 30000000, 60000000],
]

Arrays = dict[str, NDArray[Any]]
Row = tuple[list[int], int]  # frequencies, and the first value


@cache
def arrays() -> Arrays:
    """A whole weights file.  Decoder standard has a network, decoder fast has none."""
    made = {name: array for name, array in weights.read(SHIPPED)[0].items() if name.startswith("steps.")}
    uniform = [flat_row(1 << k) for k in range(1, 7)]
    ladder = [magnitude_row(rung) for rung in range(72)]
    made |= tables("tables", [*ladder, *uniform, *(mirrored(row) for row in ladder)])
    made |= tables("signs", [([4088 * (2 * k + 1) // 64, 4095 - 4088 * (2 * k + 1) // 64, 1], 0) for k in range(32)])
    made |= tables("odd", [magnitude_row(2 * k) for k in range(34)])
    made |= motion()
    made |= owned("still.dyadic", pyramid_prior())
    made |= owned("still.standard", network("still", 195))
    made |= owned("inter", network("inter", 383))
    for name in ("unidirectional", "bidirectional"):
        made |= owned(f"priors.{name}", packet_prior(name))
    return made


@cache
def family() -> SpatiotemporalFamily:
    return SpatiotemporalFamily(arrays(), {})


def install(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Encode and decode with these weights, and no others, from a file in `folder`."""
    weights.write(folder / SHIPPED.name, arrays(), {})
    patch.setattr(weights, "FOLDER", folder)
    patch.setattr(weights, "_families", {})


def owned(owner: str, part: Arrays) -> Arrays:
    return {f"{owner}.{name}": array for name, array in part.items()}


def drawn(name: str, shape: Sequence[int], low: int, high: int) -> NDArray[np.int64]:
    """Integers low..high that depend on the name alone: those of a generator whose stream never changes."""
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    return (raw % np.uint64(high - low + 1)).astype(np.int64).reshape(tuple(shape)) + low


# -- tables ------------------------------------------------------------------------------------------------------------


def tables(owner: str, rows: Sequence[Row]) -> Arrays:
    frequencies = np.zeros((len(rows), max(len(row) for row, _ in rows)), np.int32)
    for place, (row, _) in zip(frequencies, rows, strict=True):
        place[: len(row)] = row
    lows, sizes = np.array([low for _, low in rows], np.int32), np.array([len(row) for row, _ in rows], np.int32)
    return {f"{owner}.frequencies": frequencies, f"{owner}.lows": lows, f"{owner}.sizes": sizes}


def normalised(shares: Sequence[int]) -> list[int]:
    """Frequencies of 1 and more that sum to 4096 and are about proportional to `shares`."""
    room = 4096 - len(shares)
    found = [1 + share * room // sum(shares) for share in shares]
    found[shares.index(max(shares))] += 4096 - sum(found)
    return found


def flat_row(count: int) -> Row:
    return normalised([*[4] * count, 0]), 0


def magnitude_row(rung: int) -> Row:
    """Narrow on the first rungs, flat on the last ones; the last entry is the escape."""
    reach = 2 + rung * rung // 60
    shares = [(1 << 20) // (4 + (360 // (rung + 2)) * k * k) for k in range(reach)]
    return normalised([*shares, 1]), 0


def mirrored(row: Row) -> Row:
    """The same of values with their signs."""
    (first, *others), _ = row
    escape, half = others[-1], others[:-1]
    return normalised([*half[::-1], 2 * first, *half, escape]), -len(half)


def motion() -> Arrays:
    rows = [mirrored(magnitude_row(rung)) for rung in range(20, 70, 5)]
    made = tables("motion", rows)
    for kind, shape in KINDS.items():
        made[f"motion.{kind}"] = drawn(f"motion.{kind}", shape, 0, len(rows) - 1).astype(np.uint8)
    return made


# -- priors ------------------------------------------------------------------------------------------------------------


def answers(name: str, count: int, spread: int = 0) -> NDArray[np.int32]:
    """Biases (14, count): rungs that rise with the quality, as in trained priors; spread: in rungs."""
    rise = np.arange(ANCHORS)[:, None] * 4 * RUNG
    return (rise + drawn(name, (ANCHORS, count), -spread * RUNG, (24 + spread) * RUNG)).astype(np.int32)


def layer(name: str, shape: Sequence[int], largest: int) -> NDArray[np.int16]:
    return drawn(name, shape, -largest, largest).astype(np.int16)


def pyramid_prior() -> Arrays:
    """Of `dyadic_twin`."""
    made: Arrays = {"steps": np.array(STEPS, np.int64), "low.weight": answers("low", 3) + 20 * RUNG}
    for k in range(4):
        owner = f"levels.{k}"
        layers: Arrays = {"parent": layer(f"{owner}.parent", (4 * HIDDEN, 9, 3, 3), 40)}
        layers["low"] = layer(f"{owner}.low", (HIDDEN, 6, 5, 5), 20)
        for depth in range(1 if k < 3 else 4):
            layers[f"biases.{depth}"] = layer(f"{owner}.biases.{depth}", (ANCHORS, HIDDEN), 12000)
        for s, count in enumerate(SLICES):
            name = f"slices.{s}"
            layers[f"{name}.near"] = layer(f"{owner}.{name}.near", (VIEW, 2 * count, 5, 5), 60)
            if s + 1 < len(SLICES):
                layers[f"{name}.context"] = layer(f"{owner}.{name}.context", (HIDDEN, 2 * count, 3, 3), 60)
            for p in (0, 1):
                layers[f"{name}.view.{p}"] = layer(f"{owner}.{name}.view.{p}", (VIEW, HIDDEN, 1, 1), 90)
                layers[f"{name}.views.{p}"] = layer(f"{owner}.{name}.views.{p}", (ANCHORS, VIEW), 20000)
                layers[f"{name}.heads.{p}"] = layer(f"{owner}.{name}.heads.{p}", (2 * count, VIEW, 1, 1), 90)
                biases = answers(f"{owner}.{name}.biases.{p}", 2 * count, 8)
                biases[:, count:] = drawn(f"{owner}.{name}.signs.{p}", (ANCHORS, count), -14 * RUNG, 14 * RUNG)
                layers[f"{name}.biases.{p}"] = biases
        made |= {f"{owner}.{name}.weight": array for name, array in layers.items()}
    return made


def packet_prior(owner: str) -> Arrays:
    """Of predicted frames, see `prior.native`."""
    counts = [len(bands) for bands in slice_bands()]
    made: Arrays = {"low.weight": answers(f"{owner}.low", 3)}
    for part, sizes, reaches, depths in (("packet", counts, REACHES, 1), ("pyramid", [3, 6], (3, 0), 4)):
        layers: Arrays = {"coarse": layer(f"{owner}.{part}.coarse", (HIDDEN, 9, 3, 3), 40)}
        layers["hints"] = layer(f"{owner}.{part}.hints", (HIDDEN, 2 * sum(sizes), 1, 1), 40)
        for depth in range(depths):
            layers[f"biases.{depth}"] = layer(f"{owner}.{part}.biases.{depth}", (ANCHORS, HIDDEN), 12000)
        for s, (count, side) in enumerate(zip(sizes, reaches, strict=True)):
            name = f"slices.{s}"
            layers[f"{name}.first"] = layer(f"{owner}.{part}.{name}.first", (count, HIDDEN, 1, 1), 40)
            layers[f"{name}.second"] = layer(f"{owner}.{part}.{name}.second", (count, HIDDEN + count, 1, 1), 40)
            layers[f"{name}.near"] = layer(f"{owner}.{part}.{name}.near", (count, 1, 5, 5), 90)
            if side:
                layers[f"{name}.context"] = layer(f"{owner}.{part}.{name}.context", (HIDDEN, count, side, side), 40)
            for p in (0, 1):
                layers[f"{name}.biases.{p}"] = answers(f"{owner}.{part}.{name}.biases.{p}", count)
        made |= {f"{part}.{name}.weight": array for name, array in layers.items()}
    return made


# -- networks ----------------------------------------------------------------------------------------------------------


def network(name: str, inputs: int) -> Arrays:
    """Three layers, the middle one over 3 x 3 cells; answers of some hundred, in 1/256 of a step."""

    def kernel(number: int, shape: Sequence[int]) -> NDArray[np.int8]:
        return drawn(f"{name}.weights.{number}", shape, -127, 127).astype(np.int8)

    table = (np.arange(1024) - 512).clip(-300).astype(np.int16)
    layers = [
        Layer(0, kernel(0, (WIDTH, 1, 1, inputs))),
        Layer(1, kernel(1, (WIDTH, 3, 3, WIDTH)), table=table),
        Layer(2, kernel(2, (WIDTH, 3, 3, WIDTH)), add=1),
        Layer(3, kernel(3, (192, 1, 1, WIDTH)), Range(-32767, 32767)),
    ]
    built = IntegerNetwork(inputs, Range(-32767, 32767), layers)
    scales = np.repeat([1 << 22, 1 << 21, 1 << 21, 1 << 18], [WIDTH, WIDTH, WIDTH, 192])
    multipliers = scales + drawn(f"{name}.multipliers", (ANCHORS, built.outputs), 0, 1 << 18)
    offsets = drawn(f"{name}.offsets", (ANCHORS, built.outputs), -(1 << 37), 1 << 37)
    return arrays_of(built, multipliers.astype(np.int32), offsets)
