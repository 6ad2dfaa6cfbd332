"""Training straight from .tsr files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import tessera
from tessera.data import CompressedDataset, collate, procedural


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


def test_labels_must_fit(files: list[Path]) -> None:
    with pytest.raises(ValueError, match="2 labels for 5 files"):
        CompressedDataset(files, labels=[0, 1])
