from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# by part and name, what Python has too: tests/models/test_constants.py
CONSTANTS: dict[str, dict[str, Any]]

def cpu_path(path: str | None = None) -> str: ...
def cpu_paths() -> list[str]: ...
def exact_planes(pixels: NDArray[np.uint8], threads: int = 1, path: str | None = None) -> NDArray[np.int16]: ...
def exact_pixels(
    planes: NDArray[np.int16], height: int, width: int, channels: int, threads: int = 1, path: str | None = None
) -> NDArray[np.uint8]: ...
def exact_analyse(
    planes: NDArray[np.int16], order: NDArray[np.int32], threads: int = 1, path: str | None = None
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def exact_synthesise(
    packet: NDArray[np.int32],
    low: NDArray[np.int32],
    order: NDArray[np.int32],
    threads: int = 1,
    path: str | None = None,
) -> NDArray[np.int16]: ...
def exact_pad(lifted: NDArray[np.int32], threads: int = 1, path: str | None = None) -> NDArray[np.int16]: ...
def exact_crop(planes: NDArray[np.int16], height: int, width: int, threads: int = 1) -> NDArray[np.int32]: ...
def exact_pyramid(
    low: NDArray[np.int32], levels: int, threads: int = 1, path: str | None = None
) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]: ...
def exact_unpyramid(
    details: Sequence[NDArray[np.int32]],
    low: NDArray[np.int32],
    height: int,
    width: int,
    threads: int = 1,
    path: str | None = None,
) -> NDArray[np.int32]: ...
def restore(
    symbols: NDArray[np.int32],
    steps: NDArray[np.int64],
    prediction: NDArray[np.int32] | None,
    threads: int = 1,
    path: str | None = None,
) -> NDArray[np.int32]: ...
def hints(
    sources: Sequence[NDArray[np.int32]], reciprocals: NDArray[np.int64], threads: int = 1, path: str | None = None
) -> NDArray[np.int32]: ...
def effort(
    bands: NDArray[np.int32],
    prediction: NDArray[np.int32] | None,
    reciprocals: NDArray[np.int64],
    costs: NDArray[np.int32],
    threads: int = 1,
    path: str | None = None,
) -> int: ...
def scaled_residual(
    bands: NDArray[np.int32],
    prediction: NDArray[np.int32] | None,
    inverse: NDArray[np.float32],
    threads: int = 1,
    path: str | None = None,
) -> NDArray[np.float32]: ...
def compensate(
    references: list[NDArray[np.int16]],
    fields: NDArray[np.int16],
    modes: NDArray[np.uint8] | None,
    block: int,
    threads: int = 1,
    path: str | None = None,
) -> NDArray[np.int16]: ...
def search(
    current: NDArray[np.int16],
    reference: NDArray[np.int16],
    block: int,
    guess: NDArray[np.int16] | None,
    price: float,
    radius: int,
    threads: int = 1,
    path: str | None = None,
) -> NDArray[np.int16]: ...
def decide(
    current: NDArray[np.int16],
    references: list[NDArray[np.int16]],
    fields: NDArray[np.int16],
    block: int,
    guesses: NDArray[np.int16] | None,
    price: float,
    threads: int = 1,
    path: str | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]: ...
