"""The trainer on a pack of procedural pictures: schedule, checkpoints, resume, several processes, export."""

from __future__ import annotations

import copy
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.codec.errors import ParameterError
from tessera.data import packs, procedural
from tessera.models.base.family import GroupSpec
from tessera.models.base.task import arrays_of
from tessera.models.networks.optim import HALF_FROM, MuonAdam, orthogonalise
from tessera.models.networks.synthesis import RoundedConv2d
from tessera.models.prior.fixed_point import ACCUMULATOR_LIMIT
from tessera.models.registry import build, task
from tessera.models.wavelet.family import WaveletFamily
from tessera.tools import cli
from tessera.tools.training.settings import TrainingSettings
from tessera.tools.training.together import join_group, own_share
from tessera.tools.training.trainer import Trainer

from ...support import toy_training
from ...support.small_wavelet import small_arrays

ROOT = Path(__file__).resolve().parents[3]


def words(pack: Path, out: Path, *more: str) -> list[str]:
    small = ["-o", "width=16", "-o", "blocks=1", "-o", "hidden=16", "--batch", "2", "--crop", "64"]
    return ["train", "wavelet", "--data", str(pack), "--out", str(out), "--minutes", "0.05", *small, *more]


def settings(pack: Path, out: Path) -> TrainingSettings:
    small = {"width": 16, "blocks": 1, "hidden": 16}
    return TrainingSettings(name="wavelet", data=(pack,), out=out, minutes=0.05, options=small, batch=2, crop=64)


def test_pack_is_read_whole_and_split(pack: Path) -> None:
    pictures = packs.load([pack])
    assert [key for key, _ in pictures] == [f"{i:04d}_made" for i in range(6)]
    assert torch.equal(pictures[2][1].permute(1, 2, 0), torch.from_numpy(procedural.picture(112, 128, seed=2)))
    training, validation = packs.hold_out(pictures, {3: 3})
    assert len(training) == 4 and len(validation) == 2
    assert torch.equal(validation[1], pictures[3][1])


def test_crops_follow_the_seed(pack: Path) -> None:
    pictures = [p for _, p in packs.load([pack])]
    first, again, other = (next(packs.crops(pictures, 3, 64, torch.Generator().manual_seed(s))) for s in (1, 1, 2))
    assert first.shape == (3, 3, 64, 64) and torch.equal(first, again) and not torch.equal(first, other)


