"""Weights files: named by what they mean, loaded by that name or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import BitMeter, DecoderPort, EncoderPort

from ..support import toy_family

TENSORS = {"b": np.arange(6, dtype=np.int16).reshape(2, 3), "a": np.array(1.5, np.float16)}


def test_id_is_that_of_the_format() -> None:
    """The hash of FORMAT.md section 9, written out once more."""
    from hashlib import sha256

    a = b"\1\0\0\0" + b"a" + b"F16\0" + bytes(4) + b"\x00\x3e"
    b = b"\1\0\0\0" + b"b" + b"I16\0" + b"\2\0\0\0" + b"\2" + bytes(7) + b"\3" + bytes(7)
    b += b"".join(k.to_bytes(2, "little") for k in range(6))
    assert weights.identify(TENSORS) == sha256(a + b).digest()[:8]


@pytest.mark.parametrize(
    "change",
    [
        {"b": np.arange(6, dtype=np.int16)},
        {"b": np.arange(6, dtype=np.int32).reshape(2, 3)},
        {"b": np.arange(1, 7, dtype=np.int16).reshape(2, 3)},
        {"c": np.zeros(0, np.float32)},
    ],
)
def test_id_sees_every_change(change: dict[str, NDArray[np.generic]]) -> None:
    assert weights.identify({**TENSORS, **change}) != weights.identify(TENSORS)


def test_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    name = weights.write(path, TENSORS, {"pack": "p1"})
    tensors, metadata = weights.read(path)
    assert name == weights.identify(tensors) == weights.identify(load_file(path)) and metadata == {"pack": "p1"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(tessera.FormatError, match=r"x\.safetensors"):
        weights.read(path)


def test_what_is_missing_is_named(weights_folder: Path) -> None:
    with pytest.raises(tessera.UnsupportedError, match="no weights of codec wavelet"):
        weights.load("wavelet")
    weights.write(weights_folder / "wavelet.safetensors", TENSORS, {})
    weights.write(weights_folder / "wavelet-old.safetensors", {"b": TENSORS["b"]}, {})
    weights.write(weights_folder / "waveletish.safetensors", TENSORS, {})
    assert [path.stem for path in weights.files("wavelet")] == ["wavelet", "wavelet-old"]
    with pytest.raises(tessera.UnsupportedError, match="0102030405060708"):
        weights.load("wavelet", bytes(range(1, 9)))
    with pytest.raises(tessera.ParameterError, match="there is no codec 'nonsense'"):
        weights.load("nonsense")
    with pytest.raises(tessera.UnsupportedError, match="codec 111"):
        weights.name_of(111)


def test_a_companion_adds_tensors_and_replaces_none(weights_folder: Path) -> None:
    """The id of the weights does not cover its own, so that a prior from there would decode something else."""
    name = weights.write(weights_folder / "wavelet.safetensors", TENSORS, {})
    weights.write(weights.companion_file("wavelet", "analysis"), {"a": TENSORS["b"]}, {"of": name.hex()})
    with pytest.raises(tessera.UnsupportedError, match=r"analysis\.safetensors: tensor a is in wavelet\.safetens"):
        weights.load("wavelet")


def test_weights_that_are_loaded_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    family, named = weights.load("wavelet")
    monkeypatch.setattr(weights, "read", lambda path: pytest.fail(f"{path} was read"))
    assert weights.load("wavelet") == weights.load("wavelet", named) == (family, named)


def test_ports_agree() -> None:
    """What the meter says is what the encoder makes, and the decoder gives it back."""
    tables = toy_family.make_tables()
    random = np.random.default_rng(0)
    calls = [
        (random.integers(-9, 9, n, dtype=np.int32), random.integers(0, len(tables), n, dtype=np.uint8))
        for n in (5000, 1, 0, 3000)
    ]
    encoder, meter = EncoderPort(tables), BitMeter(tables)
    for symbols, indices in calls:
        encoder.put(symbols, indices)
        meter.put(symbols, indices)
    data = encoder.finish()
    assert abs(len(data) - meter.bits / 8) <= 0.01 * len(data) + 4
    assert abs(len(meter.finish()) - meter.bits / 8) < 1
    decoder = DecoderPort(tables, data)
    assert all(np.array_equal(decoder.get(indices), symbols) for symbols, indices in calls)
    decoder.finish()
    with pytest.raises(TypeError, match="only takes"):
        encoder.get(calls[0][1])
    with pytest.raises(TypeError, match="only gives"):
        decoder.put(*calls[0])


def test_damaged_symbols_are_a_format_error() -> None:
    tables = toy_family.make_tables()
    encoder = EncoderPort(tables)
    encoder.put(np.ones(100, np.int32), np.zeros(100, np.uint8))
    data = encoder.finish()
    for damaged in (b"", data[:-2], data + b"\0", b"\xff" + data[1:]):
        with pytest.raises(tessera.FormatError):
            decoder = DecoderPort(tables, damaged)
            decoder.get(np.zeros(100, np.uint8))
            decoder.finish()
