"""Streams tuned to a task: gains in front of the rounding, and `tessera train wavelet --objective task`."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import tessera
from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.base.task import tensors_of
from tessera.models.training.wavelet import still_model
from tessera.models.wavelet.task_gains import ANCHORS, LEVELS, NAME, TaskGains
from tessera.tools.cli import main
from tessera.tools.peers import families
from tessera.tools.training import distillation

Array = NDArray[Any]
PIXELS = procedural.picture(72, 104)


def _gains(low: float, high: float) -> dict[str, Array]:
    return {NAME: np.repeat(np.linspace(low, high, ANCHORS, dtype=np.float32)[:, None], sum(LEVELS), 1)}


def _file(folder: Path, low: float, high: float) -> str:
    weights.write(folder / "g.safetensors", _gains(low, high), {})
    return str(folder / "g.safetensors")


def test_gains_are_linear_in_the_quality() -> None:
    gains = TaskGains.of(_gains(0.25, 0.75))
    assert [level.shape for level in gains.at(1600)] == [(125,), *[(9,)] * 4]
    assert [float(gains.at(quality)[0][7]) for quality in (0, 1600, 6400)] == pytest.approx([0.25, 0.375, 0.75])


def test_unit_gains_change_nothing_and_small_ones_save_bytes(tmp_path: Path) -> None:
    plain = tessera.encode(PIXELS, codec="wavelet", quality=40)
    assert tessera.encode(PIXELS, codec="wavelet", quality=40, task=_file(tmp_path, 1, 1)) == plain
    tuned = tessera.encode(PIXELS, codec="wavelet", quality=40, task=_file(tmp_path, 0.5, 0.5))
    assert len(tuned) < 0.9 * len(plain)
    assert tessera.decode(tuned).shape == PIXELS.shape  # with the ordinary weights: nothing in the file says how
    none = tessera.encode(PIXELS, codec="wavelet", quality=40, task=_file(tmp_path, 0, 0))
    with tessera.open(none) as clip:
        assert not clip.latents(0, 1).x[..., 3:].any()
    slow = tessera.encode(PIXELS, codec="wavelet", quality=40, effort="slow", task=_file(tmp_path, 0.5, 0.5))
    assert slow == tuned


@pytest.mark.parametrize(
    "arrays", [{"x": np.ones(1)}, *({NAME: gains} for gains in (np.ones((2, 3)), np.full((5, 161), 1.5)))]
)
def test_what_is_no_gains_is_refused(arrays: dict[str, Array], tmp_path: Path) -> None:
    weights.write(tmp_path / "bad.safetensors", arrays, {})
    with pytest.raises(tessera.ParameterError, match="task"):
        tessera.encode(PIXELS, codec="wavelet", task=str(tmp_path / "bad.safetensors"))


def test_a_task_that_is_not_there_is_named() -> None:
    with pytest.raises(tessera.ParameterError, match="task=nothing: no such file"):
        tessera.encode(PIXELS, codec="wavelet", task="nothing")


def test_measurements_name_the_gains(tmp_path: Path) -> None:
    """Rows of other gains in a file of the same name are not taken for these."""
    one = families.picture_family(f"wavelet@task={_file(tmp_path, 0.5, 0.5)}", (40,), "cpu")
    first = one.version()
    other = families.picture_family(f"wavelet@task={_file(tmp_path, 0.5, 0.6)}", (40,), "cpu")
    assert "task" in first and first != other.version()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("set") / "set.tar"
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w") as tar:
        for name, across in (("across", 1), ("down", 0)):
            for index in range(10):
                wave = 40 * np.sin(np.mgrid[:32, :32][across] * 0.9 + rng.uniform(0, 6))
                pixels = np.clip(128 + wave[..., None] + rng.normal(0, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
                blob = io.BytesIO()
                Image.fromarray(pixels).save(blob, "PNG")
                info = tarfile.TarInfo(f"train/{name}/{index:03}.png")
                info.size = blob.tell()
                tar.addfile(info, io.BytesIO(blob.getvalue()))
    return path


def test_only_gains_get_a_gradient(labelled: Path) -> None:
    model, _ = still_model(tensors_of(weights.read(weights.files("wavelet")[0])[0]))
    torch.manual_seed(0)
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2)).requires_grad_(False)
    task = distillation.TaskTuning(model, teacher)
    task.plain = [(0.1, 1.0), (0.2, 4.0), (0.4, 8.0), (0.7, 14.0), (1.3, 21.0)]
    pixels = (
        torch.from_numpy(procedural.picture(32, 64)).permute(2, 0, 1).float().unflatten(2, (2, 32)).permute(2, 0, 1, 3)
    )
    loss, scalars = task.loss(pixels, torch.Generator().manual_seed(0))
    loss.backward()
    gradient = task.gains.weight.grad
    assert gradient is not None and gradient.isfinite().all() and float(gradient.sum()) > 0
    assert scalars["divergence"] > 0 and [name for name, p in task.named_parameters() if p.grad is not None] == [
        "gains.weight"
    ]


@pytest.mark.needs("bjontegaard", "tensorboard")
def test_train_task_and_code_with_it(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = ["train", "wavelet", "--objective", "task", "--data", str(labelled), "--out", str(run)]
    assert main([*words, "--minutes", "0.02", "--batch", "4", "--epochs", "2"]) == 0
    arrays, notes = weights.read(run / distillation.RESULT)
    assert float(arrays[NAME].min()) < 1 and notes["data"] == "set.tar" and float(notes["weight"]) == 1
    assert "curve" in json.loads((run / "validation.jsonl").read_text().splitlines()[-1])
    picture = tmp_path / "p.png"
    Image.fromarray(PIXELS).save(picture)
    target = str(tmp_path / "p.tsr")
    assert main(["encode", str(picture), target, "--codec", "wavelet", "-o", f"task={run / distillation.RESULT}"]) == 0
    capsys.readouterr()
    assert main(["export", str(run), "--data", str(labelled)]) == 2
    assert "was trained with --objective task" in capsys.readouterr().err
    assert main([*words[:1], "nerv", *words[2:]]) == 2
    assert "--objective task is for the family wavelet" in capsys.readouterr().err
