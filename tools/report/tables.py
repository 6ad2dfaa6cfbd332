"""Tables of a report as CSV files, and its list of failures as a file and as text."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessera.tools.measuring.job import Failure


def write_csv(file: Path, kind: type, rows: Sequence[Any]) -> None:
    """Rows of the dataclass `kind`, one per line below the names of its fields."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(item.name for item in dataclasses.fields(kind))
        for row in rows:
            writer.writerow(
                round(value, 6) if isinstance(value, float) else value for value in dataclasses.astuple(row)
            )


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """failures.csv, or none where nothing failed."""
    if failures:
        write_csv(folder / "failures.csv", Failure, failures)
    else:
        (folder / "failures.csv").unlink(missing_ok=True)


def print_failures(failures: Sequence[Failure]) -> None:
    for failure in failures:
        print(f"failed: {failure.codec} {failure.setting} on {failure.source}: {failure.reason}")
