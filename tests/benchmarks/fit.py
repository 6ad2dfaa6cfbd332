"""What a step of a fit takes, and what a learned start is worth: the tables of docs/overfitted.md.

python -m tests.benchmarks.fit                     steps on 768x512, every point and path, and with two threads
python -m tests.benchmarks.fit images-1.tar        also losses on a crop of each of three held-out pictures
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.data import packs
from tessera.models import _fit
from tessera.models.base import kernels
from tessera.models.overfitted.family import OverfittedFamily
from tessera.models.overfitted.fitting import PictureFit, main_phase
from tessera.models.overfitted.running import Aim, FitRun
from tessera.models.overfitted.shape import POINTS, OperatingPoint
from tessera.models.overfitted.start import CHANNELS, LEVELS, Floats, nearest_start

from .clock import fastest

WEIGHT, ITERATIONS, CROP = 1e-3, (200, 500, 800), (192, 256)


def one_step(pixels: NDArray[np.uint8], point: int, path: str | None = None) -> Callable[[], None]:
    """A step of networks and latents, with the loops of one path."""
    fit = PictureFit(pixels, point, LEVELS, WEIGHT, path=path)
    fit.start()

    def work() -> None:
        for _ in fit.run(main_phase(2)):  # the first of a phase finds the bases, so two of them
            pass

    return work


def products(point: OperatingPoint) -> float:
    """Multiplications of the networks per pixel and step, forward and back: 4/3 cells per pixel in all grids."""
    n = point.inputs
    context = 3 * 4 / 3 * (2 * n * n + 4 * n)
    synthesis = point.width * LEVELS + point.width * CHANNELS + 9 * CHANNELS**2 * point.windows + CHANNELS * LEVELS
    return context + 3 * synthesis + point.width * LEVELS  # its first layer runs once more on the way back


def steps() -> None:
    """CPU time; how long two threads take is that of the calling one, which has half of the parts and all the rest."""
    pixels = np.random.default_rng(0).integers(0, 256, (512, 768, 3), dtype=np.uint8)
    kernels.set_threads(1)
    for number, point in enumerate(POINTS):
        for path in _fit.cpu_paths():
            seconds = fastest(one_step(pixels, number, path), 4) / 2
            speed = 2 * products(point) * pixels[..., 0].size / seconds / 1e9
            print(f"{point.name:8}{path:8}{1e3 * seconds:6.0f} ms{speed:6.0f} GFLOP/s in the networks")
        work, used, here = one_step(pixels, number), [], []
        kernels.set_threads(2)
        for _ in range(4):
            begun = time.process_time(), time.thread_time()
            work()
            used.append((time.process_time() - begun[0]) / 2)
            here.append((time.thread_time() - begun[1]) / 2)
        kernels.set_threads(1)
        print(f"{point.name:8}two threads: {1e3 * min(used):.0f} ms, {1e3 * min(here):.0f} on the calling one")


def starts(pack: str) -> None:
    """Losses in thousandths from the learned and the cold start, a line for each point and length of a fit."""
    family = weights.load("overfitted")[0]
    assert isinstance(family, OverfittedFamily)
    held = [picture for picture in packs.hold_out(packs.load([pack]))[1] if picture.dim() == 3][:3]
    crops = [picture[:, : CROP[0], : CROP[1]].permute(1, 2, 0).numpy() for picture in held]
    for number, point in enumerate(POINTS):
        learned = nearest_start(family.starts, number, LEVELS, CHANNELS, WEIGHT)
        for iterations in ITERATIONS:
            from_learned, from_cold = (
                [1e3 * loss_of(pixels, number, iterations, start) for pixels in crops] for start in (learned, None)
            )
            differences = [100 * (a / b - 1) for a, b in zip(from_learned, from_cold, strict=True)]
            cells = [(from_learned, ".3f"), (from_cold, ".3f"), (differences, "+.1f")]
            texts = (", ".join(format(value, shape) for value in values) for values, shape in cells)
            print(f"| {point.name} | {iterations} |", " | ".join(texts), "% |", flush=True)


def loss_of(pixels: NDArray[np.uint8], point: int, iterations: int, start: Floats | None) -> float:
    """After a fit from `start`, None: from cold ones."""
    fit = PictureFit(pixels, point, LEVELS, WEIGHT)
    FitRun(fit, iterations, Aim(), lambda part, seen: None, start).run()
    return fit.score().loss


if __name__ == "__main__":
    steps()
    for given in sys.argv[1:]:
        starts(given)
