"""Shards without the members that a later run has made anew: who reads all shards finds every item once."""

from __future__ import annotations

import shutil
import tarfile
from typing import BinaryIO

from tessera.codec.spool import open_spool
from tessera.data import shards, storage
from tessera.tools.bulk.manifest import Manifest
from tessera.tools.bulk.plan import shard_number


def drop_replaced(manifest: Manifest) -> None:
    """Write the shards again that hold replaced samples, without these; a shard with nothing left is removed."""
    for shard, members in manifest.replaced().items():
        name = storage.joined(manifest.folder, shard)
        if shard_number(shard) is None or storage.look(name) is None:  # a forged manifest could name any file
            continue
        with open_spool() as spool:
            if _copy_others(name, {member.rpartition(".")[0] for member in members}, spool):
                spool.seek(0)
                with storage.open_to_write(name) as file:
                    shutil.copyfileobj(spool, file, storage.BLOCK)
            else:
                storage.remove(name)


def _copy_others(name: str, keys: set[str], spool: BinaryIO) -> int:
    """The archive `name` to `spool`, without the samples `keys`: how many files it has left."""
    count = 0
    with storage.open_to_read(name) as file, tarfile.open(fileobj=file, mode="r:") as old:
        with tarfile.open(fileobj=spool, mode="w") as new:
            for info in old:
                if shards.split_name(info.name)[0] not in keys:
                    new.addfile(info, old.extractfile(info))
                    count += 1
    return count
