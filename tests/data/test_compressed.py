"""Training straight from .tsr files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import tessera
from tessera.codec.errors import FormatError, ParameterError
from tessera.data import CompressedDataset, CompressedStream, TsrDecoder, collate, procedural


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("store")
    paths = [folder / f"{k}.tsr" for k in range(5)]
    for k, path in enumerate(paths):
        path.write_bytes(tessera.encode(procedural.picture(32, 32 + 16 * k, seed=k), quality=30))
    return paths


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_tokens(files: list[Path], workers: int) -> None:
    dataset = tessera.data.CompressedDataset(files, reduce="tome", budget=12, labels=[0, 1, 2, 3, 4])
    loader = DataLoader(dataset, batch_size=5, num_workers=workers, collate_fn=collate)
    batch = next(iter(loader))
    assert batch["x"].shape == (5, 12, 128) and batch["pos"].shape == (5, 12, 3)
    assert bool(batch["mask"].all()) and batch["label"].tolist() == [0, 1, 2, 3, 4]
    assert batch["bits"].tolist() == [8 * path.stat().st_size for path in files]


def test_sets_of_different_length_are_padded(files: list[Path]) -> None:
    dataset = CompressedDataset(files)
    batch = collate([dataset[0], dataset[4]])
    assert batch["mask"].sum(1).tolist() == [16, 48] and batch["x"].shape == (2, 48, 128)
    assert torch.equal(batch["x"][0, 16:], torch.zeros(32, 128)) and "label" not in batch


@pytest.fixture(scope="module")
def shards(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three shards of two, two and one samples, each with its number as its class."""
    pytest.importorskip("webdataset")
    folder = tmp_path_factory.mktemp("shards")
    for k, path in enumerate(files):
        with tarfile.open(folder / f"{k // 2}.tar", "a") as tar:
            for suffix, data in (("tsr", path.read_bytes()), ("cls", str(k).encode()), ("txt", b"words")):
                info = tarfile.TarInfo(f"{k}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return sorted(folder.glob("*.tar"))


def test_a_stream_gives_what_single_files_give(files: list[Path], shards: list[Path]) -> None:
    items = list(CompressedStream(shards, reduce="tome", budget=12))
    assert [item["key"] for item in items] == list("01234") and items[0]["txt"] == b"words"
    batch, other = collate(items), collate([CompressedDataset(files, reduce="tome", budget=12)[k] for k in range(5)])
    assert batch["label"].tolist() == [0, 1, 2, 3, 4] and all(torch.equal(batch[name], other[name]) for name in other)
    frames = next(iter(CompressedStream(shards, gives="frames")))["frames"]
    assert torch.equal(frames[0], torch.from_numpy(tessera.decode(files[0])))
    with tessera.open(files[0]) as clip:
        assert torch.equal(next(iter(CompressedStream(shards, gives="latents")))["x"], clip.latents().x)


@pytest.mark.parametrize("count", [1, 3])
def test_readers_share_a_stream(shards: list[Path], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes of three workers each: every sample once a pass, with more shards than readers and with fewer."""
    import webdataset.utils

    names = shards * 2 if count == 3 else shards[:count]
    seen = []
    for part in range(3 if count == 3 else 6):
        place = (part, 3, 0, 1) if count == 3 else (part // 3, 2, part % 3, 3)
        monkeypatch.setattr(webdataset.utils, "pytorch_worker_info", lambda place=place: place)
        seen.append([item["key"] for item in CompressedStream(names, gives="latents")])
    assert sorted(sum(seen, [])) == (sorted("01234" * 2) if count == 3 else ["0", "1"])
    assert count == 1 or all(seen)


def test_a_stream_is_shuffled_by_seed_and_epoch(shards: list[Path]) -> None:
    stream = CompressedStream(shards * 3, gives="latents", shuffle=8, seed=1)
    first, again = ([item["key"] for item in stream] for _ in range(2))
    stream.set_epoch(1)
    later = [item["key"] for item in stream]
    assert first == again != later and sorted(first) == sorted(later) == sorted("01234" * 3)


def test_a_handler_of_webdataset(files: list[Path], shards: list[Path]) -> None:
    wds = pytest.importorskip("webdataset")
    pipeline = wds.WebDataset([str(shard) for shard in shards], shardshuffle=False)
    found = list(pipeline.decode(TsrDecoder(reduce="tome", budget=12)).to_tuple("tsr", "cls", "txt"))
    other = CompressedDataset(files, reduce="tome", budget=12)
    assert [(label, text) for _, label, text in found] == [(k, "words") for k in range(5)]
    assert all(torch.equal(found[k][0][name], other[k][name]) for k in range(5) for name in ("x", "pos", "size"))
    assert TsrDecoder()(".png", b"") is None and "frames" in TsrDecoder("frames")(".left.TSR", files[0].read_bytes())  # type: ignore[operator]
    with pytest.raises(ParameterError, match="gives 'pictures'"):
        TsrDecoder("pictures")  # type: ignore[arg-type]


def test_streams_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pictures"):
        CompressedStream(["x.tar"], gives="pictures")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one shard"):
        CompressedStream([])
    with pytest.raises(ValueError, match="x.tar"):
        list(CompressedStream([tmp_path / "x.tar"]))


def test_shards_that_are_damaged(shards: list[Path], tmp_path: Path) -> None:
    name = tmp_path / "x.tar"
    with tarfile.open(shards[0]) as tar:
        end = tar.getmember("1.tsr").offset_data + 10
    name.write_bytes(shards[0].read_bytes()[:end])
    stream = iter(CompressedStream([name], gives="frames"))
    assert next(stream)["key"] == "0"
    with pytest.raises(FormatError, match=r"x\.tar.*copy or make it again"):
        next(stream)
    with tarfile.open(name, "w") as tar:
        for suffix, data in (("tsr", b"any"), ("cls", b"cat")):
            info = tarfile.TarInfo(f"a.{suffix}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(ParameterError, match="sample a: file cls holds b'cat'"):
        next(iter(CompressedStream([name])))


def test_labels_must_fit(files: list[Path]) -> None:
    with pytest.raises(ValueError, match="2 labels for 5 files"):
        CompressedDataset(files, labels=[0, 1])