def test_half_of_the_crops_are_made_smaller() -> None:
    """By means that do not fold high frequencies: noise varies the less the more of it falls on a pixel."""
    noise = torch.randint(0, 256, (3, 300, 300), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    deviations = next(packs.crops([noise], 120, 64, torch.Generator().manual_seed(1))).std((1, 2, 3))
    smaller, cut = deviations < 56, deviations > 70  # the rest are enlarged or nearly of the same size
    assert 0.4 < smaller.float().mean() < 0.6 and 0.15 < cut.float().mean() < 0.4
    assert deviations.min() < 30


def test_training_on_pictures_imports_no_package_that_only_measures(pack: Path) -> None:
    """Nor PyAV, which reads clips alone."""
    lacking = ("av", "compressai", "lpips", "matplotlib", "pytorch_msssim", "torchvision")
    script = (
        f"import sys\nfor name in {lacking}: sys.modules[name] = None\n"
        "from tessera.tools.commands import export, train\n"
        "from tessera.tools.training import trainer\n"
        "from tessera.data import packs\n"
        f"assert len(packs.load([{str(pack)!r}])) == 6"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("shape", [(40, 70), (130, 200)])
def test_orthogonalise_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    """Those of small matrices in float32, those of large ones in bf16."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert (min(shape) * matrix.numel() >= HALF_FROM) == (shape == (130, 200))
    for m in (matrix, matrix.T):
        values = torch.linalg.svdvals(orthogonalise(m).float())
        assert 0.5 < float(values.min()) and float(values.max()) < 1.4


def test_adam_groups_are_adam() -> None:
    mine, theirs = (torch.nn.Parameter(torch.ones(5)) for _ in range(2))
    a = MuonAdam([{"params": [mine], "optimiser": "adam", "lr": 0.1}])
    b = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99))
    for step in range(20):
        for p, o in ((mine, a), (theirs, b)):
            p.grad = torch.sin(torch.arange(5.0) + step)
            o.step()
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_loss_is_deterministic_and_falls() -> None:
    def steps(count: int) -> list[float]:
        torch.manual_seed(0)
        t = task("wavelet", width=16, blocks=1, hidden=16)
        picture = torch.from_numpy(procedural.picture(64, 64)).permute(2, 0, 1)
        t.initialise([picture])
        optimiser = MuonAdam(t.groups())
        values = []
        for step in range(count):
            generator = torch.Generator().manual_seed(7)  # the same qualities in every step
            optimiser.zero_grad()
            loss, _ = t.loss(picture[None].float().repeat(4, 1, 1, 1), generator)
            loss.backward()
            optimiser.step()
            t.after_step(step + 1)
            values.append(loss.item())
        return values

    first = steps(25)
    assert first[:5] == steps(5)
    assert first[-1] < first[0] - 0.1


def test_settings_are_checked_at_once(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, message in (
        ({"objective": "sound"}, "objective 'sound': there are pixels, task"),
        ({"batch": 0}, "batch 0: at least 1"),
        ({"minutes": 0.0}, "minutes 0: more than 0"),
    ):
        with pytest.raises(ParameterError, match=message):
            replace(settings(pack, tmp_path), **wrong)
    assert cli.main(words(pack, tmp_path, "-o", "width=1.5")) == 2
    assert "-o width=1.5: give KEY=VALUE, VALUE a whole number" in capsys.readouterr().err
    assert cli.main(words(pack, tmp_path, "-o", "depth=3")) == 2
    assert "options of training family wavelet" in capsys.readouterr().err


def test_a_step_that_is_not_finite_changes_nothing(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(settings(pack, tmp_path), 0, 1)

    def broken(pixels: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        loss, scalars = task_type.loss(trainer.task, pixels, generator)
        return loss * float("nan"), scalars

    task_type = type(trainer.task)
    monkeypatch.setattr(trainer.task, "loss", broken)
    before = {k: v.clone() for k, v in trainer.task.named_parameters()}
    assert trainer.one_step(0.0)["skipped"] == 1
    assert all(torch.equal(v, before[k]) for k, v in trainer.task.named_parameters())


def test_the_last_part_of_the_schedule_rounds_weights(pack: Path, tmp_path: Path) -> None:
    """Of the network that is trained and of its average; with quantise=0 none."""
    for quantise in (1, 0):
        options = {"width": 16, "blocks": 1, "hidden": 16, "quantise": quantise}
        trainer = Trainer(replace(settings(pack, tmp_path), options=options), 0, 1)
        for progress, expected in ((0.2, False), (0.9, bool(quantise)), (0.2, False)):
            trainer.one_step(progress)
            for one in (trainer.task, trainer.average):
                found = {part.rounding for part in one.modules() if isinstance(part, RoundedConv2d)}
                assert found == {expected}


@pytest.mark.needs("bjontegaard", "tensorboard")
def test_train_resume_export_and_code(pack: Path, tmp_path: Path) -> None:
    """The whole way: train, go on, export with proven bounds, code a picture with the result."""
    run = tmp_path / "run"
    assert cli.main(words(pack, run)) == 0
    steps = torch.load(run / "checkpoint.pt", weights_only=True)["step"]
    assert cli.main(words(pack, run, "--resume", "--minutes", "0.08")) == 0
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert state["step"] > steps and state["spent"] >= 0.08 * 60
    lines = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    assert len(lines) == 2 and {"bdrate_jpeg", "curve", "step"} <= lines[0].keys()

    target = tmp_path / "wavelet.safetensors"
    command = ["export", str(run), "--data", str(pack), "--out", str(target), "--samples", "2"]
    assert cli.main(command) == 0
    tensors, metadata = weights.read(target)
    assert int(metadata["largest_accumulator"]) < ACCUMULATOR_LIMIT and metadata["steps"] == str(state["step"])
    assert all(np.issubdtype(array.dtype, np.integer) for array in tensors.values())
    family = build("wavelet", tensors, metadata)
    frames = procedural.picture(50, 70)[None]
    spec = GroupSpec(1, 50, 70, 3, 4000)
    port = EncoderPort(family.tables)
    family.encode(frames, spec, port)
    assert family.decode(spec, DecoderPort(family.tables, port.finish()), "standard").shape == frames.shape


def test_training_goes_on_from_the_shipped_weights(pack: Path, tmp_path: Path) -> None:
    """Restored weights code as well before any further step, and export to the same integers but for scales.

    Those follow from the pictures that the export is calibrated on: here a decoder paints nearly the same.
    """
    path = weights.FOLDER / "wavelet.safetensors"
    tensors, _ = weights.read(path)
    trainer = Trainer(TrainingSettings(name="wavelet", data=(pack,), out=tmp_path, init=path), 0, 1)
    picture = torch.from_numpy(procedural.picture(128, 160)).permute(2, 0, 1)[None].float()
    rate, back = trainer.average.rate_distortion(picture, 3200)
    frames = picture[0].permute(1, 2, 0).to(torch.uint8)[None].numpy()
    family = build("wavelet", tensors, {})
    spec = GroupSpec(1, 128, 160, 3, 3200)
    port = EncoderPort(family.tables)
    family.encode(frames, spec, port)
    data = port.finish()
    assert abs(len(data) * 8 / (128 * 160) / rate - 1) < 0.03
    decoded = family.decode(spec, DecoderPort(family.tables, data), "standard").astype(np.float32)
    assert float(np.abs(back[0].permute(1, 2, 0).numpy() - decoded[0]).mean()) < 1.5
    exported = arrays_of(trainer.task.export([picture[0].to(torch.uint8)])[0])
    scales = ("tables.", "standard.tables.", "standard.multipliers", "standard.offsets")
    assert exported.keys() == tensors.keys()
    assert all(np.array_equal(exported[name], array) for name, array in tensors.items() if not name.startswith(scales))
    tables = {name: array for name, array in tensors.items() if name.startswith("tables.")}
    again = build("wavelet", {**exported, **tables}, {}).decode(spec, DecoderPort(family.tables, data), "standard")
    errors = [float(np.square(shown.astype(np.float32) - frames).mean()) for shown in (decoded, again)]
    assert errors[1] == pytest.approx(errors[0], rel=0.003)


@pytest.mark.needs("bjontegaard", "tensorboard")
@pytest.mark.parametrize("kind", ["perceptual", "analysis"])
def test_companions_of_weights(
    kind: str, pack: Path, tmp_path: Path, weights_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run ends with a file that names its weights; export and unknown options are refused in one line."""
    of = weights.write(weights_folder / "wavelet.safetensors", small_arrays(0.05), {}).hex()
    run, crop = tmp_path / "run", 176 if kind == "perceptual" else 64
    command = ["train", "wavelet", "--objective", kind, "--data", str(pack), "--out", str(run)]
    assert cli.main([*command, "--minutes", "0.02", "--batch", "2", "--crop", str(crop)]) == 0
    tensors, notes = weights.read(run / f"wavelet.{kind}.safetensors")
    assert notes["of"] == of and {name.split(".")[0] for name in tensors} == {kind}
    weights.write(weights.companion_file("wavelet", kind), tensors, notes)
    family, found = weights.load("wavelet")
    assert found.hex() == of and isinstance(family, WaveletFamily)
    assert ("perceptual" in family.decoders) == (kind == "perceptual")
    assert (family.still.analysis is not None) == (kind == "analysis")
    if kind == "analysis":
        joint = tmp_path / "joint"
        more = ["-o", "decoders=1", "-o", "width=8", "--out", str(joint)]
        assert cli.main([*command, "--minutes", "0.02", "--batch", "2", "--crop", "64", *more]) == 0
        changed = weights.identify(weights.read(joint / "wavelet.safetensors")[0]).hex()
        tensors, notes = weights.read(joint / "wavelet.analysis.safetensors")
        assert changed != of and notes["of"] == changed and {name.split(".")[0] for name in tensors} == {kind}
    capsys.readouterr()
    assert cli.main(["export", str(run), "--data", str(pack)]) == 2
    assert f"was trained with --objective {kind}" in capsys.readouterr().err
    if kind == "perceptual":
        assert cli.main([*command, "--crop", "160"]) == 2
        assert "--crop 160: MS-SSIM needs at least 161 pixels per side" in capsys.readouterr().err
    assert cli.main([*command, "-o", "depth=3"]) == 2
    assert f"--objective {kind} has no option depth" in capsys.readouterr().err
    assert cli.main([*command[:1], "nerv", *command[2:]]) == 2
    assert "is for the families wavelet and spatiotemporal" in capsys.readouterr().err


def test_two_processes_train_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are those of one process with both batches; the run goes on with another number of processes."""
    import fsspec

    alone = toy_training.trainer(tmp_path, 0, 1)
    alone.one_step(0.0)
    first = {name: copy.copy(parameter.grad) for name, parameter in alone.task.named_parameters()}
    assert first["idle.weight"] is None
    for _ in range(3):
        alone.one_step(0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.support.toy_training", str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, **place, "RANK": "1"}, cwd=ROOT) as other:
        for name, value in place.items():
            monkeypatch.setenv(name, value)
        together = toy_training.trainer("memory://run", *join_group())
        try:
            together.one_step(0.0)
            for name, parameter in together.task.named_parameters():
                assert (parameter.grad is None) == (first[name] is None), name
                if parameter.grad is not None:
                    torch.testing.assert_close(parameter.grad, first[name], rtol=1e-5, atol=1e-7)
            for _ in range(3):
                together.one_step(0.0)
            together.save()
        finally:
            torch.distributed.destroy_process_group()
        assert other.wait(300) == 0
    for name, value in alone.task.state_dict().items():
        torch.testing.assert_close(together.task.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    shares = [together.training, torch.load(tmp_path / "share.pt")]
    assert sorted(int(sample.sum()) for share in shares for sample in share) == sorted(
        int(sample.sum()) for sample in alone.training
    )
    resumed = toy_training.trainer("memory://run", 0, 1, resume=True)
    fsspec.filesystem("memory").store.clear()
    assert resumed.step == 4 and len(resumed.training) == len(alone.training)
    for one in (alone, resumed):
        one.one_step(0.0)
    for name, value in alone.average.state_dict().items():
        torch.testing.assert_close(resumed.average.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_more_processes_than_samples() -> None:
    with pytest.raises(ParameterError, match="2 samples to train on for 3 processes"):
        own_share([1, 2], 0, 3)
