"""What is to be done: items from files, folders, patterns, manifests and tar shards."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tessera.codec.errors import FormatError, ParameterError
from tessera.data import shards, storage

COLUMNS = ("source", "path", "url", "file")  # of a manifest: the first that it has names the files
KEY = "key"
TABLES = (".csv", ".parquet", ".jsonl", ".ndjson")
ROWS = 1024  # rows of a manifest that are read at a time


@dataclass(frozen=True)
class Part:
    """Bytes of an archive that go along with an item, such as `cls` or `json` beside a picture."""

    suffix: str
    offset: int
    size: int


@dataclass(frozen=True)
class Item:
    """One thing to do.

    Attributes:
        key: Names the output; "/" between its parts, no suffix.
        source: Path or URL of a file, or of the tar archive that holds it.
        offset: Where its bytes begin in the archive; -1 for a file of its own.
        size: Its bytes in the archive; -1 for a file of its own, whose size may be unknown.
        version: What changes with the source, see `storage.Found`; empty where nobody knows yet.
        known: SHA-256 of the source that was done with these settings before; empty: it was not.
        known_version: A number for the source and the version that it had then.
        beside: Other members of its sample.
    """

    key: str
    source: str
    offset: int = -1
    size: int = -1
    version: str = ""
    known: str = ""
    known_version: int = 0
    beside: tuple[Part, ...] = ()


def items(sources: Sequence[str], suffixes: frozenset[str], column: str | None = None) -> Iterator[Item]:
    """The items of all sources, in the order of the sources, each by name.

    Args:
        sources: Paths or URLs: folders (searched with all folders in them), patterns with *, ? or [, manifests (CSV,
            Parquet, JSON lines), tar archives, other files.
        suffixes: Lower case, with the dot: what counts in folders and archives.  A file that is named counts always.
        column: The column of manifests that names the files.  None: the first of COLUMNS.

    Raises:
        ParameterError: A source does not exist, or a manifest has no such column.
        FormatError: A manifest or an archive is damaged.
    """
    for source in sources:
        if any(letter in source for letter in "*?[") and storage.look(source) is None:
            names = storage.matching(source)
            if not names:
                raise ParameterError(f"{source}: nothing matches this pattern")
            for name in names:
                yield from _of_file(name, PurePosixPath(name).name, suffixes, column, named=False)
        elif storage.is_folder(source):
            for short, found in storage.listing(source):
                if short.endswith(".tar"):
                    yield from _of_archive(found, suffixes)
                elif PurePosixPath(short).suffix.lower() in suffixes:
                    yield Item(_stem(short), found.name, -1, found.size, found.version)
        else:
            yield from _of_file(source, PurePosixPath(source).name, suffixes, column, named=True)


def _of_file(name: str, short: str, suffixes: frozenset[str], column: str | None, *, named: bool) -> Iterator[Item]:
    suffix = PurePosixPath(short).suffix.lower()
    if suffix not in (*TABLES, ".tar") and not named and suffix not in suffixes:
        return
    found = storage.look(name)
    if found is None:
        raise ParameterError(f"{name}: no such file; check the name")
    if suffix in TABLES:
        yield from _of_manifest(name, suffix, column)
    elif suffix == ".tar":
        yield from _of_archive(found, suffixes)
    else:
        yield Item(_stem(short), name, -1, found.size, found.version)


def _of_archive(found: storage.Found, suffixes: frozenset[str]) -> Iterator[Item]:
    """The samples that hold a file of `suffixes`."""
    with storage.open_to_read(found.name) as file:
        for sample in shards.samples(file, found.name):
            lead = next((each for each in sample if f".{each.suffix.rpartition('.')[2].lower()}" in suffixes), None)
            if lead is not None:
                beside = tuple(Part(each.suffix, each.offset, each.size) for each in sample if each is not lead)
                yield Item(clean(lead.key), found.name, lead.offset, lead.size, found.version, beside=beside)


def _of_manifest(name: str, suffix: str, column: str | None) -> Iterator[Item]:
    folder = name.rpartition("/")[0]
    read = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(suffix, _json_rows)
    for number, row in enumerate(read(name)):
        chosen = column or next((each for each in COLUMNS if row.get(each) is not None), "")
        if row.get(chosen) in (None, ""):
            wanted = column or ", ".join(COLUMNS)
            raise ParameterError(f"{name}: row {number} has no column {wanted}; name it with --column")
        source = str(row[chosen])
        absolute = storage.is_url(source) or PurePosixPath(source).is_absolute()
        given = row.get(KEY)
        key = clean(str(given)) if given not in (None, "") else _stem(source.partition("://")[2] or source)
        yield Item(key, source if absolute or not folder else storage.joined(folder, source))


def _csv_rows(name: str) -> Iterator[Mapping[str, Any]]:
    with storage.open_to_read(name) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        yield from _sound(name, csv.DictReader(text))


def _json_rows(name: str) -> Iterator[Mapping[str, Any]]:
    with storage.open_to_read(name) as file, io.TextIOWrapper(file, encoding="utf-8") as text:
        for row in _sound(name, (json.loads(line) for line in text if line.strip())):
            if not isinstance(row, dict):
                raise FormatError(f"{name}: every line must be a JSON object")
            yield row


def _parquet_rows(name: str) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with storage.open_to_read(name) as file:
        try:
            table = pq.ParquetFile(file)
            wanted = [column.name for column in table.schema_arrow if not pa.types.is_nested(column.type)]
            for batch in table.iter_batches(ROWS, columns=wanted):
                yield from batch.to_pylist()
        except pa.ArrowException as error:
            raise FormatError(f"{name}: {error}") from error


def _sound(name: str, rows: Iterable[Any]) -> Iterator[Any]:
    """The rows; FormatError where the text of a manifest is damaged."""
    try:
        yield from rows
    except (ValueError, csv.Error) as error:
        raise FormatError(f"{name}: {error}") from error


def clean(key: str) -> str:
    """A key whose output stays in its folder: no empty part, no `.` and no `..`."""
    return "/".join(part for part in key.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _stem(name: str) -> str:
    """The key of a file: its name without the suffix."""
    return clean(str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix else name)
