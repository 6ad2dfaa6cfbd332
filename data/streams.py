"""Tar shards of .tsr files as a stream for training, split between the processes of a run and the workers of a loader.

dataset = CompressedStream(shards, reduce="tome", budget=64, shuffle=1000)
loader = DataLoader(dataset, batch_size=32, num_workers=4, collate_fn=collate)
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch.utils.data import IterableDataset

from ..codec.errors import ParameterError, UnsupportedError
from ..codec.ranges import FrameRange, bounds, clipped
from . import storage
from .compressed import Item, tokens_of

Gives = Literal["tokens", "latents", "frames"]


class CompressedStream(IterableDataset[Item]):
    """Samples of tar shards as `tessera bulk encode --shards` writes them, without unpacking the shards.

    Every item has `key` and what `gives` names: "tokens" as `CompressedDataset` has them; "latents", x (T, h, w, C);
    "frames", uint8 (T, H, W, C).  What else stands in the sample comes as bytes by its suffix; `cls` becomes a number,
    `label`.

    Each process of a run (torch.distributed, or RANK and WORLD_SIZE of torchrun) and each worker of its loader reads
    shards of its own.  Where there are fewer shards than readers, all read everything and take turns by samples.

    Args:
        shards: Paths or URLs of tar archives.
        gives: What is read of each file.
        reduce: Of tokens; see `Clip.tokens`.
        budget: Of tokens.
        frames: (start, stop) of every clip; shorter ones give what they have.
        shuffle: Samples in the buffer that the next one is drawn from; 0 keeps the order.  Shards are shuffled as well.
        seed: Equal seeds give equal orders.
        **options: Of `Clip.tokens`.
    """

    def __init__(
        self,
        shards: Sequence[str | os.PathLike[str]],
        *,
        gives: Gives = "tokens",
        reduce: Any = "bits",
        budget: Any = 1.0,
        frames: FrameRange | None = None,
        shuffle: int = 0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        if gives not in ("tokens", "latents", "frames"):
            raise ParameterError(f"gives {gives!r} is not tokens, latents or frames")
        if not shards:
            raise ParameterError("a stream needs at least one shard")
        self.shards, self.gives = [os.fspath(shard) for shard in shards], gives
        self.reduce, self.budget, self.frames, self.options = reduce, budget, bounds(frames), options
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Another order for every pass over the shards.  Call it before the loader is iterated.

        Args:
            epoch: The number of the pass.
        """
        self.epoch = epoch

    def __iter__(self) -> Iterator[Item]:
        return (self._item(sample) for sample in self._samples())

    def _samples(self) -> Iterator[Mapping[str, Any]]:
        """The samples of this reader, undecoded."""
        try:
            import webdataset as wds
            from webdataset.tariterators import group_by_keys, tar_file_expander
            from webdataset.utils import pytorch_worker_info
        except ImportError as error:
            raise UnsupportedError(f"CompressedStream: {error}; pip install 'tessera-codec[train]'") from error
        rank, world, worker, workers = pytorch_worker_info()
        part, parts = rank * workers + worker, world * workers
        names = list(self.shards)
        if self.shuffle:
            random.Random(f"{self.seed} {self.epoch}").shuffle(names)  # alike for all readers
        whole = len(names) >= parts  # shards are split, not samples
        found = group_by_keys(tar_file_expander(_opened(names[part::parts] if whole else names)))
        found = found if whole else itertools.islice(found, part, None, parts)
        if not self.shuffle:
            return iter(found)
        mixed: Iterator[Mapping[str, Any]] = wds.shuffle(
            self.shuffle, initial=self.shuffle, rng=random.Random(f"{self.seed} {self.epoch} {part}")
        )(iter(found))
        return mixed

    def _item(self, sample: Mapping[str, Any]) -> Item:
        from ..codec.api import open as open_clip

        if "tsr" not in sample:
            raise ParameterError(f"{sample['__url__']}: sample {sample['__key__']} has no .tsr file")
        rest = {name: value for name, value in sample.items() if name not in ("tsr", "cls") and name[:2] != "__"}
        item: Item = {"key": sample["__key__"], **rest}
        if "cls" in sample:
            item["label"] = int(sample["cls"])
        with open_clip(sample["tsr"]) as clip:
            start, stop = clipped(self.frames, len(clip))
            if self.gives == "latents":
                item["x"] = torch.as_tensor(clip.latents(start, stop).x)
            elif self.gives == "frames":
                item["frames"] = torch.from_numpy(clip[start:stop])
            else:
                item |= tokens_of(clip, start, stop, self.reduce, self.budget, self.options)
        return item


def _opened(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each archive open for reading, closed when the next one is asked for."""
    for name in names:
        with storage.open_to_read(name) as file:
            yield {"url": name, "stream": file}
