"""Weights of the codec families: safetensors files of the package, named by what they mean.

A file of this format names its weights by an 8-byte id, so that it is decoded with exactly the integers that it was
coded with or not at all.  `models/weights/NAME*.safetensors` may hold several for one family; the plain `NAME` is the
one that encodes, the others remain for older files.  A companion, `NAME.KIND.safetensors`, is one more network for the
weights whose id its metadata names: `perceptual` is a decoder of their streams, `analysis` moves coefficients before
their encoder rounds.  An install may lack either, so the id does not cover them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import output
from ..errors import FormatError, ParameterError, UnsupportedError, need_torch
from ..options import check_codec

if TYPE_CHECKING:
    from ...models.base.family import Family

FOLDER = Path(__file__).resolve().parents[2] / "models" / "weights"

Array = NDArray[Any]

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
COMPANIONS = ("perceptual", "analysis", "start")
ID = "id"  # metadata: what `identify` makes of the tensors
_ids: dict[tuple[Path, int, int], bytes] = {}  # (file, its mtime, its size) -> id
_families: dict[tuple[str, bytes, str], Family] = {}


def wire_id(name: str) -> int:
    """The codec id of a family, for HEAD."""
    from ...models.registry import FAMILIES

    check_codec(name)
    return FAMILIES[name]


def name_of(codec: int) -> str:
    """The family of a codec id.  UnsupportedError when this install has none."""
    from ...models.registry import FAMILIES

    for name, number in FAMILIES.items():
        if number == codec:
            return name
    raise UnsupportedError(f"the file needs codec {codec}, which this install does not know")


def identify(tensors: dict[str, Array]) -> bytes:
    """8 bytes that name the tensors (FORMAT.md section 9)."""
    digest = hashlib.sha256()
    for name in sorted(tensors, key=lambda key: key.encode()):
        tensor = np.ascontiguousarray(tensors[name]).reshape(tensors[name].shape)
        if tensor.dtype.name not in _DTYPES:
            raise ParameterError(f"tensor {name} has type {tensor.dtype}, which weights may not have")
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(4, "little") + encoded + _DTYPES[tensor.dtype.name].encode() + b"\0")
        digest.update(tensor.ndim.to_bytes(4, "little"))
        for side in tensor.shape:
            digest.update(side.to_bytes(8, "little"))
        digest.update(tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.digest()[:8]


def read(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Tensors and metadata of a safetensors file.  FormatError names a damaged one.

    The id of its tensors is compared with the one that `write` noted in it, once a process unless size or time of the
    file change.  One altered byte would otherwise make streams that nobody else can decode.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})
    except (SafetensorError, TypeError) as error:  # a TypeError: numbers of a type that numpy lacks
        raise FormatError(f"{path}: {error}") from error
    key = _key(path)
    found = _ids.get(key) or identify(tensors)
    named = metadata.pop(ID, None)
    if named not in (None, found.hex()):
        raise FormatError(f"{path}: is damaged, its numbers have the id {found.hex()} and not {named}")
    _ids[key] = found
    return tensors, metadata


def _key(path: Path) -> tuple[Path, int, int]:
    stat = path.stat()
    return path, stat.st_mtime_ns, stat.st_size


def read_task(path: Path) -> dict[str, Array]:
    """What tunes a stream to a task, from the file that `tessera train --objective task` wrote."""
    if not path.is_file():
        raise ParameterError(f"task={path}: no such file; tessera train wavelet --objective task makes one")
    return read(path)[0]


def write(path: Path, tensors: dict[str, Array], metadata: dict[str, str]) -> bytes:
    """Write a weights file and return the id of its tensors.  The file is replaced in one step."""
    from safetensors.numpy import save

    name = identify(tensors)
    plain = {key: np.ascontiguousarray(tensor).reshape(tensor.shape) for key, tensor in tensors.items()}
    with output(path, force=True) as file:
        file.write(save(plain, {**metadata, ID: name.hex()}))
    return name


def files(name: str) -> list[Path]:
    """The weights files of a family, the one that encodes first."""
    named = [path for path in FOLDER.glob(f"{name}*.safetensors") if path.stem == name or path.stem[len(name)] == "-"]
    return sorted(named, key=lambda path: (path.stem != name, path.stem))


def companion_file(name: str, kind: str) -> Path:
    """Where a companion of a family's weights is, if it is there."""
    return FOLDER / f"{name}.{kind}.safetensors"