def describe_integers(
    values: NDArray[np.int32],
    table: NDArray[np.int16],
    out: NDArray[np.int16],
    first: int,
    threads: int = 1,
    path: str | None = None,
) -> None: ...
def describe_bytes(
    values: NDArray[np.uint8],
    table: NDArray[np.int16],
    out: NDArray[np.int16],
    first: int,
    threads: int = 1,
    path: str | None = None,
) -> None: ...
def describe_scaled(
    values: NDArray[np.int32],
    reciprocals: NDArray[np.int64],
    table: NDArray[np.int16],
    out: NDArray[np.int16],
    first: int,
    threads: int = 1,
    path: str | None = None,
) -> None: ...
def describe_low(
    values: NDArray[np.int32],
    reciprocals: NDArray[np.int64],
    table: NDArray[np.int16],
    factor: int,
    out: NDArray[np.int16],
    first: int,
) -> None: ...
def add_corrections(
    planes: NDArray[np.int32],
    corrections: NDArray[np.int16],
    bands: NDArray[np.int32],
    steps: NDArray[np.int64],
    threads: int = 1,
    path: str | None = None,
) -> None: ...
def describe_remainders(
    details: Sequence[NDArray[np.int32]],
    symbols: Sequence[NDArray[np.int32]],
    inverses: Sequence[NDArray[np.float32]],
    factor: float,
    limit: int,
    out: NDArray[np.int16],
    first: int,
    threads: int = 1,
    path: str | None = None,
) -> None: ...
def moved(
    details: Sequence[NDArray[np.int32]],
    factors: Sequence[NDArray[np.float64]],
    moves: NDArray[np.int16],
    limit: int,
    threads: int = 1,
    path: str | None = None,
) -> list[NDArray[np.int32]]: ...
def corrected(
    packet: NDArray[np.int32],
    order: NDArray[np.int32],
    low: NDArray[np.int32],
    corrections: NDArray[np.int16],
    steps: NDArray[np.int64],
    threads: int = 1,
    path: str | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def to_cells(
    low: NDArray[np.int32],
    low_unit: float,
    bands: NDArray[np.int32],
    units: NDArray[np.float32],
    out: NDArray[np.float32],
    threads: int = 1,
    path: str | None = None,
) -> None: ...

class Level:
    def __init__(self, coarse: NDArray[np.int32]) -> None: ...
    def add(
        self,
        first: NDArray[np.int32],
        near: NDArray[np.int32],
        second: NDArray[np.int32],
        context: NDArray[np.int32] | None,
    ) -> None: ...
    def add_hints(self, hints: NDArray[np.int32]) -> None: ...

class DyadicLevel:
    def __init__(self, parent: NDArray[np.int32], low: NDArray[np.int32]) -> None: ...
    def add(
        self,
        view: tuple[NDArray[np.int32], NDArray[np.int32]],
        near: NDArray[np.int32],
        heads: tuple[NDArray[np.int32], NDArray[np.int32]],
        context: NDArray[np.int32] | None,
    ) -> None: ...

def choose_values(
    distances: NDArray[np.int32], rungs: NDArray[np.uint8], rates: NDArray[np.int32], path: str | None = None
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]: ...
def quantisers(values: NDArray[np.int32]) -> NDArray[np.uint8]: ...

class DyadicPlan:
    def __init__(
        self,
        height: int,
        width: int,
        channels: int,
        levels: Sequence[
            tuple[
                DyadicLevel,
                NDArray[np.int32],
                Sequence[tuple[NDArray[np.int32], NDArray[np.int32]]],
                NDArray[np.int64],
                NDArray[np.float32],
                int,
            ]
        ],
        low_rungs: NDArray[np.uint8],
        low_step: int,
        first_sign: int,
        first_odd: int,
    ) -> None: ...
    def read(
        self,
        port: Any,
        keep: bool,
        costs: NDArray[np.int32] | None = None,
        sign_costs: NDArray[np.int32] | None = None,
        threads: int = 1,
        path: str | None = None,
    ) -> tuple[
        list[NDArray[np.int32]], NDArray[np.int32], NDArray[np.int32], list[NDArray[np.int32]], NDArray[np.int64]
    ]: ...
    def code(
        self,
        port: Any,
        details: Sequence[NDArray[np.int32]],
        low: NDArray[np.int32],
        rates: NDArray[np.int32],
        keep: bool,
        weigh: bool,
        threads: int = 1,
        path: str | None = None,
    ) -> tuple[
        list[NDArray[np.int32]], NDArray[np.int32], NDArray[np.int32], list[NDArray[np.int32]], NDArray[np.int64]
    ]: ...

class FramePlan:
    def __init__(
        self,
        height: int,
        width: int,
        levels: Sequence[tuple[Level, int, int, int, NDArray[np.int32], Sequence[NDArray[np.int32]]]],
        low_number: int,
        low_height: int,
        low_width: int,
        low_rungs: NDArray[np.uint8],
        first_table: int,
    ) -> None: ...
    def read(
        self,
        port: Any,
        hints: Sequence[NDArray[np.int32]] | None,
        costs: NDArray[np.int32] | None,
        rungs: bool,
        threads: int = 1,
        path: str | None = None,
    ) -> tuple[list[Walk], NDArray[np.int32], NDArray[np.float32] | None]: ...
    def code(
        self,
        port: Any,
        scaled: Sequence[NDArray[np.float32]],
        low: NDArray[np.int32],
        margins: NDArray[np.float32],
        hints: Sequence[NDArray[np.int32]] | None,
        keep: bool,
        threads: int = 1,
        path: str | None = None,
    ) -> tuple[list[Walk], NDArray[np.int32]]: ...

class Walk:
    def __init__(
        self,
        level: Level,
        height: int,
        width: int,
        bias: NDArray[np.int32],
        coarser: NDArray[np.int32] | None,
        keep: bool,
        threads: int = 1,
        path: str | None = None,
        hints: NDArray[np.int32] | None = None,
    ) -> None: ...
    def tables(
        self, slice: int, parity: int, bias: NDArray[np.int32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]: ...
    def update(self, symbols: NDArray[np.int32], low: NDArray[np.int32] | None) -> None: ...
    def round(
        self,
        slice: int,
        parity: int,
        bias: NDArray[np.int32],
        scaled: NDArray[np.float32],
        margins: NDArray[np.float32],
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8]]: ...
    def finish(self, slice: int) -> None: ...
    @property
    def values(self) -> NDArray[np.int32]: ...
    @property
    def rungs(self) -> NDArray[np.uint8]: ...

class Network:
    def __init__(self, channels: int, low: int, high: int) -> None: ...
    def convolve(
        self,
        source: int,
        weights: NDArray[np.int8],
        table: NDArray[np.int16] | None,
        add: int | None,
        low: int,
        high: int,
    ) -> int: ...
    def depthwise(
        self,
        source: int,
        weights: NDArray[np.int8],
        table: NDArray[np.int16] | None,
        add: int | None,
        low: int,
        high: int,
    ) -> int: ...
    def run(
        self,
        x: NDArray[np.int16],
        multipliers: NDArray[np.int32],
        offsets: NDArray[np.int64],
        threads: int = 1,
        path: str | None = None,
    ) -> NDArray[np.int16]: ...

MotionCalls = tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

def read_motion(
    port: Any,
    maps: Sequence[NDArray[np.uint8]],
    rows: int,
    columns: int,
    guesses: Sequence[NDArray[np.int16] | None],
    keeps: bool,
) -> tuple[NDArray[np.int16], NDArray[np.uint8] | None, MotionCalls | None]: ...
def record_field(
    field: NDArray[np.int16], modes: NDArray[np.uint8] | None, number: int, guess: NDArray[np.int16] | None
) -> tuple[NDArray[np.int16], MotionCalls]: ...
def record_modes(modes: NDArray[np.uint8]) -> MotionCalls: ...
def lend(port: Any) -> Any: ...

class FittedNetworks:
    def __init__(
        self, point: int, levels: int, channels: int, tensors: Sequence[tuple[NDArray[np.int32], int]]
    ) -> None: ...
    def decode(
        self, height: int, width: int, port: Any, threads: int = 1, path: str | None = None
    ) -> NDArray[np.uint8]: ...
    def read(
        self, height: int, width: int, port: Any, path: str | None = None
    ) -> tuple[list[NDArray[np.int32]], tuple[NDArray[np.int32], NDArray[np.uint8]]]: ...
    def put(
        self, height: int, width: int, grids: Sequence[NDArray[np.int32]], port: Any, path: str | None = None
    ) -> None: ...
    def trace(
        self, height: int, width: int, grids: Sequence[NDArray[np.int32]], path: str | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]: ...
    def paint(
        self,
        height: int,
        width: int,
        grids: Sequence[NDArray[np.int32]],
        threads: int = 1,
        path: str | None = None,
    ) -> NDArray[np.uint8]: ...
