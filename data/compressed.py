"""Training straight from .tsr files: a torch Dataset of tokens, read in as many workers as the loader has.

dataset = CompressedDataset(paths, reduce="tome", budget=64, labels=labels)
loader = DataLoader(dataset, batch_size=32, num_workers=2, collate_fn=collate)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..codec.ranges import FrameRange, bounds, clipped

if TYPE_CHECKING:
    from ..codec.reading.clip import Clip

Item = dict[str, Any]


class CompressedDataset(Dataset[Item]):
    """One item a file: x (N, C), pos (N, 3), size (N,), bits of the file, and its label where there is one.

    frames   (start, stop) of every clip; files that are shorter give what they have
    options  of models.tokens.reduce
    No pixels are made and no file stays open between items, so the dataset can be handed to worker processes.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        reduce: Any = "bits",
        budget: Any = 1.0,
        frames: FrameRange | None = None,
        labels: Sequence[Any] | None = None,
        **options: Any,
    ) -> None:
        if labels is not None and len(labels) != len(paths):
            raise ValueError(f"there are {len(labels)} labels for {len(paths)} files")
        self.paths, self.labels = [os.fspath(path) for path in paths], labels
        self.reduce, self.budget, self.frames, self.options = reduce, budget, bounds(frames), options

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Item:
        from ..codec.api import open as open_clip

        with open_clip(self.paths[number]) as clip:
            start, stop = clipped(self.frames, len(clip))
            item = tokens_of(clip, start, stop, self.reduce, self.budget, self.options)
        return item if self.labels is None else {**item, "label": self.labels[number]}


def tokens_of(clip: Clip, start: int, stop: int, reduce: Any, budget: Any, options: Mapping[str, Any]) -> Item:
    """The tokens of frames of a clip: x (N, C), pos (N, 3), size (N,), bits of the file."""
    found = clip.tokens(start, stop, reduce=reduce, budget=budget, **options)
    return {"x": found.x, "pos": found.pos, "size": found.size, "bits": 8 * clip.info.bytes}


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
