"""`tessera train overfitted --objective start`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tessera.codec.coding import weights
from tessera.codec.errors import ParameterError
from tessera.data import procedural
from tessera.models.overfitted.fitting import PictureFit
from tessera.models.overfitted.start import LEVELS, read_starts
from tessera.models.training import starts as learning
from tessera.tools.training import starts
from tessera.tools.training.settings import TrainingSettings
from tessera.tools.training.trainer import train


def test_a_run_writes_a_companion(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts of the point that was trained are new, those of other points stay, and it belongs to the weights."""
    monkeypatch.setattr(learning, "STEPS", 3)
    monkeypatch.setattr(learning, "SIDE", 32)
    settings = TrainingSettings(
        name="overfitted", objective="start", data=(pack,), out=tmp_path / "run", minutes=0.01, options={"point": 0}
    )
    made = train(settings)
    assert made is not None and made.name == "overfitted.start.safetensors"
    arrays, metadata = weights.read(made)
    family = weights.identify(weights.read(weights.files("overfitted")[0])[0])
    assert metadata["of"] == family.hex() and metadata["data"] == "images.tar"
    installed = weights.companions("overfitted", family)["start"]
    assert np.array_equal(arrays["start.middle"], installed["start.middle"])
    found = read_starts(arrays)[0]
    assert [start.weight for start in found] == pytest.approx(starts.RATE_WEIGHTS)
    assert not np.array_equal(found[0].parameters, found[1].parameters)


def test_a_start_moves_to_what_fits_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a learned start a short fit of another picture of the kind gets further than from the first one."""
    monkeypatch.setattr(learning, "STEPS", 60)
    monkeypatch.setattr(learning, "SIDE", 48)
    frames = procedural.clip(8, 48, 64)
    calls = iter([k / 6 for k in range(7)])
    learned = learning.learn_start(list(frames[:6]), 0, 1e-3, lambda: next(calls))
    losses = []
    for begin in (None, learned):
        fit = PictureFit(frames[7], 0, LEVELS, 1e-3)
        fit.start()
        if begin is not None:
            fit.state.parameters[:] = begin
        for _ in fit.run(learning.phase(60, learning.RATE)):
            pass
        losses.append(fit.score().loss)
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("wavelet", {}, "is for the family overfitted"),
        ("overfitted", {"points": 1}, "no option points"),
        ("overfitted", {"point": 3}, "there are 0..2"),
    ],
)
def test_wrong_settings(name: str, options: dict[str, float], message: str, tmp_path: Path) -> None:
    settings = TrainingSettings(name=name, objective="start", data=("none.tar",), out=tmp_path, options=options)
    with pytest.raises(ParameterError, match=message):
        train(settings)
