"""The study from end to end: training, questions at every budget, report."""

from __future__ import annotations

import argparse
import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessera.tools import options
from tessera.tools.studies.tokens.measure import (
    BUDGETS,
    FIRST_TEST_SEED,
    _measure_all,
    _reader,
    _sample,
    blind,
    compare,
)
from tessera.tools.studies.tokens.rows import Asked, Paired


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Train or load the reader, measure, write tokens.csv, paired.csv, two plots and index.html to `args.out`."""
    from tessera.tools.studies.tokens import page as tokens_page

    asked = Asked(args.codecs[0] if args.codecs else "wavelet", args.qualities[0] if args.qualities else 50.0,
                  args.clips, args.epochs, args.images or 100, tuple(args.budgets or BUDGETS))  # fmt: skip
    reader, prototypes, seconds = _reader(asked, args.out, quiet=args.json)
    samples = [_sample(FIRST_TEST_SEED + k, asked, prototypes, reader) for k in range(asked.clips)]
    rows, right = _measure_all(samples, reader, asked, args)
    pairs = compare(right, samples)
    _write(args.out / "paired.csv", pairs)
    result = {**dataclasses.asdict(asked), "training_seconds": seconds, "blind": blind(samples), "rows": rows,
              "paired": pairs}  # fmt: skip
    tokens_page.write(args.out, result)
    return result


def _write(file: Path, rows: Sequence[Paired]) -> None:
    if not rows:
        return
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(rows[0]))
        for row in rows:
            values = dataclasses.astuple(row)
            writer.writerow(f"{value:.4g}" if isinstance(value, float) else value for value in values)


def print_tables(result: dict[str, Any]) -> None:
    """Accuracy of every method by budget, and the selection by bits beside its rivals."""
    from tessera.tools.studies.tokens import page as tokens_page

    head, cells = tokens_page.by_budget(result["rows"])
    print(f"without looking: {result['blind']['accuracy']:.1%}")
    print(options.text_table(head, cells))
    print("\nselection by bits beside others, difference of accuracy with its 95 % interval")
    print(options.text_table(*tokens_page.paired(result["paired"]), left=3))
