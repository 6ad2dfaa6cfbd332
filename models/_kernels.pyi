import numpy as np
from numpy.typing import NDArray

def cpu_path(path: str | None = None) -> str: ...
def has_bfloat16_products() -> bool: ...
def analyse(
    pixels: NDArray[np.uint8],
    order: NDArray[np.int32],
    scales: NDArray[np.float32],
    threads: int = 1,
    path: str | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
def synthesise(
    symbols: NDArray[np.int32],
    low: NDArray[np.float32],
    order: NDArray[np.int32],
    scales: NDArray[np.float32],
    correction: NDArray[np.int16] | None,
    height: int,
    width: int,
    channels: int,
    threads: int = 1,
    path: str | None = None,
) -> NDArray[np.uint8]: ...
def describe(
    values: NDArray[np.int32], rungs: NDArray[np.uint8], extra: int, threads: int = 1, path: str | None = None
) -> NDArray[np.int16]: ...

class Level:
    def __init__(self, coarse: NDArray[np.int32]) -> None: ...
    def add(
        self,
        first: NDArray[np.int32],
        near: NDArray[np.int32],
        second: NDArray[np.int32],
        context: NDArray[np.int32] | None,
    ) -> None: ...
    def listen(self, hints: NDArray[np.int32]) -> None: ...

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
    def ask(self, slice: int, parity: int, bias: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]: ...
    def tell(self, symbols: NDArray[np.int32], low: NDArray[np.int32] | None) -> None: ...
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
