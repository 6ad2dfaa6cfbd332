"""Tar shards of .tsr files as a stream for training, split between the processes of a run and the workers of a loader.

dataset = CompressedStream(shards, reduce="tome", budget=64, shuffle=1000)
loader = DataLoader(dataset, batch_size=32, num_workers=4, collate_fn=collate)
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from torch.utils.data import IterableDataset

from ..codec.errors import FormatError, ParameterError, UnsupportedError
from ..codec.ranges import FrameRange
from . import storage
from .items import Gives, Item, TsrDecoder
from .shards import Member, samples


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
        self.decoder = TsrDecoder(gives, reduce=reduce, budget=budget, frames=frames, **options)
        if not shards:
            raise ParameterError("a stream needs at least one shard")
        self.shards = [os.fspath(shard) for shard in shards]
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
            from webdataset.utils import pytorch_worker_info
        except ImportError as error:
            raise UnsupportedError(f"CompressedStream: {error}; pip install 'tessera-codec[train]'") from error
        rank, world, worker, workers = pytorch_worker_info()
        part, parts = rank * workers + worker, world * workers
        names = list(self.shards)
        if self.shuffle:
            random.Random(f"{self.seed} {self.epoch}").shuffle(names)  # alike for all readers
        whole = len(names) >= parts  # shards are split, not samples
        found = _contents(
            _samples(names[part::parts]) if whole else itertools.islice(_samples(names), part, None, parts)
        )
        if not self.shuffle:
            return found
        mixed: Iterator[Mapping[str, Any]] = wds.shuffle(
            self.shuffle, initial=self.shuffle, rng=random.Random(f"{self.seed} {self.epoch} {part}")
        )(found)
        return mixed

    def _item(self, sample: Mapping[str, Any]) -> Item:
        if "tsr" not in sample:
            raise ParameterError(f"{sample['__url__']}: sample {sample['__key__']} has no .tsr file")
        rest = {name: value for name, value in sample.items() if name not in ("tsr", "cls") and name[:2] != "__"}
        item: Item = {"key": sample["__key__"], **rest}
        if "cls" in sample:
            item["label"] = _label(sample)
        return item | self.decoder.read(sample["tsr"])


def _label(sample: Mapping[str, Any]) -> int:
    try:
        return int(sample["cls"])
    except ValueError as error:
        raise ParameterError(
            f"{sample['__url__']}: sample {sample['__key__']}: file cls holds {sample['cls'][:20]!r}, no whole number"
        ) from error


_Found = tuple[str, BinaryIO, list[Member]]


def _samples(names: Sequence[str]) -> Iterator[_Found]:
    """The samples of archives, each archive open until the next one is asked for."""
    for name in names:
        with storage.open_to_read(name) as file:
            for sample in samples(file, name):
                yield name, file, sample


def _contents(found: Iterator[_Found]) -> Iterator[Mapping[str, Any]]:
    """The files of samples by suffix, as WebDataset calls them."""
    for name, file, sample in found:
        contents: dict[str, Any] = {"__url__": name, "__key__": sample[0].key}
        for member in sample:
            if member.problem:
                raise FormatError(f"{name}: {member.problem}")
            file.seek(member.offset)
            contents[member.suffix.lower()] = file.read(member.size)
        yield contents
