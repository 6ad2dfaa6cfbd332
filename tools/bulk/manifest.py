"""The manifest of an output folder: a row per item in Parquet, kept safe while a job runs.

    DST/manifest.parquet             the rows of all runs, one per key
    DST/manifest.parts/*.parquet     rows of a run that has not ended well, in the order of their names

A part is written every few seconds.  At its end a run joins the parts with the manifest: for each key the latest row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tessera.codec.errors import FormatError, ParameterError
from tessera.data import storage

DONE, FAILED = "done", "failed"
REFUSED = "refused: "  # begins the key of what a source holds and what is no item, such as a row without a name
MANIFEST, PARTS = "manifest.parquet", "manifest.parts"
ROWS, SECONDS = 10_000, 10.0  # a part is written when it has so many rows, or after so long
LONGEST = 2000  # characters of an error or of the name of what is refused
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}


@dataclass(frozen=True)
class ItemRow:
    """What became of an item.

    Attributes:
        key: The item.
        source: Path or URL of its file, or of the archive that holds it.
        status: "done" or "failed"; verify: "failed" for a damaged file as well.
        output: The file or the shard with its output, in the output folder; empty where there is none.
        member: Its name in the shard; empty for a file of its own.
        bytes: Of the output.
        sha256: Of the output.
        source_bytes: Of the source.
        source_sha256: Of the source.
        source_version: What the store says of the source, see `storage.Found`.
        frames: Of the clip; 1 for a picture.
        width: In pixels.
        height: In pixels.
        seconds: That the item took in its worker.
        operation: "encode", "decode", "tokens" or "verify".
        settings: A digest of everything that the output depends on besides the source.
        warnings: One a line.
        error: Why it failed.
    """

    key: str
    source: str
    status: str = DONE
    output: str = ""
    member: str = ""
    bytes: int = 0
    sha256: str = ""
    source_bytes: int = 0
    source_sha256: str = ""
    source_version: str = ""
    frames: int = 0
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    operation: str = ""
    settings: str = ""
    warnings: str = ""
    error: str = ""


SCHEMA = pa.schema([(field.name, _TYPES[str(field.type)]) for field in dataclasses.fields(ItemRow)])


def number_of(*words: object) -> int:
    """64 bits that stand for some words: of ten million items two are alike with a chance of one in 400,000."""
    text = "\0".join(map(str, words)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def readable(text: str) -> str:
    """A text of any source as one line of UTF-8 that is not long."""
    line = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


class Manifest:
    """The rows of an output folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._rows: list[ItemRow] = []
        self._written = time.monotonic()
        self._count = 0
        self._run = f"{time.time_ns():020d}-{secrets.token_hex(4)}"

    def _name(self, *parts: str) -> str:
        return storage.joined(self.folder, "/".join(parts))

    def _parts(self) -> list[str]:
        """Names of the parts in the folder, oldest first."""
        if not storage.is_folder(self._name(PARTS)):
            return []
        return sorted(f"{PARTS}/{short}" for short, _ in storage.listing(self._name(PARTS)) if "." in short)

    def _tables_of_parts(self) -> list[str]:
        return [name for name in self._parts() if name.endswith(".parquet")]

    # -- writing -------------------------------------------------------------------------------------------------------

    def begin(self, first_shard: int) -> None:
        """Note that a run has begun, and the number from which it counts its shards."""
        with storage.open_to_write(self._name(PARTS, f"{self._run}.json")) as file:
            file.write(json.dumps({"first_shard": first_shard}).encode())

    def add(self, row: ItemRow) -> None:
        """Take a row; it is on disk a few seconds later."""
        self._rows.append(row)
        if len(self._rows) >= ROWS or time.monotonic() - self._written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are not written yet."""
        if self._rows:
            _write(self._name(PARTS, f"{self._run}-{self._count:08d}.parquet"), [_table(self._rows)])
            self._count += 1
            self._rows = []
        self._written = time.monotonic()

    def finish(self) -> None:
        """Join all parts and the manifest: for each key its latest row.  Then the parts are no longer needed.

        `flush` comes first, and `drop_replaced`, which needs the parts.
        """
        parts = self._parts()
        _write(self._name(MANIFEST), self._latest())
        for name in parts:
            storage.remove(self._name(name))
        storage.remove_folder(self._name(PARTS))

    def _latest(self) -> Iterator[pa.Table]:
        seen: set[int] = set()
        for name in reversed(self._tables_of_parts()):
            for table in self._tables(name):
                numbers = [number_of(key) for key in table.column("key").to_pylist()]
                new = [i for i, number in enumerate(numbers) if number not in seen]
                seen.update(numbers)
                yield table.take(pa.array(new, pa.int64()))
        for table in self._tables(MANIFEST):  # what an earlier run refused may be mended, or no longer a source
            kept = [
                number_of(key) not in seen and not key.startswith(REFUSED) for key in table.column("key").to_pylist()
            ]
            yield table.filter(pa.array(kept, pa.bool_()))

    # -- reading -------------------------------------------------------------------------------------------------------

    def check_operation(self, name: str) -> None:
        """ParameterError when the folder holds what another operation made: its rows would be taken for ours."""
        other = next((row["operation"] for row in self.rows("operation")), name)
        if other != name:
            raise ParameterError(f"{self.folder}: holds the manifest of `tessera bulk {other}`; choose another folder")

    def rows(self, *columns: str) -> Iterator[dict[str, Any]]:
        """The latest row of each key; all columns, or those that are named and the key."""
        for table in self._latest():
            yield from (table.select(["key", *columns]) if columns else table).to_pylist()

    def replaced(self) -> dict[str, set[str]]:
        """Shard -> members that a later row of their key has replaced."""
        found: dict[str, set[str]] = {}
        latest: set[int] = set()
        live: set[int] = set()
        for name in [*reversed(self._tables_of_parts()), MANIFEST]:
            for table in self._tables(name):
                for row in table.select(["key", "output", "member"]).to_pylist():
                    place, number = number_of(row["output"], row["member"]), number_of(row["key"])
                    if number not in latest:
                        latest.add(number)
                        live.add(place)
                    elif row["member"] and place not in live:
                        found.setdefault(row["output"], set()).add(row["member"])
        return found

    def unfinished(self) -> list[int]:
        """For each run that has not ended well, the number from which it counted its shards."""
        found = []
        for name in self._parts():
            if name.endswith(".json"):
                with storage.open_to_read(self._name(name)) as file:
                    found.append(int(json.loads(file.read())["first_shard"]))
        return found

    def _tables(self, name: str) -> Iterator[pa.Table]:
        if storage.look(self._name(name)) is None:
            return
        with storage.open_to_read(self._name(name)) as file:
            try:
                table = pq.ParquetFile(file)
                if not table.schema_arrow.equals(SCHEMA):
                    raise FormatError(f"{self._name(name)}: no manifest of `tessera bulk`; choose another folder")
                for batch in table.iter_batches(ROWS):
                    yield pa.Table.from_batches([batch])
            except (pa.ArrowException, OSError) as error:
                raise FormatError(f"{self._name(name)}: {error}; move it away to begin anew") from error


def _table(rows: list[ItemRow]) -> pa.Table:
    return pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], SCHEMA)


def _write(name: str, tables: Iterator[pa.Table] | list[pa.Table]) -> None:
    with storage.open_to_write(name) as file, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        for table in tables:
            if table.num_rows:
                writer.write_table(table)


def version_number(source: str, version: str) -> int:
    """64 bits for a source and its version; 0 where the version is not known."""
    return number_of(source, version) if version else 0


class Finished:
    """What earlier runs finished with the same settings, and whose output is still there: 48 bytes per item."""

    _TYPE = np.dtype([("key", "<u8"), ("version", "<u8"), ("sha256", "V32")])

    def __init__(self, manifest: Manifest, settings: str, outputs: set[int]) -> None:
        """`outputs`: `number_of(name, size)` of every file of the folder, size 0 for shards."""
        rows = manifest.rows(
            "source", "status", "settings", "output", "member", "bytes", "source_sha256", "source_version"
        )
        made = (self._entry(row) for row in rows if self._counts(row, settings, outputs))
        self._table = np.fromiter(made, self._TYPE)
        self._table.sort(order="key")

    @staticmethod
    def _counts(row: dict[str, Any], settings: str, outputs: set[int]) -> bool:
        if row["status"] != DONE or row["settings"] != settings:
            return False
        return not row["output"] or number_of(row["output"], 0 if row["member"] else row["bytes"]) in outputs

    @staticmethod
    def _entry(row: dict[str, Any]) -> tuple[int, int, bytes]:
        version = version_number(row["source"], row["source_version"])
        return number_of(row["key"]), version, bytes.fromhex(row["source_sha256"])

    def __len__(self) -> int:
        return len(self._table)

    def find(self, key: str) -> tuple[int, str] | None:
        """`version_number` of its source, and the source's SHA-256; None for a key that is not finished."""
        place = int(np.searchsorted(self._table["key"], np.uint64(number_of(key))))
        if place == len(self._table) or int(self._table["key"][place]) != number_of(key):
            return None
        one = self._table[place]
        return int(one["version"]), one["sha256"].tobytes().hex()
