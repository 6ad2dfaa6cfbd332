"""The study from end to end: training, questions at every budget, report.

Written to the report's folder: the trained model, `tokens.csv` (a row for each method and budget), `paired.csv`, two
plots and `index.html`.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.measuring.settings import DEFAULT_RUN, Run
from tessera.tools.studies.tokens import page
from tessera.tools.studies.tokens.measure import (
    FIRST_TEST_SEED,
    answering_model,
    blind,
    compare,
    measure,
    questioned_clip,
)
from tessera.tools.studies.tokens.rows import Paired, TokensResult
from tessera.tools.studies.tokens.settings import TokensSettings


def evaluate(settings: TokensSettings, paths: Sequence[Path], out: Path, run: Run = DEFAULT_RUN) -> TokensResult:
    """Train the model or load it from `out`, ask it at every budget, and write the report to `out`.

    Args:
        paths: none; the study makes its clips.
        out: folder of the report, made if there is none.
    """
    if paths:
        raise ParameterError("evaluate tokens makes its clips: it takes no PATH")
    out.mkdir(parents=True, exist_ok=True)
    model, prototypes, seconds = answering_model(settings, out, run.quiet)
    samples = [questioned_clip(FIRST_TEST_SEED + k, settings, prototypes, model) for k in range(settings.clips)]
    rows, right = measure(settings, samples, model, out, run.quiet)
    pairs = compare(right, samples)
    _write(out / "paired.csv", pairs)
    result = TokensResult(
        **dataclasses.asdict(settings), training_seconds=seconds, blind=blind(samples), rows=rows, paired=pairs
    )
    page.write(out, result, run.described(settings))
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


def print_tables(result: TokensResult) -> None:
    """Accuracy of every method by budget, and the selection by bits beside its rivals."""
    print(f"without looking: {result.blind['accuracy']:.1%}")
    print(options.text_table(*page.by_budget(result.rows)))
    print("\nselection by bits beside others, difference of accuracy with its 95 % interval")
    print(options.text_table(*page.paired(result.paired), left=3))
