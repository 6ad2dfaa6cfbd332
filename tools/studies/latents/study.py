"""The study from end to end: sources, trainings, report."""

from __future__ import annotations

import argparse
from typing import Any

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.measuring import perception
from tessera.tools.measuring.job import digest_of
from tessera.tools.measuring.rows import RowFile, rewrite
from tessera.tools.studies.latents.measure import SOURCES, _Found, _rows
from tessera.tools.studies.latents.rows import LatentsRow, verdicts
from tessera.tools.studies.latents.sources import Known, source


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, write latents.csv, two plots and index.html to `args.out`; return what they hold."""
    from tessera.tools.studies.latents import page as tokens_study_page

    if len(args.paths) != 1 or not args.paths[0].is_file():
        raise ParameterError("evaluate latents takes one tar file of pictures train/CLASS/NAME and test/CLASS/NAME")
    quality = args.qualities[0] if args.qualities else 50.0
    origins = [source(name, quality, args.side) for name in args.sources or SOURCES.split(",")]
    train, test = (perception.read_set(args.paths[0], split) for split in ("train", "test"))
    digest = digest_of(args.paths[0])
    rows: list[LatentsRow] = []
    known = Known()
    file = args.out / "latents.csv"
    with options.progress_bar("training", quiet=args.json) as progress, RowFile(file, LatentsRow) as there:
        for origin in origins:
            for row in _rows(origin, train, test, args, _Found(digest, there, known)):
                rows.append(row)
                if progress:
                    progress(len(rows), len(origins) * args.seeds)
    rewrite(file, there.rows, LatentsRow)
    result = {"set": args.paths[0].name, "train": len(train.labels), "test": len(test.labels), "epochs": args.epochs,
              "quality": quality, "side": args.side, "rows": rows, "verdicts": verdicts(rows)}  # fmt: skip
    tokens_study_page.write(args.out, result)
    return result


def print_tables(result: dict[str, Any]) -> None:
    """One line a source, then the verdicts."""
    from tessera.tools.studies.latents import page as tokens_study_page

    print(options.text_table(*tokens_study_page.by_source(result["rows"])))
    print("\nlatents beside pixels of as many values")
    print(options.text_table(*tokens_study_page.verdict_table(result["verdicts"]), left=2))