def companions(name: str, of: bytes) -> dict[str, dict[str, Array]]:
    """The tensors of each kind of companion that there is for the weights of id `of`."""
    found: dict[str, dict[str, Array]] = {}
    for kind in COMPANIONS:
        path = companion_file(name, kind)
        tensors, metadata = read(path) if path.is_file() else ({}, {})
        if metadata.get("of") == of.hex():
            found[kind] = tensors
    return found


def _id_of(path: Path) -> bytes:
    if _key(path) not in _ids:
        read(path)
    return _ids[_key(path)]


def _find(name: str, weights_id: bytes | None) -> Path:
    """The weights file with that id, or the one that encodes.  UnsupportedError where it is lacking or damaged."""
    damage: FormatError | None = None
    found = files(name)
    if not found:
        raise UnsupportedError(f"this install has no weights of codec {name}")
    for path in found:
        try:
            named = _id_of(path)  # reads a file that is new to this process
            if weights_id in (None, named):
                return path
        except FormatError as error:
            damage = damage or error
            if weights_id is None:
                break  # not another one in place of that which encodes
    if damage is not None:
        raise UnsupportedError(f"{damage}; install the package anew")
    lacking = weights_id.hex() if weights_id else ""
    raise UnsupportedError(f"this install lacks the weights {lacking} of codec {name}; {_there(found)}")


def _there(found: list[Path]) -> str:
    """Which weights there are, for those who look for others."""
    return "it has " + ", ".join(f"{_id_of(path).hex()} ({path.name})" for path in found)


def load(name: str, weights_id: bytes | None = None, device: str = "cpu") -> tuple[Family, bytes]:
    """The family `name` with the weights of that id, by default those that encode, and their id.

    Loaded once a process and device.  UnsupportedError when this install lacks them, or the family does not run on the
    device.
    """
    wire_id(name)
    path = _find(name, weights_id)
    key = (name, _id_of(path), device)
    if key not in _families:
        _families[key] = _build(name, path, device)
    return _families[key], key[1]


def _build(name: str, path: Path, device: str) -> Family:
    from ...models.registry import WITH_TORCH, build

    if name in WITH_TORCH:
        need_torch(f"codec {name}")
    tensors, metadata = read(path)
    if metadata.get("family", name) != name:
        raise UnsupportedError(f"{path}: these are weights of codec {metadata['family']}, not of {name}")
    try:
        for kind, more in companions(name, _id_of(path)).items():
            if shared := sorted(tensors.keys() & more.keys()):
                raise FormatError(f"{companion_file(name, kind)}: tensor {shared[0]} is in {path.name} already")
            tensors |= more
    except FormatError as error:
        raise UnsupportedError(f"{error}; install the package anew") from error
    try:
        family = build(name, tensors, metadata, device)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise UnsupportedError(f"{path}: holds no weights of codec {name} as this version has them: {error}") from error
    if device.partition(":")[0] not in family.devices:
        raise UnsupportedError(f"codec {name} does not run on {device}, but on {', '.join(family.devices)}")
    return family


@dataclass(frozen=True)
class WeightsFile:
    """A weights file of this install.  id: of its tensors, None where it cannot be read; problem: None where it is
    sound."""

    file: str
    id: str | None
    problem: str | None


def check() -> list[WeightsFile]:
    """Every weights file and companion of this install, read and compared with the id that it names."""
    found = []
    for path in sorted(FOLDER.glob("*.safetensors")):
        try:
            _ids.pop(_key(path), None)
            _, metadata = read(path)
            named = _id_of(path)
            whose = metadata.get("of")
            owners = {_id_of(owner).hex() for owner in files(path.stem.partition(".")[0])}
            alone = whose is not None and whose not in owners
            found.append(WeightsFile(path.name, named.hex(), f"no weights {whose} beside it" if alone else None))
        except FormatError as error:
            found.append(WeightsFile(path.name, None, str(error)))
    return found
