"""Damaged, foreign, missing and older weights files of an install, told in one line before anything is coded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tessera
from tessera.codec.coding import weights
from tessera.codec.files import decode_file
from tessera.tools.cli import main

SHIPPED = weights.FOLDER
PICTURE = np.random.default_rng(2).integers(60, 190, (24, 24, 3), dtype=np.uint8)


def altered(path: Path, place: int = -1000) -> None:
    """One byte of the numbers, which stand at the end."""
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def install(folder: Path, *names: str) -> None:
    for name in names:
        shutil.copy(SHIPPED / name, folder / name)


def test_every_shipped_file_names_its_id() -> None:
    """Where this fails, `weights.write(path, *weights.read(path))` notes the id; the numbers stay as they are."""
    from safetensors import safe_open

    for path in SHIPPED.glob("*.safetensors"):
        with safe_open(path, framework="np") as file:
            assert (file.metadata() or {}).get(weights.ID) == weights.identify(weights.read(path)[0]).hex(), path.name


@pytest.mark.parametrize("codec", ["wavelet", "vqgan"])
def test_a_damaged_file_codes_nothing(weights_folder: Path, codec: str) -> None:
    install(weights_folder, f"{codec}.safetensors")
    data = tessera.encode(PICTURE, codec=codec)
    altered(weights_folder / f"{codec}.safetensors")
    for attempt in (lambda: tessera.encode(PICTURE, codec=codec), lambda: tessera.decode(data)):
        with pytest.raises(tessera.UnsupportedError, match=rf"{codec}\.safetensors: is damaged.*install the package"):
            attempt()


def test_a_damaged_companion_codes_nothing(weights_folder: Path) -> None:
    install(weights_folder, "spatiotemporal.safetensors", "spatiotemporal.analysis.safetensors")
    altered(weights_folder / "spatiotemporal.analysis.safetensors")
    with pytest.raises(tessera.UnsupportedError, match=r"analysis\.safetensors: is damaged"):
        tessera.encode(PICTURE)


@pytest.mark.parametrize(("source", "codec"), [("vqgan", "wavelet"), ("overfitted", "spatiotemporal")])
def test_the_file_of_another_family(weights_folder: Path, source: str, codec: str) -> None:
    shutil.copy(SHIPPED / f"{source}.safetensors", weights_folder / f"{codec}.safetensors")
    with pytest.raises(tessera.UnsupportedError, match=rf"{codec}\.safetensors.* weights of codec"):
        tessera.encode(PICTURE, codec=codec)


def test_a_missing_decoder_is_told(weights_folder: Path, tmp_path: Path) -> None:
    install(weights_folder, "spatiotemporal.safetensors", "spatiotemporal.perceptual.safetensors")
    data = tessera.encode(PICTURE, decoder="perceptual", effort="fast")
    (weights_folder / "spatiotemporal.perceptual.safetensors").unlink()
    weights._families.clear()
    line = "made for decoder perceptual, which this install lacks; decoder standard"
    with pytest.warns(UserWarning, match=line):
        tessera.decode(data)
    with pytest.warns(UserWarning, match=line), tessera.open(data) as clip:
        clip[0]
    path = weights_folder / "a.tsr"
    path.write_bytes(data)
    report = decode_file(str(path), str(weights_folder / "a.png"))
    assert len(report.warnings) == 1 and line in report.warnings[0]
    assert decode_file(str(path), str(weights_folder / "b.png"), decoder="standard").warnings == []


def test_old_weights_beside_new_ones(weights_folder: Path) -> None:
    """A file of either decodes to what it did before; new files are of the new ones; without the old ones, their id is
    what is asked for."""
    tensors, notes = weights.read(SHIPPED / "wavelet.safetensors")
    old = weights.write(weights_folder / "wavelet.safetensors", tensors, notes)
    before = tessera.encode(PICTURE, codec="wavelet", quality=30)
    pixels = tessera.decode(before)
    changed = {**tensors, "standard.weights.0": tensors["standard.weights.0"][::-1].copy()}
    (weights_folder / "wavelet.safetensors").rename(weights_folder / "wavelet-2026.safetensors")
    new = weights.write(weights_folder / "wavelet.safetensors", changed, notes)
    assert old != new
    after = tessera.encode(PICTURE, codec="wavelet", quality=30)
    with tessera.open(before) as one, tessera.open(after) as two:
        assert (one.info.weights, two.info.weights) == (old.hex(), new.hex())
    assert np.array_equal(tessera.decode(before), pixels)
    assert not np.array_equal(tessera.decode(after), pixels)
    altered(weights_folder / "wavelet.safetensors")  # does not stand in the way of the others
    assert np.array_equal(tessera.decode(before), pixels)
    (weights_folder / "wavelet-2026.safetensors").unlink()
    with pytest.raises(tessera.UnsupportedError, match="damaged"):
        tessera.decode(before)
    weights.write(weights_folder / "wavelet.safetensors", changed, notes)
    with pytest.raises(tessera.UnsupportedError, match=rf"lacks the weights {old.hex()}.*it has {new.hex()}"):
        tessera.decode(before)


def test_the_check_of_an_install(weights_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs", "--check"]) == 1  # there is nothing
    install(weights_folder, "spatiotemporal.safetensors", "spatiotemporal.analysis.safetensors", "nerv.safetensors")
    assert main(["codecs", "--check"]) == 0
    capsys.readouterr()
    altered(weights_folder / "nerv.safetensors")
    assert main(["codecs", "--check", "--json"]) == 1
    found = {one["file"]: one for one in json.loads(capsys.readouterr().out)["files"]}
    assert "damaged" in found["nerv.safetensors"]["problem"]
    assert found["spatiotemporal.safetensors"]["problem"] is None
    (weights_folder / "nerv.safetensors").unlink()
    (weights_folder / "spatiotemporal.safetensors").unlink()
    assert main(["codecs", "--check"]) == 1
    assert "beside it" in capsys.readouterr().out


def test_the_check_does_not_trust_what_was_read_before(weights_folder: Path) -> None:
    """A byte altered without size or time."""
    import os

    install(weights_folder, "nerv.safetensors")
    path = weights_folder / "nerv.safetensors"
    assert weights.check()[0].problem is None
    stat = path.stat()
    altered(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "damaged" in (weights.check()[0].problem or "")
