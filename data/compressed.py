"""Training straight from .tsr files: a torch Dataset of tokens, read in as many workers as the loader has.

dataset = CompressedDataset(paths, reduce="tome", budget=64, labels=labels)
loader = DataLoader(dataset, batch_size=32, num_workers=2, collate_fn=collate)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..codec.errors import ParameterError
from ..codec.ranges import FrameRange
from .items import Item, TsrDecoder
from .kept import KeptTokens, absolute


class CompressedDataset(Dataset[Item]):
    """One item a file: x (N, C), pos (N, 3), size (N,), bits of the file, and its label where there is one.

    No pixels are made and no file stays open between items, so the dataset can be handed to worker processes.

    Args:
        paths: Of the files; URLs that fsspec knows are read by ranges.
        reduce: How latents are reduced; see `Clip.tokens`.
        budget: Of tokens.
        frames: (start, stop) of every clip; files that are shorter give what they have.
        labels: One for each file.
        cache: A folder that keeps the tokens, so that later passes read no .tsr file; see `data.kept`.  It is for
            choices that do not change from pass to pass.  None: nothing is kept.
        **options: Of `Clip.tokens`.

    Raises:
        ParameterError: Labels do not fit, or an option cannot be kept.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        reduce: Any = "bits",
        budget: Any = 1.0,
        frames: FrameRange | None = None,
        labels: Sequence[Any] | None = None,
        cache: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        if labels is not None and len(labels) != len(paths):
            raise ParameterError(f"there are {len(labels)} labels for {len(paths)} files")
        self.paths, self.labels = [absolute(os.fspath(path)) for path in paths], labels
        self.decoder = TsrDecoder(reduce=reduce, budget=budget, frames=frames, **options)
        self.kept = None if cache is None else KeptTokens(cache, self.decoder)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Item:
        item = (self.kept or self.decoder).read(self.paths[number])
        return item if self.labels is None else {**item, "label": self.labels[number]}


def collate(items: list[Item]) -> Item:
    """A batch: x (B, N, C), pos (B, N, 3), size (B, N) padded with zeros, mask (B, N) of tokens, bits, label (B,)."""
    count = max(len(item["x"]) for item in items)

    def padded(name: str) -> Tensor:
        out: Tensor = items[0][name].new_zeros(len(items), count, *items[0][name].shape[1:])
        for row, item in zip(out, items, strict=True):
            row[: len(item[name])] = item[name]
        return out

    batch: Item = {name: padded(name) for name in ("x", "pos", "size")}
    batch["mask"] = batch["size"] > 0
    batch["bits"] = torch.tensor([item["bits"] for item in items])
    if "label" in items[0]:
        batch["label"] = torch.as_tensor([item["label"] for item in items])
    return batch
