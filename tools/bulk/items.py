"""What is to be done: items from files, folders, patterns, manifests and tar shards.

What cannot be an item, such as a link in a shard or a row without a name, is `Refused` and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tessera.codec.errors import FormatError, ParameterError
from tessera.data import shards, storage
from tessera.tools.bulk import tables
from tessera.tools.bulk.tables import Refused

LONGEST_KEY, LONGEST_SOURCE = 1024, 4096  # bytes: what S3 and Linux take
RESERVED = "manifest.parts"  # a folder of the output folder


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


def items(sources: Sequence[str], suffixes: frozenset[str], column: str | None = None) -> Iterator[Item | Refused]:
    """The items of all sources, in the order of the sources, each by name.

    Args:
        sources: Paths or URLs: folders (searched with all folders in them), patterns with *, ? or [, manifests (CSV,
            Parquet, JSON lines), tar archives, other files.
        suffixes: Lower case, with the dot: what counts in folders and archives.  A file that is named counts always.
        column: The column of manifests that names the files.  None: the first of `tables.COLUMNS`.

    Raises:
        ParameterError: A source does not exist, or a manifest has no such column.
        FormatError: A manifest is damaged.
    """
    for source in sources:
        for found in _of_source(source, suffixes, column):
            problem = _problem(found) if isinstance(found, Item) else ""
            yield Refused(found.source, problem) if problem else found


def _problem(item: Item) -> str:
    """Why an item cannot be done as it stands; empty: it can."""
    for field, text, longest in (("source", item.source, LONGEST_SOURCE), ("key", item.key, LONGEST_KEY)):
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            return f"its {field} is not UTF-8; rename it"
        if "\0" in text:
            return f"its {field} holds a zero byte; correct it"
        if size > longest:
            return f"its {field} has {size:,} bytes, at most {longest:,} are allowed; is it a name?"
    if not item.key:
        return "it has no key; name its output by a column `key` of a manifest"
    if item.key.partition("/")[0] == RESERVED:
        return f"its output would be in {RESERVED}, where rows are kept; name it by a column `key` of a manifest"
    return ""


def _of_source(source: str, suffixes: frozenset[str], column: str | None) -> Iterator[Item | Refused]:
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


def _of_file(
    name: str, short: str, suffixes: frozenset[str], column: str | None, *, named: bool
) -> Iterator[Item | Refused]:
    suffix = PurePosixPath(short).suffix.lower()
    if suffix not in (*tables.SUFFIXES, ".tar") and not named and suffix not in suffixes:
        return
    found = storage.look(name)
    if found is None:
        raise ParameterError(f"{name}: no such file; check the name")
    if suffix in tables.SUFFIXES:
        yield from _of_manifest(name, suffix, column)
    elif suffix == ".tar":
        yield from _of_archive(found, suffixes)
    else:
        yield Item(_stem(short), name, -1, found.size, found.version)


def _of_archive(found: storage.Found, suffixes: frozenset[str]) -> Iterator[Item | Refused]:
    """The samples that hold a file of `suffixes`."""
    try:
        with storage.open_to_read(found.name) as file:
            for sample in shards.samples(file, found.name):
                lead = next((each for each in sample if _last_suffix(each.suffix) in suffixes), None)
                if lead is None:
                    continue
                problem = next((each.problem for each in sample if each.problem), "")
                if problem:
                    yield Refused(f"{found.name}, sample {lead.key}", problem)
                    continue
                beside = tuple(Part(each.suffix, each.offset, each.size) for each in sample if each is not lead)
                yield Item(clean(lead.key), found.name, lead.offset, lead.size, found.version, beside=beside)
    except FormatError as error:
        yield Refused(found.name, str(error))


def _last_suffix(suffix: str) -> str:
    """`.png` of `left.PNG`."""
    return f".{suffix.rpartition('.')[2].lower()}"


def _of_manifest(name: str, suffix: str, column: str | None) -> Iterator[Item | Refused]:
    folder = name.rpartition("/")[0]
    for row in tables.rows(name, suffix, column):
        if isinstance(row, Refused):
            yield row
            continue
        source = row.source
        absolute = storage.is_url(source) or PurePosixPath(source).is_absolute()
        key = clean(row.key) if row.key else _stem(source.partition("://")[2] or source)
        yield Item(key, source if absolute or not folder else storage.joined(folder, source))


def clean(key: str) -> str:
    """A key whose output stays in its folder: no empty part, no `.` and no `..`."""
    return "/".join(part for part in key.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _stem(name: str) -> str:
    """The key of a file: its name without the suffix."""
    return clean(str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix else name)
