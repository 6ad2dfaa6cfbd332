"""Second decoder of codec `overfitted`, readable and slow: codec/FORMAT.md, section 22, step by step.

It shares no code with models/overfitted and its kernels, which give the same integers and the same pixels.  Arrays are
64 bits wide, so that nothing here depends on the bounds that keep the sums of the kernels within 32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.family import GroupSpec, SymbolPort

Array = NDArray[np.int64]

SPATIAL, FEATURES, WIDTH, WINDOWS = (6, 10, 14), (2, 4, 6), (8, 16, 48), (1, 2, 2)  # of each operating point
PLACES = (
    (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-3, 0), (0, -3), (-1, -2), (-2, 1), (-2, -1), (-1, 2),
    (-2, -2), (-1, -3),
)  # fmt: skip
CUBIC = np.array([-144, -432, 1072, 3600])  # in 1/4096
LARGEST, CLIP15, CLIP17 = 2047, (1 << 15) - 1, (1 << 17) - 1
SUM_LIMIT = (1 << 31) - (1 << 18)
STRIP, LAG = 16, 3


def rounded(x: Array, bits: int) -> Array:
    """x / 2**bits, rounded to nearest, halves up."""
    return x if bits == 0 else (x + (1 << (bits - 1))) >> bits


def clip15(x: Array) -> Array:
    return np.clip(x, -CLIP15, CLIP15)


def clip17(x: Array) -> Array:
    return np.clip(x, -CLIP17, CLIP17)


def within(value: int, low: int, high: int, name: str) -> int:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, not in {low}..{high}")
    return value


# -- what the stream holds ---------------------------------------------------------------------------------------------


@dataclass
class Numbers:
    """A tensor: integers of `bits` fraction bits."""

    values: Array
    bits: int


@dataclass
class ReadPicture:
    """The numbers of one frame; grids by (level, whether it is the hyper grid)."""

    height: int
    width: int
    channels: int
    point: int
    levels: int
    tensors: dict[str, Numbers]
    grids: dict[tuple[int, bool], Array]

    def sides(self, level: int) -> tuple[int, int]:
        return -(-self.height >> level), -(-self.width >> level)

    def above(self, level: int) -> list[tuple[int, bool]]:
        """Grids of levels above, from fine to coarse: what features read."""
        return [(at, hyper) for at in range(level + 1, self.levels) for hyper in (False, True) if at >= 4 or not hyper]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors, in order; only those that have elements."""
        spatial, features, width = SPATIAL[self.point], FEATURES[self.point], WIDTH[self.point]
        n, levels, c = spatial + features, self.levels, self.channels
        found: dict[str, tuple[int, ...]] = {"context.1.weight": (n, n), "context.1.bias": (n,)}
        found |= {"context.2.weight": (n, n), "context.2.bias": (n,)}
        found |= {"context.3.weight": (2, n), "context.3.bias": (2,), "context.beside.weight": (2, n)}
        for level in (2, 1, 0):
            if level < levels - 1:
                found |= {f"features.{level}.weight": (features, len(self.above(level)))}
                found |= {f"features.{level}.bias": (features,)}
        if levels > 1:
            found |= {"upsampling.smooth": (levels - 1, 4), "upsampling.own": (levels - 1, 4)}
        found |= {"synthesis.1.weight": (width, levels), "synthesis.1.bias": (width,)}
        found |= {"synthesis.2.weight": (c, width), "synthesis.2.bias": (c,)}
        if WINDOWS[self.point] == 2:
            found |= {"synthesis.3.weight": (c, c, 3, 3), "synthesis.3.bias": (c,)}
        found |= {"synthesis.4.weight": (c, c, 3, 3), "synthesis.4.bias": (c,)}
        return found | {"synthesis.beside.weight": (c, levels)}


def get(port: SymbolPort, tables: Any) -> Array:
    return port.get(np.asarray(tables, np.uint8)).astype(np.int64)


