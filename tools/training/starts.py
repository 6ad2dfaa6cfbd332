"""`tessera train overfitted --objective start`: where fits of pictures begin.

The run writes RUN/overfitted.start.safetensors, a companion of the family's weights.  Its minutes are shared evenly by
the operating points (or the one of `-o point=N`) and rate weights; starts of other points stay as they are installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.errors import ParameterError
from tessera.data import packs
from tessera.models.overfitted.shape import POINTS
from tessera.models.overfitted.start import Floats, read_starts
from tessera.models.training.starts import learn_start
from tessera.tools.training.provenance import commit
from tessera.tools.training.settings import TrainingSettings

CODEC, KIND = "overfitted", "start"
RATE_WEIGHTS = (8e-3, 1e-3, 1e-4)  # about those of qualities 25, 48 and 74


def train(settings: TrainingSettings) -> Path:
    """Learn the starts and write them to the run's folder; with `resume`, go on from those that are installed."""
    points = _points(settings)
    samples, _ = packs.hold_out(packs.load(settings.data))
    pictures = [sample.permute(1, 2, 0).numpy() for sample in samples if sample.dim() == 3]
    arrays = weights.read(weights.files(CODEC)[0])[0]
    installed = weights.companions(CODEC, weights.identify(arrays)).get(KIND, {})
    known = read_starts(installed) if settings.resume else {}
    found = dict(installed)
    seconds = 60 * settings.minutes / (len(points) * len(RATE_WEIGHTS))
    for point in points:
        before: dict[float, Floats] = {start.weight: start.parameters for start in known.get(point, [])}
        rows = [
            learn_start(pictures, point, weight, _clock(seconds), settings.seed, before.get(float(np.float32(weight))))
            for weight in RATE_WEIGHTS
        ]
        found |= tensors_of(point, rows)
    target = settings.folder / weights.companion_file(CODEC, KIND).name
    settings.folder.mkdir(parents=True, exist_ok=True)
    notes = {
        "of": weights.identify(arrays).hex(),
        "minutes": f"{settings.minutes:g}",
        "points": ", ".join(POINTS[point].name for point in points),
        "seed": str(settings.seed),
        "data": ", ".join(Path(pack).name for pack in settings.data),
        "commit": commit(),
    }
    weights.write(target, found, notes)
    return target


def tensors_of(point: int, rows: list[Floats]) -> dict[str, NDArray[Any]]:
    """Starts of one operating point as a weights file has them, float16."""
    name = f"start.{POINTS[point].name}"
    return {name: np.stack(rows).astype(np.float16), f"{name}.weights": np.array(RATE_WEIGHTS, np.float32)}


def _points(settings: TrainingSettings) -> range:
    if settings.name != CODEC:
        raise ParameterError(f"--objective {KIND} is for the family {CODEC}")
    if unknown := sorted(settings.options.keys() - {"point"}):
        raise ParameterError(f"--objective {KIND} has no option {', '.join(unknown)}: it has point")
    point = settings.options.get("point")
    if point is None:
        return range(len(POINTS))
    if point not in range(len(POINTS)):
        raise ParameterError(f"-o point={point:g}: there are 0..{len(POINTS) - 1}")
    return range(int(point), int(point) + 1)


def _clock(seconds: float) -> Callable[[], float]:
    """How much of the time is over, 0..1."""
    began = time.monotonic()
    return lambda: (time.monotonic() - began) / seconds
