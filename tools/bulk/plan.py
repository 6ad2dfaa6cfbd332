"""The plan of a job: every item that is to be done, kept in a file, so that ten million of them take no memory."""

from __future__ import annotations

import itertools
import pickle
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from tessera.tools.bulk.items import Item
from tessera.tools.bulk.manifest import Finished, number_of, version_number
from tessera.tools.bulk.tables import Refused
from tessera.tools.bulk.work import BulkTask

_BLOCK = 1000  # items that are pickled together
_SHARD = re.compile(r"shard-(\d{6,})\.tar")


class JobPlan:
    """The items of a job, in order.

    Attributes:
        found: Items that the sources have.
        finished: Those that earlier runs finished, and that are left out.
        refused: Those that cannot be done as they stand.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="tessera-")
        self._refusals = tempfile.TemporaryFile(prefix="tessera-")
        self.found = self.finished = self.refused = 0

    def fill(self, items: Iterable[Item | Refused], finished: Finished | None, *, flat: bool) -> None:
        """Take what is not finished.

        Args:
            items: What the sources have.
            finished: What need not be done again.  None: everything is done.
            flat: Outputs go to shards, where a dot in a key would end it.
        """
        chosen = self._chosen(items, finished, flat)
        while block := list(itertools.islice(chosen, _BLOCK)):
            pickle.dump(block, self._file, pickle.HIGHEST_PROTOCOL)

    def _chosen(self, items: Iterable[Item | Refused], finished: Finished | None, flat: bool) -> Iterator[Item]:
        names: set[int] = set()
        for item in items:
            self.found += 1
            if isinstance(item, Refused):
                self._refuse(item)
                continue
            if flat:
                folder, slash, base = item.key.rpartition("/")
                item = replace(item, key=folder + slash + base.replace(".", "_"))
            number = number_of(item.key)
            if number in names:
                why = f"another item has the key {item.key}; name outputs by a column `key` of a manifest"
                self._refuse(Refused(item.source, why))
                continue
            names.add(number)
            known = finished.find(item.key) if finished is not None else None
            if known is not None:
                if known[0] and version_number(item.source, item.version) == known[0]:
                    self.finished += 1
                    continue
                item = replace(item, known_version=known[0], known=known[1])
            yield item

    def _refuse(self, what: Refused) -> None:
        pickle.dump(what, self._refusals, pickle.HIGHEST_PROTOCOL)
        self.refused += 1

    def refusals(self) -> Iterator[Refused]:
        """What cannot be done as it stands."""
        self._refusals.seek(0)
        for _ in range(self.refused):
            yield pickle.load(self._refusals)

    @property
    def left(self) -> int:
        """Items that are to be done."""
        return self.found - self.finished - self.refused

    def __iter__(self) -> Iterator[Item]:
        self._file.seek(0)
        for _ in range(-(-self.left // _BLOCK)):
            yield from pickle.load(self._file)

    def tasks(self, size: int, first_shard: int | None) -> Iterator[BulkTask]:
        """The items in tasks of `size`; with `first_shard` a shard each, numbered from there."""
        left = iter(self)
        for number in itertools.count():
            items = tuple(itertools.islice(left, size))
            if not items:
                return
            yield BulkTask(items, "" if first_shard is None else shard_name(first_shard + number))

    def close(self) -> None:
        self._file.close()
        self._refusals.close()

    def __enter__(self) -> JobPlan:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def shard_name(number: int) -> str:
    return f"shard-{number:06d}.tar"


def shard_number(name: str) -> int | None:
    """The number of a shard; None for another name."""
    found = _SHARD.fullmatch(name)
    return int(found[1]) if found else None


def halves(task: BulkTask, shard: int | None) -> list[BulkTask]:
    """A task whose worker died, as two; with `shard`, the second one gets this number."""
    middle = len(task.items) // 2
    return [
        BulkTask(task.items[:middle], task.shard),
        BulkTask(task.items[middle:], "" if shard is None else shard_name(shard)),
    ]