def read_numbers(port: SymbolPort, spec: GroupSpec) -> ReadPicture:
    """Everything before the grids."""
    point = within(int(get(port, [19])[0]) + 1, 0, 2, "the operating point")
    levels = within(int(get(port, [19])[0]) + 7, 1, 9, "the number of levels")
    picture = ReadPicture(spec.height, spec.width, spec.channels, point, levels, {}, {})
    before = {True: (8, 29), False: (8, 29)}  # fraction bits and table of the tensor before, of biases and of others
    for name, shape in picture.shapes().items():
        bias = name.endswith("bias")
        bits, table = before[bias]
        least = 2 if name in ("synthesis.1.weight", "synthesis.beside.weight") else 0
        bits = within(bits + int(get(port, [19])[0]), least, 16 if bias else 12, f"the fraction bits of {name}")
        table = within(table + int(get(port, [29])[0]), 0, 47, f"the table of {name}")
        before[bias] = (bits, table)
        values = get(port, np.full(np.prod(shape), table)).reshape(shape)
        if name == "upsampling.smooth":
            values = values + rounded(CUBIC, 12 - bits)
        within(int(abs(values).max()), 0, 32767, f"the largest number of {name}")
        picture.tensors[name] = Numbers(values, bits)
    check_sums(picture)
    return picture


def check_sums(picture: ReadPicture) -> None:
    """ValueError where a sum of a layer or a filter may reach the limit."""
    for name in picture.shapes():
        if name.endswith("bias"):
            continue
        weights = abs(picture.tensors[name].values)
        reach = CLIP15 if name.startswith("context") else CLIP17
        if name == "upsampling.own":
            weights = weights[:, [0, 1, 2, 3, 2, 1, 0]]
        sums = weights.reshape(len(weights), -1).sum(1) * reach
        bias = picture.tensors.get(name.replace("weight", "bias"))
        if bias is not None and not name.startswith("upsampling"):
            sums = sums + abs(bias_term(picture.tensors[name], bias, fraction_bits(name)[0]))
        if int(sums.max()) >= SUM_LIMIT:
            raise ValueError(f"sums of {name} may be too large")


# -- layers ------------------------------------------------------------------------------------------------------------


def fraction_bits(name: str) -> tuple[int, int]:
    """Of the inputs and of the answers of a layer."""
    if name.startswith("synthesis"):
        return (6 if name in ("synthesis.1.weight", "synthesis.beside.weight") else 8), 8
    return 6, 6


def bias_term(weight: Numbers, bias: Numbers, inputs: int) -> Array:
    """The biases in units of the sums."""
    shift = weight.bits + inputs - bias.bits
    return bias.values << shift if shift >= 0 else rounded(bias.values, -shift)


def layer(picture: ReadPicture, name: str, a: Array) -> Array:
    """The layer `name` on inputs (inputs, ...) -> answers (outputs, ...)."""
    weight, bias = picture.tensors[f"{name}.weight"], picture.tensors.get(f"{name}.bias")
    inputs, answers = fraction_bits(f"{name}.weight")
    rows = weight.values.reshape(len(weight.values), -1)
    sums = np.tensordot(rows, a, 1)
    if bias is not None:
        sums = sums + bias_term(weight, bias, inputs).reshape(-1, *[1] * (a.ndim - 1))
    return rounded(sums, weight.bits + inputs - answers)


def windows(a: Array) -> Array:
    """(C, h, w) -> (9 C, h, w): the 3 x 3 window of every pixel, channel by channel, the border repeated."""
    padded = np.pad(a, ((0, 0), (1, 1), (1, 1)), "edge")
    h, w = a.shape[1:]
    return np.stack([plane[y : y + h, x : x + w] for plane in padded for y in range(3) for x in range(3)])


# -- grids -------------------------------------------------------------------------------------------------------------


def steps(height: int, width: int) -> Iterator[list[tuple[int, int]]]:
    """The cells (row, column) of every step of a grid."""
    for top in range(0, height, STRIP):
        rows = range(min(STRIP, height - top))
        for t in range(width + LAG * (len(rows) - 1)):
            cells = [(top + r, t - LAG * r) for r in rows if 0 <= t - LAG * r < width]
            if cells:
                yield cells


def features(picture: ReadPicture, level: int, hyper: bool) -> Array:
    """(F, height, width) of a grid."""
    h, w = picture.sides(level)
    if hyper or f"features.{level}.weight" not in picture.tensors:
        return np.zeros((FEATURES[picture.point], h, w), np.int64)
    y, x = np.arange(h)[:, None], np.arange(w)
    read = [picture.grids[above][y >> (above[0] - level), x >> (above[0] - level)] for above in picture.above(level)]
    return clip15(layer(picture, f"features.{level}", 64 * np.stack(read)))


def spatial(values: Array, cells: list[tuple[int, int]], count: int) -> Array:
    """(count, cells): the first so many inputs of each cell."""

    def value(y: int, x: int) -> int:
        return int(values[y, x]) if 0 <= y < values.shape[0] and 0 <= x < values.shape[1] else 0

    found = np.array([[value(y + dy, x + dx) for y, x in cells] for dy, dx in PLACES[:count]], np.int64)
    return clip15(64 * found)


