"""Sources of `tessera bulk` that are damaged, forged or odd: a clear error, or a failed item and all others done."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest

if importlib.util.find_spec("pyarrow") is None:
    pytest.skip("pyarrow is not installed", allow_module_level=True)

import pyarrow as pa
import pyarrow.parquet as pq

from tessera.codec.errors import FormatError, ParameterError
from tessera.tools.bulk.items import Item, items
from tessera.tools.bulk.job import BulkReport, BulkSettings, run_job
from tessera.tools.bulk.operations import Made
from tessera.tools.bulk.tables import Refused
from tessera.tools.commands.bulk import _printable

SUFFIXES = frozenset({".png"})


@dataclass(frozen=True)
class Copy:
    """An operation that copies its source: items are seen at work without a codec."""

    name: ClassVar[str] = "copy"
    sources: ClassVar[frozenset[str]] = SUFFIXES

    def settings(self) -> Mapping[str, Any]:
        return {}

    def make(self, source: Path, sink: BinaryIO) -> Made:
        sink.write(source.read_bytes())
        return Made(".tsr", 1)


def job(target: Path, *sources: Path, **more: Any) -> BulkReport:
    settings = {
        "operation": Copy(),
        "sources": [str(source) for source in sources],
        "target": str(target),
        "workers": 0,
    }
    return run_job(BulkSettings(**{**settings, **more}))


def failures(report: BulkReport) -> str:
    return "\n".join(f"{key}: {reason}" for key, reason in report.failures)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def write_tar(path: Path, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_names_in_a_shard_lead_nowhere_else(tmp_path: Path) -> None:
    names = (
        "../../up.png",
        "/root/abs.png",
        "a/../b.png",
        "c\nd \x1b[31m.png",
        "..png",
        "manifest.parts/0.png",
        "z.png",
    )
    shard = write_tar(tmp_path / "in.tar", *((name, b"1") for name in names), ("z.png", b"2"), ("bad\udcff.png", b"3"))
    report = job(tmp_path / "out", shard)
    assert files(tmp_path / "out") == sorted(
        ["a/b.tsr", "c\nd \x1b[31m.tsr", "manifest.parquet", "root/abs.tsr", "up.tsr"]
    )
    assert (report.items, report.done, report.failed) == (8, 4, 4)
    said = failures(report)
    assert "it has no key" in said and "where rows are kept" in said and "not UTF-8" in said
    assert "in.tar, sample z: z.png stands twice in its sample" in said
    assert _printable("c\nd \x1b[31m") == "c\\nd \\x1b[31m"


def test_a_damaged_shard_costs_only_what_it_holds(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("0", "1", "2"):
        write_tar(source / f"{name}.tar", (f"{name}a.png", b"1" * 700), (f"{name}b.png", b"2" * 700))
    whole = (source / "1.tar").read_bytes()
    (source / "1.tar").write_bytes(whole[:2400])
    (source / "2.tar").write_bytes(b"")
    report = job(tmp_path / "out", source)
    assert (report.done, report.failed) == (3, 2) and "1.tar: unexpected end" in failures(report)
    (source / "1.tar").write_bytes(whole)
    (source / "2.tar").unlink()
    report = job(tmp_path / "out", source)
    assert (report.done, report.finished, report.failed) == (1, 3, 0)
    rows = pq.read_table(tmp_path / "out" / "manifest.parquet").to_pylist()
    assert {row["status"] for row in rows} == {"done"} and len(rows) == 4, "what was refused is mended"


def test_files_whose_names_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"1")
    try:
        Path(os.fsdecode(bytes(tmp_path / "in") + b"/\xff.png")).write_bytes(b"2")
    except OSError:
        pytest.skip("this disk takes names in UTF-8 alone")
    report = job(tmp_path / "out", tmp_path / "in")
    assert (report.done, report.failed) == (1, 1) and r"\udcff.png: its source is not UTF-8" in failures(report)


def test_a_sample_that_holds_the_output_already(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in.tar", ("a.png", b"1"), ("a.tsr", b"2"), ("b.png", b"3"), ("b.cls", b"4"))
    report = job(tmp_path / "out", shard, shard=5)
    assert (report.done, report.failed) == (1, 1) and "sample a holds a .tsr file already" in failures(report)


def test_a_forged_manifest_names_no_other_file(tmp_path: Path) -> None:
    """Shards of replaced rows are written again: none outside of the folder."""
    (tmp_path / "a.png").write_bytes(b"1")
    job(tmp_path / "out", tmp_path / "a.png", shard=1)
    path = tmp_path / "out" / "manifest.parquet"
    table = pq.read_table(path)
    row = {**table.to_pylist()[0], "output": "../other.tar", "source_version": "", "source_sha256": "00" * 32}
    pq.write_table(pa.Table.from_pylist([row], table.schema), path)
    other = write_tar(tmp_path / "other.tar", ("a.tsr", b"precious"))
    before = other.read_bytes()
    job(tmp_path / "out", tmp_path / "a.png", shard=1)
    assert other.read_bytes() == before


def write_table(path: Path, kind: str, table: list[dict[str, Any]]) -> Path:
    name = path / f"list.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(table), name)
    elif kind == "csv":
        lines = [",".join(table[0]), *(",".join(str(value or "") for value in row.values()) for row in table)]
        name.write_text("\n".join(lines) + "\n")
    else:
        name.write_text("".join(json.dumps(row) + "\n" for row in table))
    return name


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_that_cannot_be_done(kind: str, tmp_path: Path) -> None:
    """The others are."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(b"1")
    rows = [("a.png", "x"), ("", "y"), ("a.png", "x"), ("b.png", "k" * 2000), ("n" * 5000, "w"), ("gone.png", "g"),
            ("b.png", "x/../b"), ("b.png", ".."), ("b.png", "manifest.parts/b")]  # fmt: skip
    table = write_table(tmp_path, kind, [{"path": path or None, "key": key} for path, key in rows])
    report = job(tmp_path / "out", table)
    assert files(tmp_path / "out") == ["manifest.parquet", "x.tsr", "x/b.tsr"]
    assert (report.items, report.done, report.failed) == (9, 2, 7)
    said = failures(report)
    row = "row 2" if kind == "parquet" else f"line {2 + (kind == 'csv')}"
    assert f"list.{kind}, {row}: field source or path or url or file is missing or empty" in said
    for reason in (
        "another item has the key x", "its key has 2,000 bytes", "its source has 5", "gone.png", "it has no key",
        "where rows are kept",
    ):  # fmt: skip
        assert reason in said, reason


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.csv", b"", "first line is empty"),
        ("x.csv", b"path,key\n", "has no rows"),
        ("x.csv", b"name,key\na.png,1\n", "no column source or path or url or file among its columns 'name', 'key'"),
        ("x.csv", b"path,path\na.png,b.png\n", "column path stands twice"),
        ("x.csv", b'path,key\n"a.png,1\nb.png,2\n', "unexpected end of data; quote"),
        ("x.csv", b"path\n" + b"a" * 200_000 + b"\n", "field larger than field limit"),
        ("x.csv", b"path\n" + b"a" * 2_000_000, "line 2 is longer than 1,048,576 bytes"),
        ("x.csv", "path\nä.png\n".encode("latin-1"), "line 2 is not UTF-8; save"),
        ("x.csv", "path\na.png\n".encode("utf-16"), "line 1 is not UTF-8"),
        ("x.jsonl", b"", "has no rows"),
        ("x.jsonl", b'{"name": "a.png"}\n', "no column source"),
        ("x.jsonl", b'{"path": "' + b"a" * 2_000_000, "line 1 is longer"),
        ("x.parquet", b"", "cannot be read as Parquet"),
        ("x.parquet", b"PAR1" + bytes(100) + b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_tables_that_are_none(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises((FormatError, ParameterError), match=message) as error:
        list(items([str(tmp_path / name)], SUFFIXES))
    assert str(tmp_path / name) in str(error.value)


def test_columns_of_parquet_that_are_no_text(tmp_path: Path) -> None:
    name = write_table(tmp_path, "parquet", [{"path": 5, "picture": b"large", "list": ["a.png"]}])
    for column, message in (
        (None, "column path is of type int64; text"),
        ("list", "type list<"),
        ("picture", "binary"),
    ):
        with pytest.raises(ParameterError, match=message):
            list(items([str(name)], SUFFIXES, column))


def test_rows_of_json_of_every_type(tmp_path: Path) -> None:
    name = tmp_path / "list.jsonl"
    lines = ['{"path": "a.png", "key": 7}', "[1]", '"words"', "{broken", "[" * 100_000,
             '{"path": 5}', '{"path": ["a"]}', '{"path": "a.png", "key": 1.5}',
             '{"path": "\\ud800.png"}', '{"path": "a\\u0000.png"}', '{"other": 1}']  # fmt: skip
    name.write_text("\n".join(lines))
    found = list(items([str(name)], SUFFIXES))
    assert [isinstance(each, Item) for each in found] == [True] + [False] * 10
    assert isinstance(found[0], Item) and found[0].key == "7"
    reasons = [each.reason for each in found if isinstance(each, Refused)]
    wanted = ("no JSON object", "no JSON object", "is not JSON", "is not JSON", "path is of type int", "type list",
              "key is of type float", "not UTF-8", "zero byte", "missing or empty")  # fmt: skip
    assert all(text in reason for text, reason in zip(wanted, reasons, strict=True)), reasons


def test_cells_of_csv_that_are_too_many(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,key\na,b.png,1\nc.png,2\nd.png\n")
    found = list(items([str(tmp_path / "list.csv")], SUFFIXES))
    assert [type(each) for each in found] == [Refused, Item, Refused]
    assert "3 cells for 2 columns" in str(found[0]) and "1 cells for 2" in str(found[2])
