"""Tokens on disk: later passes read no file, and what changed is read anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

import tessera
from tessera.data import CompressedDataset, collate, procedural
from tessera.data.items import TsrDecoder
from tessera.models.tokens import Bits

PLAIN = TsrDecoder.read


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{k}.tsr" for k in range(3)]
    for k, path in enumerate(paths):
        path.write_bytes(tessera.encode(procedural.picture(32, 48, seed=k), codec="wavelet"))
    return paths


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    seen: list[str] = []

    def counted(self: TsrDecoder, source: Any) -> Any:
        seen.append(Path(source).stem)
        return PLAIN(self, source)

    monkeypatch.setattr(TsrDecoder, "read", counted)
    return seen


def items(files: list[Path], folder: Path, **options: Any) -> list[dict[str, Any]]:
    data = CompressedDataset(files, cache=folder, **{"reduce": "tome", "budget": 8, **options})
    return [data[k] for k in range(len(data))]


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.as_tensor(one[n]), torch.as_tensor(other[n])) for n in one
    )


def test_later_passes_read_no_file(
    files: list[Path], tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    plain = CompressedDataset(files, reduce="tome", budget=8, labels=[3, 4, 5])
    wanted = [plain[k] for k in range(3)]
    reads.clear()
    assert all(map(equal, items(files, folder, labels=[3, 4, 5]), wanted)) and reads == ["0", "1", "2"]
    assert all(map(equal, items(files, folder, labels=[3, 4, 5]), wanted)) and len(reads) == 3
    assert all(type(item["bits"]) is int for item in items(files, folder))
    loader = DataLoader(
        CompressedDataset(files, reduce="tome", budget=8, cache=folder), 3, num_workers=2, collate_fn=collate
    )
    assert torch.equal(next(iter(loader))["x"], collate(wanted)["x"])
    monkeypatch.chdir(folder.parent)
    items([Path(path.name) for path in files], folder)
    assert len(reads) == 3, "a relative path is the same file"


def test_what_changed_is_read_anew(files: list[Path], tmp_path: Path, reads: list[str]) -> None:
    folder = tmp_path / "kept"
    with tessera.open(files[0]) as clip:
        query = torch.rand(clip.family.channels)
    choices: list[dict[str, Any]] = [
        {}, {"budget": 6}, {"budget": 0.5}, {"budget": "50%"}, {"budget": Bits(100, 8)}, {"budget": Bits(100, 7)},
        {"reduce": "l2"}, {"reduce": [("l2", {"budget": 12}), ("tome", {})]}, {"seed": 1}, {"channels": 6},
        {"frames": (0, 1)}, {"reduce": "query", "query": query}, {"reduce": "query", "query": query + 1},
    ]  # fmt: skip
    for choice in choices:
        reads.clear()
        items(files, folder, **choice)
        assert len(reads) == 3, f"{choice} is another choice"
    for choice in choices:
        items(files, folder, **choice)
    assert len(reads) == 3, "all of them are kept"
    reads.clear()
    files[1].write_bytes(tessera.encode(procedural.picture(32, 48, seed=9), codec="wavelet"))
    os.utime(files[1], ns=(1, 1))
    found = items(files, folder)
    assert reads == ["1"] and equal(found[1], CompressedDataset(files, reduce="tome", budget=8)[1])


def test_a_damaged_item_is_made_again(files: list[Path], tmp_path: Path, reads: list[str]) -> None:
    folder = tmp_path / "kept"
    wanted = items(files[:1], folder)[0]
    (path,) = folder.rglob("*.safetensors")
    for harm in (b"", b"half of it", path.read_bytes()[:-5]):
        path.write_bytes(harm)
        reads.clear()
        assert equal(items(files[:1], folder)[0], wanted) and reads == ["0"]
    assert [file.name for file in folder.rglob("*") if file.is_file()] == [path.name], "nothing is left beside it"


def test_what_cannot_be_kept_is_refused(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(tessera.ParameterError, match="cache: attn is a function"):
        CompressedDataset(files, cache=tmp_path, attn=lambda grid: grid)
    with pytest.raises(tessera.ParameterError, match="absent.tsr: No such file"):
        CompressedDataset([tmp_path / "absent.tsr"], cache=tmp_path)[0]
