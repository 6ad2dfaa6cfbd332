"""Streams of earlier releases decode to the same pixels, or are refused with the weights that they need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tessera.codec.coding import weights

from ..support import toy_family
from . import freeze

KEPT = sorted(path for path in freeze.RELEASES.glob("*") if path.is_dir())


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


@pytest.mark.parametrize("release", KEPT, ids=lambda path: path.name)
def test_a_release_is_kept(release: Path) -> None:
    assert freeze.broken(release) == []


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release of some of the streams, frozen here."""
    every = freeze.streams()
    chosen = ("decode-clip-copy", "decode-still-alpha", "wavelet-one-pixel", "vqgan-one-pixel")
    assert set(chosen) <= set(every) and len(every) > 30
    monkeypatch.setattr(freeze, "streams", lambda: {name: every[name] for name in chosen})
    return freeze.freeze("0.0.1", tmp_path)


def test_what_is_frozen_is_kept(few: Path) -> None:
    assert freeze.broken(few) == []
    with pytest.raises(SystemExit, match="for ever"):
        freeze.freeze("0.0.1", few.parent)


def test_other_pixels_are_noticed(few: Path) -> None:
    text = (few / "expected.txt").read_text()
    digest = text.split()[3]
    (few / "expected.txt").write_text(text.replace(digest, "0" * 32))
    assert len(freeze.broken(few)) == 1


def test_damage_and_missing_files_are_noticed(few: Path) -> None:
    path = few / "decode-still-alpha.tsr"
    path.write_bytes(path.read_bytes()[:-1])
    assert len(freeze.broken(few)) == 1
    path.unlink()
    with pytest.raises(FileNotFoundError):
        freeze.broken(few)


def test_weights_that_are_gone_are_named(few: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any weights every stream of a real family is refused by the id that it needs: the promise is kept."""
    tensors = {"x": np.zeros(3, np.int16)}
    for codec in ("wavelet", "vqgan"):
        weights.write(weights_folder / f"{codec}.safetensors", tensors, {})
    toy_family.install(monkeypatch)
    assert freeze.broken(few) == []
    monkeypatch.setattr(freeze, "_installed", lambda named: True)
    assert [line.split()[0] for line in freeze.broken(few)] == ["0.0.1/wavelet-one-pixel:", "0.0.1/vqgan-one-pixel:"]
