"""A codec family without weights, small enough to read at a glance: the container's tests stand on it.

8x8 blocks: a mean (coded as the difference to the block on its left), a class 0..3 and, for classes above 0, the 64
differences to the mean, divided by the step.  Tables and symbols are integers; only painting uses floating point.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.errors import UnsupportedError
from tessera.entropy import Tables
from tessera.models.base.cost import Cost, cost_of_cells
from tessera.models.base.family import GroupSpec, Latents, Pixels, SymbolPort
from tessera.models.base.quality import MAX_FINE
from tessera.models.registry import FAMILIES

Array = NDArray[Any]

WIRE_ID = 127
WEIGHTS_ID = b"toy-0001"
SIDE = 8
MEANS, CLASSES = 0, 4  # tables; 1, 2, 3 are of the classes


def _geometric(low: int, high: int, ratio: Fraction) -> tuple[Array, int]:
    """Frequencies of the values low..high falling by `ratio` a step from 0, escape last, by integers only."""
    shares = [(ratio ** abs(value)) for value in range(low, high + 1)] + [Fraction(0)]
    room = 4096 - len(shares)
    frequencies = [1 + int(share * room / sum(shares)) for share in shares]
    frequencies[-low] += 4096 - sum(frequencies)
    return np.array(frequencies, np.uint16), low


def make_tables() -> Tables:
    means = _geometric(-60, 60, Fraction(15, 16))
    spreads = ((2, Fraction(1, 4)), (12, Fraction(3, 4)), (60, Fraction(7, 8)))
    residuals = [_geometric(-reach, reach, ratio) for reach, ratio in spreads]
    classes = _geometric(0, 3, Fraction(1, 2))
    return Tables.stack([means, *residuals, classes])


class ToyFamily:
    """See the module; `models.interface.Family`."""

    name: ClassVar[str] = "toy"
    stride = SIDE
    channels = 3
    decoders = ("standard", "fast")
    exact = True
    devices = ("cpu",)
    default_gop = 4
    options: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.tables = make_tables()

    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        means, residuals = _analyse(frames, _steps(spec))
        deltas = np.diff(means, axis=2, prepend=128)
        _put(port, deltas, np.zeros(deltas.shape))
        peak = np.abs(residuals).max(axis=-1)
        classes = (peak > 0).astype(int) + (peak > 2) + (peak > 12)
        _put(port, classes, np.full(classes.shape, CLASSES))
        active = classes > 0
        _put(port, residuals[active], np.repeat(classes[active], SIDE * SIDE))

    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Pixels:
        means, _, residuals = self._read(spec, port)
        blocks = means[..., None] + (0 if decoder == "fast" else residuals * _steps(spec))
        painted = np.clip(np.floor(blocks + 0.5), 0, 255).astype(np.uint8)
        painted = np.broadcast_to(painted, residuals.shape)
        t, h, w, c, _ = painted.shape
        plane = painted.reshape(t, h, w, c, SIDE, SIDE).transpose(0, 1, 4, 2, 5, 3).reshape(t, h * SIDE, w * SIDE, c)
        return np.ascontiguousarray(plane[:, : spec.height, : spec.width])

    def latents(self, spec: GroupSpec, port: SymbolPort) -> Latents:
        means, classes, residuals = self._read(spec, port)
        bits = self._bits(np.diff(means, axis=2, prepend=128), MEANS) + self._bits(classes, CLASSES)
        for k in (1, 2, 3):
            bits += np.where(classes == k, self._bits(residuals, k).sum(axis=-1), 0)
        t, h, w, _ = means.shape
        return Latents(
            x=means.astype(np.float32),
            bits=bits.sum(axis=-1).astype(np.float32),
            bits_prior=None,
            codes=None,
            times=np.arange(t, dtype=np.float64),
            frame_type=np.zeros(t, np.int64),
            valid=np.ones((t, h, w), np.bool_),
        )

    def cost(self, spec: GroupSpec) -> Cost:
        return cost_of_cells(spec, 0)

    def configure(self, effort: str, **options: object) -> ToyFamily:
        if options:
            raise ValueError(f"codec toy has no option {', '.join(sorted(options))}")
        return self

    def _bits(self, symbols: Array, table: int) -> Array:
        flat = symbols.reshape(-1).astype(np.int32)
        return self.tables.bits(flat, np.full(flat.shape, table, np.uint8)).reshape(symbols.shape).astype(np.float64)

    def _read(self, spec: GroupSpec, port: SymbolPort) -> tuple[Array, Array, Array]:
        """Means and classes (T, h, w, C), residuals (T, h, w, C, 64)."""
        shape = (spec.frames, -(-spec.height // SIDE), -(-spec.width // SIDE), spec.channels)
        means = 128 + np.cumsum(_get(port, np.zeros(shape)), axis=2)
        classes = _get(port, np.full(shape, CLASSES))
        if classes.min() < 0 or classes.max() > 3:
            raise ValueError("there is no such class")
        residuals = np.zeros((*shape, SIDE * SIDE), np.int64)
        active = classes > 0
        residuals[active] = _get(port, np.repeat(classes[active], SIDE * SIDE)).reshape(-1, SIDE * SIDE)
        return means, classes, residuals


def _steps(spec: GroupSpec) -> Array:
    """(T, h, w, C, 1): spread over an octave, so that rate and PSNR are smooth in quality; at most 1 at the best."""
    shape = (spec.frames, -(-spec.height // SIDE), -(-spec.width // SIDE), spec.channels, 1)
    spread = np.arange(np.prod(shape)).reshape(shape) * 37 % 64 / 64
    steps: Array = np.exp2((MAX_FINE - spec.quality) / 640 - spread)
    return steps


def _analyse(frames: Array, steps: Array) -> tuple[Array, Array]:
    t, height, width, c = frames.shape
    padded = np.pad(frames, ((0, 0), (0, -height % SIDE), (0, -width % SIDE), (0, 0)), "edge").astype(np.int64)
    h, w = padded.shape[1] // SIDE, padded.shape[2] // SIDE
    blocks = padded.reshape(t, h, SIDE, w, SIDE, c).transpose(0, 1, 3, 5, 2, 4).reshape(t, h, w, c, SIDE * SIDE)
    means = blocks.sum(axis=-1) // (SIDE * SIDE)
    return means, np.rint((blocks - means[..., None]) / steps).astype(np.int64)


def _put(port: SymbolPort, symbols: Array, indices: Array) -> None:
    port.put(
        np.ascontiguousarray(symbols).reshape(-1).astype(np.int32),
        np.ascontiguousarray(indices).reshape(-1).astype(np.uint8),
    )


def _get(port: SymbolPort, indices: Array) -> Array:
    symbols = port.get(indices.reshape(-1).astype(np.uint8))
    return symbols.reshape(indices.shape).astype(np.int64)


FAMILY = ToyFamily()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `toy` a codec of this process; every other name and id goes on to the real ones."""
    load = weights.load

    def toy_load(name: str, weights_id: bytes | None = None, device: str = "cpu"):  # type: ignore[no-untyped-def]
        if name != "toy":
            return load(name, weights_id, device)
        if weights_id not in (None, WEIGHTS_ID):
            raise UnsupportedError(f"this install lacks the weights {weights_id.hex()} of codec toy")
        return FAMILY, WEIGHTS_ID

    monkeypatch.setattr(weights, "load", toy_load)
    monkeypatch.setitem(FAMILIES, "toy", WIRE_ID)
