"""Files of the past: those that must decode do so to the same pixels, those that must be refused are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import tessera
from tessera.codec.coding.stream import decode_groups
from tessera.codec.format.pipe import PipeReader
from tessera.entropy import crc32c

from ..support import toy_family
from . import make_golden

FOLDER = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


def expected(folder: str) -> list[list[str]]:
    return [line.split() for line in (FOLDER / folder / "expected.txt").read_text().splitlines()]


@pytest.mark.parametrize(("name", "shape", "crc"), expected("decode"))
def test_decodes(name: str, shape: str, crc: str) -> None:
    path = FOLDER / "decode" / f"{name}.tsr"
    out = tessera.decode(path)
    assert "x".join(map(str, out.shape)) == shape
    assert f"{crc32c(np.ascontiguousarray(out).tobytes()):08x}" == crc
    piped = list(decode_groups(PipeReader(io.BytesIO(path.read_bytes()))))
    joined = np.concatenate([group.pixels for group in piped])
    assert np.array_equal(joined.reshape(-1), out[..., : joined.shape[3]].reshape(-1) if out.ndim > 2 else out.ravel())
    assert tessera.verify(str(path)).ok


@pytest.mark.parametrize(("name", "error"), expected("reject"))
def test_refuses(name: str, error: str) -> None:
    path = FOLDER / "reject" / f"{name}.tsr"
    kind = getattr(tessera, error)
    with pytest.raises(kind):
        tessera.decode(path)
    with pytest.raises(tessera.CodecError):
        reader = PipeReader(io.BytesIO(path.read_bytes()))
        for _ in decode_groups(reader):
            pass
        reader.metadata()
    if error == "FormatError":
        assert not tessera.verify(str(path)).ok


def test_every_file_is_listed() -> None:
    for folder in ("decode", "reject"):
        assert {path.stem for path in (FOLDER / folder).glob("*.tsr")} == {line[0] for line in expected(folder)}


def test_encoder_still_writes_these_bytes() -> None:
    for name, data in make_golden.good():
        assert (FOLDER / "decode" / f"{name}.tsr").read_bytes() == data, name
