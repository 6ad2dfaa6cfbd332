"""Fitted pictures of random numbers, and the encoder's walk in readable steps."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import EncoderPort
from tessera.models.base.family import GroupSpec, SymbolPort
from tessera.models.overfitted import wire
from tessera.models.overfitted.family import OverfittedFamily
from tessera.models.overfitted.shape import CUBIC, FittedPicture, Integers, IntegerTensor, grid_shapes, tensor_shapes
from tessera.models.overfitted.tables import read_tables
from tessera.models.reference import overfitted as reference

TABLES = read_tables(weights.read(weights.FOLDER / "overfitted.safetensors")[0])
GAINS = {"context": 0.25, "features": 0.1, "upsampling": 0.05, "synthesis": 0.4}  # of random weights


def random_picture(
    sides: tuple[int, int], channels: int, point: int, levels: int, seed: int, spread: float = 2.0
) -> FittedPicture:
    """A picture with networks that answer different things everywhere; `spread`: of the values of grids."""
    draw = np.random.default_rng(seed)
    tensors = {}
    for shape in tensor_shapes(point, levels, channels):
        bits = int(draw.integers(max(shape.least_bits, 4), 9))
        values = draw.normal(0, GAINS[shape.name.partition(".")[0]], shape.shape) * (1 << bits)
        if shape.name == "upsampling.smooth":
            values += np.array(CUBIC) * 2.0 ** (bits - 12)
        if shape.name == "synthesis.4.bias":
            values += 8 << bits  # mid gray
        tensors[shape.name] = IntegerTensor(values.round().astype(np.int32), bits)
    grids = [
        np.rint(draw.laplace(0, spread, shape[2:])).clip(-2047, 2047).astype(np.int32)
        for shape in grid_shapes(*sides, levels)
    ]
    return FittedPicture(*sides, channels, point, levels, tensors, grids)


def spec_of(picture: FittedPicture, frames: int = 1) -> GroupSpec:
    return GroupSpec(frames, picture.height, picture.width, picture.channels, 0)


def put_grids(port: SymbolPort, picture: FittedPicture) -> None:
    """Put the grids step by step, with the arithmetic of the reference decoder."""
    read = as_reference(picture)
    for shape in picture.grid_shapes():
        values = read.grids[shape.level, shape.hyper]
        beside = reference.features(read, shape.level, shape.hyper)
        for cells in reference.steps(shape.height, shape.width):
            y, x = np.transpose(cells)
            known = hidden(values, cells)
            inputs = np.concatenate(
                [reference.spatial(known, cells, reference.SPATIAL[picture.point]), beside[:, y, x]]
            )
            m, f, s = reference.predict(read, inputs)
            symbols = np.where(f >= 0, values[y, x] - m, m - values[y, x])
            port.put(symbols.astype(np.int32), (48 * abs(f) + s).astype(np.uint8))


def hidden(values: reference.Array, cells: list[tuple[int, int]]) -> reference.Array:
    """The values without those of a step and of all later ones: what a decoder has."""
    known = values.copy()
    top = cells[0][0] // reference.STRIP * reference.STRIP
    t = cells[0][1] + reference.LAG * (cells[0][0] - top)
    known[top + reference.STRIP :] = 0
    for r, row in enumerate(known[top : top + reference.STRIP]):
        row[max(0, t - reference.LAG * r) :] = 0
    return known


def as_reference(picture: FittedPicture) -> reference.ReadPicture:
    tensors = {
        name: reference.Numbers(tensor.values.astype(np.int64), tensor.bits) for name, tensor in picture.tensors.items()
    }
    shapes = picture.grid_shapes()
    grids = {
        (shape.level, shape.hyper): grid.astype(np.int64) for shape, grid in zip(shapes, picture.grids, strict=True)
    }
    sides = (picture.height, picture.width, picture.channels)
    return reference.ReadPicture(*sides, picture.point, picture.levels, tensors, grids)


def coded(*pictures: FittedPicture) -> bytes:
    """The coder's bytes of a group, by the slow walk."""
    port = EncoderPort(TABLES)
    for picture in pictures:
        wire.put_numbers(port, picture, TABLES)
        put_grids(port, picture)
    return port.finish()


def same_grids(a: list[Integers], b: list[Integers]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def file_of(pictures: list[FittedPicture], **options: Any) -> bytes:
    """A .tsr file of pictures of one shape, one group for all; a picture file of one."""
    picture, left = pictures[0], iter(pictures)
    frames = np.zeros((len(pictures), picture.height, picture.width, picture.channels), np.uint8)
    source = frames if len(pictures) > 1 else frames[0]
    more: dict[str, Any] = {"gop": len(pictures), "fps": 5} if len(pictures) > 1 else {}
    with mock.patch.object(OverfittedFamily, "fit", lambda self, frame, spec: next(left)):
        return tessera.encode(source, codec="overfitted", **more, **options)
