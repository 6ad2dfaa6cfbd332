"""Manifests of sources: tables in CSV, JSON lines or Parquet that name the files of a job, row by row.

A table that cannot be read stops the job before it begins.  A row that cannot be used is refused, and the others count.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from tessera.codec.errors import FormatError, ParameterError
from tessera.data import storage

COLUMNS = ("source", "path", "url", "file")  # the first of them that a row has names its file
KEY = "key"
SUFFIXES = (".csv", ".parquet", ".jsonl", ".ndjson")
ROWS = 1024  # rows of a Parquet file that are read at a time
LONGEST_LINE = 1 << 20  # bytes: a longer one is no row of names


@dataclass(frozen=True)
class NamedFile:
    """A row: the file that it names, and the key of its output, where it has one."""

    source: str
    key: str


@dataclass(frozen=True)
class Refused:
    """What cannot be done as it stands: the file, row or sample, and why."""

    source: str
    reason: str


_Row = Mapping[str, Any]
_Placed = tuple[str, _Row | str]  # where it stands, and a row or what is wrong with it


def rows(name: str, suffix: str, column: str | None) -> Iterator[NamedFile | Refused]:
    """The rows of a manifest.

    Args:
        name: Path or URL.
        suffix: One of SUFFIXES.
        column: The column that names the files.  None: the first of COLUMNS.

    Raises:
        ParameterError: There is no such column, or it holds no text.
        FormatError: The file is no table of its kind, or has no rows.
    """
    read = {".csv": _of_csv, ".parquet": _of_parquet}.get(suffix, _of_json)
    wanted = COLUMNS if column is None else (column,)
    empty = True
    for place, row in read(name, wanted):
        empty = False
        yield Refused(f"{name}, {place}", row) if isinstance(row, str) else _named(f"{name}, {place}", row, wanted)
    if empty:
        raise FormatError(f"{name}: has no rows; a manifest names at least one file")


def _named(place: str, row: _Row, wanted: Sequence[str]) -> NamedFile | Refused:
    chosen = next((column for column in wanted if row.get(column) not in (None, "")), None)
    if chosen is None:
        return Refused(place, f"field {' or '.join(wanted)} is missing or empty; name a file there")
    source, key = row[chosen], row.get(KEY)
    if not isinstance(source, str):
        return Refused(place, f"field {chosen} is of type {type(source).__name__}; text is needed")
    if key is not None and (not isinstance(key, (str, int)) or isinstance(key, bool)):
        return Refused(place, f"field {KEY} is of type {type(key).__name__}; text or a whole number is needed")
    return NamedFile(source, "" if key is None else str(key))


def _check_columns(name: str, columns: Sequence[str], wanted: Sequence[str]) -> None:
    if not any(column in wanted for column in columns):
        found = ", ".join(map(repr, columns[:20])) or "none"
        raise ParameterError(
            f"{name}: no column {' or '.join(wanted)} among its columns {found}; name that of the files by --column"
        )


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    """The lines of a text, none of which is long."""
    buffered = io.BufferedReader(cast(io.RawIOBase, file))  # files of some stores read lines of any length alone
    number = 0
    while line := buffered.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise FormatError(f"{name}: line {number} is longer than {LONGEST_LINE:,} bytes; is it a table of names?")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"{name}: line {number} is not UTF-8; save the table as UTF-8") from error


def _of_csv(name: str, wanted: Sequence[str]) -> Iterator[_Placed]:
    with storage.open_to_read(name) as file:
        reader = csv.reader(_lines(file, name), strict=True)
        try:
            columns = next(reader, [])
            if not columns:
                raise FormatError(f"{name}: its first line is empty; it must name the columns")
            _check_columns(name, columns, wanted)
            for column in (*wanted, KEY):
                if columns.count(column) > 1:
                    raise FormatError(f"{name}: column {column} stands twice; rename one")
            for cells in reader:
                place = f"line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(columns):
                    yield place, f"has {len(cells)} cells for {len(columns)} columns; quote cells that hold a comma"
                else:
                    yield place, dict(zip(columns, cells, strict=True))
        except csv.Error as error:
            raise FormatError(f"{name}: line {reader.line_num}: {error}; quote cells that hold commas") from error


def _of_json(name: str, wanted: Sequence[str]) -> Iterator[_Placed]:
    checked = False
    with storage.open_to_read(name) as file:
        for number, line in enumerate(_lines(file, name), 1):
            if not line.strip():
                continue
            row = _json_row(line)
            if isinstance(row, dict) and not checked:
                _check_columns(name, list(row), wanted)
                checked = True
            yield f"line {number}", row


def _json_row(line: str) -> dict[str, Any] | str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    return row if isinstance(row, dict) else "is no JSON object; write one object a line"


def _of_parquet(name: str, wanted: Sequence[str]) -> Iterator[_Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with storage.open_to_read(name) as file:
        try:
            table = pq.ParquetFile(file)
            schema = table.schema_arrow
            _check_columns(name, schema.names, wanted)
            for column in wanted:
                kind = schema.field(column).type if column in schema.names else pa.string()
                kind = kind.value_type if pa.types.is_dictionary(kind) else kind
                if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                    raise ParameterError(f"{name}: column {column} is of type {kind}; text is needed")
            chosen = [column for column in (*wanted, KEY) if column in schema.names]
            number = 0
            for batch in table.iter_batches(ROWS, columns=chosen):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise FormatError(f"{name}: cannot be read as Parquet: {error}; write it again") from error
