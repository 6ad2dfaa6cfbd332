"""`tessera train NAME --objective perceptual` and `--objective analysis`: one more network for a family's weights.

perceptual: a decoder of their streams for people.  analysis: the network that moves coefficients before their encoder
rounds.  The run writes RUN/NAME.KIND.safetensors, which names the weights that it belongs to and works beside them in
`models/weights`.  With `-o decoders=1` a run for `analysis` also trains decoders and writes RUN/NAME.safetensors, to
which its network belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from tessera.codec.coding import weights
from tessera.codec.errors import ParameterError
from tessera.data import packs
from tessera.models.base.task import TrainingTask, arrays_of, tensors_of
from tessera.models.training.dyadic_analysis import analysis_training
from tessera.models.training.perceptual import PerceptualTuning
from tessera.models.training.similarity import SMALLEST
from tessera.tools.training.settings import TrainingSettings

KINDS: dict[str, tuple[Callable[..., TrainingTask], frozenset[str]]] = {  # tasks, and the options that they take
    "perceptual": (PerceptualTuning, frozenset({"quantise"})),
    "analysis": (analysis_training, frozenset({"width", "blocks", "decoders", "quantise"})),
}


def prepare(settings: TrainingSettings) -> tuple[list[TrainingTask], list[Tensor], list[Tensor]]:
    """The task and its averaged copy, pictures to train on and held-out ones."""
    kind, known = KINDS[settings.objective]
    if settings.name not in ("wavelet", "spatiotemporal"):
        raise ParameterError(f"--objective {settings.objective} is for the families wavelet and spatiotemporal")
    unknown = sorted(settings.options.keys() - known)
    if unknown:
        has = ", ".join(sorted(known))
        raise ParameterError(f"--objective {settings.objective} has no option {', '.join(unknown)}: it has {has}")
    if settings.objective == "perceptual" and settings.crop < SMALLEST:
        raise ParameterError(f"--crop {settings.crop}: MS-SSIM needs at least {SMALLEST} pixels per side")
    arrays = weights.read(weights.files(settings.name)[0])[0]
    if settings.objective == "perceptual":  # what it paints was coded with the encoder's network
        arrays |= weights.companions(settings.name, weights.identify(arrays)).get("analysis", {})
    try:
        tasks = [kind(tensors_of(arrays), **settings.options) for _ in range(2)]
    except ValueError as error:
        raise ParameterError(f"--objective {settings.objective}: {error}") from error
    return tasks, *packs.hold_out(packs.load(settings.data))


def write(trained: TrainingTask, name: str, kind: str, folder: Path, notes: dict[str, str]) -> Path:
    """Write the network, and the weights if they changed, to the run's folder."""
    made, metadata = trained.to("cpu").export([])
    arrays, about = weights.read(weights.files(name)[0])
    trained_arrays = arrays_of(made)
    alone = {key: array for key, array in trained_arrays.items() if kind in key.split(".")}
    changed = {key: array for key, array in trained_arrays.items() if key not in alone}
    if changed:
        networks = tuple(key.removesuffix("plan") for key in changed if key.endswith(".plan"))
        arrays = {key: array for key, array in arrays.items() if not key.startswith(networks)} | changed
        weights.write(folder / f"{name}.safetensors", arrays, about | {f"decoders {k}": v for k, v in notes.items()})
    target = folder / weights.companion_file(name, kind).name
    weights.write(target, alone, {**metadata, **notes, "of": weights.identify(arrays).hex()})
    return target
