"""The study from end to end: sources, trainings, report.

Written to the report's folder: `latents.csv` (a row for each source and seed), two plots and `index.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.measuring import perception
from tessera.tools.measuring.job import digest_of
from tessera.tools.measuring.rows import RowFile, rewrite
from tessera.tools.measuring.settings import DEFAULT_RUN, Run
from tessera.tools.studies.latents import page
from tessera.tools.studies.latents.measure import KnownRows, measure
from tessera.tools.studies.latents.rows import LatentsResult, LatentsRow, verdicts
from tessera.tools.studies.latents.settings import LatentsSettings
from tessera.tools.studies.latents.sources import Known, source


def evaluate(settings: LatentsSettings, paths: Sequence[Path], out: Path, run: Run = DEFAULT_RUN) -> LatentsResult:
    """Train one model on every source, and write the report to `out`.

    Args:
        paths: one tar file of pictures train/CLASS/NAME and test/CLASS/NAME.
        out: folder of the report, made if there is none.
    """
    if len(paths) != 1 or not paths[0].is_file():
        raise ParameterError("evaluate latents takes one tar file of pictures train/CLASS/NAME and test/CLASS/NAME")
    origins = [source(name, settings.quality, settings.side) for name in settings.sources]
    train, test = (perception.read_set(paths[0], split) for split in ("train", "test"))
    digest = digest_of(paths[0])
    out.mkdir(parents=True, exist_ok=True)
    rows: list[LatentsRow] = []
    known = Known()
    file = out / "latents.csv"
    with options.progress_bar("training", quiet=run.quiet) as progress, RowFile(file, LatentsRow) as there:
        for origin in origins:
            for row in measure(settings, origin, train, test, KnownRows(digest, there, known)):
                rows.append(row)
                if progress:
                    progress(len(rows), len(origins) * settings.seeds)
    rewrite(file, there.rows, LatentsRow)
    result = LatentsResult(
        paths[0].name,
        len(train.labels),
        len(test.labels),
        settings.epochs,
        settings.quality,
        settings.side,
        rows,
        verdicts(rows),
    )
    page.write(out, result, run.described(settings))
    return result


def print_tables(result: LatentsResult) -> None:
    """One line a source, then the verdicts."""
    print(options.text_table(*page.by_source(result.rows)))
    print("\nlatents beside pixels of as many values")
    print(options.text_table(*page.verdict_table(result.verdicts), left=2))
