"""The feature of the library `datasets`, against the library itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tessera
from tessera.data import TsrDecoder, procedural

datasets = pytest.importorskip("datasets", reason="pip install 'tessera-codec[datasets]' brings datasets")

from tessera.data.huggingface import Tsr, tsr_folder  # noqa: E402


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of two and one clips."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(("cats/1", "cats/2", "dogs/deep/3")):
        path = folder / f"{name}.tsr"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tessera.encode(procedural.clip(4, 32, 48, seed=number), codec="wavelet", gop=2, fps=25))
    return folder


def same(found: dict[str, Any], path: Path) -> bool:
    wanted = TsrDecoder(reduce="tome", budget=8).read(path)
    return all(torch.as_tensor(found[name]).equal(torch.as_tensor(wanted[name])) for name in wanted)


def test_a_folder_is_a_dataset(root: Path) -> None:
    data = tsr_folder(root)
    assert data.features["label"].names == ["cats", "dogs"] and data["label"][:] == [0, 0, 1]
    assert len(data) == 3
    clip = data[2]["clip"]
    with tessera.open(root / "dogs" / "deep" / "3.tsr") as wanted:
        read = clip.bytes_read
        assert isinstance(clip, type(wanted)) and read < wanted.info.bytes / 2, "rows are read when they are used"
        assert (clip[1] == wanted[1]).all() and clip.bytes_read > read
    assert "label" not in tsr_folder(root / "cats").features


def test_paths_bytes_and_streams_give_tokens(root: Path, tmp_path: Path) -> None:
    paths = sorted(root.rglob("*.tsr"))
    feature = Tsr("tokens", reduce="tome", budget=8)
    plain = datasets.Dataset.from_dict({"clip": [str(path) for path in paths]})
    inside = datasets.Dataset.from_dict({"clip": [path.read_bytes() for path in paths]})
    for data in (plain.cast_column("clip", feature), inside.cast_column("clip", feature)):
        assert all(same(data[k]["clip"], paths[k]) for k in range(3))
        assert all(same(one, paths[k]) for k, one in enumerate(data[:3]["clip"]))
        assert all(same(row["clip"], path) for row, path in zip(data.to_iterable_dataset(), paths, strict=True))
    both = datasets.Features({"clip": feature, "again": feature})
    made = plain.map(lambda row: {"again": row["clip"]}, features=both)
    assert same(made[1]["again"], paths[1])
    empty = datasets.Dataset.from_dict({"clip": [str(paths[0]), None]}, features=datasets.Features({"clip": feature}))
    assert same(empty[0]["clip"], paths[0]) and empty[1]["clip"] is None


def test_a_dataset_comes_back_from_disk_with_its_feature(root: Path, tmp_path: Path) -> None:
    data = tsr_folder(root, gives="tokens", reduce="tome", budget=8, frames=[0, 2], options={"channels": 6})
    data.save_to_disk(tmp_path / "saved")
    again = datasets.load_from_disk(tmp_path / "saved")
    assert again.features == data.features and again.features["clip"] == data.features["clip"]
    assert torch.as_tensor(again[0]["clip"]["x"]).equal(torch.as_tensor(data[0]["clip"]["x"]))
    assert torch.as_tensor(again[0]["clip"]["x"]).shape == (8, 6)


def test_files_travel_inside_where_they_are_embedded(root: Path) -> None:
    from datasets.table import embed_table_storage

    data = tsr_folder(root, gives="frames")
    held = embed_table_storage(data.data.table).column("clip").to_pylist()
    assert [row["path"] for row in held] == ["1.tsr", "2.tsr", "3.tsr"]
    assert held[0]["bytes"] == (root / "cats" / "1.tsr").read_bytes()
    raw = data.cast_column("clip", Tsr(decode=False))
    assert raw[0]["clip"] == {"bytes": None, "path": str(root / "cats" / "1.tsr")}
    assert set(raw.flatten().column_names) == {"clip.bytes", "clip.path", "label"}


def test_what_is_none_is_refused(root: Path, tmp_path: Path) -> None:
    wrong: Any
    for wrong, message in (
        (lambda: Tsr("pictures"), "gives 'pictures'"),
        (lambda: Tsr(frames=[4, 2]), "frames 4:2"),
        (lambda: Tsr().encode_example(7), "a path, bytes, or path and bytes"),
        (lambda: Tsr(decode=False).decode_example({"path": "x", "bytes": None}), "decode is False"),
        (lambda: Tsr().decode_example({"path": "x.tsr", "bytes": None}), "x.tsr: No such file"),
        (lambda: tsr_folder(tmp_path / "absent"), "absent: there is no such folder"),
        (lambda: tsr_folder(tmp_path), "no .tsr file below it"),
        (lambda: datasets.Dataset.from_dict({"clip": [1, 2]}).cast_column("clip", Tsr()), "holds texts, bytes or both"),
    ):
        with pytest.raises(tessera.ParameterError, match=message):
            wrong()
