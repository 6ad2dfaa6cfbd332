"""What a worker does: it fetches sources, makes outputs, stores them and says what became of each item."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

from tessera.codec.errors import FormatError
from tessera.codec.spool import open_spool
from tessera.data import shards, storage
from tessera.tools.bulk.items import Item
from tessera.tools.bulk.manifest import FAILED, ItemRow, readable, version_number
from tessera.tools.bulk.operations import Made, Operation

UNCHANGED = "unchanged"  # status of an item that turned out to be finished; it gets no new row


@dataclass(frozen=True)
class BulkTask:
    """Items that a worker does in one go; with a shard, their outputs are its members."""

    items: tuple[Item, ...]
    shard: str = ""


@dataclass(frozen=True)
class Work:
    """The work of a job, pickled to the workers: called with a task, it gives a row for each of its items."""

    operation: Operation
    target: str
    settings: str

    def __call__(self, task: BulkTask) -> list[ItemRow]:
        if not task.shard:
            return [self._do(item, None) for item in task.items]
        with open_spool() as spool:
            with tarfile.open(fileobj=spool, mode="w") as tar:
                rows = [self._do(item, tar) for item in task.items]
            if any(row.member for row in rows):
                spool.seek(0)
                with storage.open_to_write(storage.joined(self.target, task.shard)) as file:
                    shutil.copyfileobj(spool, file, storage.BLOCK)
        return [replace(row, output=task.shard) if row.member else row for row in rows]

    def _do(self, item: Item, tar: tarfile.TarFile | None) -> ItemRow:
        """One item: whatever is wrong with it is said in its row."""
        began = time.perf_counter()
        row = ItemRow(item.key, item.source, operation=self.operation.name, settings=self.settings)
        try:
            row = self._try(item, row, tar)
        except Exception as error:
            row = replace(row, status=FAILED, error=readable(f"{type(error).__name__}: {error}"))
        return replace(row, seconds=time.perf_counter() - began)

    def _try(self, item: Item, row: ItemRow, tar: tarfile.TarFile | None) -> ItemRow:
        found = None if item.version else storage.look(item.source)
        row = replace(row, source_version=found.version if found else item.version)
        if item.known_version and version_number(item.source, row.source_version) == item.known_version:
            return replace(row, status=UNCHANGED)
        with _fetched(item) as (source, size, digest), open_spool() as made:
            row = replace(row, source_bytes=size, source_sha256=digest)
            if digest == item.known:
                return replace(row, status=UNCHANGED)
            about = self.operation.make(source, made)
            if about.problems:
                return replace(row, status=FAILED, frames=about.frames, error="\n".join(about.problems))
            row = replace(row, frames=about.frames, width=about.width, height=about.height)
            row = replace(row, warnings="\n".join(about.warnings))
            return self._store(item, row, about, made, tar) if about.suffix else row

    def _store(self, item: Item, row: ItemRow, about: Made, made: BinaryIO, tar: tarfile.TarFile | None) -> ItemRow:
        name = item.key + about.suffix
        if tar is not None and any(f".{part.suffix.lower()}" == about.suffix for part in item.beside):
            raise FormatError(
                f"{item.source}: sample {item.key} holds a {about.suffix} file already; rename one of them"
            )
        made.seek(0)
        if tar is None:
            with storage.open_to_write(storage.joined(self.target, name)) as file:
                size, digest = storage.copy(made, file)
            return replace(row, output=name, bytes=size, sha256=digest)
        size, digest = storage.copy(made, None)
        made.seek(0)
        with ExitStack() as stack:
            members = [(name, made, size)]
            for part in item.beside:
                spool = stack.enter_context(open_spool())
                _copy_part(item.source, part.offset, part.size, spool)
                members.append((f"{item.key}.{part.suffix}", spool, part.size))
            for member in members:  # all of them are whole: a tar that breaks off in the middle would be lost
                shards.add(tar, *member)
        return replace(row, member=name, bytes=size, sha256=digest)


@contextmanager
def _fetched(item: Item) -> Iterator[tuple[Path, int, str]]:
    """The source as a file of this machine, its size and its SHA-256."""
    path = storage.local_path(item.source)
    if path is not None and item.offset < 0:
        with open(path, "rb") as file:
            found = storage.copy(file, None)
        yield path, *found
        return
    with tempfile.NamedTemporaryFile(prefix="tessera-") as copy:
        size, digest = _copy_part(item.source, max(0, item.offset), None if item.offset < 0 else item.size, copy)
        copy.flush()
        yield Path(copy.name), size, digest


def _copy_part(name: str, offset: int, size: int | None, target: IO[bytes]) -> tuple[int, str]:
    """Copy a part of a file, or all that follows `offset`, to the start of `target`: its size and SHA-256."""
    with storage.open_to_read(name) as file:
        if offset:
            file.seek(offset)
        found, digest = storage.copy(file, target, size)
    if size is not None and found < size:
        raise FormatError(f"{name}: ends {size - found} bytes too early")
    target.seek(0)
    return found, digest
