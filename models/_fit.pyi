from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def cpu_path(path: str | None = None) -> str: ...
def cpu_paths() -> list[str]: ...

class Fit:
    def __init__(
        self,
        pixels: NDArray[np.uint8],
        levels: int,
        places: Sequence[tuple[int, int]],
        features: int,
        hidden: int,
        windows: int,
        seed: int = 0,
        path: str | None = None,
    ) -> None: ...
    @property
    def parameters(self) -> int: ...
    @property
    def tensors(self) -> list[tuple[str, int, tuple[int, ...]]]: ...
    @property
    def grids(self) -> list[tuple[int, bool]]: ...
    def latents(self, grid: int) -> NDArray[np.float32]: ...
    def gradient(self, grid: int) -> list[list[float]]: ...
    def measure(
        self,
        parameters: NDArray[np.float32],
        temperature: float,
        deviation: float,
        rate_weight: float,
        gradients: bool,
        threads: int = 1,
    ) -> tuple[float, float, NDArray[np.float32]]: ...
    def step_latents(
        self,
        rate: float,
        beta1: float,
        beta2: float,
        correct1: float,
        correct2: float,
        epsilon: float,
        threads: int = 1,
    ) -> None: ...
    def forget_steps(self) -> None: ...