def predict(picture: ReadPicture, x: Array) -> tuple[Array, Array, Array]:
    """Inputs (n, cells) -> m, f and s of every cell."""
    h = np.clip(x + layer(picture, "context.1", x), 0, CLIP15)
    g = np.clip(h + layer(picture, "context.2", h), 0, CLIP15)
    mu, nu = clip15(clip15(layer(picture, "context.3", g)) + layer(picture, "context.beside", x))
    s = np.clip((nu - 59) // 10, 0, 47)
    e = (mu + 4) >> 3
    m = (e + 4) >> 3
    return m, e - 8 * m, s


def read_grid(picture: ReadPicture, level: int, hyper: bool, port: SymbolPort) -> Array:
    """Get the values of one grid."""
    values = np.zeros(picture.sides(level), np.int64)
    beside = features(picture, level, hyper)
    for cells in steps(*values.shape):
        y, x = np.transpose(cells)
        inputs = np.concatenate([spatial(values, cells, SPATIAL[picture.point]), beside[:, y, x]])
        m, f, s = predict(picture, inputs)
        symbols = get(port, 48 * abs(f) + s)
        found = np.where(f >= 0, m + symbols, m - symbols)
        if abs(found).max() > LARGEST:
            raise ValueError(f"a value of level {level} is not in {-LARGEST}..{LARGEST}")
        values[y, x] = found
    return values


# -- pixels ------------------------------------------------------------------------------------------------------------


def doubled(x: Array, a: Array, bits: int, count: int) -> Array:
    """Upsampled along the last axis, and cut to `count`."""
    last = x.shape[-1] - 1
    at = [x[..., np.clip(np.arange(last + 1) + k, 0, last)] for k in range(-2, 3)]  # x[m-2] .. x[m+2]
    even = a[0] * at[0] + a[2] * at[1] + a[3] * at[2] + a[1] * at[3]
    odd = a[1] * at[1] + a[3] * at[2] + a[2] * at[3] + a[0] * at[4]
    both = np.stack([even, odd], -1).reshape(*x.shape[:-1], -1)[..., :count]
    return clip17(rounded(both, bits))


def filtered(x: Array, c: Array, bits: int) -> Array:
    """Filtered by seven taps along the last axis."""
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(3, 3)])
    n = x.shape[-1]
    sums = sum(c[min(k, 6 - k)] * padded[..., k : k + n] for k in range(7))
    return clip17(rounded(np.asarray(sums), bits))


def planes(picture: ReadPicture) -> Array:
    """(L, height, width): every latent grid on the grid of level 0."""
    found = 64 * picture.grids[picture.levels - 1, False][None]
    for row, level in enumerate(range(picture.levels - 2, -1, -1)):
        h, w = picture.sides(level)
        smooth, own = picture.tensors["upsampling.smooth"], picture.tensors["upsampling.own"]
        wide = doubled(found, smooth.values[row], smooth.bits, w)
        found = doubled(wide.swapaxes(1, 2), smooth.values[row], smooth.bits, h).swapaxes(1, 2)
        x = 64 * picture.grids[level, False]
        z = filtered(filtered(x, own.values[row], own.bits).T, own.values[row], own.bits).T
        found = np.concatenate([clip17(x + z)[None], found])
    return found


def paint(picture: ReadPicture) -> NDArray[np.uint8]:
    """(height, width, channels)."""
    x = planes(picture)
    t = np.clip(layer(picture, "synthesis.1", x), 0, CLIP17)
    u = clip17(layer(picture, "synthesis.2", t))
    if WINDOWS[picture.point] == 2:
        u = np.clip(u + layer(picture, "synthesis.3", windows(u)), 0, CLIP17)
    z = clip17(clip17(u + layer(picture, "synthesis.4", windows(u))) + layer(picture, "synthesis.beside", x))
    return np.clip(rounded(z, 4), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def read(spec: GroupSpec, port: SymbolPort) -> Iterator[ReadPicture]:
    """The frames of a group, one after another."""
    for _ in range(spec.frames):
        picture = read_numbers(port, spec)
        for level in range(picture.levels - 1, -1, -1):
            for hyper in (True, False) if level >= 4 else (False,):
                picture.grids[level, hyper] = read_grid(picture, level, hyper, port)
        yield picture


def decode(spec: GroupSpec, port: SymbolPort) -> NDArray[np.uint8]:
    """Frames (T, height, width, channels)."""
    return np.stack([paint(picture) for picture in read(spec, port)])
