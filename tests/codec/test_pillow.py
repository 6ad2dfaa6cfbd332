"""Pillow reads and writes Tessera's files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tessera
from tessera.data import procedural

from ..support import toy_family

PICTURE = procedural.picture(33, 50)
CLIP = procedural.clip(11, 32, 48)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


def test_reads_and_writes(tmp_path: Path) -> None:
    for mode in ("RGB", "RGBA", "L", "LA"):
        image = Image.fromarray(PICTURE).convert(mode)
        image.save(tmp_path / "x.tsr", quality=100, codec="toy")
        with Image.open(tmp_path / "x.tsr") as read:
            assert (read.format, read.mode, read.size) == ("TSR", mode, image.size)
            assert np.array_equal(np.asarray(read), np.asarray(image))
    sizes = []
    for quality in (10, 90):
        buffer = io.BytesIO()
        image.save(buffer, "TSR", quality=quality, codec="toy")
        sizes.append(len(buffer.getvalue()))
    assert sizes[0] < sizes[1]
    assert Image.registered_extensions()[".tsr"] == "TSR"


def test_keeps_profile_and_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.fromarray(PICTURE).save(tmp_path / "x.tsr", codec="toy", icc_profile=b"profile", exif=exif.tobytes())
    with Image.open(tmp_path / "x.tsr") as read:
        assert read.info["icc_profile"] == b"profile"
        assert read.getexif()[0x010E] == "a description"


def test_animation(tmp_path: Path) -> None:
    images = [Image.fromarray(frame) for frame in CLIP]
    images[0].save(
        tmp_path / "x.tsr", save_all=True, append_images=images[1:], duration=40, codec="toy", quality=100
    )
    opened: Any = Image.open(tmp_path / "x.tsr")
    with opened as read:
        assert read.is_animated and read.n_frames == 11 and read.info["duration"] == 40
        for number in (0, 7, 3):
            read.seek(number)
            assert read.tell() == number and np.array_equal(np.asarray(read), CLIP[number])
        with pytest.raises(EOFError):
            read.seek(11)


def test_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "x.tsr").write_bytes(tessera.encode(PICTURE, codec="toy")[:-20])
    with pytest.raises(tessera.FormatError), Image.open(tmp_path / "x.tsr") as image:
        image.load()
